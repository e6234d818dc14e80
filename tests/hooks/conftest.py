"""A bare repository with the hook, a clone to push from, and a server that hears it."""

import json
import os
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from standardwebhooks import Webhook
from support.server import free_port

from ciserver.git.hook import install

SCRIPT = Path(__file__).parents[2] / "hooks" / "post-receive"
SECRET = "whsec_c2l4dGVlbiBieXRlcyBvciBtb3Jl"
IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


@dataclass(frozen=True)
class Heard:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self) -> dict:
        """The body, after an independent library has accepted its signature."""
        return Webhook(SECRET).verify(self.body, self.headers)

    def refs(self) -> list[str]:
        return [change["ref"] for change in self.verified()["data"]["changes"]]


@dataclass
class Listener:
    """A server on 127.0.0.1 that answers as told; 202 without evaluations where nothing is told.

    An answer is a status with a JSON body, or bytes that go out as they are.
    """

    heard: list[Heard] = field(default_factory=list)
    answers: deque[tuple[int, object] | bytes] = field(default_factory=deque)
    port: int = field(default_factory=free_port)
    server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/generic/demo"

    def start(self) -> None:
        """Listen; after a stop on the same port as before."""
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler_for(self))
        serve = self.server.serve_forever
        threading.Thread(target=serve, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


def _handler_for(listener: Listener) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            listener.heard.append(Heard(self.path, headers, body))
            answer = listener.answers.popleft() if listener.answers else (202, {"evaluations": []})
            self.wfile.write(answer if isinstance(answer, bytes) else _response(*answer))

        def log_message(self, *args: object) -> None:
            """Requests are kept, not printed."""

    return Handler


def _response(status: int, content: object) -> bytes:
    body = json.dumps(content, ensure_ascii=False).encode()
    return b"HTTP/1.1 %d Said\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


@dataclass(frozen=True)
class Site:
    """The bare repository that is pushed to and the clone that pushes."""

    bare: Path
    clone: Path
    environment: dict[str, str]

    def git(self, *arguments: str) -> str:
        """Run git in the clone and return all that it says; it must succeed."""
        done = subprocess.run(
            ["git", "-C", str(self.clone), *IDENTITY, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def commit(self) -> str:
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.git("rev-parse", "HEAD").strip()

    def push(self, *arguments: str) -> str:
        return self.git("push", "origin", *arguments)

    def commit_and_push(self) -> str:
        """What the pusher sees after one more commit on main."""
        self.commit()
        return self.push("main")

    def run_hook(self, *arguments: str, said: bytes = b"", before: str = "") -> str:
        """Run the installed hook as git would, after the shell command `before`."""
        hook = str(self.bare / "hooks" / "post-receive")
        done = subprocess.run(
            ["bash", "-c", f'{before or ":"}; exec "$@"', "hook", hook, *arguments],
            env=self.environment,
            cwd=self.bare,
            input=said,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=90,
            check=True,
        )
        return done.stdout.decode()

    @property
    def home(self) -> Path:
        return self.bare / "ciserver"

    def kept(self) -> list[Path]:
        return sorted((self.home / "spool").iterdir())

    def refused(self) -> list[Path]:
        return sorted((self.home / "refused").iterdir())


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    listener.start()
    yield listener
    listener.stop()


@pytest.fixture
def site(tmp_path: Path, listener: Listener) -> Site:
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    environment |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    site = Site(tmp_path / "repo.git", tmp_path / "clone", environment)
    for create in (["init", "--quiet", "--bare", site.bare], ["init", "--quiet", site.clone]):
        command = ["git", "-c", "init.defaultBranch=main", *map(str, create)]
        subprocess.run(command, check=True, env=environment)
    site.git("remote", "add", "origin", str(site.bare))
    site.commit()
    install(site.bare, script=SCRIPT, url=listener.url, secret=SECRET)
    return site
