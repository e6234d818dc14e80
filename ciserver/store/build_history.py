"""What came before a build of the same job, and which evaluations have it."""

from ciserver.model.account import Sight
from ciserver.model.build import Build
from ciserver.model.frozen import frozen
from ciserver.model.status import BuildStatus
from ciserver.store import tables as t
from ciserver.store.build_rows import select_builds
from ciserver.store.database import Database
from ciserver.store.sight import listed_builds, listed_evaluations


@frozen
class PastBuild:
    id: int
    status: BuildStatus


class BuildHistory:
    def __init__(self, database: Database) -> None:
        self._db = database

    def list_before(self, sight: Sight, build: Build, *, limit: int) -> tuple[PastBuild, ...]:
        """The builds of the same job, system and ref that came before, newest first."""
        query = (
            select_builds()
            .select(t.Build.id, t.Build.status)
            .where(
                t.Build.jobset == build.jobset_id,
                t.Build.job == build.job,
                t.Build.system == build.system,
                t.Build.ref == build.ref,
                t.Build.id < build.id,
                listed_builds(sight),
            )
            .order_by(t.Build.id.desc())
            .limit(limit)
        )
        rows = self._db.rows(query)
        return tuple(PastBuild(row["id"], BuildStatus(row["status"])) for row in rows)

    def was_reused(self, build_id: int) -> bool:
        """Whether any evaluation found the build there."""
        asked = "SELECT 1 FROM reuses WHERE build_id = ? LIMIT 1"
        return self._db.sql(asked, (build_id,)).fetchone() is not None

    def evaluations_of(self, sight: Sight, build: Build, *, limit: int) -> tuple[int, ...]:
        """The evaluation that made a build, and the newest of those that found it there, oldest
        first.
        """
        query = (
            t.Reuse.select(t.Reuse.evaluation)
            .join(t.Evaluation)
            .join(t.Jobset)
            .join(t.Project)
            .where(t.Reuse.build == build.id, listed_evaluations(sight))
            .order_by(t.Reuse.evaluation.desc())
            .limit(limit)
        )
        found = [row["evaluation"] for row in self._db.rows(query)]
        return (build.evaluation_id, *reversed(found))
