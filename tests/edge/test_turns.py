"""How often the HTTP server looks at its connections: only when there is something to see."""

import socket
import threading
from contextlib import ExitStack

import pytest
from support.served import served
from support.waiting import until

from ciserver.edge.channels import IN_TURN, Channel
from ciserver.edge.server import Server

PIECE = bytes(range(256)) * 1024
LITTLE = len(PIECE)  # for a client to take
PIECES = 40  # more than a socket takes at once
HUGE = 32 << 20
GET = b"GET %s HTTP/1.1\r\nHost: here\r\n\r\n"
A_WHILE = 0.3  # in which a loop that does not pause turns some thousand times
FEW = 5


class Weighed(Channel):
    """Tells its server what it sent for the thread that looks."""

    def handle_write(self):
        before = self.total_outbufs_len
        super().handle_write()
        sent = before - self.total_outbufs_len
        self.server.most_in_turn = max(self.server.most_in_turn, sent)


class Counted(Server):
    """Knows how often it looked: waitress asks what it wants to read once a turn."""

    channel_class = Weighed
    turns = most_in_turn = 0

    def readable(self):
        self.turns += 1
        return super().readable()


class Application:
    """`/hold` is answered when it is told so, `/big` at once and `/pieces` piece by piece."""

    def __init__(self):
        self.goes_on, self.held = threading.Event(), threading.Event()

    def __call__(self, environ, start_response):
        body = [b"small"]
        match environ["PATH_INFO"]:
            case "/hold":
                self.held.set()
                assert self.goes_on.wait(10)
            case "/big":
                body = [PIECE * PIECES]
            case "/huge":
                body = [bytes(HUGE)]
            case "/pieces":
                body = [PIECE] * PIECES
        start_response("200 OK", [("Content-Length", str(sum(map(len, body))))])
        return iter(body)


@pytest.fixture
def application():
    return Application()


@pytest.fixture
def server(application):
    how = {
        "asyncore_loop_timeout": 60,  # else it looks once a second, whatever happens
        "channel_request_lookahead": 1,
        "outbuf_overflow": 2 * HUGE,  # waitress leaves it to Python to close a file
        "outbuf_high_watermark": 4 * len(PIECE),
    }
    with served(application, kind=Counted, **how) as server:
        yield server
        application.goes_on.set()


@pytest.fixture
def connect(server):
    with ExitStack() as stack:

        def connect(takes=LITTLE):
            connection = stack.enter_context(socket.socket())
            if takes:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, takes)
            connection.settimeout(10)
            connection.connect(("127.0.0.1", int(server.effective_port)))
            return connection

        yield connect


def ask(connection, path=b"/", method=b"GET"):
    connection.sendall(GET.replace(b"GET", method) % path)
    assert connection.recv(1 << 16).endswith(b"small")


def turns_of_a_while(server, connection, seconds=A_WHILE):
    """In which nothing comes by this connection."""
    before = server.turns
    connection.settimeout(seconds)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.settimeout(10)
    return server.turns - before


def test_a_server_that_nobody_asks_does_not_look(server, connect, application):
    """Whatever connections it has: one that was answered, one that waits for its answer, one whose
    request is not whole, and one that was never used.
    """
    answered, waits, partial, _ = (connect() for _ in range(4))
    ask(answered)
    waits.sendall(GET % b"/hold")
    partial.sendall(b"GET / HT")
    assert application.held.wait(10)
    until(lambda: len(server.active_channels) == 4, what="all of them")
    ask(answered)
    turns_of_a_while(server, answered)
    assert turns_of_a_while(server, answered) < FEW


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_a_request_is_one_look(server, connect, method):
    """Also where another thread looks meanwhile; none is for the answer, which goes out at once."""
    connection, count = connect(), 10
    ask(connection, method=method)
    turns_of_a_while(server, connection)
    before = server.turns
    for _ in range(count):
        ask(connection, method=method)
        turns_of_a_while(server, connection, A_WHILE / count)
    assert server.turns - before < count + FEW


@pytest.mark.parametrize("path", [b"/big", b"/pieces"])
def test_who_does_not_read_is_not_looked_at(server, connect, path):
    """What is left of an answer waits until its client takes more of it."""
    slow, other = connect(), connect()
    slow.sendall(GET % path)
    assert slow.recv(1)
    ask(other)
    turns_of_a_while(server, other)
    assert turns_of_a_while(server, other) < FEW
    slow.close()
    until(lambda: len(server.active_channels) == 1, what="it to be gone")


@pytest.mark.parametrize("path", [b"/big", b"/pieces"])
def test_who_reads_slowly_is_looked_at_when_it_took_something(server, connect, path):
    """At least a page of it, and others are answered meanwhile."""
    slow, other, read = connect(), connect(), 0
    slow.sendall(GET % path)
    while read < PIECES * len(PIECE):
        read += len(slow.recv(len(PIECE)))
        ask(other)
    assert server.turns < read / 4096


def test_who_takes_everything_gets_it_in_turns(server, connect):
    """Or nobody else would be answered before its socket is full, which may never be."""
    quick, other, left = connect(takes=None), connect(), HUGE
    quick.sendall(GET % b"/huge")
    assert quick.recv(1)
    ask(other)
    turns_of_a_while(server, other)
    while left > 0:
        left -= len(quick.recv(1 << 20))
    assert server.most_in_turn == IN_TURN
