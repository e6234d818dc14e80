"""Logs are packed once they have ended, read as before, and are removed by rule."""

import io

import pytest
from support.factories import ADMIN, Factory, done

from ciserver.config import Builds, Settings
from ciserver.datadir import DataDirectory
from ciserver.model.account import ANONYMOUS
from ciserver.model.build import BuildResult, Loss
from ciserver.model.errors import Gone
from ciserver.model.status import BuildStatus
from ciserver.wiring import make_parts

B = BuildStatus
TEXT = b"".join(b"line %d of a log\n" % number for number in range(200_000))


@pytest.fixture
def parts(tmp_path, clock):
    """A server that keeps logs for 30 days."""
    settings = Settings(builds=Builds(keep_logs_days=30))
    made = make_parts(settings, DataDirectory(tmp_path / "data"), clock=clock)
    yield made
    made.store.database.close()


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


@pytest.fixture
def jobset(make):
    return make.jobset()


@pytest.fixture
def built(make, reporter, jobset):
    """Ends a build that logged; answers it."""

    def end(text=TEXT, status=B.SUCCEEDED):
        lease = make.leases[make.build(B.RUNNING, jobset=jobset).id]
        if text:
            reporter.append_log(lease, 1, 0, text)
        reporter.finish(lease, BuildResult(status), (done(1),))
        return make.store.builds.get(lease.build_id)

    return end


@pytest.fixture
def sweep(services, clock):
    def later(days=0):
        clock.forward(days=days)
        services.log_keeping.sweep()

    return later


def files(store, build):
    folder = store.files.log_path(build.id, 1, 1).parent
    return sorted(path.name for path in folder.glob(f"{build.id}.*"))


def step_of(services, build):
    return services.queries.step(ANONYMOUS, build.id, 1, None)


def test_a_log_is_packed_when_it_has_ended(store, make, reporter, jobset, built, sweep):
    """Not while its build runs; a small one stays as it is."""
    running = make.leases[make.build(B.RUNNING, jobset=jobset).id]
    reporter.append_log(running, 1, 0, TEXT)
    long, short = built(), built(b"short\n")
    sweep()
    sweep()
    assert files(store, long) == [f"{long.id}.1.1.log.gz"]
    assert files(store, short) == [f"{short.id}.1.1.log"]
    assert files(store, make.store.builds.get(running.build_id))[-1].endswith(".log")
    assert store.files.log_path(long.id, 1, 1).with_suffix(".log.gz").stat().st_size < 1_000_000


def test_it_reads_the_same(services, store, built, sweep):
    """By pieces, from the end, as a file, by lines, and as one log of the build."""
    build = built()
    step = step_of(services, build)

    def everything():
        logs, whole = services.logs, services.build_logs
        log = whole.of_build(ANONYMOUS, build.id)
        with logs.open(build.id, step) as one, whole.open(log) as all_of_it:
            one.seek(1_234_567)
            all_of_it.seek(-100, io.SEEK_END)
            opened = one.read(5000), all_of_it.read()
        start = whole.last_lines(log, 70_000)
        return (
            [logs.read(build.id, 1, 1, offset=at) for at in (0, 1 << 20, len(TEXT), 1 << 50)],
            logs.tail(build.id, step, 100_000),
            logs.size(build.id, step),
            opened,
            (start, whole.end(log, start).line),
            logs.read(build.id, 1, 1, offset=len(TEXT), wait_seconds=9),
        )

    before = everything()
    sweep()
    assert files(store, build) == [f"{build.id}.1.1.log.gz"]
    assert everything() == before


def test_who_reads_it_meanwhile_reads_on(services, built, sweep):
    build = built()
    with services.logs.open(build.id, step_of(services, build)) as file:
        first = file.read(1000)
        sweep()
        assert first + file.read() == TEXT


def test_cut_off_while_it_is_packed(store, services, built, sweep):
    """Half a packed file counts for nothing; with both there the log as it was is read, and the
    next look ends it.
    """
    build = built()
    path = store.files.log_path(build.id, 1, 1)
    part = path.parents[1] / ".packing-0a0b"
    part.write_bytes(b"half")
    assert services.logs.size(build.id, step_of(services, build)) == len(TEXT)
    path.with_name(f"{path.name}.gz").write_bytes(b"of another time")
    assert services.logs.size(build.id, step_of(services, build)) == len(TEXT)
    sweep()
    assert files(store, build) == [f"{path.name}.gz"]
    assert services.logs.open(build.id, step_of(services, build)).read() == TEXT
    store.files.remove_spool(young_seconds=-1)
    assert not part.exists()


def test_a_worker_that_comes_too_late(store, services, built, sweep):
    """Writes nothing over a log that is packed."""
    build = built()
    sweep()
    store.files.write_log(build.id, 1, 1, 10, b"late")
    assert services.logs.open(build.id, step_of(services, build)).read() == TEXT


def test_logs_of_attempts_that_were_lost(store, make, reporter, services, sweep):
    """Are packed too, while the build waits to run again."""
    build = make.build(B.RUNNING)
    lease = make.leases[build.id]
    reporter.append_log(lease, 1, 0, TEXT)
    reporter.give_back(lease, Loss("the worker went away"))
    sweep()
    assert files(store, build) == [f"{build.id}.1.1.log.gz"]


def test_old_logs_are_removed(store, services, built, sweep):
    """Which readers are told; the build stays."""
    build = built()
    for _ in range(4):
        built(b"newer\n")
    sweep(29)
    assert services.logs.size(build.id, step_of(services, build)) == len(TEXT)
    sweep(2)
    assert files(store, build) == []
    step = step_of(services, build)
    for ask in (
        lambda: services.logs.open(build.id, step),
        lambda: services.logs.tail(build.id, step, 10),
        lambda: services.logs.read(build.id, 1, 1, offset=0, wait_seconds=60),
        lambda: services.build_logs.open(services.build_logs.of_build(ANONYMOUS, build.id)),
    ):
        with pytest.raises(Gone, match=f"the log of build {build.id} was removed on 2"):
            ask()
    (attempt,) = services.queries.build(ANONYMOUS, build.id).attempts
    assert attempt.attempt.logs_removed_at is not None


def test_logs_that_something_holds_stay(store, services, built, sweep):
    """Those of a kept build, of the newest success of a job, and of the newest evaluations."""
    kept, success = built(), built()
    services.builds.keep(ADMIN, kept.id, kept=True)
    newest = [built(status=B.FAILED) for _ in range(3)]
    sweep(100)
    for build in (kept, success, *newest):
        assert files(store, build), build.id
    services.builds.keep(ADMIN, kept.id, kept=False)
    sweep(7)
    assert not files(store, kept)


def test_logs_of_deleted_builds_go_soon(store, services, built, sweep):
    build = built()
    for _ in range(4):
        built(b"newer\n")
    sweep()
    services.builds.delete(ADMIN, build.id)
    sweep()
    assert files(store, build) == []


def test_files_that_were_left_are_found_again(store, clock, built, sweep):
    """Where the server was killed between the rows and the files."""
    build = built()
    for _ in range(4):
        built(b"newer\n")
    sweep()
    (logs,) = (one for one in all_logs(store, clock) if one.build_id == build.id)
    with store.transaction():
        store.log_keeping.remove(logs, clock.now())
    assert files(store, build)
    sweep(8)
    assert files(store, build) == []
    assert all(one.build_id != build.id for one in all_logs(store, clock))


def all_logs(store, clock):
    clock.forward(days=8)
    found = store.log_keeping.list_due(clock.now(), 1000)
    clock.forward(days=-8)
    return found
