"""What a build's files told, on its page and in the API."""

import io

import pytest

from ciserver.model.report import ReportKind

SUITE = b"""<testsuite name="s&lt;b&gt;"><testcase name="good"/>
<testcase name="&lt;script&gt;alert(1)&lt;/script&gt;"><failure message="one &amp; two"/></testcase>
</testsuite>"""


@pytest.fixture
def build_id(works):
    lease = works.running()
    for kind, path, content in (
        ("junit", "a.xml", SUITE),
        ("coverage", "c.info", b"LF:3\nLH:2\nend_of_record\n"),
        ("metrics", ".metrics", b"size 1234567 bytes\n"),
        ("tap", "<b>.tap", b"nothing\n"),
    ):
        works.parts.reporter.add_report(lease, ReportKind(kind), path, io.BytesIO(content))
    works.finish(lease)
    return lease.build_id


def test_the_page_shows_what_was_told(person, build_id):
    """Counts, the failed tests with their messages, coverage, metrics and notes; as text only."""
    page = person.page(f"/build/{build_id}")
    text = " ".join(page.text.split())
    assert "Tests 2 tests, 1 failed" in text
    assert "failed <script>alert(1)</script> s<b> one & two" in text
    assert "66.7 % of the lines: 2 of 3" in text
    assert "size1234567bytes" in text
    assert "<b>.tap: there are no test results of TAP in it" in text
    assert not [one for one in page.all("script") if "src" not in one]


def test_a_build_that_told_nothing_has_none_of_it(person, works):
    """No empty headings."""
    text = person.page(f"/build/{works.finished().build_id}").text
    assert "Coverage" not in text
    assert "Metrics" not in text


def test_the_api_tells_it_too(script, build_id):
    """As numbers."""
    told = script.get(f"/ci/v1/builds/{build_id}").json
    assert told["tests"] == {
        "total": 2,
        "passed": 1,
        "failed": 1,
        "errored": 0,
        "skipped": 0,
        "bad": [
            {
                "suite": "s<b>",
                "name": "<script>alert(1)</script>",
                "status": "failed",
                "seconds": 0.0,
                "message": "one & two",
            }
        ],
    }
    assert told["coverage"] == {"lines_covered": 2, "lines_valid": 3, "percent": 66.67}
    assert told["metrics"] == [{"name": "size", "value": 1234567.0, "unit": "bytes"}]
    assert told["report_notes"] == [
        {"path": "<b>.tap", "text": "there are no test results of TAP in it"}
    ]
