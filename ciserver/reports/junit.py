"""Results of tests in JUnit's XML. There is no schema that all agree on, so little is demanded."""

import math

from ciserver.model.report import MOST_MESSAGE, CaseResult, CaseStatus, Report
from ciserver.reports.results import FULL, Results
from ciserver.reports.xml_events import BadXml, parse

_ROOTS = {"testsuites", "testsuite"}
_OUTCOMES = {
    "error": CaseStatus.ERRORED,
    "failure": CaseStatus.FAILED,
    "skipped": CaseStatus.SKIPPED,
}
_GRAVITY = (CaseStatus.PASSED, CaseStatus.SKIPPED, CaseStatus.FAILED, CaseStatus.ERRORED)
_MOST_NAME = 500


def read_junit(content: bytes) -> Report:
    """The test cases of a file, whatever the nesting of its suites."""
    reader = _Reader()
    try:
        parse(content, start=reader.start, end=reader.end, text=reader.text)
    except BadXml as error:
        return reader.results.report(str(error))
    return reader.results.report()


class _Reader:
    def __init__(self) -> None:
        self.results = Results()
        self._is_inside = False
        self._suites: list[str] = []
        self._case: dict[str, str] | None = None
        self._status = CaseStatus.PASSED
        self._message = ""
        self._outcome = ""  # the element whose text is being read

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._is_inside and name not in _ROOTS:
            raise BadXml(f"it is not of JUnit: it begins with {name[:100]!r}")
        self._is_inside = True
        if name in _ROOTS:
            self._suites.append(attributes.get("name", ""))
        elif name == "testcase":
            if self.results.is_full:
                raise BadXml(FULL)
            self._case, self._status, self._message = attributes, CaseStatus.PASSED, ""
        elif self._case is not None and name in _OUTCOMES:
            self._take_outcome(name, attributes.get("message", ""))

    def _take_outcome(self, name: str, message: str) -> None:
        """The gravest of several is the one that is told."""
        status = _OUTCOMES[name]
        if _GRAVITY.index(status) > _GRAVITY.index(self._status):
            self._status, self._outcome = status, name
            self._message = f"{message[:MOST_MESSAGE]}\n" if message else ""

    def text(self, text: str) -> None:
        if self._outcome and len(self._message) < 2 * MOST_MESSAGE:
            self._message += text[: 2 * MOST_MESSAGE]

    def end(self, name: str) -> None:
        if name == self._outcome:
            self._outcome = ""
        elif name in _ROOTS:
            self._suites.pop()
        elif name == "testcase" and self._case is not None:
            self.results.add(self._result(self._case))
            self._case = None

    def _result(self, case: dict[str, str]) -> CaseResult:
        suite = case.get("classname") or next(filter(None, reversed(self._suites)), "")
        return CaseResult(
            suite=suite[:_MOST_NAME],
            name=case.get("name", "")[:_MOST_NAME],
            status=self._status,
            seconds=_seconds(case.get("time", "")),
            message=_without_repetition(self._message)[:MOST_MESSAGE],
        )


def _seconds(text: str) -> float:
    """Some write a comma between the thousands; what is no number is none."""
    try:
        seconds = float(text[:50].replace(",", ""))
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds >= 0 else 0.0


def _without_repetition(message: str) -> str:
    """Many tools write the message as an attribute and begin the text with it again."""
    first, _, rest = message.strip().partition("\n")
    return rest.strip() if first and rest.lstrip().startswith(first) else message.strip()
