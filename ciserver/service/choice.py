"""Which revision a scheduled build takes, and why sometimes none."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from ciserver.git.commit import Commit
from ciserver.model.frozen import frozen
from ciserver.model.schedule import Schedule
from ciserver.recipe.selection import skip_reason

if TYPE_CHECKING:
    from ciserver.git.mirror import Mirror

GOOD_WITHIN = timedelta(hours=24)
_LOOK_BACK = 1000


@frozen
class Choice:
    """A revision, or the reason why there is none."""

    revision: str = ""
    reason: str = ""


def choose_revision(
    mirror: "Mirror",
    head: str,
    schedule: Schedule,
    now: datetime,
    *,
    was_built: Callable[[str], bool],
    was_good: Callable[[str], bool],
) -> Choice:
    """The newest change that does not ask to be left out; with `last_good` the newest of the last
    24 hours whose push builds all succeeded, where there is one. Never one older than what this
    kind has built; with `only_if_changed` not that one either.
    """
    newest: Commit | None = None
    for commit in islice(mirror.history(head), _LOOK_BACK):
        built = was_built(commit.revision)
        if built and schedule.only_if_changed:
            return _chosen(newest, f"no new revision since {commit.revision[:10]} was built")
        if not skip_reason(commit.message):
            newest = newest or commit
            is_recent = now - commit.committed_at <= GOOD_WITHIN
            if not schedule.last_good or (is_recent and was_good(commit.revision)):
                return Choice(commit.revision)
            if not is_recent:
                break
        if built:
            break
    return _chosen(newest, "every change asks for no builds")


def _chosen(commit: Commit | None, otherwise: str) -> Choice:
    return Choice(revision=commit.revision) if commit else Choice(reason=otherwise)
