"""Who reads and changes what builds of a project keep for each other, and how much that may be."""

import io
import os
import threading
from dataclasses import replace

import pytest
from support.factories import make_job

from ciserver.model.build import Offer
from ciserver.model.errors import Forbidden, LeaseLost
from ciserver.model.evaluation import Kind
from ciserver.model.push import Trust
from ciserver.service.caches import Caches
from ciserver.store.caches import Kept

MIB = 1024 * 1024


@pytest.fixture
def begin(make):
    """Claims a build made like this; gives its work."""
    numbers = iter(range(1000))

    def claim(jobset, **evaluation):
        image = f"image-{next(numbers)}"
        job = make_job(image=image)
        make.evaluated(jobset, job, **evaluation)
        return make.claim(Offer("local-0", (job.system,), (image,)))

    return claim


def save(reporter, work, content, key="deps"):
    reporter.save_cache(work.lease, key, io.BytesIO(content))


def read(reporter, work, key="deps"):
    content = reporter.open_cache(work.lease, key)
    if content is None:
        return None
    with content:
        return content.read()


def test_the_newest_is_found_by_builds_of_the_project(make, begin, reporter):
    """By all its jobsets, under its key, and by no other project."""
    jobset = make.jobset("one")
    work = begin(jobset)
    assert read(reporter, work) is None
    save(reporter, work, b"first")
    save(reporter, work, b"second")
    assert read(reporter, begin(make.jobset("one", "other"))) == b"second"
    assert read(reporter, begin(jobset), key="else") is None
    assert read(reporter, begin(make.jobset("two"))) is None


@pytest.mark.parametrize(
    ("evaluation", "may"),
    [
        ({"kind": Kind.PUSH}, True),
        ({"kind": Kind.NIGHTLY}, True),
        ({"kind": Kind.PGO}, True),
        ({"kind": Kind.PERIODIC}, True),
        ({"kind": Kind.PUSH, "trust": Trust.UNTRUSTED}, False),
        ({"kind": Kind.PULL_REQUEST}, False),
        ({"kind": Kind.PUSH, "ref": "refs/pull/1/head"}, False),
        ({"kind": Kind.TAG, "ref": "refs/tags/v1"}, False),
        ({"kind": Kind.MANUAL}, False),
    ],
)
def test_only_trusted_builds_of_branches_save(make, begin, reporter, evaluation, may):
    """The others read what these saved; one that tries is refused and changes nothing."""
    jobset = make.jobset("one")
    save(reporter, begin(jobset), b"kept")
    work = begin(jobset, **evaluation)
    assert bool(work.cache_bytes) is may
    assert read(reporter, work) == b"kept"
    if not may:
        with pytest.raises(Forbidden):
            save(reporter, work, b"poisoned")
        assert read(reporter, work) == b"kept"


def test_without_the_lease_nothing_is_read_or_saved(make, begin, reporter, clock, services):
    """A worker that lost its build has no say in its project any more."""
    work = begin(make.jobset("one"))
    lost = replace(work.lease, token="another")
    with pytest.raises(LeaseLost):
        reporter.open_cache(lost, "deps")
    with pytest.raises(LeaseLost):
        reporter.save_cache(lost, "deps", io.BytesIO(b"x"))
    assert files_of(make) == []


def files_of(make):
    return sorted((make.store.dumps.parent / "caches").iterdir())


def test_what_was_used_longest_ago_goes_first(make, begin, clock):
    """When a project keeps more than it may; its files go with it."""
    caches = Caches(make.store, clock, quota=2 * MIB)
    lease = begin(make.jobset("one")).lease
    for key in ("a", "b"):
        caches.save(lease, key, io.BytesIO(bytes(MIB)))
        clock.forward(seconds=1)
    caches.open(lease, "a").close()
    clock.forward(seconds=1)
    caches.save(lease, "c", io.BytesIO(bytes(MIB)))
    there = [key for key in "abc" if (found := caches.open(lease, key)) and not found.close()]
    assert there == ["a", "c"]
    assert len(files_of(make)) == 2


