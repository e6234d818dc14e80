"""Job groups: pending builds that somebody joins, starts and cancels as a whole."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ciserver.model.account import Actor, Right
from ciserver.model.build import Build
from ciserver.model.errors import Complaint, Invalid, NotFound
from ciserver.model.frozen import frozen
from ciserver.model.job_group import JobGroup, JobGroupView
from ciserver.model.ports import Clock
from ciserver.model.request import Action
from ciserver.model.status import BuildStatus
from ciserver.service.audit import Audit
from ciserver.service.builds import Builds
from ciserver.service.rights import Rights
from ciserver.service.submissions import NOTE_LIMIT
from ciserver.store.store import Store

MOST_BUILDS = 100


@frozen
class GivenGroup:
    """A group as somebody asks for it: ids of builds, and maps of triggers as in a manifest."""

    builds: tuple[int, ...]
    note: str = ""
    triggers: tuple[Any, ...] = ()
    execute: bool = False


class JobGroups:
    """They belong to who made them, and are not there for others."""

    def __init__(
        self, store: Store, clock: Clock, rights: Rights, audit: Audit, builds: Builds
    ) -> None:
        self._store = store
        self._clock = clock
        self._rights = rights
        self._audit = audit
        self._builds = builds

    def join(
        self, actor: Actor, given: GivenGroup, *, faults: Sequence[Complaint] = ()
    ) -> JobGroupView:
        """Make a group of the actor's pending builds, and start them if `execute`. Raises Invalid
        with every fault, `faults` that were found before among them; NotSignedIn, Forbidden.
        """
        from ciserver.recipe.manifest import read_triggers  # noqa: PLC0415  slow to load

        what = {"builds": list(given.builds[:MOST_BUILDS])}
        with self._audit.record(actor, Action.JOIN_BUILDS, **what):
            self._rights.require_scope(actor, Right.EVALUATE.scope)
            triggers, wrong = read_triggers(list(given.triggers))
            told = {one.field.partition("[")[0] for one in faults} - {""}
            found = (*_shape_faults(given), *wrong, *self._build_faults(actor, given.builds))
            complaints = [*faults, *(one for one in found if one.field not in told)]
            if complaints:
                raise Invalid("the group cannot be made", complaints=complaints)
            group_id = self._store.job_groups.add(
                actor.name,
                note=given.note,
                triggers=triggers,
                build_ids=given.builds,
                now=self._clock.now(),
            )
            if given.execute:
                self._start(actor, self._store.job_groups.members(group_id))
        return self._view(self._store.job_groups.get(group_id))

    def group(self, actor: Actor, group_id: int) -> JobGroupView:
        """Raises NotFound, NotSignedIn, Forbidden."""
        self._rights.require_scope(actor, Right.READ.scope)
        return self._view(self._own(actor, group_id))

    def start(self, actor: Actor, group_id: int) -> JobGroupView:
        """Start what is pending of a group; the others stay as they are. Raises NotFound,
        NotSignedIn, Forbidden.
        """
        with self._store.transaction():
            view = self._to_change(actor, group_id, Right.EVALUATE)
            self._start(actor, view.builds)
        return self._view(view.group)

    def cancel(self, actor: Actor, group_id: int) -> JobGroupView:
        """Cancel what has not ended of a group. Safe to repeat. Raises NotFound, NotSignedIn,
        Forbidden.
        """
        with self._store.transaction():
            view = self._to_change(actor, group_id, Right.CANCEL)
            unfinished = [one.id for one in view.builds if not one.status.is_final]
            self._builds.cancel_all(actor, unfinished)
        return self._view(view.group)

    def _to_change(self, actor: Actor, group_id: int, right: Right) -> JobGroupView:
        self._rights.require_scope(actor, right.scope)
        return self._view(self._own(actor, group_id))

    def _own(self, actor: Actor, group_id: int) -> JobGroup:
        group = self._store.job_groups.get(group_id)
        if group.owner != actor.name:
            raise NotFound(f"there is no job group {group_id}")
        return group

    def _build_faults(self, actor: Actor, ids: tuple[int, ...]) -> Iterator[Complaint]:
        """One for each build that cannot be joined."""
        asked = Counter(ids[:MOST_BUILDS])
        possible = [one for one in asked if 0 < one < 2**63]
        builds = {one.id: one for one in self._store.listings.of_ids(possible)}
        grouped = self._store.job_groups.grouped(possible)
        for build_id, times in asked.items():
            build = builds.get(build_id)
            fault = _fault(build, actor.name, is_grouped=build_id in grouped, times=times)
            if fault:
                yield Complaint("", f"job {build_id} {fault}")

    def _view(self, group: JobGroup) -> JobGroupView:
        return JobGroupView(group, self._store.job_groups.members(group.id))

    def _start(self, actor: Actor, builds: tuple[Build, ...]) -> None:
        for one in builds:
            if one.status is BuildStatus.HELD:
                self._builds.start(actor, one.id)


def _shape_faults(given: GivenGroup) -> Iterator[Complaint]:
    if not given.builds:
        yield Complaint("builds", "must name at least one job")
    if len(given.builds) > MOST_BUILDS:
        yield Complaint("builds", f"must be at most {MOST_BUILDS}")
    if len(given.note) > NOTE_LIMIT:
        yield Complaint("note", f"must be at most {NOTE_LIMIT} characters")


def _fault(build: Build | None, owner: str, *, is_grouped: bool, times: int) -> str:
    """Why a build cannot be joined; empty where it can. Of others' builds nothing is told."""
    if build is None or build.requested_by != owner:
        return "is none of yours"
    if times > 1:
        return "is named more than once"
    if is_grouped:
        return "is in a group already"
    return "" if build.status is BuildStatus.HELD else "is not pending"
