"""The commits that lie between two revisions."""

import heapq
from typing import TYPE_CHECKING

from ciserver.git.commit import Commit, described
from ciserver.model.frozen import frozen

if TYPE_CHECKING:
    import pygit2

    from ciserver.git.mirror import Mirror

_NEW, _OLD = 1, 2
# How far the old history is walked on by itself: a commit with a wrong clock may have come up
# before it was known to be in both.
_SLACK = 5


@frozen
class Between:
    """The newest commits that one revision has and another has not; `more` when there are, or may
    be, others.
    """

    commits: tuple[Commit, ...]
    more: bool


def commits_between(
    mirror: "Mirror", old: str, new: str, *, most: int, reach: int = 1_000
) -> Between:
    """What `new` has and `old` has not, newest first, at most so many. Histories are walked for
    `reach` commits, so that it costs the same however far they are apart. Nothing is fetched.
    Raises Invalid, and NotFound where one of the two is not here.
    """
    repository = mirror.repository()
    walk = _Walk()
    walk.reach(mirror.find(repository, new), _NEW)
    walk.reach(mirror.find(repository, old), _OLD)
    found: list[pygit2.Commit] = []
    slack = _SLACK
    while reach and slack and walk.waits:
        reach -= 1
        slack = _SLACK if walk.has_new else slack - 1
        commit = walk.next()
        if walk.is_new(commit):
            found.append(commit)
    kept = [one for one in found if walk.is_new(one)]
    return Between(tuple(map(described, kept[:most])), len(kept) > most or walk.has_new)


class _Walk:
    """Two histories at once, by the times of the commits: each commit knows from which of the two
    revisions it was reached.
    """

    def __init__(self) -> None:
        self._marks: dict[pygit2.Oid, int] = {}
        self._waiting: list[tuple[int, str, pygit2.Commit]] = []

    def reach(self, commit: "pygit2.Commit", mark: int) -> None:
        known = self._marks.get(commit.id, 0)
        if known | mark != known:
            self._marks[commit.id] = known | mark
            heapq.heappush(self._waiting, (-commit.commit_time, str(commit.id), commit))

    def next(self) -> "pygit2.Commit":
        """The youngest commit that waits; its parents wait from now on."""
        commit = heapq.heappop(self._waiting)[2]
        for parent in commit.parents:
            self.reach(parent, self._marks[commit.id])
        return commit

    def is_new(self, commit: "pygit2.Commit") -> bool:
        return self._marks[commit.id] == _NEW

    @property
    def waits(self) -> bool:
        return bool(self._waiting)

    @property
    def has_new(self) -> bool:
        """Whether a commit waits that only the new revision is known to have."""
        return any(self.is_new(commit) for *_, commit in self._waiting)
