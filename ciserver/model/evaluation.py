"""A jobset looked at with every input pinned."""

from dataclasses import field
from datetime import datetime
from enum import StrEnum

from ciserver.model.account import Visibility
from ciserver.model.errors import Complaint
from ciserver.model.frozen import frozen
from ciserver.model.project import InputType
from ciserver.model.push import Trust
from ciserver.model.status import EvaluationStatus


class Kind(StrEnum):
    """What started it; a recipe's `when.kinds` chooses among these."""

    PUSH = "push"
    TAG = "tag"
    PULL_REQUEST = "pull_request"
    NIGHTLY = "nightly"
    PGO = "pgo"
    PERIODIC = "periodic"
    MANUAL = "manual"
    API = "api"


@frozen
class PinnedInput:
    """An input as an evaluation used it: a revision, or a value that stands for itself."""

    name: str
    uri: str = ""
    ref: str = ""
    revision: str = ""
    type: InputType = InputType.GIT
    value: str = ""


@frozen
class Wish:
    """What a request asks of an evaluation beyond its recipe: only these jobs (whatever their
    filters say), more variables for them, another priority; inputs, by name, at exactly these
    revisions; or the script of the jobset in place of its recipe.
    """

    jobs: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    priority: int | None = None
    revisions: dict[str, str] = field(default_factory=dict)
    script: bool = False


@frozen
class SkippedJob:
    """A job that a filter left out, and which filter."""

    job: str
    reason: str


NO_WISH = Wish()


@frozen
class Evaluation:
    id: int
    jobset_id: int
    project: str
    jobset: str
    number: int
    status: EvaluationStatus
    kind: Kind
    ref: str
    revision: str
    options: tuple[str, ...]
    requested_by: str
    requested_at: datetime
    schedule_id: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    subject: str = ""
    author: str = ""
    committed_at: datetime | None = None
    note: str = ""
    complaints: tuple[Complaint, ...] = ()
    skipped: tuple[SkippedJob, ...] = ()
    inputs: tuple[PinnedInput, ...] = ()
    builds_total: int = 0
    builds_finished: int = 0
    builds_good: int = 0
    pinned_at: datetime | None = None
    trust: Trust = Trust.TRUSTED
    base_revision: str = ""  # what the ref was before the push
    visibility: Visibility = Visibility.PUBLIC
    wish: Wish = NO_WISH
