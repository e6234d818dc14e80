"""Fetching over http, from a real git server on this machine."""

import base64
import os
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ciserver.git.address import Addresses
from ciserver.git.checkout import Checkouts
from ciserver.git.mirrors import Mirrors
from ciserver.model.build import Source
from ciserver.model.errors import BadAddress, NotFound, RemoteFailure
from ciserver.model.project import Credential

PASSWORD = "pa:ss w@rd/100%"


class GitOverHttp(BaseHTTPRequestHandler):
    """The door of git http-backend; beneath /private/ it wants Ada's password."""

    protocol_version = "HTTP/1.0"

    def do_GET(self):
        self.serve()

    def do_POST(self):
        self.serve()

    def log_message(self, *_args):
        """Say nothing."""

    def serve(self):
        path, _, query = self.path.partition("?")
        if path.startswith("/private/"):
            path = path.removeprefix("/private")
            told = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
            if self.headers.get("Authorization") != f"Basic {told}":
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        self.answer(self.ask(path, query))

    def ask(self, path, query):
        environment = {
            "PATH": os.defpath,
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
        }
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        command = ["git", "http-backend"]
        return subprocess.run(
            command, input=body, env=environment, capture_output=True, check=False
        ).stdout

    def answer(self, output):
        head, _, body = output.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def web(tmp_path):
    """The address of a server that offers every repository in tmp_path."""
    with ThreadingHTTPServer(("127.0.0.1", 0), GitOverHttp) as server:
        server.root = tmp_path
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def mirrors(tmp_path):
    return Mirrors(tmp_path / "mirrors", Addresses(allow_http=True), timeout_seconds=20)


def test_a_pushed_revision_is_pinned(mirrors, web, origin, run_git):
    """First everything, then what is new, with the tags of it."""
    mirror = mirrors.open(f"{web}/origin.git")
    for number in range(2):
        revision = origin.commit_and_push({"a": str(number)})
        run_git(origin.work, "tag", f"v{number}")
        origin.push(f"refs/tags/v{number}")
        assert mirror.pin("refs/heads/main", revision) == revision
    assert f"refs/tags/v{number}" in mirror.repository().listall_references()


@pytest.mark.parametrize("ref", ["refs/heads/main", "main", "HEAD", "v1"])
def test_a_ref_is_resolved_at_the_remote(mirrors, web, origin, run_git, ref):
    """As from a repository on this machine."""
    revision = origin.commit_and_push({"a": "1"})
    run_git(origin.work, "tag", "-a", "v1", "-m", "one")
    origin.push("refs/tags/v1")
    assert mirrors.open(f"{web}/origin.git").pin(ref) == revision


def test_a_ref_that_is_nowhere_is_not_found(mirrors, web, origin):
    """The remote answered: it has no such branch."""
    origin.commit_and_push()
    with pytest.raises(NotFound):
        mirrors.open(f"{web}/origin.git").pin("refs/heads/none")


def test_the_pushed_revision_counts_when_its_ref_moved_on(mirrors, web, origin):
    """A revision that no ref has any more is asked for by itself."""
    lost = origin.commit_and_push({"a": "lost"})
    origin.push(":refs/heads/none", "HEAD:refs/heads/kept")
    origin.commit({"a": "won"})
    origin.push("+HEAD:refs/heads/main")
    other = origin.commit({"a": "away"})
    origin.push("HEAD:refs/heads/away")
    origin.push(":refs/heads/away")
    mirror = mirrors.open(f"{web}/origin.git")
    assert mirror.pin("refs/heads/main", lost) == lost
    assert mirror.pin("refs/heads/away", other) == other
    assert mirror.read(other, "a", limit=9) == b"away"


def test_a_revision_that_is_nowhere_is_not_found(mirrors, web, origin):
    """Neither by its ref nor by itself."""
    origin.commit_and_push()
    with pytest.raises(NotFound, match="revision 1111"):
        mirrors.open(f"{web}/origin.git").pin("refs/heads/main", "1" * 40)


def test_a_private_repository_is_read_with_its_password(mirrors, web, origin, tmp_path):
    """By the library and by the git program; the work tree knows nothing of it."""
    revision = origin.commit_and_push({"a": "1"})
    away = origin.commit({"a": "2"})
    origin.push("HEAD:refs/heads/away")
    origin.push(":refs/heads/away")
    credential = Credential("ada", PASSWORD)
    uri = f"{web}/private/origin.git"
    mirror = mirrors.open(uri, credential)
    assert mirror.pin("main") == revision
    assert mirror.pin("refs/heads/away", away) == away
    source = Source(uri, "home", revision=revision)
    Checkouts(mirrors).make(source, tmp_path / "tree", credential=credential)
    for path in (*mirror.objects.parent.rglob("*"), *(tmp_path / "tree").rglob("*")):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    "credential", [None, Credential("ada", "wr0ng"), Credential(ssh_key="k3y")]
)
@pytest.mark.parametrize("revision", ["", "1" * 40])
def test_a_refusal_names_the_repository_and_no_secret(mirrors, web, origin, credential, revision):
    """Trying again with the same credential is of no use."""
    origin.commit_and_push()
    with pytest.raises(RemoteFailure, match=r"private/origin\.git") as failure:
        mirrors.open(f"{web}/private/origin.git", credential).pin("main", revision)
    assert not failure.value.temporary
    assert "wr0ng" not in str(failure.value)
    assert "k3y" not in str(failure.value)


def test_a_repository_that_is_not_there_is_a_lasting_failure(mirrors, web):
    """The server answers 404."""
    with pytest.raises(RemoteFailure) as failure:
        mirrors.open(f"{web}/none.git").pin("main")
    assert not failure.value.temporary


def test_a_server_that_is_away_is_a_passing_failure(mirrors):
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(RemoteFailure) as failure:
        mirrors.open(f"http://127.0.0.1:{port}/r").pin("main")
    assert failure.value.temporary


def test_a_silent_server_is_given_up(tmp_path):
    """It accepts and says nothing."""
    mirrors = Mirrors(tmp_path / "mirrors", Addresses(allow_http=True), timeout_seconds=0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}/r"
        with pytest.raises(RemoteFailure) as failure:
            mirrors.open(uri).pin("main")
    assert failure.value.temporary


def test_a_remote_repository_has_no_submodules_on_this_machine(mirrors, web, origin, tmp_path):
    """Not even beneath a directory that is open to all."""
    revision = origin.commit({".gitmodules": f'[submodule "m"]\npath=m\nurl={origin.bare}\n'})
    entry = f"160000,{revision},m"
    subprocess.run(
        ["git", "update-index", "--add", "--cacheinfo", entry], cwd=origin.work, check=True
    )
    (origin.work / "m").mkdir()
    revision = origin.commit_and_push()
    mirrors = Mirrors(tmp_path / "open", Addresses(allow_http=True, local_roots=(tmp_path,)))
    uri = f"{web}/origin.git"
    mirrors.open(uri).pin("main")
    with pytest.raises(BadAddress, match="'m'"):
        Checkouts(mirrors).make(Source(uri, "home", revision=revision), tmp_path / "tree")
