"""Where the HTTP server listens: on every address of a name, as one server."""

import socket
import threading
from contextlib import contextmanager

import pytest
from support.served import served
from support.waiting import until

from ciserver.edge.server import Server

GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
BOTH = ("127.0.0.1", "::1")
ELSEWHERE = "192.0.2.1:0"  # for documentation, RFC 5737
LISTEN = "127.0.0.1:0 [::1]:0"


def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return []


@pytest.fixture(autouse=True)
def has_both():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")


def answered(address, port):
    with socket.create_connection((address, port), 10) as connection:
        connection.sendall(GET)
        return connection.recv(100)


def is_refused(address, port):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, port), 10)
    return True


@pytest.mark.parametrize("listen", ["localhost:0", LISTEN])
def test_all_addresses_of_a_name_answer_on_one_port(listen):
    """Until the server is closed."""
    found = {one[4][0] for one in socket.getaddrinfo("localhost", 0)}
    if listen != LISTEN and found != {*BOTH}:
        pytest.skip("localhost is not both addresses on this machine")
    with served(application, listen=listen) as server:
        port = int(server.effective_port)
        assert all(answered(one, port).startswith(b"HTTP/1.1 200") for one in BOTH)
    assert all(is_refused(one, port) for one in BOTH)


def test_a_close_closes_all_addresses():
    """Also of a server that never ran."""
    server = Server(application, threads=1, listen=LISTEN)
    port = int(server.effective_port)
    server.close()
    assert all(is_refused(one, port) for one in BOTH)
    assert not server._map


@pytest.mark.parametrize("listen", [f"{ELSEWHERE} 127.0.0.1:0", f"127.0.0.1:0 {ELSEWHERE}"])
def test_what_the_machine_does_not_have_is_passed_over(listen):
    """A name may have an address of IPv6 where that is turned off."""
    with served(application, listen=listen) as server:
        assert answered("127.0.0.1", int(server.effective_port))


def test_all_addresses_are_of_one_server():
    """With one trigger for its loop, which knows all clients."""
    with served(application, listen=LISTEN) as server:
        before = len(server._map)
        assert before == len(BOTH) + 1
        port = int(server.effective_port)
        with (
            socket.create_connection(("127.0.0.1", port), 10),
            socket.create_connection(("::1", port), 10),
        ):
            until(lambda: len(server.active_channels) == 2, what="both clients")
            assert {one.server for one in server.active_channels.values()} == {server}
        until(lambda: len(server._map) == before, what="both to be gone")


@contextmanager
def answered_after(address, port):
    """A client that asks before the block and gets no answer until what is done in it."""
    with socket.create_connection((address, port), 10) as late:
        late.sendall(GET)
        late.settimeout(0.1)
        with pytest.raises(TimeoutError):
            late.recv(1)
        yield
        late.settimeout(10)
        assert late.recv(100)


def test_all_addresses_share_the_limit_of_connections():
    """What one client takes of it the others have not, wherever they connect."""
    with served(application, listen=LISTEN, connection_limit=len(BOTH) + 2) as server:
        port = int(server.effective_port)
        with socket.create_connection(("127.0.0.1", port), 10) as first:
            first.sendall(GET)
            assert first.recv(100)
            with answered_after("::1", port):
                first.close()


def test_all_addresses_share_the_threads():
    """One request at once is one, wherever clients connect."""
    held, goes_on = threading.Event(), threading.Event()

    def holding(environ, start_response):
        if environ["REQUEST_METHOD"] == "POST":
            held.set()
            assert goes_on.wait(10)
        return application(environ, start_response)

    with served(holding, listen=LISTEN, threads=1) as server:
        port = int(server.effective_port)
        with socket.create_connection(("::1", port), 10) as waits:
            waits.sendall(GET.replace(b"GET", b"POST"))
            assert held.wait(10)
            with answered_after("127.0.0.1", port):
                goes_on.set()
            assert waits.recv(100)
