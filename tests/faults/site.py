"""An installation: a server with its database, workers, and whoever looks at them meanwhile."""

import contextlib
import json
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
import urllib3
from support.namespaces import Cable, Network
from support.processes import build_processes
from support.rabbitmq import settings_of
from support.server import Server
from support.waiting import until
from support.watching import watched_repository
from support.worker import Worker

from ciserver.git import hook
from ciserver.model.errors import CiError

AWAY = (urllib3.exceptions.HTTPError, OSError, ValueError, KeyError, AssertionError)
LOOK = 0.2  # seconds between two looks: they must not be the load
COUNT = 1  # the step of a build whose log is looked at


@dataclass
class Machine:
    """A worker, and the cable to it where there are namespaces."""

    worker: Worker
    cable: Cable | None

    @property
    def log(self) -> str:
        return self.worker.log.read_text(errors="replace")


class Site:
    """Starts with `start` and is gone after `close`, however far it came."""

    def __init__(
        self,
        place: Path,
        network: Network | None,
        receiver,
        *,
        lease: int,
        cluster=None,
        node=None,
    ) -> None:
        """With a node of RabbitMQ all are in one namespace, which is that of this node."""
        self.place, self.receiver, self.cluster, self.node = place, receiver, cluster, node
        self.network = None if node else network
        host = network.address if network else "127.0.0.1"
        text = '[outgoing]\nallow = ["127.0.0.1"]\n'
        if cluster is not None:
            text += f'[database]\nurl = "{cluster.url}"\n'
        # Kills are many and must not end a build: rows about retries have them in the recipe.
        text += f"[builds]\nslots = 1\nretries = 1000\nlease_seconds = {lease}\n"
        self._engine = settings_of(node.broker) if node else ""
        text += self._engine
        self.server = Server(place / "server", config=text, host=host)
        self.workers: list[Worker] = []
        self.witness = Witness(self.server)
        self._lock = threading.Lock()

    def start(self) -> None:
        self.server.start()
        self.witness.start()

    def close(self) -> None:
        self.witness.stop()
        for one in (*self.workers, self.server):
            if one.process is not None and one.process.poll() is None:
                with contextlib.suppress(OSError):
                    one.process.kill()
                    one.process.wait(10)

    def restart(self) -> float:
        """Start the server that was killed; answers after how many seconds it was ready."""
        began = time.monotonic()
        self.server.start()
        return time.monotonic() - began

    def machine(self, name: str, system: str = "x86_64-linux", *, slots=2, start=True, **options):
        """A machine with a worker for this system, in a namespace of its own where there are."""
        cable = self.network.join() if self.network else None
        worker = Worker(
            self.server,
            self.place / name,
            queues=(f"{system}/trusted",),
            config=f'[builds]\nsystems = ["{system}"]\nslots = {slots}\n{self._engine}',
            namespace=cable.far if cable else None,
            **options,
        )
        with self._lock:
            self.workers.append(worker)
        return Machine(worker.start() if start else worker, cable)

    def watch(self, name: str):
        """A repository that is watched as a project of this name."""
        return watched_repository(self.server, self.place / "repositories" / name, name)

    def token(self, build_id: int) -> str:
        """The token of the attempt that holds the build, from the database."""
        question = f"SELECT token FROM builds WHERE id = {build_id}"
        if self.cluster is not None:
            with psycopg.connect(self.cluster.url) as connection:
                (token,) = connection.execute(question).fetchone()
        else:
            path = f"file:{self.server.data / 'ciserver.db'}?mode=ro"
            with contextlib.closing(sqlite3.connect(path, uri=True)) as connection:
                (token,) = connection.execute(question).fetchone()
        return token

    def orphans(self) -> list:
        """Processes of builds, wherever they run."""
        return [one for each in (self.server, *self.workers) for one in build_processes(each)]


