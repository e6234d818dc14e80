"""Job requests: who asked for what, when, and what came of it. They are the audit trail."""

from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ciserver.model.frozen import frozen


class Action(StrEnum):
    CANCEL_BUILD = "cancel-build"
    RERUN_BUILD = "rerun-build"
    REBUILD = "rebuild"
    REPRIORITIZE = "reprioritize"
    BUMP_BUILD = "bump-build"
    PAUSE = "pause"
    RESUME = "resume"
    KEEP_BUILD = "keep-build"
    DELETE_BUILD = "delete-build"
    SUBMIT_BUILD = "submit-build"
    START_BUILD = "start-build"
    JOIN_BUILDS = "join-builds"
    CANCEL_REVISION = "cancel-revision"
    EVALUATE = "evaluate"
    CANCEL_EVALUATION = "cancel-evaluation"
    RESTART_EVALUATION = "restart-evaluation"
    BUMP_EVALUATION = "bump-evaluation"
    ADD_PROJECT = "add-project"
    CHANGE_PROJECT = "change-project"
    REMOVE_PROJECT = "remove-project"
    SET_QUOTA = "set-quota"
    ADD_JOBSET = "add-jobset"
    CHANGE_JOBSET = "change-jobset"
    REMOVE_JOBSET = "remove-jobset"
    SET_MEMBER = "set-member"
    ADD_HOOK_SECRET = "add-hook-secret"  # noqa: S105  the name of an action
    ADD_SECRET = "add-secret"  # noqa: S105  the name of an action
    REMOVE_SECRET = "remove-secret"  # noqa: S105  the name of an action
    ADD_SCHEDULE = "add-schedule"
    CHANGE_SCHEDULE = "change-schedule"
    REMOVE_SCHEDULE = "remove-schedule"
    FIRE_SCHEDULE = "fire-schedule"
    RESEND_DELIVERY = "resend-delivery"
    ADD_WEBHOOK_KEY = "add-webhook-key"
    USE_WEBHOOK_KEY = "use-webhook-key"
    REMOVE_WEBHOOK_KEY = "remove-webhook-key"
    ADD_USER = "add-user"
    CHANGE_USER = "change-user"
    ADD_TOKEN = "add-token"  # noqa: S105  the name of an action
    ADD_LINK = "add-link"
    ADD_SYSTEM = "add-system"
    CHANGE_SYSTEM = "change-system"
    REMOVE_SYSTEM = "remove-system"
    ADD_WORKER = "add-worker"
    CHANGE_WORKER = "change-worker"
    RENEW_WORKER = "renew-worker"
    REMOVE_WORKER = "remove-worker"
    WORK_ON_BUILD = "work-on-build"


class RequestStatus(StrEnum):
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"  # refused, or partly refused; the message says why


@frozen
class JobRequest:
    """`asked_as` is the caller's own name for the action, where it has one; `created` are the
    builds that it made.
    """

    id: int
    action: Action
    asked_as: str
    who: str
    what: dict[str, Any]
    requested_at: datetime
    status: RequestStatus
    completed_at: datetime | None
    message: str = ""
    created: tuple[int, ...] = field(default=())
