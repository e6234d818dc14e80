"""Inputs that are results of earlier: which build or evaluation stands for them now."""

from ciserver.model.account import Actor, Right
from ciserver.model.build import Build
from ciserver.model.errors import Invalid, NotFound
from ciserver.model.evaluation import PinnedInput
from ciserver.model.links import Links
from ciserver.model.project import Input, InputType, Jobset
from ciserver.service.rights import Rights
from ciserver.store.store import Store

_OURS = "administrator"


class Earlier:
    """Only what the owner of the jobset may see counts."""

    def __init__(self, store: Store, rights: Rights, links: Links) -> None:
        self._store = store
        self._rights = rights
        self._links = links

    def pin(self, jobset: Jobset, one: Input) -> list[PinnedInput]:
        """What stands for the input: its number as the value, its page as the address; of a
        `sysbuild` one for each system, which is its ref. Raises Invalid, NotFound.
        """
        if one.type is InputType.EVAL:
            return [self._evaluation(jobset, one)]
        *place, job = one.value.split(":")
        other = self._jobset(jobset, one, place)
        found = self._store.listings.newest_good(other.id, job)
        if not found:
            raise NotFound(f"the input {one.name}: no build of {one.value} has succeeded")
        if one.type is InputType.BUILD:
            newest = max(found, key=lambda build: build.id)
            return [self._pinned(one, newest)]
        return [self._pinned(one, build, build.system) for build in found]

    def _pinned(self, one: Input, build: Build, system: str = "") -> PinnedInput:
        return PinnedInput(
            one.name,
            self._links.build(build.id),
            system,
            build.revision,
            one.type,
            str(build.id),
        )

    def _evaluation(self, jobset: Jobset, one: Input) -> PinnedInput:
        if one.value.isascii() and one.value.isdigit() and len(one.value) < 19:
            number = int(one.value)
            found = self._rights.evaluation(self._owner(jobset), number)
        else:
            other = self._jobset(jobset, one, one.value.split(":"))
            newest = self._store.history.newest_finished(other.id)
            if newest is None:
                raise NotFound(f"the input {one.name}: no evaluation of {one.value} has finished")
            found = self._store.evaluations.get(newest)
        return PinnedInput(
            one.name,
            self._links.evaluation(found.id),
            "",
            found.revision,
            one.type,
            str(found.id),
        )

    def _jobset(self, jobset: Jobset, one: Input, place: list[str]) -> Jobset:
        match place:
            case []:
                return jobset
            case [name]:
                project = jobset.project
            case [project, name]:
                pass
            case _:
                raise Invalid(f"the input {one.name}: {one.value} is not [[PROJECT:]JOBSET:]JOB")
        return self._rights.jobset(self._owner(jobset), project, name)

    def _owner(self, jobset: Jobset) -> Actor:
        account = self._store.accounts.find(jobset.owner)
        is_admin = account.is_admin if account else jobset.owner == _OURS
        return Actor(jobset.owner, is_admin=is_admin, scopes=(Right.READ.scope,))
