"""Jobs as a recipe states them, builds as the queue holds them, attempts as workers run them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ciserver.model.evaluation import Kind
from ciserver.model.status import BuildStatus, Reason, StepStatus

SETUP = "setup"

EnvironmentValue = str | tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A repository that a job wants in its home: cloned at `revision` into `directory`."""

    uri: str
    directory: str
    ref: str = ""  # what the recipe asked for; empty = the default branch
    revision: str = ""  # filled when the evaluation pins it
    submodules: bool = True


@dataclass(frozen=True)
class Task:
    name: str
    script: str


@dataclass(frozen=True)
class TriggerSpec:
    """A post-build action as the recipe states it; `options` belong to the action."""

    action: str
    condition: str  # success, failure, always, change
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One job of a recipe, complete: what a build of it needs and nothing else.

    `timeout_seconds` and `silence_seconds` are 0 where the recipe leaves them to the server.
    """

    name: str
    file: str
    image: str
    system: str
    tasks: tuple[Task, ...]
    sources: tuple[Source, ...] = ()
    environment: dict[str, EnvironmentValue] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    triggers: tuple[TriggerSpec, ...] = ()
    timeout_seconds: int = 0
    silence_seconds: int = 0
    priority: int = 0
    network: bool = True
    kinds: tuple[Kind, ...] = (Kind.PUSH, Kind.TAG, Kind.MANUAL, Kind.API)
    refs: tuple[str, ...] = ()  # globs of full or short ref names; empty = all
    notes: tuple[str, ...] = ()  # what was understood but is not acted on; shown in the setup log


@dataclass(frozen=True)
class Build:
    id: int
    evaluation_id: int
    jobset_id: int
    project: str
    jobset: str
    job: str
    number: int
    system: str
    image: str
    status: BuildStatus
    reason: Reason
    detail: str
    priority: int
    bumped: bool
    kind: Kind
    ref: str
    revision: str
    requested_by: str
    canceled_by: str
    attempt: int
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    subject: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.project}:{self.jobset}:{self.job}"


@dataclass(frozen=True)
class Attempt:
    build_id: int
    number: int
    worker: str
    sandbox: str
    status: BuildStatus
    reason: Reason
    detail: str
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class Step:
    build_id: int
    attempt: int
    number: int
    name: str
    status: StepStatus
    exit_code: int | None
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class Product:
    id: int
    build_id: int
    attempt: int
    name: str
    path: str  # as the recipe states it
    size: int
    sha256: str


@dataclass(frozen=True)
class Lease:
    """The right to write for one attempt. Every write of that attempt carries the token;
    after the lease is lost a write with it is refused.
    """

    build_id: int
    attempt: int
    token: str


@dataclass(frozen=True)
class Offer:
    """What a worker can run: its systems, and its images (empty = any)."""

    worker: str
    systems: tuple[str, ...]
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class Work:
    """Everything a worker needs to run one claimed build."""

    lease: Lease
    job: Job
    environment: dict[str, str]  # of the server: CI, BUILD_ID, BUILD_URL ...
    secrets: tuple[str, ...] = field(default=(), repr=False)  # to be hidden in logs


@dataclass(frozen=True)
class StepResult:
    number: int
    status: StepStatus
    exit_code: int | None = None


@dataclass(frozen=True)
class Loss:
    """Why an attempt ended before its job could be judged. One that `counts` uses up a retry;
    a worker that was shut down in good order does not.
    """

    detail: str
    reason: Reason = Reason.WORKER_LOST
    counts: bool = True


@dataclass(frozen=True)
class BuildResult:
    """How an attempt ended, in the executor's words."""

    status: BuildStatus
    reason: Reason = Reason.NONE
    detail: str = ""