def test_what_is_larger_than_the_quota_is_refused(make, begin, clock):
    """And what is there stays."""
    caches = Caches(make.store, clock, quota=MIB)
    lease = begin(make.jobset("one")).lease
    caches.save(lease, "a", io.BytesIO(b"kept"))
    with pytest.raises(Forbidden):
        caches.save(lease, "a", io.BytesIO(bytes(MIB + 1)))
    with caches.open(lease, "a") as content:
        assert content.read() == b"kept"
    assert len(files_of(make)) == 1


def test_saves_at_the_same_time_leave_one_of_them(make, begin, reporter):
    """Whole, and no file that nobody knows of; a reader of the old one reads it to its end."""
    work = begin(make.jobset("one"))
    save(reporter, work, b"old")
    reading = reporter.open_cache(work.lease, "deps")
    texts = [bytes([48 + number]) * 300_000 for number in range(8)]
    savers = [threading.Thread(target=save, args=(reporter, work, text)) for text in texts]
    for one in savers:
        one.start()
    for one in savers:
        one.join()
    with reading:
        assert reading.read() == b"old"
    assert read(reporter, work) in texts
    assert len(files_of(make)) == 1


def test_a_server_that_was_killed_leaves_nothing(make, begin, reporter, parts):
    """Files without a row go at the start; a row without its file is nothing."""
    work = begin(make.jobset("one"))
    save(reporter, work, b"kept")
    (kept,) = files_of(make)
    half, young = (kept.parent / name for name in ("half", "young"))
    for one in (half, young):
        one.write_bytes(b"x")
    os.utime(half, (0, 0))
    parts.caches.sweep()
    assert files_of(make) == sorted([kept, young])
    young.unlink()
    kept.unlink()
    assert read(reporter, work) is None


# -- removed projects -----------------------------------------------------------------------------


def keys_of(store, project_id):
    """What a project keeps."""
    return store.database.sql(
        "SELECT count(*) FROM caches WHERE project_id = ?", (project_id,)
    ).fetchone()[0]


def test_what_a_removed_project_kept_goes(make, begin, reporter, parts, services, admin):
    """Rows and files, and nothing of any other; once more changes nothing. A project that has the
    name after it begins anew.
    """
    gone, stays = make.jobset("gone"), make.jobset("stays")
    save(reporter, begin(gone), b"gone")
    save(reporter, begin(gone), b"gone, too", key="more")
    save(reporter, begin(stays), b"stays")
    parts.caches.sweep_removed()
    assert len(files_of(make)) == 3
    services.projects.remove_project(admin, "gone")
    for _ in range(2):
        parts.caches.sweep_removed()
        assert (len(files_of(make)), keys_of(make.store, gone.project_id)) == (1, 0)
        assert make.store.caches.size_of_project(gone.project_id) == 0
    assert read(reporter, begin(stays)) == b"stays"
    assert read(reporter, begin(make.jobset("gone"))) is None


def test_many_are_swept_in_pieces(make, begin, clock, parts, services, admin, store):
    """No transaction is long, and none is left."""
    jobset = make.jobset("gone")
    with store.transaction():
        for number in range(1200):
            kept = Kept(f"{number:032x}", "0" * 64, 1)
            store.caches.put(jobset.project_id, Trust.TRUSTED, f"k{number}", kept, clock.now())
    services.projects.remove_project(admin, "gone")
    assert len(store.caches.files()) == 1200
    parts.caches.sweep_removed()
    assert store.caches.files() == set()


def test_a_sweep_that_was_cut_off_is_made_up_for(make, begin, reporter, parts, services, admin):
    """Rows go before files, so a file may be left: nobody's, until the next start."""
    jobset = make.jobset("gone")
    save(reporter, begin(jobset), b"gone")
    services.projects.remove_project(admin, "gone")
    with make.store.transaction():
        assert len(make.store.caches.drop_removed(10)) == 1
    parts.caches.sweep_removed()
    (left,) = files_of(make)
    os.utime(left, (0, 0))
    parts.caches.sweep()
    assert files_of(make) == []
