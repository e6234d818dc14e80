"""What a worker may rely on when it tells the server something: in its process, or over HTTP."""

import contextlib
import io
import threading

import pytest
from support.factories import ADMIN, Factory, make_job
from support.server import free_port
from support.waiting import until
from waitress.server import create_server

from ciserver import wire
from ciserver.executor.door import Closed, Door
from ciserver.executor.doorbell import Doorbell
from ciserver.executor.remote import HttpReporter
from ciserver.model.build import BuildResult, Loss, Offer, Output, ProductKind, StepResult
from ciserver.model.errors import Forbidden, LeaseLost, NotSignedIn, OverQuota, RemoteFailure
from ciserver.model.ports import EngineState, WorkerState
from ciserver.model.report import ReportKind
from ciserver.model.status import BuildStatus, StepStatus

QUEUE = "x86_64-linux/trusted"
SETUP = StepResult(0, StepStatus.SUCCEEDED)
WELL = StepResult(1, StepStatus.SUCCEEDED, 0)
BIG = bytes(range(256)) * 40_000  # more than one piece


class Served:
    """The application behind a real port, which can go away and come back."""

    def __init__(self, app):
        self._app, self.port = app, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.before = lambda _: None

    def up(self):
        self._server = create_server(
            self._serve, host="127.0.0.1", port=self.port, max_request_body_size=64 << 20
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        return self

    def _serve(self, environ, start_response):
        answer = self.before(environ)
        if answer:
            start_response(answer, [])
            return [b""]
        return self._app(environ, start_response)

    def down(self):
        # In the loop's own thread: it ends when it has nothing to listen to.
        with contextlib.suppress(OSError):  # it was awake, and has closed everything already
            self._server.trigger.pull_trigger(self._close)
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._server.task_dispatcher.shutdown()

    def _close(self):
        for channel in list(self._server._map.values()):
            channel.close()


@pytest.fixture
def served(parts):
    served = Served(parts.app).up()
    yield served
    served.down()


@pytest.fixture
def make_reporter(parts, served, tmp_path):
    """Workers elsewhere, each with a credential."""
    made = []

    def make(name="arm", patience_seconds=20):
        credential = parts.services.workers.add(ADMIN, name, (QUEUE,))
        spool = tmp_path / name
        spool.mkdir()
        door = Door(served.url, credential, spool=spool, patience_seconds=patience_seconds)
        reporter = HttpReporter(door, spool)
        made.append((door, reporter))
        return reporter

    yield make
    for door, reporter in made:
        door.close()
        reporter.close()


@pytest.fixture(params=["here", "elsewhere"])
def reporter(request, parts):
    if request.param == "here":
        return parts.reporter
    return request.getfixturevalue("make_reporter")()


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


def offer_of(name="arm"):
    return Offer(name, ("x86_64-linux",), queues=(QUEUE,))


@pytest.fixture
def begin(make):
    """A build that this reporter has claimed."""

    def claim(reporter, **job):
        make.build(**job)
        return reporter.claim(offer_of())

    return claim


def log_of(parts, lease, step):
    return parts.store.files.read_log(lease.build_id, lease.attempt, step, 0, 1 << 30)


def test_nothing_is_claimed_where_nothing_waits(reporter):
    """And that is no error."""
    assert reporter.claim(offer_of()) is None


def test_the_work_is_the_same(reporter, begin, make):
    """The job, with everything that its recipe states, and what the server adds."""
    job = {"environment": {"LIST": ("a", "b"), "TEXT": "c"}, "artifacts": ("x",), "retries": 1}
    work = begin(reporter, **job)
    assert work.job == make_job(**job)
    assert work.environment["BUILD_ID"] == str(work.lease.build_id)
    assert (work.lease.attempt, work.store) == (1, "")


def test_an_attempt_from_claim_to_end(reporter, begin, parts):
    """Everything that is told is there when it is over."""
    lease = begin(reporter).lease
    reporter.append_log(lease, 0, 0, b"set up\n")
    reporter.advance(lease, SETUP, 1, sandbox="plain")
    assert log_of(parts, lease, 0) == b"set up\n"
    assert reporter.renew(lease) is False
    reporter.append_log(lease, 1, 0, b"one\n")
    reporter.append_log(lease, 1, 4, b"two\n")
    reporter.add_product(lease, "out/a", io.BytesIO(BIG), kind=ProductKind("doc"), name="b")
    reporter.add_product(lease, "empty", io.BytesIO(b""))
    reporter.set_output(lease, Output("release-1", paths={"out": "/nix/store/x"}))
    reporter.finish(lease, BuildResult(BuildStatus.SUCCEEDED), (WELL,))
    assert log_of(parts, lease, 1) == b"one\ntwo\n"
    build = parts.store.builds.get(lease.build_id)
    assert build.status is BuildStatus.SUCCEEDED
    first, empty = parts.store.products.list_of_build(build.id)
    assert (first.name, first.size, first.type, empty.size) == ("b", len(BIG), "doc", 0)
    with parts.store.files.open_product(first.sha256) as file:
        assert file.read() == BIG


def test_what_is_told_twice_is_there_once(reporter, begin, parts):
    """As after an answer that was lost on the way."""
    lease = begin(reporter).lease
    for _ in range(2):
        reporter.append_log(lease, 0, 0, b"set up\n")
        reporter.advance(lease, SETUP, 1, sandbox="plain")
        reporter.add_product(lease, "a", io.BytesIO(b"made\n"))
    assert log_of(parts, lease, 0) == b"set up\n"
    assert len(parts.store.products.list_of_build(lease.build_id)) == 1


def test_a_product_is_read_from_where_it_stands(reporter, begin, parts):
    """At its beginning, and to its end."""
    lease = begin(reporter).lease
    reporter.add_product(lease, "a", io.BytesIO(b"made\n"))
    (product,) = parts.store.products.list_of_build(lease.build_id)
    assert product.size == 5


def test_a_product_that_there_is_no_room_for(reporter, begin, parts):
    """It is told as such, and nothing of it is a product."""
    lease = begin(reporter).lease
    project = parts.store.builds.get(lease.build_id).project
    parts.services.storage.set_quota(ADMIN, project, 1)
    with pytest.raises(OverQuota, match="has no room for"):
        reporter.add_product(lease, "a", io.BytesIO(bytes(2 << 20)))
    assert parts.store.products.list_of_build(lease.build_id) == ()
    reporter.add_product(lease, "b", io.BytesIO(b"small\n"))


def test_reports_are_read_by_the_server(reporter, begin):
    """And it answers how much there was, with what was wrong."""
    lease = begin(reporter).lease
    text = b"1..2\nok 1 - one\nnot ok 2 - two\n"
    counts, notes = reporter.add_report(lease, ReportKind.TAP, "a.tap", io.BytesIO(text))
    assert (counts.passed, counts.failed, notes) == (1, 1, ())
    _, notes = reporter.add_report(lease, ReportKind.JUNIT, "a.xml", io.BytesIO(b"<no"))
    assert notes


def test_caches_come_and_go(reporter, begin):
    """What one saves the next one finds; nothing under another key."""
    lease = begin(reporter).lease
    assert reporter.open_cache(lease, "deps & more") is None
    reporter.save_cache(lease, "deps & more", io.BytesIO(BIG))
    with reporter.open_cache(lease, "deps & more") as content:
        assert content.read() == BIG


def test_what_may_not_be_saved_is_refused(reporter, begin, make):
    """By the reason that the server has."""
    make.evaluated(make.jobset(), make_job(), ref="refs/tags/v1")
    lease = reporter.claim(offer_of()).lease
    with pytest.raises(Forbidden, match="may not save"):
        reporter.save_cache(lease, "deps", io.BytesIO(b"x"))


def test_a_cancellation_comes_with_a_renewal(reporter, begin, parts):
    """The worker then says how it ended."""
    lease = begin(reporter).lease
    parts.services.builds.cancel(ADMIN, lease.build_id)
    assert reporter.renew(lease) is True


def test_what_is_given_back_waits_again(reporter, begin, parts):
    """With the reason of the attempt; the lease is over."""
    lease = begin(reporter).lease
    reporter.append_log(lease, 0, 0, b"set up\n")
    reporter.give_back(lease, Loss("the worker was shut down", counts=False))
    assert parts.store.builds.get(lease.build_id).status is BuildStatus.QUEUED
    assert log_of(parts, lease, 0) == b"set up\n"
    with pytest.raises(LeaseLost):
        reporter.renew(lease)


CALLS = {
    "renew": lambda one, lease: one.renew(lease),
    "advance": lambda one, lease: one.advance(lease, SETUP, 1, sandbox=""),
    "product": lambda one, lease: one.add_product(lease, "a", io.BytesIO(b"x")),
    "output": lambda one, lease: one.set_output(lease, Output()),
    "report": lambda one, lease: one.add_report(lease, ReportKind.TAP, "a", io.BytesIO(b"x")),
    "open cache": lambda one, lease: one.open_cache(lease, "a"),
    "save cache": lambda one, lease: one.save_cache(lease, "a", io.BytesIO(b"x")),
    "finish": lambda one, lease: one.finish(lease, BuildResult(BuildStatus.SUCCEEDED), ()),
    "give back": lambda one, lease: one.give_back(lease, Loss("x")),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_whoever_lost_the_lease_is_told(reporter, begin, parts, clock, call):
    """By every call, and nothing is written."""
    lease = begin(reporter).lease
    clock.forward(minutes=1)
    parts.services.builds.rescue_lost()
    with pytest.raises(LeaseLost):
        call(reporter, lease)
    assert parts.store.builds.get(lease.build_id).status is BuildStatus.QUEUED


# What only a worker elsewhere meets.


def test_a_log_that_cannot_be_sent_any_more_is_told_of(
    make_reporter, begin, parts, clock, tmp_path
):
    """It is on the way when the lease is lost; then nothing of it is kept here."""
    reporter = make_reporter()
    lease = begin(reporter).lease
    clock.forward(minutes=1)
    parts.services.builds.rescue_lost()
    reporter.append_log(lease, 0, 0, b"late\n")
    with pytest.raises(LeaseLost):
        reporter.advance(lease, SETUP, 1, sandbox="")
    assert log_of(parts, lease, 0) == b""
    assert list((tmp_path / "arm").iterdir()) == []


def test_what_a_build_tells_goes_over_one_connection(make_reporter, begin, served):
    """And is a request each; answers that say nothing do not close it."""
    asked = []
    served.before = lambda environ: asked.append((environ["REMOTE_PORT"], environ["PATH_INFO"]))
    reporter = make_reporter()
    lease = begin(reporter).lease
    reporter.advance(lease, SETUP, 1, sandbox="plain")
    reporter.finish(lease, BuildResult(BuildStatus.SUCCEEDED), (WELL,))
    assert [path.rpartition("/")[2] for _, path in asked] == ["claim", "advance", "finish"]
    assert len({port for port, _ in asked}) == 1


def test_a_server_that_is_away_for_a_while_costs_nothing(make_reporter, begin, parts, served):
    """What is written meanwhile waits on this disk, and is there in order afterwards."""
    reporter = make_reporter()
    lease = begin(reporter).lease
    reporter.append_log(lease, 0, 0, b"before\n")
    until(lambda: log_of(parts, lease, 0))
    served.down()
    lines = [b"line %d\n" % number for number in range(1000)]
    offset = 7
    for line in lines:
        reporter.append_log(lease, 0, offset, line)
        offset += len(line)
    with pytest.raises(RemoteFailure):
        reporter.renew(lease)
    served.up()
    reporter.advance(lease, SETUP, 1, sandbox="plain")
    assert log_of(parts, lease, 0) == b"before\n" + b"".join(lines)
    reporter.finish(lease, BuildResult(BuildStatus.SUCCEEDED), (WELL,))
    assert parts.store.builds.get(lease.build_id).status is BuildStatus.SUCCEEDED


def test_a_server_that_is_away_for_too_long_gives_the_build_to_others(
    make_reporter, begin, parts, served, clock
):
    """Whoever had it hears of it when the server is back, and changes nothing."""
    reporter, other = make_reporter(), make_reporter("other")
    lease = begin(reporter).lease
    served.down()
    reporter.append_log(lease, 0, 0, b"late\n")
    clock.forward(minutes=1)
    parts.services.builds.rescue_lost()
    served.up()
    second = other.claim(offer_of("other")).lease
    other.append_log(second, 0, 0, b"second\n")
    other.advance(second, SETUP, 1, sandbox="plain")
    with pytest.raises(LeaseLost):
        reporter.finish(lease, BuildResult(BuildStatus.FAILED), ())
    assert (second.attempt, log_of(parts, second, 0)) == (2, b"second\n")
    assert log_of(parts, lease, 0) == b""
    assert parts.store.builds.get(lease.build_id).status is BuildStatus.RUNNING


def test_a_file_goes_on_from_where_it_was_cut_off(make_reporter, begin, served):
    """Pieces that are there are not sent again."""
    reporter = make_reporter()
    lease = begin(reporter).lease
    puts = []

    def cut(environ):
        if environ["REQUEST_METHOD"] == "PUT":
            puts.append(environ["QUERY_STRING"])
            return "503 Service Unavailable" if len(puts) == 2 else None
        return None

    served.before = cut
    reporter.add_product(lease, "a", io.BytesIO(BIG))
    offsets = [int(one.partition("=")[2]) for one in puts]
    assert offsets == [0, 4 << 20, 4 << 20, 8 << 20]


def test_patience_ends(make_reporter, begin, served):
    """Where a server does not come back."""
    reporter = make_reporter(patience_seconds=0.5)
    lease = begin(reporter).lease
    served.before = lambda _: "503 Service Unavailable"
    with pytest.raises(RemoteFailure, match="does not answer"):
        reporter.set_output(lease, Output())


def test_whoever_waits_for_a_server_can_be_ended(make_reporter, begin, served):
    """A worker that is told to stop does not wait for it."""
    reporter = make_reporter()
    lease = begin(reporter).lease
    asked = threading.Event()

    def refuse(environ):
        asked.set()
        return "503 Service Unavailable"

    served.before = refuse
    caught = []

    def tell():
        try:
            reporter.set_output(lease, Output())
        except Closed as error:
            caught.append(error)

    thread = threading.Thread(target=tell)
    thread.start()
    assert asked.wait(10)
    reporter._door.close()
    thread.join(10)
    assert len(caught) == 1


def test_a_wrong_credential_is_not_asked_again(served, tmp_path):
    """It is refused at once, and says so."""
    door = Door(served.url, "csw_wrong", spool=tmp_path)
    with pytest.raises(NotSignedIn):
        HttpReporter(door, tmp_path).claim(offer_of())


def test_the_token_of_another_attempt(make_reporter, begin):
    """Is refused, and costs neither attempt its lease."""
    mine, other = begin(make_reporter()).lease, begin(make_reporter("other")).lease
    reporter = make_reporter("third")
    stolen = type(mine)(other.build_id, other.attempt, mine.token)
    with pytest.raises(Forbidden):
        reporter.add_product(stolen, "a", io.BytesIO(b"x"))
    assert reporter.renew(mine) is False
    assert reporter.renew(other) is False


class Rung:
    """An engine that only counts."""

    def __init__(self):
        self.rings, self.checked, self.is_paused = 0, [], None

    def ring(self):
        self.rings += 1

    def heed(self, *, is_paused):
        self.is_paused = is_paused

    def check(self, build_id):
        self.checked.append(build_id)

    def state(self):
        return EngineState((WorkerState("arm", ("x86_64-linux",), 1, 0, queues=(QUEUE,)),))


@pytest.fixture
def listening(parts, served, tmp_path):
    """An engine whose doorbell listens at the server."""
    credential = parts.services.workers.add(ADMIN, "arm", (QUEUE,))
    door, engine = Door(served.url, credential, spool=tmp_path), Rung()
    bell = Doorbell(door, engine, after_fault_seconds=0.01)
    parts.services.fleet._look_seconds = 0.01
    yield lambda: bell.start() or engine
    bell.stop()
    door.close()
    parts.services.fleet.ring()


def test_an_engine_is_rung_when_there_may_be_work(listening, parts):
    """Once at the start, and whenever the server's bell rings."""
    engine = listening()
    until(lambda: engine.rings == 1)
    until(lambda: parts.services.fleet.state().workers)
    parts.services.fleet.ring()
    until(lambda: engine.rings == 2)


def test_an_engine_is_told_whether_it_is_given_builds(listening, parts):
    """As soon as somebody pauses its worker, or lets it go on."""
    engine = listening()
    until(lambda: engine.is_paused is False)
    parts.services.pauses.pause(ADMIN, worker="arm", paused=True)
    parts.services.fleet.ring()  # as its bell does it in a server
    until(lambda: engine.is_paused)
    parts.services.pauses.pause(ADMIN, worker="arm", paused=False)
    parts.services.fleet.ring()
    until(lambda: engine.is_paused is False)


def test_whoever_is_one_too_many_looks_by_itself(listening, parts):
    """A server that has no thread left for listeners still has work for them."""
    parts.services.fleet._budget = threading.BoundedSemaphore(1)
    parts.services.fleet._budget.acquire()
    engine = listening()
    until(lambda: engine.rings >= 3)


def test_what_was_rung_meanwhile_is_heard_afterwards(listening, served, parts):
    """As soon as the server is reached again."""
    engine = listening()
    until(lambda: engine.rings == 1)
    served.down()
    parts.services.fleet.ring()
    served.up()
    until(lambda: engine.rings == 2)


def test_an_engine_looks_at_what_was_canceled(listening, make, parts):
    """As soon as somebody cancels a build that its worker runs."""
    parts.services.run_on(parts.services.fleet)
    engine = listening()
    until(lambda: engine.rings == 1)
    build = make.build(worker="arm", status=BuildStatus.RUNNING)
    parts.services.builds.cancel(ADMIN, build.id)
    assert until(lambda: engine.checked) == [build.id]


def test_an_answer_that_was_cut_off_is_asked_for_again(served, make_reporter, begin, parts):
    """As one that never came."""
    reporter = make_reporter()
    lease = begin(reporter).lease
    real, cut = served._app, []

    def half(environ, start_response):
        answer = b"".join(real(environ, start_response))
        if environ["PATH_INFO"].endswith("/renew") and len(cut) < 2:
            cut.append(True)
            return [answer[:-1]]
        return [answer]

    served._app = half
    reporter._door.ask(wire.Renewed, "POST", "renew", lease=lease)
    assert len(cut) == 2


@pytest.mark.parametrize("lost", ["answer", "question"])
def test_a_claim_that_was_not_answered_is_made_again(make_reporter, make, served, lost):
    """What it took is had by the next one: no attempt is lost, and nothing is taken twice."""
    reporter = make_reporter()
    first, second = make.build(), make.build()

    def cut(environ):
        if lost == "answer":
            b"".join(served._app(environ, lambda *_: None))
        served.before = lambda _: None
        return "502 Bad Gateway"

    served.before = cut
    with pytest.raises(RemoteFailure):
        reporter.claim(offer_of())
    works = [reporter.claim(offer_of()), reporter.claim(offer_of())]
    assert [one.lease.build_id for one in works] == [first.id, second.id]
    assert [one.lease.attempt for one in works] == [1, 1]
    assert reporter.claim(offer_of()) is None
    assert not any(reporter.renew(one.lease) for one in works)
