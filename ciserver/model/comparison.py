"""Two evaluations side by side: what became of each job, and which inputs changed."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from ciserver.model.evaluation import Evaluation, PinnedInput
from ciserver.model.frozen import frozen
from ciserver.model.status import BuildStatus


class Change(StrEnum):
    """What became of a job since another evaluation; what wants to be looked at comes first."""

    ABORTED = "aborted"
    NOW_FAIL = "now-fail"
    NOW_SUCCEED = "now-succeed"
    NEW = "new"
    REMOVED = "removed"
    STILL_FAIL = "still-fail"
    STILL_SUCCEED = "still-succeed"
    UNFINISHED = "unfinished"


_BOTH_ENDED = {
    (True, False): Change.NOW_FAIL,
    (False, True): Change.NOW_SUCCEED,
    (False, False): Change.STILL_FAIL,
    (True, True): Change.STILL_SUCCEED,
}


@frozen
class JobResult:
    """The build that an evaluation has for a job and system, its own or one of earlier."""

    build_id: int
    job: str
    system: str
    status: BuildStatus


@frozen
class JobChange:
    """A job with what it is and what it was; at least one of them is there."""

    now: JobResult | None
    before: JobResult | None

    @property
    def job(self) -> str:
        return self._known.job

    @property
    def system(self) -> str:
        return self._known.system

    @property
    def _known(self) -> JobResult:
        known = self.now or self.before
        if known is None:
            raise ValueError("a job of neither evaluation")
        return known

    @property
    def change(self) -> Change:
        """A job that either evaluation has not finished cannot be compared yet; one that was
        stopped or broke through no fault of its own says nothing.
        """
        if self.now is None:
            return Change.REMOVED
        if self.now.status.is_aborted:
            return Change.ABORTED
        if self.before is None:
            return Change.NEW
        if not (self.now.status.is_final and self.before.status.is_final):
            return Change.UNFINISHED
        return _BOTH_ENDED[self.before.status.is_good, self.now.status.is_good]


@frozen
class LoggedCommit:
    revision: str
    subject: str
    author: str
    committed_at: datetime


@frozen
class InputLog:
    """The newest commits that came to an input or, where it went back, that left it; `more` when
    there are others.
    """

    commits: tuple[LoggedCommit, ...]
    more: bool
    went_back: bool = False


@frozen
class ChangedInput:
    """An input that is pinned elsewhere than before, is new, or is gone; with the commits between,
    where they were asked for and are known.
    """

    old: PinnedInput | None
    new: PinnedInput | None
    log: InputLog | None = None

    @property
    def name(self) -> str:
        known = self.new or self.old
        return known.name if known else ""


@frozen
class Comparison:
    """An evaluation beside `other`, which was there before: every job of the two in one class,
    sorted by name and system; classes without a job are left out.
    """

    other: Evaluation
    changes: Mapping[Change, tuple[JobChange, ...]]
    inputs: tuple[ChangedInput, ...]


def changed_inputs(
    old: tuple[PinnedInput, ...], new: tuple[PinnedInput, ...]
) -> tuple[ChangedInput, ...]:
    """Those of which the content differs, in the order of the new evaluation, then those gone."""
    before, after = ({_key(one): one for one in some} for some in (old, new))
    keys = [*after, *(one for one in before if one not in after)]
    pairs = [ChangedInput(before.get(one), after.get(one)) for one in keys]
    return tuple(one for one in pairs if _content(one.old) != _content(one.new))


def _key(one: PinnedInput) -> tuple[str, str]:
    """A name stands once, but for inputs that are pinned for each system."""
    return (one.name, "" if one.type.has_files else one.ref)


def _content(one: PinnedInput | None) -> tuple[str, ...] | None:
    return (one.type.value, one.uri, one.revision, one.value) if one else None
