"""Polling: repositories that no hook tells of are looked at now and then."""

from collections.abc import Callable
from datetime import datetime

import structlog

from ciserver.model.errors import CiError
from ciserver.model.evaluation import Kind
from ciserver.model.ports import Clock
from ciserver.model.project import Jobset, JobsetMode
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
        """Look at the repository of the jobset that is due longest. False when none is due."""
        now = self._clock.now()
        with self._store.transaction():
            jobset_id = self._store.checks.claim(now)
        if jobset_id is None:
            return False
        jobset = self._store.projects.get_jobset(jobset_id)
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
        revision = self._pinning.open(jobset, source.uri).pin(source.ref)
        if self._store.history.was_evaluated(jobset.id, revision):
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

    def _is_busy(self, jobset: Jobset) -> bool:
        return self._store.history.is_busy(jobset.id)
