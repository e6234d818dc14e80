"""Requests on real sockets of the HTTP server, and the threads that look for them."""

import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import pytest
from support.served import served
from support.waiting import until

from ciserver.edge.server import Server

THREADS = 3
GET = b"GET %s HTTP/1.1\r\nHost: here\r\n\r\n"
BIG = bytes(range(256)) * 80_000
POST = b"POST %s HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n%s\r\n"
EXPECTING = POST % (b"/read", 4, b"Expect: 100-continue\r\n")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Application:
    """Answers with the thread that did; `/hold` is answered when it is told so, `/wait` when its
    client has left, `/read` says what came, and `/big` more than a socket takes at once.
    """

    def __init__(self):
        self.goes_on, self.held, self.left = threading.Event(), [], []

    def __call__(self, environ, start_response):
        answer = threading.current_thread().name.encode()
        match environ["PATH_INFO"]:
            case "/hold":
                self.held.append(environ)
                assert self.goes_on.wait(10)
            case "/wait":
                has_left = environ["waitress.client_disconnected"]
                until(has_left, what="the client to leave")
                self.left.append(environ)
            case "/read":
                answer = environ["wsgi.input"].read()
            case "/big":
                answer = BIG
        start_response("200 OK", [("Content-Length", str(len(answer)))])
        return [answer]


@pytest.fixture
def application():
    return Application()


@pytest.fixture
def patience():
    return 0.005


@pytest.fixture
def server(application, patience):
    how = {"threads": THREADS, "patience": patience, "channel_request_lookahead": 1}
    with served(application, **how) as server:
        yield server
        application.goes_on.set()


@pytest.fixture
def connect(server):
    with ExitStack() as stack:

        def connect():
            address = ("127.0.0.1", server.effective_port)
            return stack.enter_context(socket.create_connection(address, 10))

        yield connect


