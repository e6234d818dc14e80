"""How long products are kept. Their builds, and what was known of them, stay for good."""

import time
from datetime import datetime, timedelta

import structlog

from ciserver.model.build import Build
from ciserver.model.errors import StorageAway
from ciserver.model.frozen import frozen
from ciserver.model.ports import Clock
from ciserver.service.polls import BY_POLL
from ciserver.store.keeping import Candidate
from ciserver.store.store import Store

_AT_ONCE = 100
_JUDGED_AT_ONCE = 20  # in one transaction, for which other writers wait
_LOOK_AGAIN = timedelta(days=1)
_LOOK_SOON = timedelta(hours=1)
# A shorter time that somebody sets later is in force after this.
_LONGEST_REST = timedelta(days=7)
_REST_SECONDS = 0.01
log = structlog.get_logger()


def rest() -> None:
    """Between the transactions of a sweep. The lock of the writers is given to nobody in turn: who
    takes it again at once may keep all others from it.
    """
    time.sleep(_REST_SECONDS)


@frozen
class Verdict:
    """Why the products of a build stand, empty when nothing holds them; `until` is when to look
    again at the latest.
    """

    why: str
    until: datetime


@frozen
class Outlook:
    """When the products of a build are removed at the earliest, or why they stay, as it looks now.
    Of a build without products neither is said.
    """

    removable_at: datetime | None = None
    why: str = ""


def outlook(build: Build, expires_at: datetime, *, held: str, now: datetime) -> Outlook:
    """Of a build with products, the rule of the sweep told beforehand: `expires_at` is when they
    are old enough, `held` what holds them at any age.
    """
    if not build.status.is_final:
        return Outlook(why="its build has not ended")
    if build.kept:
        return Outlook(why="its build is kept")
    if expires_at <= now and held:
        return Outlook(why=held)
    return Outlook(max(expires_at, now), held)


class Keeping:
    """`autostarted` and `others` are how long products are kept at least, of builds that a
    schedule or a look at a repository started, and of those that somebody or something asked for.
    """

    def __init__(
        self, store: Store, clock: Clock, *, autostarted: timedelta, others: timedelta
    ) -> None:
        self._store = store
        self._clock = clock
        self._autostarted = autostarted
        self._others = others

    def sweep(self) -> None:
        """Remove what nothing holds any more; may be cut off at any time, and called again. The
        rows go first: a file without one is found again by them.
        """
        while self._judge_some():
            rest()
        while self._remove_files():
            rest()

    def outlook(self, build: Build) -> Outlook:
        """When the products of a build are old enough to be removed, and what holds them besides;
        while it runs, is kept, or nothing else would let them go, only why.
        """
        if not self._store.keeping.has_standing(build.id):
            return Outlook()
        candidate = self._store.keeping.candidate(build.id, BY_POLL)
        return outlook(
            build,
            self._expires_at(candidate),
            held=self._held(candidate),
            now=self._clock.now(),
        )

    def removable_at(self, build: Build) -> datetime | None:
        """When the products of a build are old enough to be removed, if nothing else holds them
        then; None while it runs, is kept, or has none that stand.
        """
        return self.outlook(build).removable_at

    def lets_go(self, build_id: int, expires_at: datetime | None) -> bool:
        """Whether what a build left, other than products, may be removed: because it was deleted,
        or is old enough, which at None it never is, and nothing holds it.
        """
        candidate = self._store.keeping.candidate(build_id, BY_POLL)
        is_old = expires_at is not None and expires_at <= self._clock.now()
        return (is_old or candidate.is_deleted) and not self._held(candidate)

    def _judge_some(self) -> bool:
        """A batch of builds; False when none is due."""
        now = self._clock.now()
        with self._store.transaction():
            due = self._store.keeping.list_due(now, _JUDGED_AT_ONCE)
            removed = sum(self._judge(one, now) for one in due)
        if removed:
            log.info("products-removed", products=removed)
        return bool(due)

    def _judge(self, build_id: int, now: datetime) -> int:
        candidate = self._store.keeping.candidate(build_id, BY_POLL)
        verdict = self._verdict(candidate)
        if verdict.why:
            self._store.keeping.postpone(build_id, verdict.until)
            return 0
        why = "its build was deleted" if candidate.is_deleted else self._age_told(candidate)
        return self._store.keeping.remove(build_id, now, why)

    def _verdict(self, candidate: Candidate) -> Verdict:
        build, now, store = candidate.build, self._clock.now(), self._store.keeping
        if store.is_evaluated(build.jobset_id):
            return Verdict("its jobset is being evaluated", now + _LOOK_SOON)
        expires_at = self._expires_at(candidate)
        if not candidate.is_deleted and build.status.is_final and expires_at > now:
            return Verdict("it is not old enough", min(expires_at, now + _LONGEST_REST))
        return Verdict(self._held(candidate), now + _LOOK_AGAIN)

    def _held(self, candidate: Candidate) -> str:
        """What holds products of any age; empty when nothing does."""
        build, store = candidate.build, self._store.keeping
        if not build.status.is_final:
            return "its build runs again"
        if build.kept and not candidate.is_deleted:
            return "its build is kept"
        if store.is_of_kept_evaluation(build, candidate.keep):
            return "an evaluation that is kept has it"
        if candidate.is_current and store.is_newest_success(build):
            return "it is the newest success of its job"
        return ""

    def _expires_at(self, candidate: Candidate) -> datetime:
        build = candidate.build
        return (build.finished_at or build.updated_at) + self._age(candidate)

    def _age(self, candidate: Candidate) -> timedelta:
        return self._autostarted if candidate.is_autostarted else self._others

    def _age_told(self, candidate: Candidate) -> str:
        return f"it was older than {self._age(candidate) / timedelta(days=1):g} days"

    def _remove_files(self) -> bool:
        """Of a batch of removed products; False when none is left that can be seen to now."""
        left = self._store.keeping.list_left(_AT_ONCE)
        seen_to = [one for one in left if self._see_to(one)]
        with self._store.transaction():
            self._store.keeping.settle(seen_to)
        return bool(seen_to)

    def _see_to(self, sha256: str) -> bool:
        if self._store.keeping.is_standing(sha256):
            return True
        try:
            return self._store.files.remove_product(sha256)
        except StorageAway:
            return False
