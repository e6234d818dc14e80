"""Products stand while something holds them, and go without leaving anything behind."""

import io
import os
from dataclasses import replace
from datetime import timedelta

import pytest
from support.factories import ADMIN, done, make_job

from ciserver.model.build import BuildResult
from ciserver.model.errors import Gone
from ciserver.model.evaluation import Kind
from ciserver.model.status import BuildStatus
from ciserver.service.keeping import Outlook, outlook
from ciserver.service.polls import BY_POLL

B = BuildStatus


@pytest.fixture
def jobset(make, services):
    """One that keeps a single evaluation."""
    made = make.jobset()
    settings = replace(made.settings, keep_evaluations=1)
    services.jobsets.put(ADMIN, made.project, made.name, settings, made.inputs)
    return made


@pytest.fixture
def built(make, store, reporter, jobset):
    """Ends a build that made a file; answers the build."""

    def end(status=B.SUCCEEDED, content=b"content", *, job=None, **evaluation):
        build = made(evaluation, job or make_job())
        lease = make.claim().lease
        assert lease.build_id == build.id
        reporter.advance(lease, done(0), 1, sandbox="plain")
        write(store, build.id, 1, content)
        reporter.finish(lease, BuildResult(status), ())
        return store.builds.get(build.id)

    def made(evaluation, job):
        (build,) = store.builds.list_of_evaluation(make.evaluated(jobset, job, **evaluation).id)
        return build

    return end


def write(store, build_id, attempt, content):
    """A product as a worker gives it, whose file is not new any more."""
    sha256, size = store.files.keep_product(io.BytesIO(content))
    path = next(path for path in store_files(store) if path.name == sha256)
    os.utime(path, (0, 0))
    with store.transaction():
        store.products.add(build_id, attempt, path="out.txt", size=size, sha256=sha256)


def store_files(store):
    root = store.dumps.parent / "products"
    return [path for path in root.rglob("*") if path.is_file()]


def stands(store, build):
    return [one.removed_at is None for one in store.products.list_of_build(build.id)] == [True]


@pytest.fixture
def later(built, parts, clock):
    """So many days later, when the job has succeeded again, products are looked at."""

    def pass_by(days, *, again=1):
        for _ in range(again):
            built(content=b"newer")
        clock.forward(days=days)
        parts.services.keeping.sweep()

    return pass_by


@pytest.mark.parametrize(
    ("days", "evaluation", "kept"),
    [
        (13, {"requested_by": BY_POLL}, True),
        (15, {"requested_by": BY_POLL}, False),
        (89, {}, True),
        (91, {}, False),
        (89, {"kind": Kind.MANUAL}, True),
    ],
)
def test_age(store, built, later, days, evaluation, kept):
    """What started by itself goes sooner."""
    build = built(**evaluation)
    later(days)
    assert stands(store, build) is kept


def test_what_was_removed_says_so(store, services, clock, built, later):
    """When and why; the build and what it was stay, and no later build has its result."""
    build = built()
    later(91)
    (product,) = services.queries.build(ADMIN, build.id).products
    assert product.removed_at == clock.now()
    assert product.removed_why == "it was older than 90 days"
    with pytest.raises(Gone, match=f"out.txt was removed on {clock.now():%Y-%m-%d}: it was older"):
        services.queries.open_product(product)
    assert store.builds.get(build.id).key == ""
    assert [path.name for path in store_files(store) if path.name == product.sha256] == []


def test_a_kept_build(store, services, built, later):
    """Until somebody keeps it no longer."""
    build = built()
    services.builds.keep(ADMIN, build.id, kept=True)
    later(100)
    assert stands(store, build)
    services.builds.keep(ADMIN, build.id, kept=False)
    later(2)
    assert not stands(store, build)


def test_the_newest_evaluations(store, built, later):
    """As many finished ones as the jobset keeps, whatever became of their builds."""
    old, new = built(B.FAILED, b"old"), built(B.FAILED, b"new")
    later(91, again=0)
    assert (stands(store, old), stands(store, new)) == (False, True)


def test_the_newest_success_of_a_current_job(store, make, jobset, built, later):
    """As long as the job is in the newest evaluation."""
    build = built()
    built(B.FAILED, b"broken")
    built(B.FAILED, b"broken again")
    later(91, again=0)
    assert stands(store, build)
    built(B.FAILED, b"another job", job=make_job(name="other"))
    later(2, again=0)
    assert not stands(store, build)


def test_a_result_of_earlier_that_a_kept_evaluation_has(store, make, jobset, built, later):
    build = built()
    built(content=b"newer")
    again = make.evaluated(jobset)
    with store.transaction():
        store.evaluations.add_reuses(again.id, [build.id])
        store.evaluations.count_builds(again.id, finished=1, good=1, total=1)
    later(91, again=0)
    assert stands(store, build)
    later(2)
    assert not stands(store, build)


def test_nothing_goes_while_the_jobset_is_evaluated(store, make, jobset, built, later):
    """The evaluation may be about to find it."""
    build = built()
    built(content=b"newer")
    waiting = make.evaluation(jobset)
    later(91, again=0)
    assert stands(store, build)
    with store.transaction():
        store.evaluations.drop_open(jobset.id, waiting.requested_at)
    later(1, again=0)
    assert not stands(store, build)


