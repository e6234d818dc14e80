"""Handing in the files in which a build says how its tests went and what it measured."""

import os
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import IO

from ciserver.executor.finding import Finder
from ciserver.executor.mask import Mask
from ciserver.model.build import Lease, Reports
from ciserver.model.ports import Reporter
from ciserver.model.report import MOST_BYTES, Counts, ReportKind

METRICS = ".metrics"
_MOST_FILES = 5000
_MOST_LINES = 20  # of the log, about files that cannot be read


class ReportFiles:
    """Whatever the build wrote, it is told in lines for the log, and is no fault of the build."""

    def __init__(self, reporter: Reporter, lease: Lease, mask: Mask, home: Path) -> None:
        self._reporter = reporter
        self._lease = lease
        self._mask = mask
        self._home = home
        self._left = _MOST_FILES

    def hand_in(self, wanted: Reports, goes_on: Callable[[], bool]) -> Iterator[str]:
        """Hand in what the globs name, and the metrics; gives the lines to say. It stops before
        the next file when the build does not go on. Raises what the reporter raises.
        """
        for kind, globs in (
            (ReportKind.JUNIT, wanted.junit),
            (ReportKind.TAP, wanted.tap),
            (ReportKind.COVERAGE, wanted.coverage),
        ):
            if globs:
                yield from self._of_kind(kind, globs, goes_on)
        yield from self._of_kind(ReportKind.METRICS, (METRICS,), goes_on)

    def hand_in_metrics(self, path: str, content: IO[bytes]) -> Iterator[str]:
        """Hand in a file of metrics that lies elsewhere; gives the lines to say."""
        counts, notes = self._one(ReportKind.METRICS, path, content)
        yield from (f"reports: {path}: {note}" for note in notes[:_MOST_LINES])
        yield f"reports: {path}: {_summary(ReportKind.METRICS, counts)}"

    def _of_kind(
        self, kind: ReportKind, globs: tuple[str, ...], goes_on: Callable[[], bool]
    ) -> Iterator[str]:
        finder = Finder(self._home, globs)
        total, files, faults = Counts(), 0, 0
        for path, content in finder.files():
            if not goes_on():
                return
            if files == self._left:
                yield f"reports: {kind}: only {_MOST_FILES} files of a build are read"
                break
            files += 1
            counts, notes = self._one(kind, path, content)
            total += counts
            for note in notes:
                faults += 1
                if faults <= _MOST_LINES:
                    yield f"reports: {path}: {note}"
        self._left -= files
        if finder.is_exhausted:
            yield f"reports: {kind}: there are too many files to look at them all"
        if files:
            yield f"reports: {kind}: {_files(files)}, {_summary(kind, total)}"
        elif kind is not ReportKind.METRICS:
            yield f"reports: {kind}: no file is named by {', '.join(globs)}"

    def _one(
        self, kind: ReportKind, path: str, content: IO[bytes]
    ) -> tuple[Counts, tuple[str, ...]]:
        if os.fstat(content.fileno()).st_size > MOST_BYTES:
            return Counts(), (f"it is larger than {MOST_BYTES // 1_000_000} MB",)
        masked = self._mask.feed(content.read(MOST_BYTES)) + self._mask.close()
        path = self._mask.text(path)
        return self._reporter.add_report(self._lease, kind, path, BytesIO(masked))


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _summary(kind: ReportKind, counts: Counts) -> str:
    if kind is ReportKind.METRICS:
        return f"{counts.metrics} metrics"
    if kind is ReportKind.COVERAGE:
        percent = counts.coverage
        if percent is None:
            return "no coverage"
        return f"{percent:.1f} % of {counts.lines_valid} lines"
    skipped = f", {counts.skipped} skipped" if counts.skipped else ""
    return f"{counts.tests} tests, {counts.bad} failed{skipped}"
