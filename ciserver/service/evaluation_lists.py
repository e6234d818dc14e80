"""Evaluations in lists, and what the builds of one come to."""

from collections.abc import Callable, Iterable

from ciserver.model.account import Actor, Sight
from ciserver.model.build import Build, Output
from ciserver.model.errors import Complaint, Invalid, NotFound
from ciserver.model.evaluation import Evaluation
from ciserver.model.view import (
    BuildFacts,
    BuildIds,
    EvaluationSummaries,
    EvaluationSummary,
    Told,
)
from ciserver.service.rights import Rights
from ciserver.store.store import Store

DEEPEST = 10_000  # how many rows pages by number may pass over
_STORE_PATH = "nix-build"  # the type of a product that lies in a store
Reasons = Callable[[Actor, Iterable[Build]], dict[int, str]]


class EvaluationLists:
    """Everything here is what the actor may see; what is asked for by name raises NotFound. The
    builds of an evaluation are those that it made and those of earlier that it found there.
    `reasons` tells why builds wait.
    """

    def __init__(self, store: Store, rights: Rights, reasons: Reasons) -> None:
        self._store = store
        self._rights = rights
        self._reasons = reasons

    # -- lists ------------------------------------------------------------------------------------

    def newest(
        self, actor: Actor, *, size: int, page: int = 1, before: int | None = None
    ) -> EvaluationSummaries:
        """Evaluations of all jobsets that made builds, newest first: page 1, 2 ..., from the
        evaluation `before` on downwards. Raises Invalid for a page that lies too deep.
        """
        sight, offset = self._rights.sight(actor), _offset(page, size)
        found = self._store.evaluation_lists.newest_built(
            sight, limit=size + 1, offset=offset, before=before
        )
        return self._summaries(sight, found, size)

    def of_build(
        self, actor: Actor, build_id: int, *, size: int, page: int = 1
    ) -> EvaluationSummaries:
        """The evaluations that have a build, newest first, as above."""
        build, sight = self._build(actor, build_id)
        found = self._store.evaluation_lists.of_build(
            sight, build, limit=size + 1, offset=_offset(page, size)
        )
        return self._summaries(sight, found, size)

    def _summaries(
        self, sight: Sight, found: tuple[Evaluation, ...], size: int
    ) -> EvaluationSummaries:
        """Of one more than are shown, in a bounded number of statements."""
        shown = found[:size]
        lists = self._store.evaluation_lists
        previous, builds = lists.previous(sight, shown), lists.build_ids(one.id for one in shown)
        summaries = tuple(
            EvaluationSummary(one, previous.get(one.id), builds[one.id]) for one in shown
        )
        return EvaluationSummaries(summaries, shown[-1].id if len(found) > size else None)

    # -- one of several ---------------------------------------------------------------------------

    def newest_ended(self, actor: Actor, project: str, name: str) -> int:
        """The newest evaluation of a jobset of which every build has ended."""
        jobset = self._rights.jobset(actor, project, name)
        sight = self._rights.sight_of(actor, jobset)
        found = self._store.evaluation_lists.newest_ended(sight, jobset.id)
        if found is None:
            raise NotFound("No evaluation found.")
        return found

    def newest_ended_of_build(self, actor: Actor, build_id: int) -> int:
        """The newest evaluation that has a build and of which every build has ended."""
        build, sight = self._build(actor, build_id)
        found = self._store.evaluation_lists.newest_ended_of_build(sight, build)
        if found is None:
            raise NotFound("No evaluation found.")
        return found

    def _build(self, actor: Actor, build_id: int) -> tuple[Build, Sight]:
        build = self._rights.build(actor, build_id)
        jobset = self._store.jobsets.get(build.jobset_id)
        return build, self._rights.sight_of(actor, jobset)

    # -- the builds of one ------------------------------------------------------------------------

    def evaluation(self, actor: Actor, evaluation_id: int) -> tuple[Evaluation, BuildIds]:
        found = self._rights.evaluation(actor, evaluation_id)
        return found, self._store.evaluation_lists.build_ids([evaluation_id])[evaluation_id]

    def builds(self, actor: Actor, evaluation_id: int) -> tuple[BuildFacts, ...]:
        """All of them in full, in a bounded number of statements."""
        self._rights.evaluation(actor, evaluation_id)
        lists = self._store.evaluation_lists
        builds = lists.list_builds(evaluation_id)
        reasons = self._reasons(actor, builds)
        outputs, products = lists.outputs(evaluation_id), lists.products(evaluation_id)
        metrics = lists.metrics(evaluation_id)
        return tuple(
            BuildFacts(
                one,
                tuple(products.get(one.id, ())),
                outputs.get(one.id, Output()),
                Told(metrics=tuple(metrics.get(one.id, ()))),
                reasons.get(one.id, ""),
            )
            for one in builds
        )

    def store_paths(self, actor: Actor, evaluation_id: int) -> list[str]:
        """Where the outputs of its good builds lie, sorted, each once."""
        self._rights.evaluation(actor, evaluation_id)
        return sorted(self._store.evaluation_lists.output_paths(evaluation_id, _STORE_PATH))

    def build_of_job(self, actor: Actor, evaluation_id: int, name: str) -> int:
        """The newest build of JOB, of the first of its systems, or of JOB.SYSTEM."""
        self._rights.evaluation(actor, evaluation_id)
        found = self._store.evaluation_lists.builds_of_job(evaluation_id, name)
        at = 0
        while not found and (at := name.find(".", at + 1)) > 0:
            job, system = name[:at], name[at + 1 :]
            builds = self._store.evaluation_lists.builds_of_job(evaluation_id, job)
            found = [one for one in builds if one[0] == system]
        if not found:
            raise NotFound(f"evaluation {evaluation_id} has no job {name}")
        return found[0][1]


def _offset(page: int, size: int) -> int:
    offset = (page - 1) * size
    if not 0 <= offset < DEEPEST:
        fault = Complaint("page", f"must be 1 to {DEEPEST // size}")
        raise Invalid("the address cannot be used", complaints=[fault])
    return offset
