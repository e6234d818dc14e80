"""Which jobs of a recipe an evaluation wants, and why the others, or all, are left out."""

from collections.abc import Sequence

from ciserver.model.build import Identity, Job
from ciserver.model.evaluation import Evaluation, Kind, SkippedJob
from ciserver.model.frozen import frozen
from ciserver.model.project import Jobset
from ciserver.model.schedule import PgoStrategy
from ciserver.recipe.globs import Changes
from ciserver.recipe.graph import Placed
from ciserver.recipe.selection import left_out

_BY_PEOPLE = {Kind.API, Kind.MANUAL}


@frozen
class Filters:
    """What an evaluation is about. With `only`, the jobs of these names and what they need are
    wanted, whatever their filters say; without `changes` nothing is left out for its paths.
    """

    kind: Kind
    ref: str
    strategy: PgoStrategy
    changes: Changes | None = None
    only: tuple[str, ...] = ()

    def select(self, placed: Sequence[Placed]) -> tuple[tuple[Placed, ...], tuple[SkippedJob, ...]]:
        """The wanted jobs in their order, each after what it needs, and the others."""
        if self.only:
            return self._named(placed), ()
        wanted: list[Placed] = []
        skipped: list[SkippedJob] = []
        gone: set[Identity] = set()
        for one in placed:
            reason = self._reason(one.job) or _missing(one, gone)
            if reason:
                gone.add(one.job.identity)
                skipped.append(SkippedJob(one.job.name, reason))
            else:
                wanted.append(one)
        return tuple(wanted), tuple(skipped)

    def _named(self, placed: Sequence[Placed]) -> tuple[Placed, ...]:
        """The jobs of these names, and before them all that they need."""
        wanted = {one.job.identity for one in placed if one.job.name in self.only}
        for one in reversed(placed):  # whoever needs something comes after it
            if one.job.identity in wanted:
                wanted.update(one.needs)
        return tuple(one for one in placed if one.job.identity in wanted)

    def _reason(self, job: Job) -> str:
        """Where every push is a PGO build, PGO jobs are jobs of a push."""
        reason = left_out(job, self.kind, self.ref, self.changes)
        if not reason or self.kind is not Kind.PUSH or self.strategy is not PgoStrategy.PER_PUSH:
            return reason
        return reason and left_out(job, Kind.PGO, self.ref, self.changes) and reason


def _missing(one: Placed, gone: set[Identity]) -> str:
    missing = next((need for need in one.needs if need in gone), None)
    return f"needs: {missing.name} is left out" if missing else ""


def off_reason(jobset: Jobset, evaluation: Evaluation) -> str:
    """Why nothing is evaluated any more that was asked for before it was switched off. One that is
    off is evaluated for whoever asks for that by itself.
    """
    if not jobset.project_enabled:
        return f"the project {jobset.project} is switched off"
    if not jobset.enabled and evaluation.kind not in _BY_PEOPLE:
        return f"the jobset {jobset.full_name} is switched off"
    return ""
