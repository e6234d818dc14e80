"""What was evaluated before: at which revisions, and how well."""

import json
from typing import Any

from ciserver.model.errors import Complaint
from ciserver.model.evaluation import Evaluation, Kind
from ciserver.model.status import EvaluationStatus
from ciserver.store import tables as t
from ciserver.store.database import Database

_REMEMBERED = 1000  # evaluations of a jobset


class History:
    def __init__(self, database: Database) -> None:
        self._db = database

    def was_overtaken(self, evaluation: Evaluation) -> bool:
        """Whether the recipe of a later push to the same ref was read already."""
        about = (evaluation.jobset_id, evaluation.number, evaluation.kind.value, evaluation.ref)
        return bool(self._db.usual(_later, *about))

    def was_evaluated(self, jobset_id: int, revision: str) -> bool:
        """Whether a push of the revision was evaluated, or is about to be."""
        mine = t.Evaluation
        query = mine.select(mine.id).where(
            mine.jobset == jobset_id, mine.revision == revision, mine.kind == Kind.PUSH
        )
        return self._db.scalar(query.limit(1)) is not None

    def newest_push(self, jobset_id: int) -> int | None:
        """The newest evaluation of a push, or of what a look found, however far it is."""
        mine = t.Evaluation
        found = self._db.scalar(
            mine.select(mine.id)
            .where(mine.jobset == jobset_id, mine.kind == Kind.PUSH)
            .order_by(mine.number.desc())
            .limit(1)
        )
        return None if found is None else int(found)

    def faults_before(self, evaluation: Evaluation) -> tuple[Complaint, ...]:
        """What was wrong at the evaluation of the same ref before, of those that read a recipe and
        are not too long ago.
        """
        mine = t.Evaluation
        row = self._db.row(
            mine.select(mine.complaints)
            .where(
                mine.jobset == evaluation.jobset_id,
                mine.number < evaluation.number,
                mine.number >= evaluation.number - _REMEMBERED,
                mine.ref == evaluation.ref,
                mine.status << [EvaluationStatus.SUCCEEDED, EvaluationStatus.FAILED],
            )
            .order_by(mine.number.desc())
        )
        return tuple(Complaint(**one) for one in json.loads(row["complaints"])) if row else ()

    def newest_finished(self, jobset_id: int) -> int | None:
        """The newest evaluation that made builds and of which every build has ended."""
        mine = t.Evaluation
        found = self._db.scalar(
            mine.select(mine.id)
            .where(
                mine.jobset == jobset_id,
                mine.built_number.is_null(is_null=False),
                mine.builds_finished == mine.builds_total,
            )
            .order_by(mine.built_number.desc())
            .limit(1)
        )
        return None if found is None else int(found)

    def is_busy(self, jobset_id: int) -> bool:
        """Whether the newest evaluation, or a build of it, is unfinished."""
        mine = t.Evaluation
        row = self._db.row(
            mine.select(mine.status, mine.builds_finished, mine.builds_total)
            .where(mine.jobset == jobset_id)
            .order_by(mine.number.desc())
        )
        if row is None:
            return False
        is_final = EvaluationStatus(row["status"]).is_final
        return not is_final or bool(row["builds_finished"] < row["builds_total"])

    def was_built(self, jobset_id: int, kind: Kind, revision: str) -> bool:
        """Whether builds of this kind were made of the revision."""
        mine = t.Evaluation
        return self._exists(
            (mine.jobset == jobset_id) & (mine.revision == revision), mine.kind == kind
        )

    def was_good(self, jobset_id: int, revision: str) -> bool:
        """Whether a push of the revision was built and every build of it succeeded."""
        mine = t.Evaluation
        return self._exists(
            (mine.jobset == jobset_id) & (mine.revision == revision),
            (mine.kind == Kind.PUSH) & (mine.builds_good == mine.builds_total),
        )

    def revisions(self, jobset_id: int, prefix: str, *, limit: int) -> tuple[str, ...]:
        """Revisions that the jobset was evaluated at and that begin with these digits."""
        mine = t.Evaluation
        query = mine.select(mine.revision).where(
            mine.jobset == jobset_id, mine.revision >= prefix, mine.revision < prefix + "g"
        )
        return tuple(row["revision"] for row in self._db.rows(query.distinct().limit(limit)))

    def _exists(self, revision: Any, condition: Any) -> bool:
        mine = t.Evaluation
        query = mine.select(mine.id).where(revision, condition, mine.builds_total > 0)
        return self._db.scalar(query.limit(1)) is not None


def _later(jobset_id: int, number: int, kind: str, ref: str) -> Any:
    mine = t.Evaluation
    was_read = (mine.status == EvaluationStatus.SUCCEEDED) | (mine.skipped != "[]")
    later = (mine.jobset == jobset_id) & (mine.number > number)
    query = mine.select(mine.id).where(later, was_read, mine.kind == kind, mine.ref == ref)
    return query.limit(1)
