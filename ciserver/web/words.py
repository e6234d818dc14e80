"""The words and symbols that pages have for what the model knows."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ciserver.model.build import Build
from ciserver.model.comparison import Change
from ciserver.model.evaluation import Evaluation
from ciserver.model.request import Action, RequestStatus
from ciserver.model.status import BuildStatus, DeliveryStatus, EvaluationStatus, Reason, StepStatus
from ciserver.service.waiting import group_name


class Look(NamedTuple):
    """How a state is shown: a word, the symbol beside it, and the tone that colors both."""

    word: str
    symbol: str
    tone: str  # good, bad, warn, active, waiting, quiet


BUILD_LOOKS = {
    BuildStatus.PREPARING: Look("Preparing", "clock", "waiting"),
    BuildStatus.HELD: Look("Held", "pause", "waiting"),
    BuildStatus.QUEUED: Look("Queued", "clock", "waiting"),
    BuildStatus.STARTING: Look("Starting", "dots", "active"),
    BuildStatus.RUNNING: Look("Running", "dots", "active"),
    BuildStatus.CANCELING: Look("Canceling", "dots", "warn"),
    BuildStatus.SUCCEEDED: Look("Succeeded", "check", "good"),
    BuildStatus.PARTIAL: Look("Partly succeeded", "half", "warn"),
    BuildStatus.FAILED: Look("Failed", "cross", "bad"),
    BuildStatus.DEPENDENCY_FAILED: Look("Dependency failed", "cross", "bad"),
    BuildStatus.TIMED_OUT: Look("Timed out", "clock", "bad"),
    BuildStatus.CANCELED: Look("Canceled", "dash", "quiet"),
    BuildStatus.ERRORED: Look("Errored", "bang", "bad"),
}
STEP_LOOKS = {
    StepStatus.PENDING: Look("Not started", "clock", "quiet"),
    StepStatus.RUNNING: Look("Running", "dots", "active"),
    StepStatus.SUCCEEDED: Look("Succeeded", "check", "good"),
    StepStatus.FAILED: Look("Failed", "cross", "bad"),
    StepStatus.SKIPPED: Look("Skipped", "dash", "quiet"),
    StepStatus.CANCELED: Look("Canceled", "dash", "quiet"),
    StepStatus.LOST: Look("Lost", "bang", "bad"),
}
EVALUATION_LOOKS = {
    EvaluationStatus.REQUESTED: Look("Requested", "clock", "waiting"),
    EvaluationStatus.RUNNING: Look("Reading the recipe", "dots", "active"),
    EvaluationStatus.SUCCEEDED: Look("Evaluated", "check", "good"),
    EvaluationStatus.FAILED: Look("Not evaluated", "bang", "bad"),
    EvaluationStatus.SKIPPED: Look("Nothing to build", "dash", "quiet"),
}
DELIVERY_LOOKS = {
    DeliveryStatus.PENDING: Look("To be sent", "clock", "waiting"),
    DeliveryStatus.SENT: Look("Sent", "check", "good"),
    DeliveryStatus.BURIED: Look("Given up", "bang", "bad"),
    DeliveryStatus.SKIPPED: Look("Not sent", "dash", "quiet"),
}
REQUEST_LOOKS = {
    RequestStatus.PENDING: Look("Under way", "dots", "active"),
    RequestStatus.DONE: Look("Done", "check", "good"),
    RequestStatus.FAILED: Look("Not done", "cross", "bad"),
}
REASONS = {
    Reason.NONE: "",
    Reason.EXIT_CODE: "A step failed.",
    Reason.FAILED_WITH_OUTPUT: "It made its output, and says in there that it failed.",
    Reason.TIME_LIMIT: "It ran longer than its time limit allows.",
    Reason.SILENCE_LIMIT: "It wrote no output for longer than allowed.",
    Reason.LOG_LIMIT: "It wrote more log output than allowed.",
    Reason.OUTPUT_LIMIT: "Its products are larger than allowed.",
    Reason.PROJECT_QUOTA: "Its project keeps as much as it may.",
    Reason.MEMORY_LIMIT: "It needed more memory than allowed.",
    Reason.PIDS_LIMIT: "It started more processes than allowed.",
    Reason.DISK_LIMIT: "Its files took more disk space than allowed.",
    Reason.DISK_FULL: "There was no disk space left.",
    Reason.MISSING_ARTIFACT: "A file that the recipe names as an artifact was not made.",
    Reason.SOURCE_UNAVAILABLE: "A source could not be fetched.",
    Reason.PACKAGES_UNAVAILABLE: "Packages that it names could not be installed.",
    Reason.SECRET_UNAVAILABLE: "A secret that it names could not be had.",
    Reason.SANDBOX_BROKEN: "The sandbox could not be set up.",
    Reason.WORKER_LOST: "The worker stopped answering.",
    Reason.UNSUPPORTED_SYSTEM: "No worker can run this system.",
    Reason.SUPERSEDED: "A newer push took its place.",
    Reason.CANCELED_BY: "Somebody canceled it.",
}
ACTIONS = {
    Action.CANCEL_BUILD: "Cancel a build",
    Action.RERUN_BUILD: "Run a build again",
    Action.REBUILD: "Build again",
    Action.REPRIORITIZE: "Change a priority",
    Action.BUMP_BUILD: "Move a build to the front",
    Action.PAUSE: "Pause",
    Action.RESUME: "Resume",
    Action.KEEP_BUILD: "Keep a build",
    Action.DELETE_BUILD: "Delete a build",
    Action.SUBMIT_BUILD: "Submit a build",
    Action.START_BUILD: "Start a held build",
    Action.JOIN_BUILDS: "Join builds in a group",
    Action.CANCEL_REVISION: "Cancel a revision",
    Action.EVALUATE: "Evaluate a jobset",
    Action.CANCEL_EVALUATION: "Cancel an evaluation",
    Action.RESTART_EVALUATION: "Run an evaluation's builds again",
    Action.BUMP_EVALUATION: "Move an evaluation to the front",
    Action.ADD_PROJECT: "Add a project",
    Action.CHANGE_PROJECT: "Change a project",
    Action.REMOVE_PROJECT: "Remove a project",
    Action.SET_QUOTA: "Set a project's quota",
    Action.ADD_JOBSET: "Add a jobset",
    Action.CHANGE_JOBSET: "Change a jobset",
    Action.REMOVE_JOBSET: "Remove a jobset",
    Action.SET_MEMBER: "Set a member",
    Action.ADD_HOOK_SECRET: "Add a hook secret",
    Action.ADD_SECRET: "Add a secret",
    Action.REMOVE_SECRET: "Remove a secret",
    Action.ADD_SCHEDULE: "Add a schedule",
    Action.CHANGE_SCHEDULE: "Change a schedule",
    Action.REMOVE_SCHEDULE: "Remove a schedule",
    Action.FIRE_SCHEDULE: "Fire a schedule",
    Action.RESEND_DELIVERY: "Send a delivery again",
    Action.ADD_WEBHOOK_KEY: "Add a webhook key",
    Action.USE_WEBHOOK_KEY: "Sign webhooks with a key",
    Action.REMOVE_WEBHOOK_KEY: "Remove a webhook key",
    Action.ADD_USER: "Add a user",
    Action.CHANGE_USER: "Change a user",
    Action.ADD_TOKEN: "Add a token",
    Action.ADD_LINK: "Add a sign-in link",
    Action.ADD_SYSTEM: "Add a system",
    Action.CHANGE_SYSTEM: "Change a system",
    Action.REMOVE_SYSTEM: "Remove a system",
    Action.ADD_WORKER: "Add a worker",
    Action.CHANGE_WORKER: "Change a worker",
    Action.RENEW_WORKER: "Renew a worker's credential",
    Action.REMOVE_WORKER: "Remove a worker",
    Action.WORK_ON_BUILD: "Work on a build",
}
CHANGES = {
    Change.ABORTED: Look("Aborted", "dash", "quiet"),
    Change.NOW_FAIL: Look("Now failing", "cross", "bad"),
    Change.NOW_SUCCEED: Look("Now succeeding", "check", "good"),
    Change.NEW: Look("New", "dots", "active"),
    Change.REMOVED: Look("Removed", "dash", "quiet"),
    Change.STILL_FAIL: Look("Still failing", "cross", "bad"),
    Change.STILL_SUCCEED: Look("Still succeeding", "check", "good"),
    Change.UNFINISHED: Look("Unfinished", "clock", "waiting"),
}
DOORS = {"generic": "git hook", "github": "GitHub", "gitea": "Gitea", "gitlab": "GitLab"}
_MOST_NEEDS = 5
_THINGS = {"build", "evaluation", "jobset", "project", "schedule"}
_REF_NAMES = (
    ("refs/heads/*", "all branches"),
    ("refs/tags/*", "all tags"),
    ("refs/heads/", ""),
    ("refs/tags/", "tag "),
    ("refs/pull/", "pull request "),
    ("refs/merge-requests/", "merge request "),
    ("refs/", ""),
)


def _evaluation_look(evaluation: Evaluation) -> Look:
    """An evaluation that made builds is shown by how they fare."""
    total, finished = evaluation.builds_total, evaluation.builds_finished
    if evaluation.status is not EvaluationStatus.SUCCEEDED or not total:
        return EVALUATION_LOOKS[evaluation.status]
    bad = finished - evaluation.builds_good
    if bad:
        return Look(f"{bad} of {total} not good", "cross", "bad")
    if finished < total:
        return Look(f"{finished} of {total} done", "dots", "active")
    return Look("All good" if total > 1 else "Good", "check", "good")


def _status_sentence(build: Build) -> str:
    """Why a build has its status, in the general and then in this build's own words."""
    general = REASONS[build.reason]
    if build.canceled_by:
        general = f"Canceled by {build.canceled_by}."
    own = build.detail[:1].upper() + build.detail[1:]
    return " ".join(filter(None, (general, own)))


