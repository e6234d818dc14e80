"""Values that pages and APIs show: several things read together, in a bounded number of queries."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, field
from datetime import datetime

from ciserver.model.build import Attempt, Build, Job, Output, Product, Step
from ciserver.model.comparison import ChangedInput, changed_inputs
from ciserver.model.delivery import Delivery
from ciserver.model.evaluation import Evaluation
from ciserver.model.frozen import frozen
from ciserver.model.project import Jobset, Project
from ciserver.model.report import CaseResult, Counts, Metric, ReportNote


@frozen
class BuildPage:
    """A slice of a list of builds, newest first; `next` is the cursor of the following slice
    (a build id, None at the end).
    """

    builds: tuple[Build, ...]
    next: int | None


@frozen
class PushedEvaluation:
    """What became of an evaluation of a push so far, with the first builds that it made, as
    (id, job).
    """

    evaluation: Evaluation
    builds: tuple[tuple[int, str], ...]


@frozen
class EvaluationPage:
    evaluations: tuple[Evaluation, ...]
    next: int | None


@frozen
class BuildIds:
    """The builds of an evaluation: those that it made, if any, and those of earlier that it found
    there.
    """

    ids: tuple[int, ...] = ()
    made_some: bool = False


@frozen
class NumberedPage:
    """Page 1, 2 ... of a jobset's evaluations with the builds of each; `total` counts them all."""

    evaluations: tuple[Evaluation, ...]
    builds: dict[int, BuildIds]
    total: int


@frozen
class EvaluationSummary:
    """An evaluation beside the one before it of the same ref, if there was one."""

    evaluation: Evaluation
    previous: Evaluation | None
    builds: BuildIds

    @property
    def gain(self) -> int:
        """How many good builds more than before."""
        return self.evaluation.builds_good - self.previous.builds_good if self.previous else 0

    @property
    def changed(self) -> tuple[ChangedInput, ...]:
        return changed_inputs(self.previous.inputs if self.previous else (), self.evaluation.inputs)


@frozen
class EvaluationSummaries:
    """Some of a list, newest first; `next` is the evaluation before which older ones come, None
    at the end.
    """

    summaries: tuple[EvaluationSummary, ...]
    next: int | None


@frozen
class Submitted:
    """A build with its newest steps, and the note and tags that it was submitted with."""

    build: Build
    steps: tuple[Step, ...]
    note: str = ""
    tags: tuple[str, ...] = ()


@frozen
class SubmittedPage:
    """A slice of what somebody asked for; `next` is the build that the following one begins with,
    `total` counts them all.
    """

    submitted: tuple[Submitted, ...]
    next: int | None
    total: int


@frozen
class LabeledPage:
    """A slice of at most `limit` of what somebody asked for; `next` is the build before which the
    following one begins, None at the end.
    """

    submitted: tuple[Submitted, ...]
    next: int | None
    limit: int

    @property
    def is_cut_short(self) -> bool:
        """Whether so much was looked through that the rest was left to the next one."""
        return self.next is not None and len(self.submitted) < self.limit


@frozen
class GroupView:
    """The builds of one job that were made together, over their systems."""

    id: int
    jobset: Jobset
    builds: tuple[Build, ...]


@frozen
class JobsetSummary:
    jobset: Jobset
    latest: Evaluation | None


@frozen
class ProjectSummary:
    project: Project
    jobsets: tuple[JobsetSummary, ...]


@frozen
class IgnoredPush:
    """A push that came in and asked for nothing, with the reason."""

    received_at: datetime
    door: str
    refs: tuple[str, ...]
    pusher: str
    reason: str


@frozen
class JobsetView:
    jobset: Jobset
    evaluations: EvaluationPage
    results: tuple[Build, ...]  # the newest build of each job and system
    ignored: tuple[IgnoredPush, ...]


@frozen
class EvaluationView:
    """What became of each job of a recipe: built, reused from an earlier build, or skipped (which
    the evaluation knows); `reasons` say why builds wait, `needs` which builds they need.
    """

    evaluation: Evaluation
    builds: tuple[Build, ...]
    reused: tuple[Build, ...] = ()
    reasons: dict[int, str] = field(default_factory=dict)
    needs: dict[int, tuple[int, ...]] = field(default_factory=dict)


@frozen
class Related:
    """Builds on the other side of a need: the ids of all, and the first of the builds."""

    ids: tuple[int, ...] = ()
    builds: tuple[Build, ...] = ()


@frozen
class AttemptView:
    attempt: Attempt
    steps: tuple[Step, ...]


@frozen
class Told:
    """What the files of a build's newest attempt told; of the bad tests those that come first."""

    counts: Counts = field(default_factory=Counts)
    bad: tuple[CaseResult, ...] = ()
    metrics: tuple[Metric, ...] = ()
    notes: tuple[ReportNote, ...] = ()


@frozen
class BuildRecord:
    """A build, and what became of it."""

    build: Build
    attempts: tuple[AttemptView, ...]  # newest first
    products: tuple[Product, ...]
    deliveries: tuple[Delivery, ...]
    waiting_for: str  # why it has not started; empty when it has
    note: str = ""  # of a build that was submitted
    tags: tuple[str, ...] = ()
    told: Told = field(default_factory=Told)
    needs: Related = Related()
    needed_by: Related = Related()
    output: Output = field(default_factory=Output)  # of the newest attempt

    @property
    def steps(self) -> tuple[Step, ...]:
        """Those of the newest attempt."""
        return self.attempts[0].steps if self.attempts else ()

    @property
    def results(self) -> tuple[Product, ...]:
        """The products of the newest attempt."""
        return tuple(one for one in self.products if one.attempt == self.build.attempt)


@frozen
class BuildView(BuildRecord):
    """The same with what it was made of, and what may be done with it."""

    _: KW_ONLY
    evaluation: Evaluation
    job: Job
    may_cancel: bool
    may_rerun: bool


@frozen
class BuildFacts:
    """What lists tell of a build: what its newest attempt made, and why it waits if it does."""

    build: Build
    results: tuple[Product, ...]
    output: Output
    told: Told
    waiting_for: str


@frozen
class Needed:
    """What a build needs, with how many needs away each is; `is_cut` when there is more."""

    build: Build
    builds: tuple[tuple[int, Build], ...]
    is_cut: bool


@frozen
class Pause:
    """A worker that takes no builds, or with the empty name the whole queue; `by` is empty for
    those who are not told. `reason` is for everybody who waits. One that the server made itself
    ends at `until`.
    """

    worker: str
    by: str
    reason: str = ""
    until: datetime | None = None


@frozen
class QueueView:
    running: tuple[Build, ...]
    waiting: BuildPage
    waiting_total: int | None  # None where only some may be counted
    reasons: dict[int, str]  # build id -> why it waits
    evaluations: tuple[Evaluation, ...]  # requested or under way


@frozen
class Tip:
    """A branch or tag by its full name, with the commit that it points at."""

    ref: str
    revision: str


@frozen
class System:
    """A system that builds are made for, such as x86_64-linux; nothing new is made for one that is
    not active. `images` are those that workers have for it, as far as it was said.
    """

    id: int
    name: str
    active: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    images: tuple[str, ...] = ()


@frozen
class LogChunk:
    """Bytes of a step's log from `offset`; `complete` when nothing will follow them."""

    offset: int
    content: bytes
    size: int  # of the whole log now
    complete: bool
