"""Hydra's words for ours."""

from ciserver.model.account import CREATE_PROJECTS, Right
from ciserver.model.project import InputType, JobsetMode
from ciserver.model.status import BuildStatus, Reason

# A build's `buildstatus`; none while it has not ended.
STATE: dict[BuildStatus, int | None] = {
    BuildStatus.PREPARING: None,
    BuildStatus.HELD: None,
    BuildStatus.QUEUED: None,
    BuildStatus.STARTING: None,
    BuildStatus.RUNNING: None,
    BuildStatus.CANCELING: None,
    BuildStatus.SUCCEEDED: 0,
    BuildStatus.PARTIAL: 6,
    BuildStatus.FAILED: 1,
    BuildStatus.DEPENDENCY_FAILED: 2,
    BuildStatus.TIMED_OUT: 7,
    BuildStatus.CANCELED: 4,
    BuildStatus.ERRORED: 3,
}
# Why a build ended that way, where Hydra has a number for it.
STATE_BY_REASON: dict[Reason, int] = {
    Reason.UNSUPPORTED_SYSTEM: 9,
    Reason.LOG_LIMIT: 10,
    Reason.OUTPUT_LIMIT: 11,
    Reason.DISK_LIMIT: 11,
}
# A jobset's `enabled`.
MODE: dict[JobsetMode, int] = {
    JobsetMode.OFF: 0,
    JobsetMode.ON: 1,
    JobsetMode.ONE_SHOT: 2,
    JobsetMode.ONE_AT_A_TIME: 3,
}
LEGACY = 0  # a jobset's `type` that is no flake
ROLE: dict[str, str] = {
    CREATE_PROJECTS: "create-projects",
    Right.EVALUATE: "eval-jobset",
    Right.RESTART: "restart-jobs",
    Right.CANCEL: "cancel-build",
    Right.BUMP: "bump-to-front",
}
ADMIN = "admin"
# What the core calls a field that somebody may have written wrongly.
FIELD: dict[str, str] = {
    "recipe_input": "nixexprinput",
    "recipe_path": "nixexprpath",
    "check_interval_seconds": "checkinterval",
    "shares": "schedulingshares",
    "keep_evaluations": "keepnr",
}
# What an input's value in Hydra says beside its address; the core names each.
WITHIN_INPUT = (".ref", ".watch")
INPUT_TYPES = ", ".join(InputType)
USUAL_PRIORITY = 100  # of a build whose priority is 0 here

SIGN_IN = "This page requires you to sign in."
NO_PAGE = "Page not found."
NO_USER_NAME = "You must specify a user name."
NO_PASSWORD = "You must specify a password."  # noqa: S105  a message
WRONG_PASSWORD = "Bad username or password."  # noqa: S105  a message
NO_PARAMETER = "Parameter not defined!"