def _short_ref(ref: str) -> str:
    for prefix, name in _REF_NAMES:
        if ref.startswith(prefix):
            rest = ref.removeprefix(prefix)
            return name + (rest.removesuffix("/head") if "request" in name else rest)
    return ref


def _needs(ids: Iterable[int], names: Mapping[int, str]) -> str:
    """The first of the jobs that a build needs, of those that a page knows."""
    known = list(dict.fromkeys(names[one] for one in ids if one in names))
    more = len(known) - _MOST_NEEDS
    told = ", ".join(known[:_MOST_NEEDS])
    return f"{told} and {more} more" if more > 0 else told


def _refs(refs: Iterable[str]) -> str:
    return ", ".join(map(_short_ref, refs))


def _told(what: Mapping[str, Any]) -> str:
    """The rest of what a request is about, beside the thing itself."""
    rest = {name: value for name, value in what.items() if name not in _THINGS and value}
    return ", ".join(f"{name}: {_plain(value)}" for name, value in rest.items())


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict | bool) else str(value)


# The filters of the templates.
WORDS: dict[str, Callable[..., Any]] = {
    "refs": _refs,
    "short_ref": _short_ref,
    "short_revision": lambda revision: revision[:10],
    "door": lambda door: DOORS.get(door, door),
    "sentence": _status_sentence,
    "concurrency": lambda build: group_name(build.concurrency),
    "needs": _needs,
    "build_look": lambda build: BUILD_LOOKS[build.status],
    "step_look": lambda step: STEP_LOOKS[step.status],
    "evaluation_look": _evaluation_look,
    "delivery_look": lambda delivery: DELIVERY_LOOKS[delivery.status],
    "request_look": lambda request: REQUEST_LOOKS[request.status],
    "change_look": lambda change: CHANGES[change],
    "action": lambda request: ACTIONS[request.action],
    "told": _told,
}
