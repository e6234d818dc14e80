"""Polling: repositories that no hook tells of, and paths, are looked at now and then."""

from collections.abc import Callable
from datetime import datetime

import structlog

from ciserver.model.errors import CiError
from ciserver.model.evaluation import Kind
from ciserver.model.ports import Clock
from ciserver.model.project import DECLARATION, Input, InputType, Jobset, JobsetMode
from ciserver.service.pinning import Pinning
from ciserver.store.store import Store

log = structlog.get_logger()

BY_POLL = "poll"


class Polls:
    """`ring` wakes the evaluators."""

    def __init__(
        self, store: Store, clock: Clock, pinning: Pinning, *, ring: Callable[[], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._pinning = pinning
        self._ring = ring

    def check_next(self) -> bool:
        """Look at the inputs of the jobset that is due longest. False when none is due."""
        now = self._clock.now()
        with self._store.transaction():
            jobset_id = self._store.checks.claim(now)
        if jobset_id is None:
            return False
        jobset = self._store.jobsets.get(jobset_id)
        try:
            self._check(jobset)
        except CiError as error:
            # The next look may do better; the evaluation that a person asks for says what is wrong.
            log.warning("poll-failed", jobset=jobset.full_name, why=error.message)
        return True

    def next_due(self) -> datetime | None:
        """When the next jobset is to be looked at."""
        return self._store.checks.next_due()

    def _check(self, jobset: Jobset) -> None:
        source = jobset.source
        if source is None or not (jobset.enabled and jobset.project_enabled):
            return
        if jobset.settings.mode is JobsetMode.ONE_AT_A_TIME and self._is_busy(jobset):
            return
        revision = self._pinning.newest(jobset, source)
        if not self._has_changed(jobset, source, revision):
            return
        with self._store.transaction():
            self._store.evaluations.request(
                jobset.id,
                kind=Kind.PUSH,
                ref=source.ref,
                revision=revision,
                options=(),
                requested_by=BY_POLL,
                push_id=None,
                now=self._clock.now(),
            )
        self._ring()

    def _has_changed(self, jobset: Jobset, source: Input, revision: str) -> bool:
        """Whether there is something to evaluate. A repository moves on; a path may hold again
        what it held before, so paths are compared with what they were the last time.
        """
        history, is_path = self._store.history, source.type is InputType.PATH
        if not is_path and not history.was_evaluated(jobset.id, revision):
            return True
        # What declares jobsets may lie elsewhere than the recipe that makes them.
        paths = [
            one
            for one in jobset.inputs
            if one.type is InputType.PATH or (one.name == DECLARATION and jobset.declares)
        ]
        newest = history.newest_push(jobset.id) if paths else None
        if newest is None:
            return is_path
        last = self._store.evaluations.get(newest)
        if is_path and revision != last.revision:
            return True
        # What is under way, or could not be pinned, has no others to compare with.
        before = {one.name: one.revision for one in last.inputs}
        others = (one for one in paths if one != source and one.name in before)
        return any(self._pinning.newest(jobset, one) != before[one.name] for one in others)

    def _is_busy(self, jobset: Jobset) -> bool:
        return self._store.history.is_busy(jobset.id)
