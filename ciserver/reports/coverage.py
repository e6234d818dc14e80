"""How many lines the tests covered: Cobertura's XML, and lcov's records."""

import re
from collections import Counter
from itertools import chain

from ciserver.model.report import Report
from ciserver.reports.results import lines
from ciserver.reports.xml_events import BadXml, parse

_COUNT = re.compile(r"\d{1,12}")
_LINE = re.compile(r"DA:\d+,(\d+)")
_TOTAL = re.compile(r"(LF|LH):(\d{1,12})\b")


def read_coverage(content: bytes) -> Report:
    """The totals of a file. What begins as XML is Cobertura's, everything else lcov's."""
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return _read_cobertura(content)
    return _read_lcov(content)


def _report(covered: int, valid: int) -> Report:
    if not valid:
        return Report(notes=("there is no line coverage in it",))
    if covered > valid:
        return Report(notes=(f"it covers {covered} of {valid} lines, which cannot be",))
    return Report(lines_covered=covered, lines_valid=valid)


class _Cobertura:
    """The totals of the root where it has them; else the lines of classes, counted."""

    def __init__(self) -> None:
        self.total: tuple[int, int] | None = None
        self.covered = self.valid = 0
        self._path: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._path:
            if name != "coverage":
                raise BadXml(f"it is not of Cobertura: it begins with {name[:100]!r}")
            covered, valid = attributes.get("lines-covered", ""), attributes.get("lines-valid", "")
            if _COUNT.fullmatch(covered) and _COUNT.fullmatch(valid):
                self.total = int(covered), int(valid)
        # The lines of a class are told again beneath its methods.
        elif name == "line" and self._path[-2:] == ["class", "lines"]:
            self.valid += 1
            self.covered += attributes.get("hits", "0").strip("0") != ""
        self._path.append(name)

    def end(self, _name: str) -> None:
        self._path.pop()


def _read_cobertura(content: bytes) -> Report:
    reader = _Cobertura()
    try:
        parse(content, start=reader.start, end=reader.end)
    except BadXml as error:
        return Report(notes=(str(error),))
    return _report(*(reader.total or (reader.covered, reader.valid)))


def _read_lcov(content: bytes) -> Report:
    """A file's own totals where it has them; else its lines, counted."""
    covered = valid = 0
    totals: Counter[str] = Counter()
    for line in chain(lines(content), ("end_of_record",)):
        if line.startswith("end_of_record"):
            valid += totals["LF"] if "LF" in totals else totals["lines"]
            covered += totals["LH"] if "LH" in totals else totals["hit"]
            totals.clear()
        elif hits := _LINE.match(line):
            totals["lines"] += 1
            totals["hit"] += hits[1].strip("0") != ""
        elif total := _TOTAL.match(line):
            totals[total[1]] = int(total[2])
    return _report(covered, valid)
