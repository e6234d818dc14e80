"""The words of builds.sr.ht for what is ours. Its clients fail on any other."""

from ciserver.model.account import Right, Visibility
from ciserver.model.status import BuildStatus, StepStatus

STATE: dict[BuildStatus, str] = {
    BuildStatus.PREPARING: "queued",
    BuildStatus.HELD: "pending",
    BuildStatus.QUEUED: "queued",
    BuildStatus.STARTING: "running",
    BuildStatus.RUNNING: "running",
    BuildStatus.CANCELING: "running",
    BuildStatus.SUCCEEDED: "success",
    BuildStatus.PARTIAL: "success",
    BuildStatus.FAILED: "failed",
    BuildStatus.DEPENDENCY_FAILED: "failed",
    BuildStatus.TIMED_OUT: "timeout",
    BuildStatus.CANCELED: "cancelled",
    BuildStatus.ERRORED: "failed",
}
TASK_STATE: dict[StepStatus, str] = {
    StepStatus.PENDING: "pending",
    StepStatus.RUNNING: "running",
    StepStatus.SUCCEEDED: "success",
    StepStatus.FAILED: "failed",
    StepStatus.SKIPPED: "skipped",
    StepStatus.CANCELED: "failed",
    StepStatus.LOST: "failed",
}
VISIBILITY = {
    "PUBLIC": Visibility.PUBLIC,
    "UNLISTED": Visibility.UNLISTED,
    "PRIVATE": Visibility.PRIVATE,
}
SCOPE = {Right.READ.scope: "jobs:read", Right.EVALUATE.scope: "jobs:write"}
# What the complaints of a submission, and of a group, are about.
FIELD = {"readers": "access:read", "writers": "access:write", "builds": "jobs"}


def already(status: BuildStatus) -> str:
    """Why a job that is not pending cannot be started."""
    word = "complete" if status.is_final else STATE[status]
    return f"This job is already {word}"
