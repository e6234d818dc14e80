"""Values that pages and APIs show: several things read together, in a bounded number of queries."""

from dataclasses import dataclass
from datetime import datetime

from ciserver.model.build import Attempt, Build, Product, Step
from ciserver.model.delivery import Delivery
from ciserver.model.evaluation import Evaluation
from ciserver.model.project import Jobset, Project


@dataclass(frozen=True)
class BuildPage:
    """A slice of a list of builds, newest first; `next` is the cursor of the following slice
    (a build id, None at the end).
    """

    builds: tuple[Build, ...]
    next: int | None


@dataclass(frozen=True)
class EvaluationPage:
    evaluations: tuple[Evaluation, ...]
    next: int | None


@dataclass(frozen=True)
class JobsetSummary:
    jobset: Jobset
    latest: Evaluation | None


@dataclass(frozen=True)
class ProjectSummary:
    project: Project
    jobsets: tuple[JobsetSummary, ...]


@dataclass(frozen=True)
class IgnoredPush:
    """A push that came in and asked for nothing, with the reason."""

    received_at: datetime
    door: str
    refs: tuple[str, ...]
    pusher: str
    reason: str


@dataclass(frozen=True)
class JobsetView:
    jobset: Jobset
    evaluations: EvaluationPage
    results: tuple[Build, ...]  # the newest build of each job and system
    ignored: tuple[IgnoredPush, ...]


@dataclass(frozen=True)
class EvaluationView:
    evaluation: Evaluation
    builds: tuple[Build, ...]


@dataclass(frozen=True)
class AttemptView:
    attempt: Attempt
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class BuildView:
    build: Build
    evaluation: Evaluation
    attempts: tuple[AttemptView, ...]  # newest first
    products: tuple[Product, ...]
    deliveries: tuple[Delivery, ...]
    waiting_for: str  # why it has not started; empty when it has
    may_cancel: bool
    may_rerun: bool


@dataclass(frozen=True)
class QueueView:
    running: tuple[Build, ...]
    waiting: BuildPage
    waiting_total: int
    reasons: dict[int, str]  # build id -> why it waits
    evaluations: tuple[Evaluation, ...]  # requested or under way


@dataclass(frozen=True)
class LogChunk:
    """Bytes of a step's log from `offset`; `complete` when nothing will follow them."""

    offset: int
    content: bytes
    size: int  # of the whole log now
    complete: bool
