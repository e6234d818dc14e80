"""Results as they are read, no more of them than are kept."""

from collections.abc import Iterator
from io import BytesIO

from ciserver.model.report import MOST_TESTS, CaseResult, Report

_MOST_LINE = 4000


FULL = f"only its first {MOST_TESTS} results are read"


class Results:
    """A reader stops when they are full, so that a file of nothing but results costs no more."""

    def __init__(self) -> None:
        self._kept: list[CaseResult] = []

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def is_full(self) -> bool:
        return len(self._kept) >= MOST_TESTS

    def add(self, result: CaseResult) -> None:
        self._kept.append(result)

    def report(self, *notes: str) -> Report:
        return Report(tuple(self._kept), notes=notes)


def lines(content: bytes) -> Iterator[str]:
    """The lines of a text, one at a time; what is too long for a line is cut."""
    for line in BytesIO(content):
        yield line[:_MOST_LINE].decode("utf-8", "replace").rstrip("\r\n")
