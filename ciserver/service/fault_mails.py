"""The owner of a project is mailed when what is wrong with its recipes changed."""

import re
import secrets
from collections.abc import Callable, Iterable

from ciserver.model.errors import Complaint
from ciserver.model.evaluation import Evaluation
from ciserver.model.event import FaultsChanged, stamp
from ciserver.model.links import Links
from ciserver.model.ports import Clock
from ciserver.model.push import Trust
from ciserver.store.store import Store

_MOST_FAULTS = 20
_INCIDENT = re.compile(r" \(incident [0-9a-f]+\)")


class FaultMails:
    """`ring` wakes whoever sends what is in the outbox."""

    def __init__(
        self, store: Store, clock: Clock, links: Links, *, ring: Callable[[], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._links = links
        self._ring = ring

    def tell(self, evaluation: Evaluation, faults: Iterable[Complaint]) -> None:
        """Within the transaction in which an evaluation ends. Nobody is mailed of what people wrote
        who may not push, nor for a jobset that sends no mail.
        """
        jobset = self._store.jobsets.get(evaluation.jobset_id)
        owner = self._store.accounts.find(jobset.owner)
        if not (owner and owner.email and jobset.settings.tell_by_mail):
            return
        if evaluation.trust is not Trust.TRUSTED:
            return
        now = [str(one) for one in faults]
        before = [str(one) for one in self._store.history.faults_before(evaluation)]
        if _known(now) == _known(before):
            return
        self._store.outbox.add_once(
            f"msg_{secrets.token_hex(16)}",
            dedupe_key=f"evaluation:{evaluation.id}:faults",
            action="email",
            target=owner.email,
            options={"to": [owner.email]},
            event=self._event(evaluation, now),
            now=self._clock.now(),
        )
        self._store.after_commit(self._ring)

    def _event(self, evaluation: Evaluation, faults: list[str]) -> FaultsChanged:
        return FaultsChanged(
            evaluation_id=evaluation.id,
            number=evaluation.number,
            project=evaluation.project,
            jobset=evaluation.jobset,
            ref=evaluation.ref,
            revision=evaluation.revision,
            subject=evaluation.subject,
            author=evaluation.author,
            finished_at=stamp(self._clock.now()),
            url=self._links.evaluation(evaluation.id),
            faults=tuple(faults[:_MOST_FAULTS]),
            faults_total=len(faults),
        )


def _known(faults: list[str]) -> set[str]:
    """Without what is another one each time."""
    return {_INCIDENT.sub("", one) for one in faults}
