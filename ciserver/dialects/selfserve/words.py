"""The words of self-serve: what it calls states, actions, their arguments and their faults."""

from collections.abc import Mapping
from typing import Any

from ciserver.model.evaluation import Kind
from ciserver.model.request import Action
from ciserver.model.status import BuildStatus

SUCCESS, WARNINGS, FAILURE, EXCEPTION, CANCELED = 0, 1, 2, 4, 6
# A build's `status`; None while it waits or runs.
STATE: dict[BuildStatus, int | None] = {
    BuildStatus.PREPARING: None,
    BuildStatus.HELD: None,
    BuildStatus.QUEUED: None,
    BuildStatus.STARTING: None,
    BuildStatus.RUNNING: None,
    BuildStatus.CANCELING: None,
    BuildStatus.SUCCEEDED: SUCCESS,
    BuildStatus.PARTIAL: WARNINGS,
    BuildStatus.FAILED: FAILURE,
    BuildStatus.DEPENDENCY_FAILED: FAILURE,
    BuildStatus.TIMED_OUT: FAILURE,
    BuildStatus.CANCELED: CANCELED,
    BuildStatus.ERRORED: EXCEPTION,
}

# What `what` of a job holds, for each action.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "reprioritize": ("brid", "priority"),
    "cancel_request": ("brid",),
    "cancel_build": ("bid",),
    "rebuild_request": ("brid", "priority", "count"),
    "rebuild_build": ("bid", "priority", "count"),
    "cancel_revision": ("branch", "revision"),
    "new_build_at_revision": ("branch", "revision"),
    "new_nightly_at_revision": ("branch", "revision", "priority"),
    "new_pgobuild_at_revision": ("branch", "revision", "priority"),
    "new_build_for_builder": (
        "branch",
        "revision",
        "priority",
        "builder_name",
        "properties",
        "files",
    ),
}
# What was asked for elsewhere, by the name that it would have here; what is not named is not shown.
ACTION: dict[Action, str] = {
    Action.REPRIORITIZE: "reprioritize",
    Action.CANCEL_BUILD: "cancel_build",
    Action.REBUILD: "rebuild_build",
    Action.CANCEL_REVISION: "cancel_revision",
    Action.EVALUATE: "new_build_at_revision",
}
_ACTION_OF_KIND = {
    Kind.NIGHTLY.value: "new_nightly_at_revision",
    Kind.PGO.value: "new_pgobuild_at_revision",
}

# A build finds the `files` that were sent for it here, as JSON.
FILES_VARIABLE = "SELFSERVE_FILES"
# Our names of fields, where a fault names one that self-serve calls otherwise.
FIELD = {"environment": "properties", "jobs": "builder_name", "jobset": "branch"}
# What became of a request whose build had ended meanwhile, by the name of the action.
NOTHING_TO_DO = {
    "cancel_request": "Request {} is complete, nothing to do",
    "cancel_build": "Build is complete, nothing to do",
    "reprioritize": "Request is complete, nothing to do",
}
# What became of a request for builds of a kind that the recipe has none of.
NO_BUILDS = "No builds to create"
SETS = {"new_nightly_at_revision", "new_pgobuild_at_revision"}
# Our codes of refusals that self-serve has a sentence of its own for.
SENTENCE = {
    "build-already-finished": "Request already complete",
    "build-already-started": "Request is already running",
}


def action_of(action: Action, asked_as: str, what: Mapping[str, Any]) -> str:
    """The name of an action: the one it was asked by, if it is one of these."""
    if asked_as in ARGUMENTS:
        return asked_as
    if action is not Action.EVALUATE:
        return ACTION[action]
    if what.get("jobs"):
        return "new_build_for_builder"
    return _ACTION_OF_KIND.get(what.get("kind", ""), ACTION[action])
