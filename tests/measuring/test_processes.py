"""What keeps a measurement within bounds and leaves nothing behind."""

import socket
import threading
from pathlib import Path

import pytest

from bench.processes import Wrong, at_most, started, until
from bench.wire import HttpSender, load, request


def test_a_measurement_ends_in_time():
    """What hangs is stopped, with the reason."""
    with pytest.raises(Wrong, match="stopped after 1 s"), at_most(1):
        threading.Event().wait(30)


def test_waiting_ends_in_time():
    """What never comes is named."""
    with pytest.raises(Wrong, match="the answer"):
        until(lambda: False, 0.01, "the answer")


def has_ended(pid):
    """Whether it is gone, or waits for nothing but being noticed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_program_has_ended_when_its_measurement_has(tmp_path):
    """With what it started, and though nobody asked it to."""
    script = "sleep 600 & echo $! > fresh; mv fresh child; exec sleep 600"
    with started(["bash", "-c", script], tmp_path / "log") as process:
        until((tmp_path / "child").exists, 10, "the child")
    child = int((tmp_path / "child").read_text())
    assert process.returncode is not None
    until(lambda: has_ended(child), 10, "the end of the child")


def test_the_clients_hear_an_answer_that_is_not_right():
    """A load whose answers are refusals is no figure."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")

        thread = threading.Thread(target=refuse)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(Wrong, match="403"):
            load(lambda: HttpSender(port, 200), lambda _: request("GET", "/"), 1, 5)
        thread.join()
