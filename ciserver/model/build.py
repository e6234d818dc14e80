"""Jobs as a recipe states them, builds as the queue holds them, attempts as workers run them."""

from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from ciserver.model.account import Visibility
from ciserver.model.evaluation import Kind
from ciserver.model.frozen import frozen
from ciserver.model.project import InputType
from ciserver.model.push import Trust
from ciserver.model.secret import NO_SECRETS, BuildSecrets
from ciserver.model.status import BuildStatus, Reason, StepStatus

SETUP = "setup"
ARCHIVE = ".tar"  # what a directory is kept as

EnvironmentValue = str | tuple[str, ...]


@frozen
class Source:
    """A repository or path that a job wants in its home: at `revision`, in `directory`."""

    uri: str
    directory: str
    ref: str = ""  # what the recipe asked for; empty = the default branch
    revision: str = ""  # filled when the evaluation pins it
    submodules: bool = True
    type: InputType = InputType.GIT


@frozen
class Task:
    name: str
    script: str


@frozen
class TriggerSpec:
    """A post-build action as the recipe states it; `options` belong to the action."""

    action: str
    condition: str  # success, failure, always, change
    options: dict[str, Any] = field(default_factory=dict)


class Policy(StrEnum):
    """What becomes of builds that meet in a concurrency group."""

    QUEUE = "queue"  # all run, one after the other
    LATEST = "latest"  # the newest waiting one replaces those that wait
    CANCEL = "cancel"  # the newest one also stops the running one


@frozen
class Concurrency:
    """Builds of one group never run side by side."""

    group: str
    policy: Policy = Policy.QUEUE


@frozen
class Resources:
    """What the tasks of a build may use together; 0 where the recipe leaves it to the server."""

    memory_mb: int = 0
    pids: int = 0
    disk_mb: int = 0


@frozen
class Cache:
    """Directories and files of the home, relative to it, that are kept under a key."""

    key: str
    paths: tuple[str, ...]


@frozen
class Reports:
    """Globs, relative to the home, of files that say how tests went."""

    junit: tuple[str, ...] = ()
    tap: tuple[str, ...] = ()
    coverage: tuple[str, ...] = ()


class Identity(NamedTuple):
    """A job is built once for each of its systems: this is which of these builds is meant."""

    name: str
    system: str


@frozen
class Job:
    """One job of a recipe for one system, complete: what a build of it needs and nothing else.

    `timeout_seconds` and `silence_seconds` are 0 where the recipe leaves them to the server, and
    `retries` is None.
    """

    name: str
    file: str
    image: str
    system: str
    tasks: tuple[Task, ...]
    sources: tuple[Source, ...] = ()
    environment: dict[str, EnvironmentValue] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    repositories: dict[str, str] = field(default_factory=dict)  # of packages, by name
    artifacts: tuple[str, ...] = ()
    triggers: tuple[TriggerSpec, ...] = ()
    timeout_seconds: int = 0
    silence_seconds: int = 0
    priority: int = 0
    network: bool = True
    kinds: tuple[Kind, ...] = (Kind.PUSH, Kind.TAG, Kind.MANUAL, Kind.API)
    refs: tuple[str, ...] = ()  # globs of full or short ref names; empty = all
    by_push: bool = True  # whether a push builds it, and of which refs; empty = all
    push_refs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # what was understood but is not acted on; shown in the setup log
    partial_exit_code: int = 0  # of a task that ends well, but not with everything; 0: none does
    script: str = ""  # of its repository, that it runs, and the words for its environment
    parameters: str = ""
    script_jobset: int = 0  # that has this repository, where it is not the build's own
    base: str = ""  # the name of the recipe that a matrix made it of; empty = its own
    runs_on: tuple[str, ...] = ()  # labels that its worker must have
    needs: tuple[str, ...] = ()  # names of jobs that must have succeeded first
    changed_paths: tuple[str, ...] = ()  # globs: built for pushes that change one; empty = all
    paths: tuple[str, ...] = ()  # globs of what it depends on in its repository; empty = all
    retries: int | None = None  # after failures that are not its own
    retry_on_failure: int = 0
    concurrency: Concurrency | None = None
    resources: Resources = Resources()
    cache: tuple[Cache, ...] = ()
    reports: Reports = Reports()
    maintainers: tuple[str, ...] = ()  # mail addresses, told of a change of state
    always: bool = False  # an earlier result never stands in for it
    nix: bool = False  # a derivation, built in the store that its project's builds share
    secrets: tuple[str, ...] = ()  # by UUID or name
    secrets_of: str = ""  # the user whose secrets they are; empty = the project's
    secrets_off: bool = False  # it was asked to run without them

    @property
    def identity(self) -> Identity:
        return Identity(self.name, self.system)

    def having(self, **changes: Any) -> "Job":
        """The job with other values of these fields; `replace` would set all forty by a call each,
        for each of thousands of jobs.
        """
        other = Job.__new__(Job)
        vars(other).update(vars(self) | changes)
        return other


