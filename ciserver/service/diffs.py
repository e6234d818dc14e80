"""What lies between two revisions of a repository that somebody may see."""

import threading
import time
from collections.abc import Callable

from ciserver.git.address import check_revision, repository_key
from ciserver.model.account import Actor, Right
from ciserver.model.errors import Busy, Complaint, Invalid, NotFound
from ciserver.model.project import Input, InputType, Jobset
from ciserver.service.pinning import Pinning
from ciserver.service.rights import Rights
from ciserver.store.store import Store

SECONDS = 10.0
_AT_ONCE = 2
_MOST_JOBSETS = 50


class Diffs:
    """Only what the mirrors have is read: nothing is fetched, and no address is gone to. A few
    are made at a time, so that they leave room for everything else.
    """

    def __init__(
        self,
        store: Store,
        rights: Rights,
        pinning: Pinning,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._rights = rights
        self._pinning = pinning
        self._now = now
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

    def between(self, actor: Actor, uri: str, old: str, new: str) -> str:
        """The log and the changes from one revision to another, as text, cut where it is too long
        or takes too long. The repository must be an input of a jobset that lists show to the
        actor; one that is read with a credential is for those who have rights in the project
        beyond what everybody has. Raises Invalid, NotFound, Busy.
        """
        _check(rev1=old, rev2=new)
        if not self._turns.acquire(blocking=False):
            raise Busy("too many differences are being looked for", hint="try again in a moment")
        try:
            return self._between(actor, uri, old, new)
        finally:
            self._turns.release()

    def _between(self, actor: Actor, uri: str, old: str, new: str) -> str:
        from ciserver.git.diff import log_and_diff  # noqa: PLC0415  slow, as pygit2 is

        until, missing = self._now() + SECONDS, _unknown(uri)
        key = repository_key(uri)
        ids = self._store.repositories.jobsets_of(self._rights.sight(actor), key)
        for jobset in self._store.jobsets.list_of_ids(ids[:_MOST_JOBSETS]):
            for one in jobset.inputs:
                if not self._may_read(actor, jobset, one, key):
                    continue
                try:
                    mirror = self._pinning.open(jobset, one)
                    return log_and_diff(mirror, old, new, may_go_on=lambda: self._now() < until)
                except NotFound as error:
                    missing = error  # another way to read it may have brought the revisions
        raise missing

    def _may_read(self, actor: Actor, jobset: Jobset, one: Input, key: str) -> bool:
        if one.type is not InputType.GIT or repository_key(one.uri) != key:
            return False
        credential, _ = self._store.jobsets.credential(jobset.id, one.uri)
        if credential is None:
            return True
        beyond = (one for one in Right if one is not Right.READ)
        return any(self._rights.may_in(actor, right, jobset.project) for right in beyond)


def _check(**revisions: str) -> None:
    faults = []
    for name, revision in revisions.items():
        try:
            check_revision(revision)
        except Invalid as error:
            faults += [Complaint(name, one.message) for one in error.complaints]
    if faults:
        raise Invalid("the revisions cannot be compared", complaints=faults)


def _unknown(uri: str) -> NotFound:
    return NotFound(
        f"no jobset is fed with the repository {uri}",
        hint="name it as the input of a jobset does",
    )