def body(connection):
    """That of the next answer; empty where the connection was closed."""
    read = b""
    while b"\r\n\r\n" not in read:
        piece = connection.recv(1)
        if not piece:
            return b""
        read += piece
    length = int(read.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return connection.recv(length, socket.MSG_WAITALL)


def ask(connection, request=GET % b"/"):
    connection.sendall(request)
    return body(connection)


@pytest.mark.parametrize("patience", [60])  # however slow this machine is
def test_whoever_looks_for_requests_answers_them(connect):
    """On however many connections."""
    connections = [connect() for _ in range(20)]
    assert len({ask(one) for one in connections * 3}) == 1


def test_more_wait_than_there_are_threads(connect, application):
    """Each is answered in the end, and meanwhile no others are, nor is anything lost."""
    held = [connect() for _ in range(2 * THREADS)]
    for one in held:
        one.sendall(GET % b"/hold")
    until(lambda: len(application.held) == THREADS, what="all threads to be held")
    late = connect()
    late.sendall(GET % b"/")
    late.settimeout(0.1)
    with pytest.raises(TimeoutError):
        late.recv(1)
    application.goes_on.set()
    late.settimeout(10)
    assert all(body(one) for one in (*held, late))


def test_a_request_that_is_held_holds_no_others(connect, application):
    held, other = connect(), connect()
    held.sendall(GET % b"/hold")
    answers = [ask(other) for _ in range(10)]
    assert len(application.held) == 1
    application.goes_on.set()
    assert body(held) not in answers


@pytest.mark.parametrize("patience", [60])  # however slow this machine is
def test_who_changes_something_is_going_to_wait(connect):
    """For the disk, so another thread looks for requests meanwhile."""
    connection = connect()
    (looked,) = {ask(connection) for _ in range(3)}
    assert ask(connection, POST % (b"/", 0, b"")) == looked
    assert ask(connection) != looked


@pytest.mark.parametrize("patience", [60])
def test_an_application_may_wait_whatever_is_asked(connect, server, application):
    """As with a database that is another program."""
    server.answer(application, waits=True, left=bool)
    connection = connect()
    assert ask(connection) != ask(connection)


def test_an_application_is_left_by_threads_that_end(ending, application):
    """As each may have a connection to the database."""
    connection, end, server = ending
    left = []
    server.answer(application, waits=False, left=lambda: left.append(threading.current_thread()))
    answered = ask(connection)
    end()
    assert answered in {one.name.encode() for one in left}


def test_requests_that_come_at_once_are_answered_in_order(connect):
    """Be they of those that wait or of others."""
    connection = connect()
    sent = [b"first", b"second", b"third"]
    posts = [POST % (b"/read", len(one), b"") + one for one in sent]
    connection.sendall((GET % b"/").join(posts))
    found = [body(connection) for _ in range(5)]
    assert found[::2] == sent
    assert all(one.startswith(b"request-") for one in found[1::2])


def test_a_body_is_asked_for_where_its_client_waits_for_that(connect):
    """By whoever reads that: here the thread that leads."""
    connection = connect()
    connection.sendall(EXPECTING)
    assert connection.recv(100) == CONTINUE
    assert ask(connection, b"said") == b"said"


def test_a_body_is_asked_for_after_what_was_asked_before(connect, application):
    """By the thread that answered that: to its client it would look like the answer."""
    connection = connect()
    connection.sendall(GET % b"/hold")
    until(lambda: application.held, what="the request")
    connection.sendall(EXPECTING)
    connection.settimeout(0.1)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.settimeout(10)
    application.goes_on.set()
    assert body(connection).startswith(b"request-")
    assert connection.recv(100) == CONTINUE
    assert ask(connection, b"said") == b"said"


@pytest.mark.parametrize("patience", [60])  # however slow this machine is
def test_a_client_that_leaves_is_noticed_by_who_waits_for_it(connect, application):
    """As somebody else looks, at once."""
    connection, other = connect(), connect()
    connection.sendall(GET % b"/wait")
    assert ask(other)
    assert not application.left
    connection.close()
    until(lambda: application.left, what="it to be noticed")
    assert ask(other)


def test_clients_that_leave_cost_no_thread(connect, server):
    """While they are answered, or before."""
    for _ in range(3 * THREADS):
        connection = connect()
        connection.sendall(GET % b"/" + b"GET")
        connection.close()
    assert ask(connect())
    until(lambda: len(server.active_channels) == 1, what="all others to be closed")


def test_a_request_that_cannot_be_read_is_refused(connect):
    connection = connect()
    connection.sendall(b"nonsense\r\n\r\n")
    assert connection.recv(1 << 16).startswith(b"HTTP/1.0 400")


class Hurried(Server):
    rest_seconds = 0.1


@pytest.fixture
def kind():
    return Server


@pytest.fixture
def ending(application, kind):
    """A server that the test ends, with a connection to it."""
    with ExitStack() as stack:
        runs = served(application, kind=kind, outbuf_overflow=2 * len(BIG))
        server = runs.__enter__()
        address = ("127.0.0.1", server.effective_port)
        connection = stack.enter_context(socket.create_connection(address, 10))
        yield connection, lambda: runs.__exit__(None, None, None), server


def test_the_end_does_not_wait_for_clients(ending):
    """That have a connection and ask nothing."""
    connection, end, _ = ending
    assert ask(connection)
    began = time.monotonic()
    end()
    assert time.monotonic() - began < 5
    assert connection.recv(1) == b""


def test_the_end_waits_for_what_is_asked(ending, application):
    connection, end, _ = ending
    connection.sendall(GET % b"/hold")
    until(lambda: application.held, what="the request")
    threading.Timer(0.1, application.goes_on.set).start()
    end()
    assert body(connection)


def test_the_end_sends_what_is_left(ending):
    """Of an answer that its client takes as slowly as it likes, within some seconds."""
    connection, end, server = ending
    connection.sendall(GET % b"/big")
    assert connection.recv(1)
    ends = threading.Thread(target=end)
    ends.start()
    assert server.task_dispatcher._over.wait(10)
    assert ends.is_alive()
    with connection.makefile("rb") as rest:
        assert rest.read().endswith(b"\r\n\r\n" + BIG)
    ends.join(10)
    assert not ends.is_alive()


@pytest.mark.parametrize("kind", [Hurried])
def test_the_end_hangs_up_on_who_takes_nothing(ending):
    """After those seconds."""
    connection, end, _ = ending
    connection.sendall(GET % b"/big")
    assert connection.recv(1)
    end()
    with connection.makefile("rb") as rest:
        assert len(rest.read()) < len(BIG)


PROGRAM = """
import signal
import sys
from ciserver.edge.server import Server

def told(*_):
    print("told", flush=True)
    raise SystemExit(0)

def application(environ, start_response):
    print("asked", flush=True)
    sys.stdin.readline()
    start_response("200 OK", [("Content-Length", "6000003")])
    return [b"answer" * 1_000_000, b"end"]

signal.signal(signal.SIGTERM, told)
server = Server(application, threads=1, listen="127.0.0.1:0")
print(server.effective_port, flush=True)
try:
    server.run()
finally:
    server.close()
"""


def test_a_process_that_is_told_to_end_answers_what_was_asked():
    """Wholly, and then it ends."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], **pipes) as process:
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(GET % b"/")
            assert process.stdout.readline() == b"asked\n"
            process.send_signal(signal.SIGTERM)
            assert process.stdout.readline() == b"told\n"
            process.stdin.write(b"\n")
            process.stdin.flush()
            with connection.makefile("rb") as answer:
                assert answer.read().endswith(b"\r\n\r\n" + b"answer" * 1_000_000 + b"end")
        assert process.wait(10) == 0