@frozen
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
    updated_at: datetime
    group_id: int  # the first of the builds of one job that were made together
    trust: Trust = Trust.TRUSTED
    visibility: Visibility = Visibility.PUBLIC
    kept: bool = False
    waiting: str = ""  # what a queued build waits for before it may be claimed
    concurrency: str = ""
    key: str = ""
    subject: str = ""
    worker: str = ""  # of the newest attempt; none while the build waits
    rebuild_of: int | None = None  # the build that it repeats
    runs_on: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        return f"{self.project}:{self.jobset}:{self.job}"


@frozen
class Label:
    """What people call a build and sort it by: a note in markdown, and tags, the widest first."""

    note: str = ""
    tags: tuple[str, ...] = ()


NO_LABEL = Label()


@frozen
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
    logs_removed_at: datetime | None = None


@frozen
class Step:
    build_id: int
    attempt: int
    number: int
    name: str
    status: StepStatus
    exit_code: int | None
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def has_ended(self) -> bool:
        return self.status not in {StepStatus.PENDING, StepStatus.RUNNING}


@frozen
class Product:
    id: int
    build_id: int
    attempt: int
    name: str
    path: str  # as the recipe states it
    size: int
    sha256: str
    type: str = "file"
    subtype: str = ""
    default_path: str = ""
    removed_at: datetime | None = None  # when its file was cleaned away
    removed_why: str = ""

    @property
    def is_directory(self) -> bool:
        """Whether it was a directory, and what is kept is an archive of it."""
        return self.name.endswith(ARCHIVE) and not self.path.endswith(self.name)

    @property
    def title(self) -> str:
        """What it was called: of a directory the name of that and not of its archive."""
        return self.name.removesuffix(ARCHIVE) if self.is_directory else self.name


@frozen
class ProductKind:
    """What a product is for whoever reads it, in the words of its build: `doc`, `manual`, and of a
    directory, which is kept as an archive, the file in it to begin with.
    """

    type: str = "file"
    subtype: str = ""
    default_path: str = ""


PLAIN = ProductKind()


@frozen
class Output:
    """What an attempt tells of what it made, beside the products: the name of the release, and
    where Nix built it, the derivation with the paths of its outputs by name.
    """

    release_name: str = ""
    drv_path: str = ""
    paths: dict[str, str] = field(default_factory=dict)


@frozen
class Lease:
    """The right to write for one attempt. Every write of that attempt carries the token;
    after the lease is lost a write with it is refused.
    """

    build_id: int
    attempt: int
    token: str


# What stands for the root file system of the machine itself.
OWN_IMAGES = ("", "host", "nix")


@frozen
class Offer:
    """What a worker can run: its systems, its images (empty = any), and what asks for its labels.
    One that may not take every build of its systems has the queues, as SYSTEM/TRUST, that it may
    take builds of; a dedicated one the ids of its projects.
    """

    worker: str
    systems: tuple[str, ...]
    images: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    projects: tuple[int, ...] = ()


@frozen
class Work:
    """Everything a worker needs to run one claimed build."""

    lease: Lease
    job: Job
    environment: dict[str, str]  # of the server: CI, BUILD_ID, BUILD_URL ...
    secrets: tuple[str, ...] = field(default=(), repr=False)  # to be hidden in logs
    given: BuildSecrets = NO_SECRETS  # to be put into its home
    cache_bytes: int = 0  # that it may save under a key; 0: it only reads what others saved
    store: str = ""  # the name of the Nix store that it shares; empty: none
    lease_seconds: float = 30  # how long the lease lasts from each renewal
    trust: Trust = Trust.TRUSTED
    # How the server names the mirror of each source, for a worker elsewhere that may have what is
    # needed of it; empty where there is more to be known.
    mirrors: tuple[str, ...] = ()


@frozen
class LogPiece:
    """Bytes of the log of a step, at their offset."""

    step: int
    offset: int
    chunk: bytes


@frozen
class StepResult:
    number: int
    status: StepStatus
    exit_code: int | None = None


@frozen
class Loss:
    """Why an attempt ended before its job could be judged. One that `counts` uses up a retry;
    a worker that was shut down in good order does not.
    """

    detail: str
    reason: Reason = Reason.WORKER_LOST
    counts: bool = True


@frozen
class BuildResult:
    """How an attempt ended, in the executor's words."""

    status: BuildStatus
    reason: Reason = Reason.NONE
    detail: str = ""
