"""The words of ABF for ours: states, architectures, autostarts, what may be done, and its texts."""

from dataclasses import replace

from ciserver.model.account import Visibility
from ciserver.model.errors import Complaint
from ciserver.model.evaluation import Kind
from ciserver.model.schedule import Timing
from ciserver.model.status import BuildStatus

COMPLETED, FAILED, PENDING, STARTED, CANCELED, CANCELING, COMPLETED_PARTIALLY = range(7)

STATE: dict[BuildStatus, int] = {
    BuildStatus.PREPARING: PENDING,
    BuildStatus.HELD: PENDING,
    BuildStatus.QUEUED: PENDING,
    BuildStatus.STARTING: STARTED,
    BuildStatus.RUNNING: STARTED,
    BuildStatus.CANCELING: CANCELING,
    BuildStatus.SUCCEEDED: COMPLETED,
    BuildStatus.PARTIAL: COMPLETED_PARTIALLY,
    BuildStatus.FAILED: FAILED,
    BuildStatus.DEPENDENCY_FAILED: FAILED,
    BuildStatus.TIMED_OUT: CANCELED,
    BuildStatus.CANCELED: CANCELED,
    BuildStatus.ERRORED: FAILED,
}

VISIBILITY: dict[Visibility, str] = {
    Visibility.PUBLIC: "open",
    Visibility.UNLISTED: "open",
    Visibility.PRIVATE: "hidden",
}

AUTOSTARTED = frozenset({Kind.NIGHTLY, Kind.PERIODIC})

# Of schedules that say the same in any zone.
_AUTOSTART = {
    Timing(hours=(4, 16)): 0,
    Timing(cron="0 4,16 * * *"): 0,
    Timing(hours=(4,)): 1,
    Timing(cron="0 4 * * *"): 1,
    Timing(cron="0 4 * * 0"): 2,
    Timing(cron="0 4 * * 7"): 2,
    Timing(cron="0 4 * * sun"): 2,
}

# What each code becomes where somebody sets it.
AUTOSTART_TIMING = {
    0: Timing(hours=(4, 16)),
    1: Timing(hours=(4,)),
    2: Timing(cron="0 4 * * 0"),
}

_SYSTEM_SUFFIX = "-linux"

# What is wrong in their words, by our names of the fields.
_ATTRIBUTES = {
    "script": "Main script",
    "parameters": "Params",
    "timeout_minutes": "Time living",
    "system": "Arch",
    "project_id": "Project",
    "inputs.source": "Project",
    "inputs.source.ref": "Project version",
    "name": "Name",
    "revision": "Commit hash",
}

NOT_SIGNED_IN = "You need to sign in or sign up before continuing."
WRONG_PROOF = "Invalid email or password."
FORBIDDEN = "Access violation to this page!"
NOT_FOUND = "Error 404. Resource not found!"


def statuses_of(code: int) -> tuple[BuildStatus, ...]:
    """Ours for one of theirs; none for a code that there is not."""
    return tuple(status for status, one in STATE.items() if one == code)


def arch_of(system: str) -> str:
    return system.removesuffix(_SYSTEM_SUFFIX)


def log_name(build_id: int) -> str:
    """What the log is called among the results."""
    return f"abfworker::iso-worker-{build_id}.log"


def autostart_of(timing: Timing) -> int | None:
    plain = replace(timing, cron=" ".join(timing.cron.lower().split()), zone="UTC")
    return _AUTOSTART.get(plain)


def done(root: str, deed: str) -> str:
    """What is said of a list or a product that was created, updated, destroyed or canceled."""
    return f"{_called(root)} has been {deed} successfully"


def not_done(root: str, deed: str, *faults: str) -> str:
    return ". ".join((f"{_called(root)} has not been {deed}", *faults))


def _called(root: str) -> str:
    return root.replace("_", " ").capitalize()


def fault(complaint: Complaint) -> str:
    """A complaint of ours, about a field of ours or of theirs, as a sentence of theirs."""
    return f"{_ATTRIBUTES.get(complaint.field, complaint.field)} {complaint.message}"
