"""What changed between two evaluations: results, inputs, and the commits behind them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta

from ciserver.git.between import Between, commits_between
from ciserver.model.account import Actor
from ciserver.model.comparison import (
    Change,
    ChangedInput,
    Comparison,
    InputLog,
    JobChange,
    LoggedCommit,
    changed_inputs,
)
from ciserver.model.errors import CiError, NotFound
from ciserver.model.evaluation import Evaluation
from ciserver.model.project import Input, InputType, Jobset
from ciserver.service.pinning import Pinning
from ciserver.service.rights import Rights
from ciserver.store.store import Store

MOST_COMMITS = 10  # of each input
_MOST_LOGS = 10
_MOST_NAMES = 50
_NUMBER = re.compile(r"[0-9]{1,18}")
_SECONDS = re.compile(r"-([0-9]{1,10})")


class Comparisons:
    def __init__(self, store: Store, rights: Rights, pinning: Pinning) -> None:
        self._store = store
        self._rights = rights
        self._pinning = pinning

    def compare(
        self, actor: Actor, evaluation_id: int, against: str = "", *, logs: bool = False
    ) -> Comparison | None:
        """An evaluation beside another: with the number `against`; the newest of the jobset
        [PROJECT:]JOBSET of which every build has ended; with `-SECONDS` the newest that was asked
        for so long before it; else the one before it. Where nothing is named, and for seconds, it
        is one of the same ref, and one of any ref only if that ref has none yet. None when there is
        no such evaluation. With `logs` also the commits behind changed inputs. Raises NotFound.
        """
        mine = self._rights.evaluation(actor, evaluation_id)
        found = self._other(actor, mine, against)
        if found is None:
            return None
        inputs = changed_inputs(found.inputs, mine.inputs)
        if logs:
            inputs = tuple(self.with_logs(mine, inputs))
        return Comparison(found, self._changes(mine, found), inputs)

    def others(self, actor: Actor, evaluation: Evaluation) -> tuple[str, ...]:
        """The names of the other jobsets of its project, of which the actor may see evaluations;
        the first of many.
        """
        try:
            project = self._rights.project(actor, evaluation.project)
        except NotFound:
            return ()  # the evaluation was shared, the project was not
        jobsets = self._store.jobsets.list_of_project(project.id)
        return tuple(one.name for one in jobsets if one.id != evaluation.jobset_id)[:_MOST_NAMES]

    # -- which one --------------------------------------------------------------------------------

    def _other(self, actor: Actor, mine: Evaluation, against: str) -> Evaluation | None:
        if _NUMBER.fullmatch(against):
            return self._rights.evaluation(actor, int(against))
        lists = self._store.evaluation_lists
        if not against or _SECONDS.fullmatch(against):
            jobset = self._store.jobsets.get(mine.jobset_id)
            sight = self._rights.sight_of(actor, jobset)
            until = mine.requested_at - timedelta(seconds=int(against[1:] or 0))
            found = lists.newest_before(sight, mine, until)
            if found is None and not against:
                found = lists.newest_near(sight, mine)
        else:
            jobset = self._jobset(actor, mine, against)
            found = lists.newest_ended(self._rights.sight_of(actor, jobset), jobset.id)
        return None if found is None else self._store.evaluations.get(found)

    def _jobset(self, actor: Actor, mine: Evaluation, name: str) -> Jobset:
        project, _, jobset = name.rpartition(":")
        try:
            return self._rights.jobset(actor, project or mine.project, jobset)
        except NotFound:
            raise NotFound(
                f"there is no jobset {name} to compare with",
                hint="name an evaluation, a jobset, or -SECONDS",
            ) from None

    # -- results ----------------------------------------------------------------------------------

    def _changes(self, mine: Evaluation, other: Evaluation) -> dict[Change, tuple[JobChange, ...]]:
        now = self._store.evaluation_lists.results(mine.id)
        before = self._store.evaluation_lists.results(other.id)
        found: dict[Change, list[JobChange]] = {one: [] for one in Change}
        for key in sorted(now.keys() | before.keys()):
            one = JobChange(now.get(key), before.get(key))
            found[one.change].append(one)
        return {change: tuple(jobs) for change, jobs in found.items() if jobs}

    # -- inputs -----------------------------------------------------------------------------------

    def with_logs(self, mine: Evaluation, inputs: Iterable[ChangedInput]) -> Iterator[ChangedInput]:
        """The first of them that moved within a repository with the commits in between."""
        jobset, logs = self._store.jobsets.get(mine.jobset_id), 0
        for one in inputs:
            if logs < _MOST_LOGS and _has_moved(one):
                logs += 1
                yield replace(one, log=self._log(jobset, one))
            else:
                yield one

    def _log(self, jobset: Jobset, one: ChangedInput) -> InputLog | None:
        if one.old is None or one.new is None:
            return None
        old, new = one.old.revision, one.new.revision
        try:
            mirror = self._pinning.open(jobset, Input(one.name, one.new.uri))
            came = commits_between(mirror, old, new, most=MOST_COMMITS)
            if came.commits:
                return _input_log(came)
            left = commits_between(mirror, new, old, most=MOST_COMMITS)
            return _input_log(left, went_back=True)
        except CiError:
            # The revisions tell enough; what the mirror does not have is no reason to say nothing.
            return None


def _has_moved(one: ChangedInput) -> bool:
    """Whether it is the same repository at another commit."""
    if one.old is None or one.new is None:
        return False
    return one.old.type is one.new.type is InputType.GIT and one.old.uri == one.new.uri


def _input_log(between: Between, *, went_back: bool = False) -> InputLog:
    commits = tuple(
        LoggedCommit(one.revision, one.subject, one.author, one.committed_at)
        for one in between.commits
    )
    return InputLog(commits, between.more, went_back)
