"""Logs are read while they are written."""

import threading

import pytest
from support.factories import Factory, done
from support.waiting import until

from ciserver.bells import Bell
from ciserver.config import Server, Settings
from ciserver.datadir import DataDirectory
from ciserver.model.account import ANONYMOUS
from ciserver.model.build import BuildResult
from ciserver.model.errors import Busy, NotFound
from ciserver.model.status import BuildStatus, Reason, StepStatus
from ciserver.service.logs import Logs
from ciserver.wiring import make_parts


@pytest.fixture
def parts(tmp_path, clock):
    """A server where one reader may wait."""
    settings = Settings(server=Server(followers=1))
    made = make_parts(settings, DataDirectory(tmp_path / "data"), clock=clock)
    yield made
    made.store.database.close()


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


@pytest.fixture
def lease(make):
    """The lease of a build whose first task runs."""
    return make.leases[make.build(BuildStatus.RUNNING).id]


class Follower(threading.Thread):
    """Waits for what comes after `offset`, for as long as the test may take."""

    def __init__(self, parts, lease, offset=0):
        super().__init__()
        self._parts, self._lease, self._offset = parts, lease, offset
        self.chunk = None

    def run(self):
        self.chunk = self._parts.services.logs.read(
            self._lease.build_id, 1, 1, offset=self._offset, wait_seconds=60
        )
        self._parts.store.database.close()

    def begin(self):
        """Start and return once it waits: then nobody else may."""
        self.start()
        until(
            lambda: is_full(self._parts.services.logs, self._lease.build_id),
            what="the reader to wait",
        )
        return self

    def end(self):
        self.join(30)
        assert not self.is_alive()
        return self.chunk


def test_a_follower_wakes_on_append(parts, lease):
    """What is written reaches who waits for it, at once."""
    follower = Follower(parts, lease).begin()
    parts.reporter.append_log(lease, 1, 0, b"line\n")
    chunk = follower.end()
    assert (chunk.content, chunk.size, chunk.complete) == (b"line\n", 5, False)


def test_a_follower_wakes_at_the_end(parts, lease):
    """Who waits for more learns that there is none."""
    parts.reporter.append_log(lease, 1, 0, b"line\n")
    follower = Follower(parts, lease, offset=5).begin()
    parts.reporter.finish(lease, BuildResult(BuildStatus.SUCCEEDED), (done(1),))
    chunk = follower.end()
    assert (chunk.content, chunk.complete) == (b"", True)


def test_the_log_of_a_step_that_never_began(parts, make):
    """It is whole when its attempt has ended, as when the setup failed: nobody waits for more."""
    lease = make.leases[make.build(BuildStatus.STARTING).id]
    assert not parts.services.logs.read(lease.build_id, 1, 1, offset=0).complete
    follower = Follower(parts, lease).begin()
    failed = BuildResult(BuildStatus.FAILED, Reason.SOURCE_UNAVAILABLE)
    make.reporter.finish(lease, failed, (done(0, StepStatus.FAILED),))
    chunk = follower.end()
    assert (chunk.content, chunk.complete) == (b"", True)
    assert parts.store.builds.get_step(lease.build_id, 1, 1).status is StepStatus.PENDING


def test_the_budget_of_followers(parts, lease):
    """One too many is sent away to read without waiting, and may wait when there is room."""
    logs = parts.services.logs
    follower = Follower(parts, lease).begin()
    with pytest.raises(Busy, match="too many readers"):
        logs.read(lease.build_id, 1, 1, offset=0, wait_seconds=1)
    assert logs.read(lease.build_id, 1, 1, offset=0).content == b""
    parts.reporter.append_log(lease, 1, 0, b"x")
    follower.end()
    assert logs.read(lease.build_id, 1, 1, offset=1, wait_seconds=0.01).content == b""


def test_a_waiting_reader_is_rung(parts, lease):
    """It wakes when something is announced, not when it would look again."""
    bell = Bell()
    logs = Logs(parts.store, followers=1, ring=bell.ring, look_seconds=3600)
    bell.on_ring(logs.wake)
    answers = []
    reader = threading.Thread(
        target=lambda: answers.append(
            logs.read(lease.build_id, 1, 1, offset=0, wait_seconds=3600).content
        )
    )
    reader.start()
    until(lambda: is_full(logs, lease.build_id), what="the reader to wait")
    parts.store.files.write_log(lease.build_id, 1, 1, 0, b"x")
    logs.announce(lease.build_id)
    reader.join(30)
    assert answers == [b"x"]


def is_full(logs, build_id):
    """Whether a reader waits. Asking as a reader would take the place of the one awaited."""
    return bool(logs._waiting.get(build_id))


def test_what_is_there_is_not_waited_for(parts, lease):
    """Neither bytes nor the end take a place among the waiting ones."""
    parts.reporter.append_log(lease, 1, 0, b"line\n")
    Follower(parts, lease, offset=5).begin()
    chunk = parts.services.logs.read(lease.build_id, 1, 1, offset=0, wait_seconds=60)
    assert chunk.content == b"line\n"
    parts.reporter.append_log(lease, 1, 5, b"more")


def test_pieces_and_tail(parts, lease):
    """A long log comes in pieces; its tail knows its line number."""
    logs, line = parts.services.logs, b"0123456789abcde\n"
    parts.reporter.append_log(lease, 1, 0, line * 70_000)
    first = logs.read(lease.build_id, 1, 1, offset=0)
    assert (len(first.content), first.size) == (1024 * 1024, 70_000 * 16)
    rest = logs.read(lease.build_id, 1, 1, offset=len(first.content))
    assert first.content + rest.content == line * 70_000
    step = parts.services.queries.step(ANONYMOUS, lease.build_id, 1, None)
    tail, number = logs.tail(lease.build_id, step, 32)
    assert (tail.content, tail.offset, number) == (line * 2, 70_000 * 16 - 32, 69_999)
    with logs.open(lease.build_id, step) as file:
        assert file.read(16) == line


def test_a_log_that_is_not_there(parts, lease):
    """A step without output has an empty log; a step that is not there is said."""
    step = parts.services.queries.step(ANONYMOUS, lease.build_id, 1, None)
    assert parts.services.logs.open(lease.build_id, step) is None
    assert parts.services.logs.tail(lease.build_id, step, 100)[0].content == b""
    with pytest.raises(NotFound, match="no step 9"):
        parts.services.logs.read(lease.build_id, 1, 9, offset=0)