def test_a_removed_jobset_holds_nothing(store, services, jobset, built, later):
    build = built()
    services.jobsets.remove(ADMIN, jobset.project, jobset.name)
    later(91, again=0)
    assert not stands(store, build)


def test_the_same_content_elsewhere_keeps_the_file(store, services, built, later):
    """Files go with the last product that has their content."""
    old, twin = built(), built()
    services.builds.keep(ADMIN, twin.id, kept=True)
    later(91)
    assert (stands(store, old), stands(store, twin)) == (False, True)
    (product,) = store.products.list_of_build(twin.id)
    with services.queries.open_product(product) as file:
        assert file.read() == b"content"


def test_who_downloads_it_has_all_of_it(store, services, built, later):
    """Also when it is removed meanwhile."""
    build = built(content=b"content " * 100_000)
    (product,) = store.products.list_of_build(build.id)
    with services.queries.open_product(product) as file:
        first = file.read(1000)
        later(91)
        assert not stands(store, build)
        assert first + file.read() == b"content " * 100_000
    assert not store.files.has_product(product.sha256)


def test_a_deleted_build_makes_room_soon(store, services, built, parts):
    """Not only when it would have been old enough."""
    build = built()
    for _ in range(2):
        built(content=b"newer")
    services.builds.delete(ADMIN, build.id)
    parts.services.keeping.sweep()
    assert not stands(store, build)


def test_cut_off_between_row_and_file(store, parts, clock, built):
    """What a killed server marked as removed is removed by the next one."""
    build = built()
    with store.transaction():
        assert store.keeping.remove(build.id, clock.now(), "a test") == 1
    assert len(store_files(store)) == 1
    parts.services.keeping.sweep()
    assert store_files(store) == []
    parts.services.keeping.sweep()


def test_cut_off_while_a_file_is_taken_aside(store, parts, clock, built):
    """It is in its place again soon, and goes then if it should."""
    build = built()
    (path,) = store_files(store)
    path.rename(path.with_name(f".removing-{path.name}-0a0b"))
    store.files.remove_spool()
    assert store_files(store) != [path], "somebody may be about to remove it"
    store.files.remove_spool(young_seconds=-1)
    assert store_files(store) == [path]
    with store.transaction():
        store.keeping.remove(build.id, clock.now(), "a test")
    parts.services.keeping.sweep()
    assert store_files(store) == []


def test_content_that_comes_again_meanwhile(store, parts, clock, built):
    """A new file of it stays, because its product may be about to be written down; it goes when
    none was.
    """
    build = built()
    with store.transaction():
        store.keeping.remove(build.id, clock.now(), "a test")
    store.files.keep_product(io.BytesIO(b"content"))
    parts.services.keeping.sweep()
    (path,) = store_files(store)
    os.utime(path, (0, 0))
    parts.services.keeping.sweep()
    assert store_files(store) == []


def test_when_it_may_be_removed(services, store, parts, clock, built, later):
    """Told of what stands and may go: 14 or 90 days after the end."""
    keeping = services.keeping
    by_itself, asked_for = built(requested_by=BY_POLL), built(kind=Kind.MANUAL)
    days = [(keeping.removable_at(one) - clock.now()).days for one in (by_itself, asked_for)]
    assert days == [14, 90]
    kept = services.builds.keep(ADMIN, asked_for.id, kept=True)
    assert keeping.removable_at(kept) is None
    later(15)
    assert keeping.removable_at(by_itself) is None


LATER = timedelta(days=14)


@pytest.mark.parametrize(
    ("changes", "held", "age", "expected"),
    [
        ({}, "", -LATER, (LATER, "")),
        ({}, "", LATER, (timedelta(0), "")),
        ({}, "held", -LATER, (LATER, "held")),
        ({}, "held", LATER, (None, "held")),
        ({"kept": True}, "held", LATER, (None, "its build is kept")),
        ({"status": B.RUNNING}, "", LATER, (None, "its build has not ended")),
        ({"status": B.FAILED}, "", -LATER, (LATER, "")),
    ],
)
def test_the_outlook_of_products(built, clock, changes, held, age, expected):
    """When they go at the earliest, or why they stay."""
    build, now = replace(built(), **changes), clock.now()
    told = outlook(build, now - age, held=held, now=now)
    assert (told.removable_at and told.removable_at - now, told.why) == expected


def test_the_outlook_is_what_the_sweep_does(services, parts, built, clock, later, store):
    """Told beforehand, it stays until it is due and nothing holds it, and is gone then."""
    old, newest = built(), built()
    told = services.keeping.outlook(old)
    assert (told.removable_at - clock.now(), told.why) == (timedelta(days=90), "")
    held = services.keeping.outlook(newest).why
    assert held == "an evaluation that is kept has it"
    kept = services.builds.keep(ADMIN, newest.id, kept=True)
    assert services.keeping.outlook(kept).why == "its build is kept"
    clock.forward(days=90)
    parts.services.keeping.sweep()
    standing = [bool(store.products.list_of_build(one.id)[0].removed_at) for one in (old, newest)]
    assert standing == [True, False]
    assert services.keeping.outlook(old) == Outlook()  # nothing of it stands
