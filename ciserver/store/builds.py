"""Builds to be read: single ones, lists, and what belongs to them."""

from collections.abc import Mapping
from typing import Any

import peewee

from ciserver.model.build import Attempt, Build, Product, Step
from ciserver.model.errors import NotFound
from ciserver.model.evaluation import Kind
from ciserver.model.status import ACTIVE, BuildStatus, Reason, StepStatus
from ciserver.model.view import BuildPage
from ciserver.store import tables as t
from ciserver.store.database import Database

_FINAL = [status.value for status in BuildStatus if status.is_final]
_ACTIVE = [status.value for status in ACTIVE]
_WAITING = [status.value for status in BuildStatus if status.is_waiting]


class Builds:
    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, build_id: int) -> Build:
        row = self._db.row(_select().where(t.Build.id == build_id))
        if row is None:
            raise NotFound(f"there is no build {build_id}", hint="see: ciserver list")
        return _build(row)

    def lost_attempts(self, build_id: int) -> int:
        return int(
            self._db.scalar(t.Build.select(t.Build.lost_attempts).where(t.Build.id == build_id))
        )

    def job_text(self, build_id: int) -> str:
        """The job of a build, as stored."""
        return str(
            self._db.scalar(
                t.JobText.select(t.JobText.text)
                .join(t.Build, on=t.Build.job_text == t.JobText.sha256)
                .where(t.Build.id == build_id)
            )
        )

    def previous_status(self, build: Build) -> str:
        """The status of the last finished build before this one, of the same job, system and ref;
        empty when there is none.
        """
        return (
            self._db.scalar(
                t.Build.select(t.Build.status)
                .where(
                    t.Build.jobset == build.jobset_id,
                    t.Build.job == build.job,
                    t.Build.system == build.system,
                    t.Build.ref == build.ref,
                    t.Build.id < build.id,
                    t.Build.status << _FINAL,
                    t.Build.status != BuildStatus.CANCELED,
                )
                .order_by(t.Build.id.desc())
                .limit(1)
            )
            or ""
        )

    def list_newest(
        self, *, before: int | None, limit: int, jobset_id: int | None = None
    ) -> BuildPage:
        query = _select()
        if jobset_id is not None:
            query = query.where(t.Build.jobset == jobset_id)
        return self._page(query, before, limit)

    def list_of_evaluation(self, evaluation_id: int) -> tuple[Build, ...]:
        rows = self._db.rows(
            _select().where(t.Build.evaluation == evaluation_id).order_by(t.Build.id)
        )
        return tuple(_build(row) for row in rows)

    def list_results(self, jobset_id: int) -> tuple[Build, ...]:
        """The newest build of each job and system of a jobset."""
        newest = (
            t.Build.select(peewee.fn.MAX(t.Build.id))
            .where(t.Build.jobset == jobset_id)
            .group_by(t.Build.job, t.Build.system)
        )
        rows = self._db.rows(
            _select().where(t.Build.id << newest).order_by(t.Build.job, t.Build.system)
        )
        return tuple(_build(row) for row in rows)

    def list_running(self) -> tuple[Build, ...]:
        rows = self._db.rows(_select().where(t.Build.status << _ACTIVE).order_by(t.Build.id))
        return tuple(_build(row) for row in rows)

    def list_waiting(self, *, before: int | None, limit: int) -> BuildPage:
        # One status at a time is read in order from the index; all at once would sort the queue.
        pages = [
            self._page(_select().where(t.Build.status == status), before, limit)
            for status in _WAITING
        ]
        newest = sorted(
            (one for page in pages for one in page.builds), key=lambda one: one.id, reverse=True
        )
        more = len(newest) > limit or any(page.next for page in pages)
        return BuildPage(tuple(newest[:limit]), newest[limit - 1].id if more else None)

    def count_waiting(self) -> int:
        return int(
            self._db.scalar(
                t.Build.select(peewee.fn.COUNT(t.Build.id)).where(t.Build.status << _WAITING)
            )
        )

    def list_attempts(self, build_id: int) -> tuple[Attempt, ...]:
        rows = self._db.rows(
            t.Attempt.select().where(t.Attempt.build == build_id).order_by(t.Attempt.number.desc())
        )
        return tuple(_attempt(row) for row in rows)

    def list_steps(self, build_id: int) -> tuple[Step, ...]:
        """The steps of all attempts, in order."""
        rows = self._db.rows(
            t.Step.select().where(t.Step.build == build_id).order_by(t.Step.attempt, t.Step.number)
        )
        return tuple(_step(row) for row in rows)

    def get_step(self, build_id: int, attempt: int, number: int) -> Step:
        row = self._db.row(
            t.Step.select().where(
                t.Step.build == build_id, t.Step.attempt == attempt, t.Step.number == number
            )
        )
        if row is None:
            raise NotFound(f"build {build_id} has no step {number} in attempt {attempt}")
        return _step(row)

    def find_step(self, build_id: int, attempt: int, name: str) -> Step:
        row = self._db.row(
            t.Step.select().where(
                t.Step.build == build_id, t.Step.attempt == attempt, t.Step.name == name
            )
        )
        if row is None:
            raise NotFound(f"build {build_id} has no step {name} in attempt {attempt}")
        return _step(row)

    def add_product(
        self, build_id: int, attempt: int, *, path: str, size: int, sha256: str
    ) -> None:
        """Write down a product; the same path again replaces it."""
        self._db.insert(
            t.Product.insert(
                build=build_id,
                attempt=attempt,
                name=path.rsplit("/", 1)[-1],
                path=path,
                size=size,
                sha256=sha256,
            ).on_conflict(
                conflict_target=[t.Product.build, t.Product.attempt, t.Product.path],
                update={t.Product.size: size, t.Product.sha256: sha256},
            )
        )

    def list_products(self, build_id: int) -> tuple[Product, ...]:
        rows = self._db.rows(
            t.Product.select().where(t.Product.build == build_id).order_by(t.Product.id)
        )
        return tuple(_product(row) for row in rows)

    def get_product(self, build_id: int, product_id: int) -> Product:
        row = self._db.row(
            t.Product.select().where(t.Product.id == product_id, t.Product.build == build_id)
        )
        if row is None:
            raise NotFound(f"build {build_id} has no product {product_id}")
        return _product(row)

    def _page(self, query: Any, before: int | None, limit: int) -> BuildPage:
        if before is not None:
            query = query.where(t.Build.id < before)
        rows = self._db.rows(query.order_by(t.Build.id.desc()).limit(limit + 1))
        found = tuple(_build(row) for row in rows[:limit])
        return BuildPage(found, found[-1].id if len(rows) > limit else None)


