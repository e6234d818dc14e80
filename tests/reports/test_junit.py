"""Results of tests as many tools write them."""

import pytest

from ciserver.model.report import CaseResult, CaseStatus, Counts
from ciserver.reports.junit import read_junit

PYTEST = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1"
 tests="4" time="0.31"><testcase classname="tests.test_a" name="test_good" time="0.001" />
<testcase classname="tests.test_a" name="test_bad" time="1,200.5"><failure
 message="assert 1 == 2">assert 1 == 2
 +  where 1 = f()</failure></testcase>
<testcase classname="tests.test_a" name="test_left_out" time="0"><skipped type="pytest.skip"
 message="not here">test_a.py:3: not here</skipped></testcase>
<testcase classname="tests.test_a" name="test_broken" time="0.1"><error
 message="failed on setup">Traceback &lt;x&gt;</error><system-out>noise</system-out></testcase>
</testsuite></testsuites>"""


def test_the_cases_of_pytest():
    """Name, suite, status, time and message of each; a message that is told twice is kept once."""
    good, bad, skipped, broken = read_junit(PYTEST).tests
    assert good == CaseResult("tests.test_a", "test_good", CaseStatus.PASSED, 0.001)
    assert bad == CaseResult(
        "tests.test_a", "test_bad", CaseStatus.FAILED, 1200.5, "assert 1 == 2\n +  where 1 = f()"
    )
    assert (skipped.status, skipped.message) == (
        CaseStatus.SKIPPED,
        "not here\ntest_a.py:3: not here",
    )
    assert (broken.status, broken.message) == (
        CaseStatus.ERRORED,
        "failed on setup\nTraceback <x>",
    )
    assert read_junit(PYTEST).counts == Counts(passed=1, failed=1, errored=1, skipped=1)


def test_nested_suites_name_cases_without_a_class():
    """The nearest suite that has a name; namespaces do not matter."""
    text = (
        b'<j:testsuite xmlns:j="urn:x" name="all"><j:testsuite name="inner"><j:testsuite>'
        b'<j:testcase name="a"/></j:testsuite></j:testsuite><j:testcase name="b"/></j:testsuite>'
    )
    assert [(one.suite, one.name) for one in read_junit(text).tests] == [
        ("inner", "a"),
        ("all", "b"),
    ]


def test_the_gravest_of_several_outcomes_counts():
    """And a rerun that failed before the test passed does not."""
    text = (
        b'<testsuite><testcase name="a"><skipped/><failure message="f"/><error message="e"/>'
        b'</testcase><testcase name="b"><rerunFailure message="x">y</rerunFailure></testcase>'
        b"</testsuite>"
    )
    first, second = read_junit(text).tests
    assert (first.status, first.message, second.status, second.message) == (
        *(CaseStatus.ERRORED, "e"),
        *(CaseStatus.PASSED, ""),
    )


@pytest.mark.parametrize("time", ["", "soon", "nan", "inf", "-1", "1e999", "9" * 5000])
def test_odd_times_are_none(time):
    """A time that is no time is nothing to stumble over."""
    text = f'<testsuite><testcase name="a" time="{time}"/></testsuite>'.encode()
    assert read_junit(text).tests[0].seconds == (0.0 if len(time) < 50 else float("9" * 50))


def test_messages_are_cut():
    """A failure may say two thousand characters, in the attribute and in the text."""
    long = "x" * 50_000
    text = f'<testsuite><testcase><failure message="{long}">{long}</failure></testcase></testsuite>'
    assert len(read_junit(text.encode()).tests[0].message) == 2000


def test_what_is_cut_off_is_kept_as_far_as_it_goes():
    """A tool that was killed while it wrote has told of some tests."""
    report = read_junit(PYTEST[: PYTEST.index(b"test_left_out")])
    assert report.counts == Counts(passed=1, failed=1)
    assert "it is not XML" in report.notes[0]


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (b"", "it is not XML: no element found"),
        (b"\x00\xff\xfe", "it is not XML"),
        (b"<html/>", "it is not of JUnit: it begins with 'html'"),
        (b"<testsuite>" + b"<a>" * 200, "elements are nested more than 100 deep"),
        (b"<!DOCTYPE x><testsuite/>", "it has a document type, which is not taken"),
        (
            b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><testsuite name="&b;"/>',
            "it has a document type, which is not taken",
        ),
        (
            b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuite>&a;</testsuite>',
            "it has a document type, which is not taken",
        ),
        (b'<?xml version="1.0" encoding="no-such"?><testsuite/>', "it is not XML"),
        (b'<?xml version="1.0" encoding="idna"?><testsuite/>', "it is not XML"),
        (b"<testsuite>&boom;</testsuite>", "it is not XML"),
    ],
)
def test_what_is_no_report_is_a_note(text, note):
    """Nothing is expanded, opened or raised."""
    report = read_junit(text)
    assert report.tests == ()
    assert note in report.notes[0]


def test_no_more_results_are_kept_than_a_build_may_have():
    """A file of nothing but results is not read to its end."""
    report = read_junit(b"<testsuite>" + b"<testcase/>" * 100_005 + b"</testsuite>")
    assert len(report.tests) == 100_000
    assert report.notes == ("only its first 100000 results are read",)
