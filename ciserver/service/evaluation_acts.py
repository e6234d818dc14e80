"""What people do with whole evaluations: ask for one at given revisions, stop it, run its bad
builds again, put it before all others.
"""

from collections.abc import Callable, Iterable

import structlog

from ciserver.git.address import is_revision
from ciserver.model.account import Actor, Right
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.evaluation import Kind, Wish
from ciserver.model.ports import Clock
from ciserver.model.project import Jobset
from ciserver.model.request import Action
from ciserver.model.status import BuildStatus
from ciserver.service.audit import Audit
from ciserver.service.builds import Builds
from ciserver.service.evaluations import Evaluations
from ciserver.service.rights import Rights
from ciserver.store.store import Store

log = structlog.get_logger()

ABORTED = frozenset(one for one in BuildStatus if one.is_aborted)
NOT_SUCCEEDED = frozenset(
    one for one in BuildStatus if one.is_final and one is not BuildStatus.SUCCEEDED
)
_WHOLE = "must be a whole revision: 40 hexadecimal digits in lower case"


class EvaluationActs:
    """Each act on an evaluation is one transaction with its row of the audit trail, answers the
    builds that it changed, and may be repeated: what is as it should be stays so. What an
    evaluation found there of earlier ones is not its to change. `ring` wakes whoever runs builds.
    All raise NotFound, NotSignedIn, Forbidden.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rights: Rights,
        audit: Audit,
        builds: Builds,
        evaluations: Evaluations,
        *,
        ring: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._rights = rights
        self._audit = audit
        self._builds = builds
        self._evaluations = evaluations
        self._ring = ring

    def request(
        self,
        actor: Actor,
        project: str,
        name: str,
        revisions: Iterable[tuple[str, str]],
        *,
        kind: Kind = Kind.API,
        revision: str = "",
        faults: Iterable[Complaint] = (),
    ) -> int:
        """Ask for an evaluation with these inputs at exactly these revisions, and the others at
        their newest; answers its id. `revision` is that of the input with the recipe, `faults` is
        what is known already to be wrong. A revision that no repository has is a complaint of the
        evaluation. Raises Invalid with every fault, Conflict for a jobset without a source.
        """
        with self._audit.refusals(actor, Action.EVALUATE, jobset=f"{project}:{name}"):
            jobset = self._rights.jobset(actor, project, name, Right.EVALUATE)
        pairs = list(revisions)
        given = dict(pairs)
        wrong = [*faults, *_faults(jobset, pairs, revision)]
        if wrong:
            raise Invalid("the jobset cannot be evaluated so", complaints=wrong)
        source = jobset.recipe_input
        return self._evaluations.request(
            actor,
            jobset,
            kind=kind,
            revision=given.get(source, revision),
            wish=Wish(revisions=given),
        )

    def cancel(self, actor: Actor, evaluation_id: int) -> list[int]:
        """Stop whatever of it has not ended; one that is not evaluated yet will not be."""
        with self._audit.record(actor, Action.CANCEL_EVALUATION, evaluation=evaluation_id):
            found = self._rights.evaluation(actor, evaluation_id, Right.CANCEL)
            self._evaluations.drop(found, f"canceled by {actor.name}")
            stopped = self._store.evaluation_lists.open_builds(evaluation_id)
            self._builds.stop(stopped, actor.name)
        log.info("evaluation-canceled", evaluation=evaluation_id, by=actor.name)
        return stopped

    def restart_aborted(self, actor: Actor, evaluation_id: int) -> list[int]:
        """Run again what was canceled or ended by our own fault, with the same inputs."""
        return self._restart(actor, evaluation_id, "aborted", ABORTED)

    def restart_failed(self, actor: Actor, evaluation_id: int) -> list[int]:
        """Run again whatever has ended and did not succeed, with the same inputs."""
        return self._restart(actor, evaluation_id, "failed", NOT_SUCCEEDED)

    def _restart(
        self, actor: Actor, evaluation_id: int, which: str, statuses: frozenset[BuildStatus]
    ) -> list[int]:
        with self._audit.record(
            actor, Action.RESTART_EVALUATION, evaluation=evaluation_id, which=which
        ):
            self._rights.evaluation(actor, evaluation_id, Right.RESTART)
            wanted = self._store.evaluation_lists.ended_builds(evaluation_id, statuses)
            started = [one for one in wanted if self._is_run_again(one)]
            self._store.after_commit(self._ring)
        log.info("evaluation-restarted", evaluation=evaluation_id, by=actor.name, which=which)
        return started

    def _is_run_again(self, build_id: int) -> bool:
        """Run a build again, unless it would wait for ever for one that ended badly and stays so.
        It may wait already, because one that it needs was run again.
        """
        needed = self._store.gates.blockers([build_id]).get(build_id, [])
        if any(BuildStatus(status).is_final for _, _, status in needed):
            return False
        self._builds.run_again(build_id)
        return True

    def bump(self, actor: Actor, evaluation_id: int) -> list[int]:
        """Put what of it waits before all other builds."""
        with self._audit.record(actor, Action.BUMP_EVALUATION, evaluation=evaluation_id):
            self._rights.evaluation(actor, evaluation_id, Right.BUMP)
            now = self._clock.now()
            waiting = reversed(self._store.evaluation_lists.open_builds(evaluation_id))
            bumped = [one for one in waiting if self._store.queue.bump(one, now)]
            self._store.after_commit(self._ring)
        return bumped


def _faults(jobset: Jobset, pairs: list[tuple[str, str]], revision: str) -> list[Complaint]:
    known = {one.name: one for one in jobset.inputs}
    names, faults = [name for name, _ in pairs], list[Complaint]()
    for name, wanted in pairs:
        field = f"inputs.{name}"
        if name not in known:
            there = ", ".join(known) or "none"
            faults.append(Complaint(field, f"there is no such input; known are {there}"))
        elif not known[name].type.has_files:
            faults.append(Complaint(field, f"a {known[name].type} has no revisions"))
        elif names.count(name) > 1:
            faults.append(Complaint(field, "is named twice"))
        if not is_revision(wanted):
            faults.append(Complaint(field, _WHOLE))
    if revision and not is_revision(revision):
        faults.append(Complaint("revision", _WHOLE))
    if revision and jobset.recipe_input in names:
        faults.append(Complaint("revision", f"is given by inputs.{jobset.recipe_input} already"))
    return faults