def _select() -> Any:
    return (
        t.Build.select(
            t.Build,
            t.Jobset.name.alias("jobset_name"),
            t.Project.name.alias("project_name"),
            t.Evaluation.subject,
        )
        .join(t.Jobset)
        .join(t.Project)
        .switch(t.Build)
        .join(t.Evaluation)
    )


def _build(row: Mapping[str, Any]) -> Build:
    return Build(
        id=row["id"],
        evaluation_id=row["evaluation"],
        jobset_id=row["jobset"],
        project=row["project_name"],
        jobset=row["jobset_name"],
        job=row["job"],
        number=row["number"],
        system=row["system"],
        image=row["image"],
        status=BuildStatus(row["status"]),
        reason=Reason(row["reason"]),
        detail=row["detail"],
        priority=row["priority"],
        bumped=bool(row["bumped"]),
        kind=Kind(row["kind"]),
        ref=row["ref"],
        revision=row["revision"],
        requested_by=row["requested_by"],
        canceled_by=row["canceled_by"],
        attempt=row["attempt"],
        queued_at=row["queued_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        subject=row["subject"],
    )


def _attempt(row: Mapping[str, Any]) -> Attempt:
    return Attempt(
        build_id=row["build"],
        number=row["number"],
        worker=row["worker"],
        sandbox=row["sandbox"],
        status=BuildStatus(row["status"]),
        reason=Reason(row["reason"]),
        detail=row["detail"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


def _step(row: Mapping[str, Any]) -> Step:
    return Step(
        build_id=row["build"],
        attempt=row["attempt"],
        number=row["number"],
        name=row["name"],
        status=StepStatus(row["status"]),
        exit_code=row["exit_code"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


def _product(row: Mapping[str, Any]) -> Product:
    return Product(
        id=row["id"],
        build_id=row["build"],
        attempt=row["attempt"],
        name=row["name"],
        path=row["path"],
        size=row["size"],
        sha256=row["sha256"],
    )
