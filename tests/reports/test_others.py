"""TAP, coverage and metrics; and whatever bytes there are, in any of the forms."""

import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ciserver.model.report import CaseStatus, Counts, Metric, ReportKind
from ciserver.reports.coverage import read_coverage
from ciserver.reports.metrics import read_metrics
from ciserver.reports.read import read_report
from ciserver.reports.tap import read_tap

TAP = b"""TAP version 14
1..6
# Subtest: inner
    ok 1 - deep
    not ok 2 - deep and bad
ok 1 - inner
not ok 2 - adds \\# numbers
  ---
  message: 'off by one'
  severity: fail
  ...
# got 3
ok 3 # SKIP no network
not ok 4 - later # TODO not done
ok 5 - done # todo
ok
"""

PIECES = (
    *(b"<testsuite>", b"</testsuite>", b"<testcase>", b"</testcase>", b"<failure>x", b"</failure>"),
    *(b"ok ", b"not ok ", b"1..", b"9", b"\n", b"# ", b"  ---", b"DA:1,", b"LH:", b" ", b"x"),
    *(b"<coverage>", b"<line hits='1'/>", b"\x00", b"\xff", b"&#0;"),
)


def test_the_tests_of_tap():
    """Those at the top, with directives and what stands beneath a failure."""
    inner, adds, *rest = read_tap(TAP, "t/all.tap").tests
    assert (inner.suite, inner.name, inner.status) == ("t/all.tap", "inner", CaseStatus.PASSED)
    assert (adds.name, adds.status) == ("adds \\# numbers", CaseStatus.FAILED)
    assert adds.message == "message: 'off by one'\nseverity: fail\n got 3"
    assert [(one.name, one.status.value, one.message) for one in rest] == [
        ("", "skipped", "no network"),
        ("later", "skipped", "not done"),
        ("done", "passed", ""),
        ("", "passed", ""),
    ]
    assert read_tap(TAP, "x").notes == ()


def test_a_plan_that_was_not_kept_is_noted():
    """Whoever died half-way told of fewer tests than it planned."""
    assert read_tap(b"1..5\nok 1\n", "x").notes == ("it planned 5 tests and tells of 1",)
    assert read_tap(b"1..0 # skip all\n", "x").notes == ()
    assert read_tap(b"hello\n", "x").notes == ("there are no test results of TAP in it",)


def test_bailing_out_is_an_error():
    """With its reason, and nothing after it counts."""
    report = read_tap(b"ok 1\nBail out! no database\nok 2\n", "x")
    assert report.counts == Counts(passed=1, errored=1)
    assert report.tests[1].message == "no database"


def test_the_totals_of_cobertura():
    """From the root, or counted where it does not say; lines of methods do not count twice."""
    line = '<line number="1" hits="2"/><line number="2" hits="0"/>'
    classes = (
        f"<packages><package><classes><class><methods><method><lines>{line}</lines></method>"
        f"</methods><lines>{line}</lines></class></classes></package></packages>"
    )
    counted = read_coverage(f"<coverage>{classes}</coverage>".encode())
    assert (counted.lines_covered, counted.lines_valid) == (1, 2)
    told = read_coverage(b'\n<coverage lines-covered="75" lines-valid="100"/>')
    assert told.counts.coverage == 75


def test_the_totals_of_lcov():
    """Files add up, with totals of their own or without."""
    text = b"SF:a\nDA:1,4\nDA:2,0\nLF:10\nLH:7\nend_of_record\nSF:b\nDA:1,1\nDA:2,0\nDA:3,00\n"
    report = read_coverage(text)
    assert (report.lines_covered, report.lines_valid) == (8, 13)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (b"", "there is no line coverage in it"),
        (b"<coverage/>", "there is no line coverage in it"),
        (b"<report/>", "it is not of Cobertura: it begins with 'report'"),
        (b"LF:1\nLH:5\n", "it covers 5 of 1 lines, which cannot be"),
        (b'<!DOCTYPE coverage SYSTEM "http://x/"><coverage/>', "it has a document type"),
    ],
)
def test_what_is_no_coverage_is_a_note(text, note):
    """And counts as none at all."""
    report = read_coverage(text)
    assert note in report.notes[0]
    assert report.counts.coverage is None


def test_metrics_are_names_values_and_units():
    """The last value of a name counts; what is none is noted."""
    text = (
        b"# sizes\nsize 10 MB\n\nsize\t12 MB\nspeed 1e3\nbad\nworse nan\nx 1 2 3\nrun.time -0.5 s\n"
    )
    report = read_metrics(text)
    assert report.metrics == (
        Metric("size", 12, "MB"),
        Metric("speed", 1000),
        Metric("run.time", -0.5, "s"),
    )
    assert report.notes == tuple(f"line {n} is not `name value [unit]`" for n in (6, 7, 8))


def test_metrics_are_bounded():
    """In number, and in what is said about those that are none."""
    many = read_metrics("\n".join(f"m{n} 1" for n in range(2000)).encode())
    assert (len(many.metrics), many.notes) == (1000, ("only 1000 metrics are kept",))
    assert len(read_metrics(b"?\n" * 5000).notes) == 10


def test_a_file_that_is_too_large_is_not_read():
    """Its beginning neither."""
    report = read_report(ReportKind.TAP, "x", io.BytesIO(b"ok\n" * 4_000_000))
    assert (report.tests, report.notes) == ((), ("it is larger than 10 MB",))


def test_a_build_has_so_many_results():
    """A file that comes late is cut."""
    report = read_report(ReportKind.TAP, "x", io.BytesIO(b"ok\nok\nok\n"), most_tests=2)
    assert len(report.tests) == 2
    assert "only 2 of its results are kept" in report.notes[0]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (ReportKind.JUNIT, b"<testsuite>" + b"<testcase/>" * 900_000),
        (ReportKind.JUNIT, b'<testsuite a="' + b"&lt;" * 2_400_000 + b'"/>'),
        (ReportKind.TAP, b"ok\n" * 3_300_000),
        (ReportKind.TAP, b"not ok\n" + b"# x\n" * 2_400_000),
        (ReportKind.TAP, b"ok " + b"# " * 4_900_000),
        (ReportKind.METRICS, b"a" + b" " * 9_900_000 + b"b"),
        (ReportKind.METRICS, b"\n" * 9_900_000),
        (ReportKind.COVERAGE, b"DA:1,1\n" * 1_400_000),
        (ReportKind.COVERAGE, b"<coverage>" + b"<line/>" * 1_400_000),
    ],
)
def test_the_worst_of_ten_megabytes_is_read_in_seconds(kind, content):
    """What costs a build nothing to write costs the server little to read."""
    began = time.monotonic()
    read_report(kind, "x", io.BytesIO(content))
    assert time.monotonic() - began < 60  # what grows with the square takes hours


@given(
    kind=some.sampled_from(ReportKind),
    content=some.one_of(
        some.binary(max_size=300),
        some.lists(
            some.sampled_from(PIECES),
            max_size=40,
        ).map(b"".join),
    ),
)
def test_nothing_that_is_written_is_ever_raised(kind, content):
    """Any bytes are a report, perhaps with notes, whose texts a database takes."""
    report = read_report(kind, "x", io.BytesIO(content))
    for one in report.tests:
        f"{one.suite}{one.name}{one.message}".encode()
    " ".join(report.notes).encode()
