"""A jobset looked at with every input pinned."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ciserver.model.errors import Complaint
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


@dataclass(frozen=True)
class PinnedInput:
    name: str
    uri: str
    ref: str
    revision: str


@dataclass(frozen=True)
class SkippedJob:
    """A job that a filter left out, and which filter."""

    job: str
    reason: str


@dataclass(frozen=True)
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
