"""Logs on their way: everything arrives, in order, and nothing is left of what is over."""

import threading
from collections import defaultdict

import pytest
from support.waiting import until

from ciserver.executor.log_sender import LogSender
from ciserver.model.build import Lease
from ciserver.model.errors import LeaseLost

ONE, TWO = Lease(1, 1, "a"), Lease(2, 1, "b")


class Far:
    """Where logs go; it can be shut, and can refuse an attempt."""

    def __init__(self):
        self.logs, self.sizes = defaultdict(bytearray), []
        self.is_open = threading.Event()
        self.is_open.set()
        self.faults = {}

    def take(self, lease, piece):
        assert self.is_open.wait(10)
        if lease in self.faults:
            raise self.faults[lease]
        assert piece.offset == len(self.logs[lease, piece.step])
        self.logs[lease, piece.step] += piece.chunk
        self.sizes.append(len(piece.chunk))


@pytest.fixture
def far():
    return Far()


@pytest.fixture
def sender(tmp_path, far):
    sender = LogSender(tmp_path, far.take)
    yield sender
    far.is_open.set()
    sender.close()


def test_bytes_arrive_without_being_waited_for(sender, far):
    """Whoever follows the log sees them soon."""
    sender.add(ONE, 0, 0, b"one\n")
    until(lambda: far.logs[ONE, 0] == b"one\n")


def test_what_waits_is_sent_together(sender, far):
    """In order, and in pieces of at most a MiB."""
    far.is_open.clear()
    line, count = b"x" * 999 + b"\n", 5_000
    for number in range(count):
        sender.add(ONE, 1, number * len(line), line)
    far.is_open.set()
    sender.flush(ONE)
    assert far.logs[ONE, 1] == line * count
    assert max(far.sizes) == 1 << 20
    assert len(far.sizes) < 10


def test_what_a_message_carries_is_not_sent_beside_it(sender, far):
    """All that the other side lacks, of each step; what comes later is sent from there on."""
    sender.add(ONE, 0, 0, b"one\n")
    sender.add(ONE, 1, 0, b"two\n")
    with sender.carried(ONE) as log:
        for piece in log:
            far.take(ONE, piece)
    sender.add(ONE, 1, 4, b"more\n")
    sender.flush(ONE)
    assert far.logs == {(ONE, 0): b"one\n", (ONE, 1): b"two\nmore\n"}
    with sender.carried(ONE) as log:
        assert log == ()


def test_what_comes_while_it_is_carried_is_sent_after(sender, far):
    """Only what was in the message is there."""
    sender.add(ONE, 0, 0, b"one\n")
    with sender.carried(ONE) as log:
        sender.add(ONE, 0, 4, b"late\n")
        for piece in log:
            far.take(ONE, piece)
    sender.flush(ONE)
    assert far.logs[ONE, 0] == b"one\nlate\n"


def test_much_is_not_carried(sender, far):
    """It is sent before."""
    sender.add(ONE, 0, 0, b"x" * 100_000)
    with sender.carried(ONE) as log:
        assert log == ()
    assert len(far.logs[ONE, 0]) == 100_000


def test_what_was_carried_in_vain_is_sent(sender, far):
    """As if nobody had tried."""
    sender.add(ONE, 0, 0, b"one\n")
    with pytest.raises(ValueError, match="no"), sender.carried(ONE):
        raise ValueError("no")
    until(lambda: far.logs[ONE, 0] == b"one\n")


def test_the_same_again_is_not_sent_again(sender, far):
    """Also after it was sent."""
    for _ in range(2):
        sender.add(ONE, 0, 0, b"one\n")
        sender.flush(ONE)
    assert far.logs[ONE, 0] == b"one\n"


def test_one_attempt_does_not_hold_up_another(sender, far):
    """A fault is of the attempt that met it."""
    far.faults[ONE] = ValueError("no")
    sender.add(ONE, 0, 0, b"one\n")
    sender.add(TWO, 0, 0, b"two\n")
    sender.flush(TWO)
    with pytest.raises(ValueError, match="no"):
        sender.flush(ONE)
    with pytest.raises(ValueError, match="no"):
        sender.add(ONE, 0, 4, b"more\n")
    assert far.logs[TWO, 0] == b"two\n"


def test_nothing_is_left_of_a_lost_attempt(sender, far, tmp_path):
    """Neither on this disk nor to be sent."""
    far.faults[ONE] = LeaseLost("lost")
    sender.add(ONE, 0, 0, b"one\n")
    with pytest.raises(LeaseLost):
        sender.flush(ONE)
    assert list(tmp_path.iterdir()) == []


def test_what_is_forgotten_is_not_sent(sender, far, tmp_path):
    """The attempt is over."""
    sender.add(ONE, 0, 0, b"one\n")
    sender.flush(ONE)
    far.is_open.clear()
    sender.add(ONE, 0, 4, b"late\n")
    sender.forget(ONE)
    assert list(tmp_path.iterdir()) == []


def test_whoever_waits_goes_on_at_the_end(sender, far):
    """When the worker ends."""
    far.is_open.clear()
    sender.add(ONE, 0, 0, b"one\n")
    waiting = threading.Thread(target=sender.flush, args=(ONE,))
    waiting.start()
    closing = threading.Thread(target=sender.close)
    closing.start()
    waiting.join(10)
    assert not waiting.is_alive()
    far.is_open.set()
    closing.join(10)
