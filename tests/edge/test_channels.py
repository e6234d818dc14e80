"""How answers leave a real socket of the HTTP server."""

import re
import socket

import pytest
from support.served import served

BIG = bytes(range(256)) * 80_000  # more than a socket takes at once
GET = b"GET %s HTTP/1.1\r\nHost: here\r\n\r\n"


def application(environ, start_response):
    pieces = {"/small": [b"small"], "/big": [BIG], "/none": [], "/pieces": [b"one", BIG, b"two"]}
    body = pieces[environ["PATH_INFO"]]
    start_response("200 OK", [("Content-Length", str(sum(map(len, body))))])
    return iter(body)


@pytest.fixture
def connection():
    # In memory: waitress leaves it to Python to close a file.
    with (
        served(application, outbuf_overflow=2 * len(BIG)) as server,
        socket.create_connection(("127.0.0.1", server.effective_port), 20) as client,
    ):
        yield client


def bodies(connection, count):
    """Those of the next answers, in the order in which they come."""
    with connection.makefile("rb") as answers:
        for _ in range(count):
            head = b"".join(iter(answers.readline, b"\r\n"))
            yield answers.read(int(re.search(rb"Content-Length: (\d+)", head)[1]))


def test_a_head_leaves_with_its_body(connection):
    for _ in range(20):
        connection.sendall(GET % b"/small")
        assert connection.recv(1 << 16).endswith(b"\r\n\r\nsmall")


def test_what_a_socket_does_not_take_follows(connection):
    for path, body in ((b"/big", BIG), (b"/pieces", b"one" + BIG + b"two"), (b"/none", b"")):
        connection.sendall(GET % path)
        assert [*bodies(connection, 1)] == [body]


def test_answers_keep_the_order_of_their_requests(connection):
    connection.sendall(GET % b"/big" + GET % b"/small" + GET % b"/none")
    assert [*bodies(connection, 3)] == [BIG, b"small", b""]


def test_a_client_that_leaves_costs_no_thread(connection):
    port = connection.getpeername()[1]
    for _ in range(8):
        with socket.create_connection(("127.0.0.1", port), 20) as other:
            other.sendall(GET % b"/big")
            other.recv(10)
    connection.sendall(GET % b"/small")
    assert [*bodies(connection, 1)] == [b"small"]
