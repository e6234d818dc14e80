"""What the files of a build told is kept with the attempt, and shown."""

import io

import pytest

from ciserver.model.build import BuildResult, Offer
from ciserver.model.errors import LeaseLost
from ciserver.model.report import Counts, Metric, ReportKind, ReportNote
from ciserver.model.status import BuildStatus

SUITE = b"""<testsuite name="s"><testcase name="a" time="0.5"/>
<testcase name="b"><failure message="one is not two"/></testcase>
<testcase name="c"><error message="no database"/></testcase></testsuite>"""


def add(make, lease, kind, path, content):
    return make.reporter.add_report(lease, ReportKind(kind), path, io.BytesIO(content))


@pytest.fixture
def lease(make):
    return make.leases[make.build(BuildStatus.RUNNING).id]


def test_everything_that_was_told_is_in_the_view_of_the_build(make, lease, services, admin):
    """Counts over all files, the bad tests by name, metrics and what could not be read."""
    counts, notes = add(make, lease, "junit", "a.xml", SUITE)
    assert (counts, notes) == (Counts(passed=1, failed=1, errored=1), ())
    add(make, lease, "tap", "b.tap", b"1..2\nok 1\n")
    add(make, lease, "coverage", "c.info", b"LF:4\nLH:3\nend_of_record\n")
    add(make, lease, "metrics", ".metrics", b"size 12 kB\n")
    told = services.queries.build(admin, lease.build_id).told
    assert told.counts == Counts(passed=2, failed=1, errored=1, lines_covered=3, lines_valid=4)
    assert [(one.name, one.status.value, one.message) for one in told.bad] == [
        ("b", "failed", "one is not two"),
        ("c", "errored", "no database"),
    ]
    assert told.metrics == (Metric("size", 12, "kB"),)
    assert told.notes == (ReportNote("b.tap", "it planned 2 tests and tells of 1"),)


def test_the_same_file_again_replaces_what_it_told(make, lease, services, admin):
    """A worker that was not answered tells it twice."""
    for _ in range(2):
        add(make, lease, "junit", "a.xml", SUITE)
        add(make, lease, "metrics", ".metrics", b"size 12 kB\n")
    told = services.queries.build(admin, lease.build_id).told
    assert (told.counts.tests, len(told.bad), len(told.metrics)) == (3, 2, 1)


def test_a_new_attempt_begins_without_reports(make, lease, services, admin):
    """What an earlier one told is no more shown."""
    add(make, lease, "junit", "a.xml", SUITE)
    make.reporter.finish(lease, BuildResult(BuildStatus.FAILED), ())
    build = services.builds.rerun(admin, lease.build_id)
    assert make.claim(Offer("local-0", (build.system,), (build.image,))).lease.attempt == 2
    assert services.queries.build(admin, lease.build_id).told.counts == Counts()


def test_without_the_lease_nothing_is_kept(make, lease, services, admin, clock):
    """A worker that lost its build tells nothing of it any more."""
    services.builds.cancel(admin, lease.build_id)
    clock.forward(hours=1)
    services.builds.rescue_lost()
    with pytest.raises(LeaseLost):
        add(make, lease, "junit", "a.xml", SUITE)
    assert services.queries.build(admin, lease.build_id).told.counts == Counts()


def test_a_build_has_so_many_tests(make, lease, services, admin):
    """Over all its files together; what is left out is noted."""
    add(make, lease, "tap", "a.tap", b"ok\n" * 99_999)
    counts, notes = add(make, lease, "tap", "b.tap", b"ok\nok\nok\n")
    assert counts.tests == 1
    assert "only 1 of its results are kept" in notes[0]