class Witness(threading.Thread):
    """Reads every log over the API while it is written, keeps what it was given, and what the log
    of a lost attempt was when the loss was seen.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._over = threading.Event()
        self._attempts: dict[int, tuple[int, str]] = {}
        self.given: dict[tuple[int, int], bytes] = {}
        self.lost: dict[tuple[int, int], bytes] = {}

    def run(self) -> None:
        while not self._over.wait(LOOK):
            # The server is killed under our feet: no address, no answer, a token of the last one.
            with contextlib.suppress(*AWAY):
                self._look()

    def _look(self) -> None:
        for build in self._server.api("/builds?limit=200")["builds"]:
            number, attempt, status = build["id"], build["attempt"], build["status"]
            if self._attempts.get(number) == (attempt, status) and status != "running":
                continue
            ended = attempt if status == "queued" else attempt - 1
            if ended and (number, ended) not in self.lost:
                self.lost[number, ended] = self._read(number, ended, 0)
            if status == "running":
                had = self.given.get((number, attempt), b"")
                self.given[number, attempt] = had + self._read(number, attempt, len(had))
            self._attempts[number] = (attempt, status)

    def _read(self, build: int, attempt: int, offset: int) -> bytes:
        path = f"/ci/v1/builds/{build}/steps/{COUNT}/log?attempt={attempt}&offset={offset}"
        answer = self._server.request("GET", path)
        if answer.status in {404, 416}:
            return b""
        if answer.status != 200:
            raise ValueError(answer.status)
        return answer.data

    def stop(self) -> None:
        self._over.set()
        if self.is_alive():
            self.join(10)


class Load:
    """Pushes to a project of its own: each becomes one build with a log, a product and a webhook
    that are known beforehand.
    """

    def __init__(self, site: Site, name: str, *, arch="x86_64", seconds=1.0, **recipe) -> None:
        self.site, self.name = site, name
        self._repository = site.watch(name)
        self.lines = max(10, round(seconds * 20))
        count = f"set +x\nfor n in $(seq 1 {self.lines}); do echo line $n; sleep 0.05; done"
        make = "printf 'product of %s\\n' \"$(cat project/number)\" > project/made.txt"
        url = site.receiver.url(f"/{name}")
        self._recipe = json.dumps(
            {
                "image": "host",
                "arch": arch,
                "tasks": [{"count": count}, {"make": make}],
                "artifacts": ["project/made.txt"],
                "triggers": [{"action": "webhook", "url": url, "condition": "always"}],
                **recipe,
            }
        )
        self.log = b"+ set +x\n" + b"".join(b"line %d\n" % (n + 1) for n in range(self.lines))
        self.numbers: dict[str, int] = {}  # by revision

    @property
    def bare(self) -> Path:
        return self._repository.bare

    def push(self, count: int = 1) -> None:
        """As people do, whether a server is there or not: the hook keeps what it cannot send."""
        for _ in range(count):
            self._commit()
            self._repository.push()

    def push_untold(self) -> str:
        """Without the hook; answers the revision."""
        revision = self._commit()
        self._repository.push("--receive-pack=git -c core.hooksPath=/dev/null receive-pack", "main")
        return revision

    def _commit(self) -> str:
        number = len(self.numbers)
        files = {".build.yml": self._recipe, "number": str(number)}
        revision = self._repository.commit(files)
        self.numbers[revision] = number
        return revision

    def _flush(self) -> None:
        """Let the hook send what a server that was away or slow did not take."""
        if any((self._repository.bare / "ciserver" / "spool").glob("*")):
            with contextlib.suppress(CiError):
                hook.flush(self._repository.bare)

    def builds(self) -> list[dict]:
        return self.site.server.api(f"/builds?limit=500&project={self.name}")["builds"]

    def details(self) -> list[dict]:
        return [self.site.server.api(f"/builds/{one['id']}") for one in self.builds()]

    def until_begun(self, attempt: int = 1, *, count: int = 1, seconds: float = 120) -> list[dict]:
        """The builds of which this attempt has written a line, once there are so many."""

        def begun():
            self._flush()
            path = "/ci/v1/builds/{}/steps/1/log?attempt={}"
            return [
                one
                for one in self.builds()
                if one["attempt"] == attempt
                and one["status"] == "running"
                and b"line 2\n"
                in self.site.server.request("GET", path.format(one["id"], attempt)).data
            ]

        what = f"{count} builds of {self.name} to begin attempt {attempt}"
        return until(lambda: _many(begun(), count), seconds=seconds, what=what, every=LOOK)

    def until_built(self, seconds: float) -> list[dict]:
        """Every push has its build, and all have ended."""

        def ended():
            with contextlib.suppress(*AWAY):
                self._flush()
                builds = self.builds()
                if len(builds) >= len(self.numbers) and all(one["is_final"] for one in builds):
                    return builds
            return None

        return until(ended, seconds=seconds, what=f"the builds of {self.name} to end", every=LOOK)


def _many(found: list, count: int) -> list | None:
    return found if len(found) >= count else None
