"""What files of a build tell beside its status: tests, coverage, measured numbers."""

from dataclasses import fields
from enum import StrEnum

from ciserver.model.frozen import frozen

MOST_MESSAGE = 2000  # characters of one failure
MOST_TESTS = 100_000  # of one build
MOST_BYTES = 10_000_000  # of one file


class ReportKind(StrEnum):
    JUNIT = "junit"
    TAP = "tap"
    COVERAGE = "coverage"
    METRICS = "metrics"


class CaseStatus(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"
    SKIPPED = "skipped"


@frozen
class CaseResult:
    suite: str
    name: str
    status: CaseStatus
    seconds: float = 0.0
    message: str = ""


@frozen
class Metric:
    name: str
    value: float
    unit: str = ""


@frozen
class Counts:
    """How much of each there is, in a file or in several together."""

    passed: int = 0
    failed: int = 0
    errored: int = 0
    skipped: int = 0
    lines_covered: int = 0
    lines_valid: int = 0
    metrics: int = 0

    @property
    def tests(self) -> int:
        return self.passed + self.failed + self.errored + self.skipped

    @property
    def bad(self) -> int:
        return self.failed + self.errored

    @property
    def coverage(self) -> float | None:
        """Percent of the lines; None when no coverage was measured."""
        return 100 * self.lines_covered / self.lines_valid if self.lines_valid else None

    def __add__(self, other: "Counts") -> "Counts":
        names = [one.name for one in fields(self)]
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in names})


@frozen
class Report:
    """What one file tells. `notes` say what is wrong with it; what could be read counts."""

    tests: tuple[CaseResult, ...] = ()
    metrics: tuple[Metric, ...] = ()
    lines_covered: int = 0
    lines_valid: int = 0
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> Counts:
        of = [one.status for one in self.tests]
        return Counts(
            passed=of.count(CaseStatus.PASSED),
            failed=of.count(CaseStatus.FAILED),
            errored=of.count(CaseStatus.ERRORED),
            skipped=of.count(CaseStatus.SKIPPED),
            lines_covered=self.lines_covered,
            lines_valid=self.lines_valid,
            metrics=len(self.metrics),
        )


@frozen
class ReportNote:
    """A fault of a file, for people."""

    path: str
    text: str
