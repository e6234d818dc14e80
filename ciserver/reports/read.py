"""Any file that a build reports in, read."""

from collections.abc import Callable
from dataclasses import replace
from typing import IO

from ciserver.model.report import MOST_BYTES, MOST_TESTS, Report, ReportKind
from ciserver.reports.coverage import read_coverage
from ciserver.reports.junit import read_junit
from ciserver.reports.metrics import read_metrics
from ciserver.reports.tap import read_tap

_READERS: dict[ReportKind, Callable[[bytes], Report]] = {
    ReportKind.JUNIT: read_junit,
    ReportKind.COVERAGE: read_coverage,
    ReportKind.METRICS: read_metrics,
}


def read_report(
    kind: ReportKind, path: str, content: IO[bytes], *, most_tests: int = MOST_TESTS
) -> Report:
    """What a file tells. It was written by a build, so it may be anything: whatever is wrong with
    it is in the notes, and nothing is raised for it.
    """
    text = content.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        return Report(notes=(f"it is larger than {MOST_BYTES // 1_000_000} MB",))
    report = read_tap(text, path) if kind is ReportKind.TAP else _READERS[kind](text)
    if len(report.tests) <= most_tests:
        return report
    note = f"only {most_tests} of its results are kept: a build has at most {MOST_TESTS}"
    return replace(report, tests=report.tests[:most_tests], notes=(*report.notes, note))
