"""Receivers of webhooks and mails, repositories that a server watches, and a server to share."""

import json
import shutil
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from support.processes import build_processes
from support.server import Server, free_port
from support.watching import watched_repository

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.machine import scratch_root


class Receiver:
    """A webhook receiver on a port of its own, which can go away and come back."""

    def __init__(self):
        self.port = free_port()
        self.requests = []  # (path, headers, body)
        self._server = None

    def url(self, name="hook"):
        return f"http://127.0.0.1:{self.port}/{name}"

    def up(self):
        received = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    return  # its sender was killed: nobody takes half a request for one
                received.append((self.path, dict(self.headers), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *_):
                """A server that is killed while it sends is what is tested."""

        self._server = Quiet(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,)).start()
        return self

    def down(self):
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def events(self, name="hook"):
        """The bodies that came in at one path."""
        return [json.loads(body) for path, _, body in list(self.requests) if path == f"/{name}"]


@pytest.fixture(scope="module")
def shared_receiver():
    receiver = Receiver().up()
    yield receiver
    receiver.down()


@pytest.fixture
def receiver():
    receiver = Receiver().up()
    yield receiver
    receiver.down()


class Mailbox(Controller):
    """A real SMTP server that keeps what it is given."""

    def __init__(self):
        self.envelopes = []
        super().__init__(self, hostname="127.0.0.1", port=free_port())

    async def handle_DATA(self, server, session, envelope):  # noqa: N802  aiosmtpd's name
        self.envelopes.append(envelope)
        return "250 kept"


@pytest.fixture
def mailbox():
    mailbox = Mailbox()
    mailbox.start()
    yield mailbox
    mailbox.stop()


@pytest.fixture
def watch(tmp_path):
    def make(server, name="project", **more):
        return watched_repository(server, tmp_path / "repositories" / name, name, **more)

    return make


@pytest.fixture(scope="module")
def shared_server():
    """One server for a module whose tests each have a project of their own."""
    with tempfile.TemporaryDirectory(prefix="ciserver-test-") as made:
        Path(made).chmod(0o711)
        config = '[builds]\nsandbox = "bubblewrap"\nnetwork = "host"\n'
        config += '[outgoing]\nallow = ["127.0.0.1"]\n'
        server = Server(Path(made) / "data", config=config).start()
        yield server
        server.stop()
        shutil.rmtree(scratch_root(Settings(), DataDirectory(server.data)))


class Gate:
    """Holds builds until it is opened. Builds of the sandbox see it where the server says so:
    `config` belongs into the server's configuration.
    """

    def __init__(self, place):
        self._folder = place / "gate"
        self._folder.mkdir(mode=0o755)
        self.config = f'readable = ["{self._folder}"]\n'

    def recipe(self, *then, triggers=()):
        """A recipe whose one task says `begun`, waits for the gate, and then does the rest."""
        wait = f"while ! test -e {self._folder}/open; do sleep 0.02; done"
        lines = "\n".join(("set +x", "echo begun", wait, *then))
        return json.dumps({"image": "host", "tasks": [{"wait": lines}], "triggers": list(triggers)})

    def open(self):
        (self._folder / "open").touch()


@pytest.fixture
def gate(place):
    return Gate(place)


@pytest.fixture
def leftovers():
    """Tells what still runs of a server's builds."""
    return build_processes
