"""What files of builds told: tests, coverage, metrics."""

from collections.abc import Iterable
from typing import Any

from ciserver.model.build import Build
from ciserver.model.report import (
    CaseResult,
    CaseStatus,
    Counts,
    Metric,
    Report,
    ReportKind,
    ReportNote,
)
from ciserver.store import tables as t
from ciserver.store.database import Database

_ROWS = 500
_BAD = (CaseStatus.FAILED.value, CaseStatus.ERRORED.value)


class Reports:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, build_id: int, attempt: int, kind: ReportKind, path: str, report: Report) -> None:
        """Keep what a file told; the same file again replaces it."""
        self._remove(build_id, attempt, kind, path)
        counts = report.counts
        report_id = self._db.insert(
            t.Report.insert(
                build=build_id,
                attempt=attempt,
                kind=kind.value,
                path=path,
                notes="\n".join(report.notes),
                passed=counts.passed,
                failed=counts.failed,
                errored=counts.errored,
                skipped=counts.skipped,
                lines_covered=counts.lines_covered,
                lines_valid=counts.lines_valid,
            )
        )
        self._add_rows(
            t.CaseResult,
            (
                {
                    "report": report_id,
                    "number": number,
                    "suite": one.suite,
                    "name": one.name,
                    "status": one.status.value,
                    "seconds": one.seconds,
                    "message": one.message,
                }
                for number, one in enumerate(report.tests)
            ),
        )
        self._add_rows(
            t.Metric,
            (
                {"report": report_id, "name": one.name, "value": one.value, "unit": one.unit}
                for one in report.metrics
            ),
        )

    def count_tests(self, build_id: int, attempt: int) -> int:
        """How many results of an attempt are kept."""
        counts, _ = self.summary(build_id, attempt)
        return counts.tests

    def summary(self, build_id: int, attempt: int) -> tuple[Counts, tuple[ReportNote, ...]]:
        """What all files of an attempt tell together, and what is wrong with them."""
        rows = self._db.usual(_files, build_id, attempt)
        told = [(row.pop("path"), row.pop("notes").splitlines()) for row in rows]
        notes = tuple(ReportNote(path, text) for path, texts in told for text in texts)
        return sum((Counts(**row) for row in rows), Counts()), notes

    def list_bad(self, build_id: int, attempt: int, limit: int) -> tuple[CaseResult, ...]:
        """The tests that failed or could not be run, as the files have them."""
        rows = self._db.usual(_bad, build_id, attempt, limit)
        return tuple(
            CaseResult(
                row["suite"],
                row["name"],
                CaseStatus(row["status"]),
                row["seconds"],
                row["message"],
            )
            for row in rows
        )

    def list_metrics(self, build_id: int, attempt: int) -> tuple[Metric, ...]:
        rows = self._db.usual(_metrics, build_id, attempt)
        return tuple(Metric(row["name"], row["value"], row["unit"]) for row in rows)

    def metrics_of(self, builds: Iterable[Build]) -> dict[int, tuple[Metric, ...]]:
        """What the newest attempt of each build measured, of those that did."""
        newest = {one.id: one.attempt for one in builds}
        columns = (t.Metric.name, t.Metric.value, t.Metric.unit, t.Report.build, t.Report.attempt)
        query = t.Metric.select(*columns).join(t.Report).where(t.Report.build << list(newest))
        found: dict[int, list[Metric]] = {}
        for row in self._db.rows(query.order_by(t.Metric.name)):
            if row["attempt"] == newest[row["build"]]:
                one = Metric(row["name"], row["value"], row["unit"])
                found.setdefault(row["build"], []).append(one)
        return {build_id: tuple(metrics) for build_id, metrics in found.items()}

    def _remove(self, build_id: int, attempt: int, kind: ReportKind, path: str) -> None:
        row = self._db.row(
            t.Report.select(t.Report.id).where(
                _of(build_id, attempt), t.Report.kind == kind.value, t.Report.path == path
            )
        )
        if row is None:
            return
        for table in (t.CaseResult, t.Metric):
            self._db.change(table.delete().where(table.report == row["id"]))
        self._db.change(t.Report.delete().where(t.Report.id == row["id"]))

    def _add_rows(self, table: Any, rows: Iterable[dict[str, Any]]) -> None:
        waiting = list(rows)
        for at in range(0, len(waiting), _ROWS):
            self._db.insert(table.insert_many(waiting[at : at + _ROWS]).as_rowcount())


def _of(build_id: int, attempt: int) -> Any:
    return (t.Report.build == build_id) & (t.Report.attempt == attempt)


def _files(build_id: int, attempt: int) -> Any:
    mine = t.Report
    tests = mine.passed, mine.failed, mine.errored, mine.skipped
    query = mine.select(mine.path, mine.notes, *tests, mine.lines_covered, mine.lines_valid)
    return query.where(_of(build_id, attempt)).order_by(mine.id)


def _bad(build_id: int, attempt: int, limit: int) -> Any:
    mine = t.CaseResult
    query = mine.select(mine).join(t.Report).where(_of(build_id, attempt), mine.status << _BAD)
    return query.order_by(mine.report, mine.number).limit(limit)


def _metrics(build_id: int, attempt: int) -> Any:
    mine = t.Metric
    return mine.select(mine).join(t.Report).where(_of(build_id, attempt)).order_by(mine.name)
