"""A PostgreSQL of our own, and rows that take it away."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psycopg
from support.waiting import until

from faults.kills import ANY, SLOTS, kills
from faults.row import Lacking, Row, Stage
from faults.site import Load

_PROGRAMS = Path("/usr/lib/postgresql")


class Cluster:
    """Listens on a socket in its directory alone. As root it runs as the user postgres."""

    def __init__(self, place: Path) -> None:
        found = sorted(_PROGRAMS.glob("*/bin/initdb"), key=lambda one: float(one.parts[-3]))
        if not found:
            raise Lacking("no PostgreSQL is installed")
        self._programs = found[-1].parent
        self._place, self._data = place, place / "data"
        self._as = {"user": "postgres", "group": "postgres", "extra_groups": []}
        if os.geteuid() != 0:
            self._as = {}
        place.mkdir()
        if self._as:
            subprocess.run(["chown", "postgres:", str(place)], check=True)
        words = ["initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "--no-sync"]
        self._run(*words, "--encoding", "UTF8", "--locale", "C")
        self._process: subprocess.Popen[bytes] | None = None

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._programs / program), *words]
        subprocess.run(command, check=True, capture_output=True, cwd=self._place, **self._as)

    @property
    def url(self) -> str:
        return f"postgresql:///postgres?host={self._place}&user=postgres"

    def start(self) -> None:
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-k", str(self._place)]
        with (self._place.parent / "postgresql.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "-c", "listen_addresses="],
                stdout=log,
                stderr=log,
                cwd=self._place,
                start_new_session=True,
                **self._as,
            )
        until(self._answers, seconds=30, what="PostgreSQL to answer")

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError):
            psycopg.connect(self.url).close()
            return True
        return False

    def stop(self) -> None:
        """Immediately, without writing down what is in memory."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)


def database_killed(stage: Stage) -> None:
    machine = stage.site.machine("database-killed", slots=SLOTS)
    load = Load(stage.site, "database-killed")

    def kill() -> bool:
        stage.site.cluster.stop()
        time.sleep(stage.chance.uniform(0, 1))
        stage.site.cluster.start()
        return True

    kills(stage, load, 0.2, kill)
    lost = stage.finding.settle(load, seconds=stage.patience(), lost=ANY)
    # What the server runs itself is told straight to the database, and by nobody a second time.
    theirs = [one for one in lost if one["worker"] == machine.worker.name]
    stage.finding.check(not theirs, f"lost of a worker elsewhere: {theirs}")
    stage.finding.told = "only builds on the server's own machine lose an attempt"
    machine.worker.stop()


def database_away(stage: Stage) -> None:
    machine = stage.site.machine("database-away", "dark-linux", slots=SLOTS)
    load = Load(stage.site, "database-away", arch="dark", seconds=stage.effort.long + 5)
    load.push(SLOTS)
    load.until_begun(count=SLOTS)
    stage.site.cluster.stop()
    time.sleep(stage.effort.long)  # the fault itself
    stage.site.cluster.start()
    stage.finding.times = 1
    stage.finding.told = f"away for {stage.effort.long} s"
    stage.finding.settle(load, seconds=stage.patience(), lost=range(1))
    machine.worker.stop()


KINDS = ("postgresql", "celery")
ROWS = (
    Row("immediate stop of PostgreSQL", "P7", database_killed, alone=True, kinds=KINDS),
    Row("PostgreSQL away for longer than a lease", "P2", database_away, alone=True, kinds=KINDS),
)
