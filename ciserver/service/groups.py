"""Groups of builds of one job, canceled and deleted as a whole."""

from ciserver.model.account import Actor, Right
from ciserver.model.errors import BuildAlreadyFinished, BuildNotFinished, NotFound
from ciserver.model.request import Action
from ciserver.model.status import BuildStatus
from ciserver.service.audit import Audit
from ciserver.service.builds import Builds
from ciserver.service.rights import Rights
from ciserver.store.store import Store


class Groups:
    def __init__(self, store: Store, rights: Rights, audit: Audit, builds: Builds) -> None:
        self._store = store
        self._rights = rights
        self._audit = audit
        self._builds = builds

    def require(self, actor: Actor, group_id: int, right: Right, action: Action) -> None:
        """Whether the actor may do this with a group. Raises NotFound, NotSignedIn, Forbidden."""
        # All its builds are of one evaluation: what holds for one holds for all.
        first = next(iter(self._store.listings.of_group(group_id)), None)
        if first is None:
            raise NotFound(f"there is no group {group_id}")
        with self._audit.refusals(actor, action, build=first.id):
            self._rights.build(actor, first.id, right)

    def cancel(self, actor: Actor, group_id: int) -> None:
        """Stop whatever of a group has not ended. Safe to repeat. Raises BuildAlreadyFinished for
        one that ended otherwise, NotFound, NotSignedIn, Forbidden.
        """
        self.require(actor, group_id, Right.CANCEL, Action.CANCEL_BUILD)
        with self._store.transaction():
            builds = self._store.listings.of_group(group_id)
            unfinished = [one.id for one in builds if not one.status.is_final]
            self._builds.cancel_all(actor, unfinished)
            if not unfinished and all(one.status is not BuildStatus.CANCELED for one in builds):
                raise BuildAlreadyFinished(f"build {group_id} has finished already")

    def delete(self, actor: Actor, group_id: int) -> None:
        """Take a finished group out of every list. Raises BuildNotFinished, NotFound, NotSignedIn,
        Forbidden.
        """
        self.require(actor, group_id, Right.EDIT, Action.DELETE_BUILD)
        with self._store.transaction():
            builds = self._store.listings.of_group(group_id)
            if not all(one.status.is_final for one in builds):
                raise BuildNotFinished(
                    f"build {group_id} has not finished", hint="cancel it first, or wait"
                )
            for one in builds:
                self._builds.delete(actor, one.id)
