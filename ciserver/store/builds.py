"""Builds to be read: single ones, lists, and what belongs to them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import peewee

from ciserver.model.account import Sight
from ciserver.model.build import Attempt, Build, Step
from ciserver.model.errors import NotFound
from ciserver.model.project import Project
from ciserver.model.status import ACTIVE, BuildStatus, Reason, StepStatus
from ciserver.model.view import BuildPage
from ciserver.store import tables as t
from ciserver.store.arrivals import Texts
from ciserver.store.belongings import Belonging, belongings
from ciserver.store.build_rows import build_of, select_builds
from ciserver.store.database import Database
from ciserver.store.projects import READ, THERE, project_of
from ciserver.store.sight import listed_builds

_BEYOND = 2**63 - 1  # a number that no build has
_REMEMBERED = 20  # successes of a job that may have stood for it again
_ACTIVE = [status.value for status in ACTIVE]
_WAITING = [status.value for status in BuildStatus if status.is_waiting]


class Builds:
    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, build_id: int) -> Build:
        row = self._db.usual_row(_by_id, build_id)
        if row is None:
            raise no_build(build_id)
        return build_of(row)

    def get_with_project(self, build_id: int) -> tuple[Build, Project]:
        """A build whose jobset and project are still there, with the project. Raises NotFound."""
        row = self._db.usual_row(_with_project, build_id)
        if row is None:
            raise no_build(build_id)
        project = project_of({name: row.pop(alias) for name, alias in _OF_PROJECT.items()})
        return build_of(row), project

    def with_jobs(self, build_ids: Iterable[int]) -> list[tuple[Build, str]]:
        """Builds by id, each with its job as stored."""
        match list(build_ids):
            case [one]:
                row = self._db.usual_row(_with_job, one)
                rows = [row] if row else []
            case many:
                query = _with_jobs().where(t.Build.id << many)
                rows = self._db.rows(query.order_by(t.Build.id))
        texts = [row.pop("text") for row in rows]
        return [*zip(map(build_of, rows), texts, strict=True)]

    def lost_attempts(self, build_id: int) -> int:
        return int(
            self._db.scalar(t.Build.select(t.Build.lost_attempts).where(t.Build.id == build_id))
        )

    def recipe_text(self, build_id: int) -> str:
        """The recipe of a build as it was written; empty where it was made without one."""
        return (
            self._db.scalar(
                t.Text.select(t.Text.text)
                .join(t.Build, on=t.Build.recipe == t.Text.sha256)
                .where(t.Build.id == build_id)
            )
            or ""
        )

    def texts(self, build_id: int) -> Texts:
        """Where the texts of its job and its recipe are kept."""
        row = self._db.row(
            t.Build.select(t.Build.job_text, t.Build.recipe).where(t.Build.id == build_id)
        )
        if row is None:
            raise NotFound(f"there is no build {build_id}")
        return Texts(row["job_text"], row["recipe"])

    def job_text(self, build_id: int) -> str:
        """The job of a build, as stored."""
        row = self._db.usual_row(_job_text, build_id)
        if row is None:
            raise no_build(build_id)
        return str(row["text"])

    def previous_status(
        self, build: Build, *, before: int | None, saying: Iterable[BuildStatus]
    ) -> str:
        """How the job last ended on the ref of this build, in one of the ways that are `saying`
        something, by a build before the one named or by an earlier result that stood for it;
        empty when it never did.
        """
        mine = t.Build
        query = mine.select(mine.status, mine.evaluation).where(
            mine.jobset == build.jobset_id,
            mine.job == build.job,
            mine.system == build.system,
            mine.ref == build.ref,
            mine.status << list(saying),
        )
        if before is not None:
            query = query.where(mine.id < before)
        last = self._db.row(query.order_by(mine.id.desc()))
        status = BuildStatus(last["status"]) if last else None
        if status is not None and status.is_good:
            return status.value
        since = last["evaluation"] if last else 0
        if self._was_reused(build, since):
            return BuildStatus.SUCCEEDED.value
        return status.value if status else ""

    def _was_reused(self, build: Build, since: int) -> bool:
        """Whether one of the newest successes of the job stood for it on the ref of this build, at
        an evaluation after `since` and before that of the build.
        """
        good = (
            t.Build.select(t.Build.id)
            .where(
                t.Build.jobset == build.jobset_id,
                t.Build.job == build.job,
                t.Build.system == build.system,
                t.Build.status == BuildStatus.SUCCEEDED,
            )
            .order_by(t.Build.id.desc())
            .limit(_REMEMBERED)
        )
        ids = [row["id"] for row in self._db.rows(good)]
        stood = (
            t.Reuse.select(t.Reuse.build)
            .join(t.Evaluation)
            .where(
                t.Reuse.build << ids,
                t.Reuse.evaluation > since,
                t.Reuse.evaluation < build.evaluation_id,
                t.Evaluation.ref == build.ref,
            )
        )
        return bool(ids) and self._db.scalar(stood.limit(1)) is not None

    def list_newest(
        self, sight: Sight, *, before: int | None, limit: int, jobset_id: int | None = None
    ) -> BuildPage:
        about = () if jobset_id is None else (jobset_id,)
        end = _BEYOND if before is None else before
        if sight in _NEWEST:
            return _page(self._db.usual(_NEWEST[sight][len(about)], limit + 1, end, *about), limit)
        return _page(self._db.rows(_newest(sight, limit + 1, end, *about)), limit)

    def list_of_evaluation(self, evaluation_id: int) -> tuple[Build, ...]:
        return tuple(map(build_of, self._db.usual(_of_evaluation, evaluation_id)))

    def list_running(self, sight: Sight) -> tuple[Build, ...]:
        return self._list(
            select_builds()
            .where(t.Build.status << _ACTIVE, listed_builds(sight))
            .order_by(t.Build.id)
        )

    def list_waiting(self, sight: Sight, *, before: int | None, limit: int) -> BuildPage:
        # One status at a time is read in order from the index; all at once would sort the queue.
        pages = [
            self._page(
                select_builds().where(t.Build.status == status, listed_builds(sight)), before, limit
            )
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

    def list_open_of_jobset(self, jobset_id: int) -> tuple[int, ...]:
        """The ids of the builds of a jobset that have not ended."""
        rows = self._db.rows(
            t.Build.select(t.Build.id).where(
                t.Build.jobset == jobset_id, t.Build.finished_at.is_null()
            )
        )
        return tuple(row["id"] for row in rows)

    # -- changed by people ------------------------------------------------------------------------

    def keep(self, build_id: int, now: datetime, *, kept: bool) -> None:
        self._db.change(t.Build.update(kept=kept, updated_at=now).where(t.Build.id == build_id))

    def delete(self, build_id: int, requested_by: str) -> None:
        """Take it out of every list; what others refer to stays."""
        self._db.change(t.Build.update(deleted=True).where(t.Build.id == build_id))
        self._db.change(
            t.Requester.update(builds=t.Requester.builds - 1).where(
                t.Requester.name == requested_by
            )
        )

    # -- what belongs to builds -------------------------------------------------------------------

    def steps_of(self, builds: Iterable[Build]) -> dict[int, tuple[Step, ...]]:
        """The steps of the newest attempt of each build."""
        newest = {one.id: one.attempt for one in builds}
        rows = self._db.rows(
            t.Step.select()
            .where(t.Step.build << list(newest))
            .order_by(t.Step.build, t.Step.number)
        )
        steps: dict[int, list[Step]] = {one: [] for one in newest}
        for row in rows:
            if row["attempt"] == newest[row["build"]]:
                steps[row["build"]].append(_step(row))
        return {build_id: tuple(found) for build_id, found in steps.items()}

    def job_texts(self, build_ids: Iterable[int]) -> dict[int, str]:
        """The job of each build, as stored."""
        rows = self._db.rows(
            t.Build.select(t.Build.id, t.Text.text)
            .join(t.Text, on=t.Build.job_text == t.Text.sha256)
            .where(t.Build.id << list(build_ids))
        )
        return {row["id"]: row["text"] for row in rows}

    def belongings(self, build_id: int) -> frozenset[Belonging]:
        """What a build has beside itself, of whatever attempt."""
        return belongings(self._db, build_id)

    def list_attempts(self, build_id: int) -> tuple[Attempt, ...]:
        return tuple(_attempt(row) for row in self._db.usual(_attempts, build_id))

    def list_steps(self, build_id: int) -> tuple[Step, ...]:
        """The steps of all attempts, in order."""
        return tuple(_step(row) for row in self._db.usual(_steps, build_id))

    def get_step(self, build_id: int, attempt: int, number: int) -> Step:
        row = self._db.usual_row(_step_of, build_id, attempt, number)
        if row is None:
            raise NotFound(f"build {build_id} has no step {number} in attempt {attempt}")
        return _step(row)

    def find_step(self, build_id: int, attempt: int, name: str) -> Step:
        # A task may have the name of the setup; it is the one that people mean then.
        row = self._db.row(
            t.Step.select()
            .where(t.Step.build == build_id, t.Step.attempt == attempt, t.Step.name == name)
            .order_by(t.Step.number.desc())
        )
        if row is None:
            raise NotFound(f"build {build_id} has no step {name} in attempt {attempt}")
        return _step(row)

    def _list(self, query: Any) -> tuple[Build, ...]:
        return tuple(build_of(row) for row in self._db.rows(query))

    def _page(self, query: Any, before: int | None, limit: int) -> BuildPage:
        if before is not None:
            query = query.where(t.Build.id < before)
        return _page(self._db.rows(query.order_by(t.Build.id.desc()).limit(limit + 1)), limit)


def _page(rows: list[dict[str, Any]], limit: int) -> BuildPage:
    found = tuple(map(build_of, rows[:limit]))
    return BuildPage(found, found[-1].id if len(rows) > limit else None)


# What is read of a project beside its build, under names that no build has.
_OF_PROJECT = {name: f"project_{name}" for name in READ}


def no_build(build_id: int) -> NotFound:
    """The same words for one that is not there and for one that somebody may not see."""
    return NotFound(f"there is no build {build_id}", hint="see: ciserver list")


_THERE = t.Build.deleted == False  # noqa: E712  an expression of SQL


def _newest(sight: Sight, most: int, before: int, jobset_id: int | None = None) -> Any:
    query = select_builds().where(listed_builds(sight), t.Build.id < before)
    if jobset_id is not None:
        query = query.where(t.Build.jobset == jobset_id)
    return query.order_by(t.Build.id.desc()).limit(most)


# What most readers may see, of all jobsets and of one: the same few questions again and again.
_NEWEST = {
    sight: (partial(_newest, sight), partial(_newest, sight))
    for sight in (Sight(), Sight(everything=True))
}


def _by_id(build_id: int) -> Any:
    return select_builds().where(t.Build.id == build_id, _THERE)


def _of_evaluation(evaluation_id: int) -> Any:
    mine = select_builds().where(t.Build.evaluation == evaluation_id, _THERE)
    return mine.order_by(t.Build.id)


def _with_project(build_id: int) -> Any:
    there = THERE & (t.Jobset.removed == False)  # noqa: E712  an expression of SQL
    project = (getattr(t.Project, name).alias(alias) for name, alias in _OF_PROJECT.items())
    return _by_id(build_id).select_extend(*project).where(there)


def _with_job(build_id: int) -> Any:
    return _with_jobs().where(t.Build.id == build_id)


def _with_jobs() -> Any:
    texts = select_builds().select_extend(t.Text.text).switch(t.Build)
    return texts.join(t.Text, on=t.Build.job_text == t.Text.sha256)


def _job_text(build_id: int) -> Any:
    texts = t.Text.select(t.Text.text).join(t.Build, on=t.Build.job_text == t.Text.sha256)
    return texts.where(t.Build.id == build_id)


def _attempts(build_id: int) -> Any:
    mine = t.Attempt
    return mine.select().where(mine.build == build_id).order_by(mine.number.desc())


def _steps(build_id: int) -> Any:
    mine = t.Step
    return mine.select().where(mine.build == build_id).order_by(mine.attempt, mine.number)


def _step_of(build_id: int, attempt: int, number: int) -> Any:
    mine = t.Step
    return mine.select().where(
        mine.build == build_id, mine.attempt == attempt, mine.number == number
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
        logs_removed_at=row["logs_removed_at"],
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
