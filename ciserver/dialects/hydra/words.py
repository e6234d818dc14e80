"""Hydra's words for ours."""

from ciserver.model.account import CREATE_PROJECTS, Right
from ciserver.model.job import Health
from ciserver.model.project import InputType, JobsetMode
from ciserver.model.status import BuildStatus, Reason, StepStatus

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
# Why a build ended that way; none where its state says all that Hydra has a number for. Going over
# a limit is the fault of the job, as any other failure of it.
STATE_BY_REASON: dict[Reason, int | None] = {
    Reason.NONE: None,
    Reason.EXIT_CODE: None,
    Reason.FAILED_WITH_OUTPUT: 6,
    Reason.TIME_LIMIT: 7,
    Reason.SILENCE_LIMIT: 7,
    Reason.LOG_LIMIT: 10,
    Reason.OUTPUT_LIMIT: 11,
    Reason.PROJECT_QUOTA: 11,
    Reason.MEMORY_LIMIT: 1,
    Reason.PIDS_LIMIT: 1,
    Reason.DISK_LIMIT: 11,
    Reason.DISK_FULL: 3,
    Reason.MISSING_ARTIFACT: None,
    Reason.SOURCE_UNAVAILABLE: None,
    Reason.PACKAGES_UNAVAILABLE: None,
    Reason.SECRET_UNAVAILABLE: None,
    Reason.SANDBOX_BROKEN: 3,
    Reason.WORKER_LOST: 3,
    Reason.UNSUPPORTED_SYSTEM: 9,
    Reason.SUPERSEDED: None,
    Reason.CANCELED_BY: None,
}
# A jobset's `enabled`.
MODE: dict[JobsetMode, int] = {
    JobsetMode.OFF: 0,
    JobsetMode.ON: 1,
    JobsetMode.ONE_SHOT: 2,
    JobsetMode.ONE_AT_A_TIME: 3,
}
# The color and the message of a shield.
SHIELD: dict[Health, tuple[str, str]] = {
    Health.PASSING: ("green", "passing"),
    Health.PARTIAL: ("red", "failing"),
    Health.FAILING: ("red", "failing"),
    Health.CANCELED: ("yellow", "cancelled"),
}
SHIELD_LABEL = "hydra build"
# A step's `status` and `busy`; the state of one that was passed over is none of Hydra's.
STEP_STATE: dict[StepStatus, int | None] = {
    StepStatus.PENDING: None,
    StepStatus.RUNNING: None,
    StepStatus.SUCCEEDED: 0,
    StepStatus.FAILED: 1,
    StepStatus.SKIPPED: None,
    StepStatus.CANCELED: 4,
    StepStatus.LOST: 3,
}
STEP_BUSY: dict[StepStatus, int] = {one: int(one is StepStatus.RUNNING) for one in StepStatus}
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
    "mail_to": "emailoverride",
}
DECLARATION, DECLARATIVE = "declaration.", "declarative."  # how the fields of one begin
# What an input's value in Hydra says beside its address; the core names each.
WITHIN_INPUT = (".ref", ".watch")
INPUT_TYPES = ", ".join(InputType)
USUAL_PRIORITY = 100  # of a build whose priority is 0 here

SIGN_IN = "This page requires you to sign in."
NO_PAGE = "Page not found."
NO_USER_NAME = "You must specify a user name."
NO_PASSWORD = "You must specify a password."  # noqa: S105  a message
WRONG_PASSWORD = "Bad username or password."  # noqa: S105  a message
NO_RESTART = "This build cannot be restarted."
NO_CANCEL = "This build cannot be cancelled."
NO_PARAMETER = "Parameter not defined!"
NO_PROJECT_PARAMETER = "Parameter 'project' not defined!"
NO_SIGNATURE = "Missing webhook signature"
BAD_SIGNATURE = "Invalid webhook signature"
EMPTY_BODY = "Empty request body"
RUNNER_UP, RUNNER_UNKNOWN = "up", "unknown"
