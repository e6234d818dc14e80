"""What somebody asked for, by the tags and notes that it has."""

from collections.abc import Callable, Iterable

from ciserver.model.account import ANONYMOUS, Actor
from ciserver.model.build import Build
from ciserver.model.label_search import EVERYTHING, LabelSearch
from ciserver.model.status import BuildStatus
from ciserver.model.view import LabeledPage, Submitted
from ciserver.service.rights import Rights
from ciserver.store.labels import tag_paths
from ciserver.store.store import Store


class LabelLists:
    """Everything here is what the actor may see listed. Of somebody who is not known, or never
    asked for anything, there is nothing. `submitted` adds to builds what they are called.
    """

    def __init__(
        self,
        store: Store,
        rights: Rights,
        submitted: Callable[[Iterable[Build]], tuple[Submitted, ...]],
    ) -> None:
        self._store = store
        self._rights = rights
        self._submitted = submitted

    def list_builds(
        self,
        actor: Actor,
        owner: str,
        tags: tuple[str, ...] = (),
        wanted: LabelSearch = EVERYTHING,
        *,
        before: int | None = None,
        limit: int,
    ) -> LabeledPage:
        """What `owner` asked for, newest first: of which the tags begin with these, in letters of
        either case, and which is wanted.
        """
        sight = self._rights.sight(actor)
        page = self._store.label_lists.list_builds(
            sight, owner, _path(tags), wanted, before=before, limit=limit
        )
        return LabeledPage(self._submitted(page.builds), page.next, limit)

    def newest(
        self, owner: str, tags: tuple[str, ...], statuses: frozenset[BuildStatus]
    ) -> Build | None:
        """The newest build in one of these states that everybody may see, if it is found not too
        far back.
        """
        sight, wanted = self._rights.sight(ANONYMOUS), LabelSearch(statuses=statuses)
        page = self._store.label_lists.list_builds(sight, owner, _path(tags), wanted, limit=1)
        return next(iter(page.builds), None)


def _path(tags: tuple[str, ...]) -> str:
    """Empty where nothing is named."""
    paths = tag_paths(tags)
    return paths[-1] if paths else ""
