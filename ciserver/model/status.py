"""The states of builds, steps, evaluations and deliveries, and the moves between them."""

from enum import StrEnum


class BuildStatus(StrEnum):
    PREPARING = "preparing"
    HELD = "held"
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    CANCELING = "canceling"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    DEPENDENCY_FAILED = "dependency_failed"
    TIMED_OUT = "timed_out"
    CANCELED = "canceled"
    ERRORED = "errored"

    @property
    def is_final(self) -> bool:
        return not MOVES[self]

    @property
    def is_waiting(self) -> bool:
        """No attempt is under way."""
        return self in _WAITING

    @property
    def is_good(self) -> bool:
        return self in _GOOD

    @property
    def is_aborted(self) -> bool:
        """It ended through no fault of its job."""
        return self in _ABORTED

    def may_become(self, other: "BuildStatus") -> bool:
        return other in MOVES[self]


_B = BuildStatus
MOVES: dict[BuildStatus, frozenset[BuildStatus]] = {
    _B.PREPARING: frozenset({_B.HELD, _B.QUEUED, _B.CANCELED, _B.ERRORED}),
    _B.HELD: frozenset({_B.QUEUED, _B.CANCELED}),
    _B.QUEUED: frozenset({_B.STARTING, _B.CANCELED, _B.DEPENDENCY_FAILED, _B.ERRORED}),
    # QUEUED: the lease was lost and the build is tried again.
    _B.STARTING: frozenset(
        {_B.RUNNING, _B.QUEUED, _B.CANCELING, _B.FAILED, _B.TIMED_OUT, _B.ERRORED}
    ),
    _B.RUNNING: frozenset(
        {
            _B.SUCCEEDED,
            _B.PARTIAL,
            _B.FAILED,
            _B.TIMED_OUT,
            _B.CANCELING,
            _B.ERRORED,
            _B.QUEUED,
        }
    ),
    # It may reach its own end before the cancellation does.
    _B.CANCELING: frozenset(
        {_B.CANCELED, _B.SUCCEEDED, _B.PARTIAL, _B.FAILED, _B.TIMED_OUT, _B.ERRORED}
    ),
    # A final status moves nowhere; a restart is a new attempt of the same build, back to QUEUED.
    _B.SUCCEEDED: frozenset(),
    _B.PARTIAL: frozenset(),
    _B.FAILED: frozenset(),
    _B.DEPENDENCY_FAILED: frozenset(),
    _B.TIMED_OUT: frozenset(),
    _B.CANCELED: frozenset(),
    _B.ERRORED: frozenset(),
}
_WAITING = frozenset({_B.PREPARING, _B.HELD, _B.QUEUED})
_GOOD = frozenset({_B.SUCCEEDED, _B.PARTIAL})
_ABORTED = frozenset({_B.CANCELED, _B.ERRORED})
ACTIVE = frozenset({_B.STARTING, _B.RUNNING, _B.CANCELING})
OPEN = _WAITING | ACTIVE


class Reason(StrEnum):
    """Why a build has its status, beside the status itself."""

    NONE = ""
    EXIT_CODE = "exit-code"
    FAILED_WITH_OUTPUT = "failed-with-output"
    TIME_LIMIT = "time-limit"
    SILENCE_LIMIT = "silence-limit"
    LOG_LIMIT = "log-limit"
    OUTPUT_LIMIT = "output-limit"
    PROJECT_QUOTA = "project-quota"
    MEMORY_LIMIT = "memory-limit"
    PIDS_LIMIT = "pids-limit"
    DISK_LIMIT = "disk-limit"
    DISK_FULL = "disk-full"
    MISSING_ARTIFACT = "missing-artifact"
    SOURCE_UNAVAILABLE = "source-unavailable"
    PACKAGES_UNAVAILABLE = "packages-unavailable"
    SECRET_UNAVAILABLE = "secret-unavailable"  # noqa: S105  the name of a reason
    SANDBOX_BROKEN = "sandbox-broken"
    WORKER_LOST = "worker-lost"
    UNSUPPORTED_SYSTEM = "unsupported-system"
    SUPERSEDED = "superseded"
    CANCELED_BY = "canceled-by"


class StepStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELED = "canceled"
    LOST = "lost"


class EvaluationStatus(StrEnum):
    REQUESTED = "requested"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # the complaints say why
    SKIPPED = "skipped"  # nothing was to be built; the note says why

    @property
    def is_final(self) -> bool:
        return self not in {EvaluationStatus.REQUESTED, EvaluationStatus.RUNNING}


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    BURIED = "buried"  # given up; may be sent again by a person
    SKIPPED = "skipped"  # never to be sent; the detail says why
