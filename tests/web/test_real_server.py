"""The application behind its real HTTP server: bodies, ranges and followers on real sockets."""

import contextlib
import http.client
import select
import socket
import threading
import time

import pytest
from support.repositories import Repository
from support.waiting import until

pytestmark = pytest.mark.e2e  # its builds need the sandbox

# It says that it sleeps, and then nothing more.
SLOW = "image: host\ntasks:\n  - build: sleep 1000\n"
QUICK = "image: host\ntasks:\n  - build: printf '0123456789\\n%.0s' $(seq 10)\n"


@pytest.fixture
def server(make_server):
    """A server with room for three followers."""
    return make_server(config="[server]\nfollowers = 3\n").start()


@pytest.fixture
def make_push(tmp_path):
    """Watch a repository; the result pushes a recipe and answers the id of its build once its step
    has said what it does. Builds that still run at the end are canceled.
    """
    servers = []

    def make(server):
        servers.append(server)
        repository = Repository(tmp_path / "repositories")
        server.cli("watch", str(repository.bare))

        def push(recipe):
            before = len(server.builds())
            repository.commit({".build.yml": recipe})
            repository.push()
            until(lambda: len(server.builds()) > before, what="a build")
            build = server.builds()[0]["id"]
            until(lambda: written(server, build), what="a line of the log")
            return build

        return push

    yield make
    for server in servers:
        for one in server.builds():
            if not one["is_final"]:
                server.request("POST", f"/ci/v1/builds/{one['id']}/cancel")


@pytest.fixture
def push(server, make_push):
    return make_push(server)


def written(server, build):
    """The log of the first step, once it ends in a whole line."""
    answer = server.request("GET", f"/ci/v1/builds/{build}/steps/1/log")
    return answer.data.endswith(b"\n") and answer.status == 200 and answer.data


@contextlib.contextmanager
def connected(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        yield connection
    finally:
        connection.close()


def memory_of(process):
    """The most memory that the process ever held, in MiB."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:  # noqa: PTH123
        peak = next(line for line in file if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def test_an_encoded_slash_parts_no_segments(server):
    """The server decodes the whole path; what was sent is looked at."""
    assert server.request("GET", "/ci/v1/projects").status == 200
    assert server.request("GET", "/ci%2Fv1/projects").status == 404
    moved = server.request("GET", "/self-serve/a%2fb/?format=json")
    assert (moved.status, moved.headers["Location"]) == (301, "/self-serve/a%2Fb?format=json")


def test_too_large_a_body_is_refused_before_it_comes(server):
    """413 to the announcement of 200 MB: nothing of it is waited for, read or kept."""
    before = memory_of(server.process)
    with connected(server) as connection:
        connection.putrequest("POST", "/hooks/generic/project")
        connection.putheader("Content-Length", str(200 * 1024 * 1024))
        connection.endheaders()
        assert connection.getresponse().status == 413
    assert memory_of(server.process) - before < 15


def test_bodies_wait_on_disk_not_in_memory(server):
    """Four bodies of 20 MB at once for a path that takes 1 MiB cost the server no such memory."""
    before = memory_of(server.process)
    statuses = []

    def send():
        answer = server.request("POST", "/ci/v1/users", body=b"x" * (20 * 1024 * 1024))
        statuses.append(answer.status)

    run_together([send] * 4)
    assert statuses == [413] * 4
    assert memory_of(server.process) - before < 40


def run_together(calls):
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)


def test_a_chunked_body_counts_too(server):
    """A body without an announced length is cut off at the same limit."""
    with connected(server) as connection:
        chunks = (b"x" * (1024 * 1024) for _ in range(40))
        try:
            connection.request("POST", "/hooks/generic/project", body=chunks, encode_chunked=True)
        except OSError:
            return  # the server has hung up on it already
        assert connection.getresponse().status == 413


def test_ranges_and_head_on_one_connection(server, push):
    """Whole, part, nothing, head: each answer ends where it says, so the next one can follow."""
    build = push(QUICK)
    server.until_built()
    content = server.step_log(build, 1)
    assert content.endswith(b"0123456789\n" * 10)
    asked = (
        ("GET", {}, 200, content),
        ("GET", {"Range": "bytes=11-20"}, 206, content[11:21]),
        ("HEAD", {}, 200, b""),
        ("GET", {"Range": "bytes=-1"}, 206, b"\n"),
        ("GET", {"Range": "bytes=5000-"}, 416, b""),
        ("HEAD", {"Range": "bytes=0-4"}, 206, b""),
        ("GET", {"Range": "bytes=0-4"}, 206, content[:5]),
    )
    with connected(server) as connection:
        for method, headers, status, body in asked:
            connection.request(method, f"/build/{build}/log/build", headers=headers)
            local = connection.sock.getsockname()
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (status, body), (method, headers)
            assert answer.headers["Connection"] != "close"
            assert connection.sock.getsockname() == local
            if method == "HEAD" and not headers:
                assert answer.headers["Content-Length"] == str(len(content))


@contextlib.contextmanager
def following(server, build, count):
    """So many readers who wait for what the build says next; answers their sockets and path."""
    size = len(written(server, build))
    path = f"/build/{build}/step/1/lines?offset={size}&line=2&wait=20"
    with contextlib.ExitStack() as stack:
        readers = []
        for _ in range(count):
            reader = socket.create_connection(("127.0.0.1", server.port), timeout=15)
            readers.append(stack.enter_context(reader))
            reader.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        yield readers, path


def test_the_budget_of_followers_is_kept_and_given_back(server, push):
    """One of four for three places is told 503 and when to come back, the others wait; pages go on
    as before, and whoever leaves makes room.
    """
    build = push(SLOW)
    with following(server, build, 4) as (readers, path):
        (refused,), _, _ = select.select(readers, [], [], 10)
        with refused.makefile("rb") as file:
            answer = file.read()
        assert b" 503 " in answer.splitlines()[0]
        assert b"Retry-After: " in answer
        assert b'"code": "busy"' in answer
        assert server.request("GET", f"/build/{build}").status == 200
        short = path.replace("wait=20", "wait=1")
        assert server.request("GET", short).status == 503
    until(lambda: server.request("GET", short).status == 200, seconds=8, what="room again")


def test_many_followers_starve_nobody(make_server, make_push):
    """While sixty readers wait, pages come as fast as ever, and all sixty hear of what happens."""
    server = make_server().start()
    build = make_push(server)(SLOW)
    with following(server, build, 60) as (readers, _):
        began = time.monotonic()
        for _ in range(20):
            assert server.request("GET", "/").status == 200
        assert time.monotonic() - began < 5
        server.request("POST", f"/ci/v1/builds/{build}/cancel")
        for reader in readers:
            with reader.makefile("rb") as answer:
                assert b"canceled" in answer.read()


def test_hostile_requests_leave_the_server_standing(server):
    """Broken HTTP is refused or hung up on, and the next request is served."""
    for raw in (
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /%zz%ff%00/../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET //evil.example.org/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 300_000 + b"\r\n\r\n",
        bytes(range(256)) * 8 + b"\r\n\r\n",
    ):
        answer = answer_to(server, raw)
        assert not answer or answer.split(b" ")[1][:1] in {b"3", b"4"}, raw[:60]
    assert server.request("GET", "/readyz").status == 200
    assert "request-crashed" not in server.log.read_text()


def answer_to(server, raw):
    """What comes back for these bytes; nothing when the server hangs up on them."""
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as client,
        contextlib.suppress(ConnectionError),
        client.makefile("rb") as file,
    ):
        client.sendall(raw)
        client.shutdown(socket.SHUT_WR)
        return file.read()
    return b""
