"""Shows builds as requests and builds, and job requests as jobs.

A build of ours is a request while it waits, and a request with a build of the same id afterwards.
Keys that a client tells the two apart by are absent, not null.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ciserver.dialects.selfserve.words import (
    ARGUMENTS,
    FILES_VARIABLE,
    NO_BUILDS,
    NOTHING_TO_DO,
    SETS,
    STATE,
    SUCCESS,
    action_of,
)
from ciserver.model.build import Build
from ciserver.model.evaluation import Evaluation, Kind
from ciserver.model.project import Jobset
from ciserver.model.request import JobRequest, RequestStatus
from ciserver.model.status import BuildStatus
from ciserver.model.timing import PushTime, WaitTimes
from ciserver.service.requests import nothing_to_do

Json = dict[str, Any]
_ASKED_FOR = {Kind.API, Kind.MANUAL, Kind.NIGHTLY, Kind.PGO}


def branch_name(jobset: Jobset) -> str:
    return jobset.branch or jobset.full_name


def is_built(build: Build) -> bool:
    """Whether the request has a build. What was canceled while it waited never got one; what
    ended otherwise did, though no worker had it, or nobody would learn of its end.
    """
    if build.status is BuildStatus.CANCELED:
        return build.started_at is not None
    return not build.status.is_waiting


def branch_item(jobset: Jobset) -> Json:
    return {
        "repo": jobset.source.uri if jobset.source else "",
        "repo_type": "git",
        "graph_branches": [],
    }


def request_item(build: Build, branch: str) -> Json:
    return {
        "request_id": build.id,
        "buildername": build.job,
        "branch": branch,
        "revision": build.revision,
        "submittime": epoch(build.queued_at),
        "complete": int(build.status.is_final),
        "complete_at": epoch_or_none(build.finished_at),
        "priority": build.priority,
        "claimed_at": epoch_or_none(build.started_at) or 0,
        "reason": reason_of(build),
    }


def build_item(build: Build, branch: str) -> Json:
    return {
        "build_id": build.id,
        "requests": [request_item(build, branch)],
        "buildnumber": build.number,
        "buildername": build.job,
        "branch": branch,
        "revision": build.revision,
        "starttime": epoch_or_none(build.started_at or build.finished_at),
        "endtime": epoch_or_none(build.finished_at),
        "status": STATE[build.status],
        "claimed_by_name": build.worker or None,
    }


def request_details(build: Build, branch: str, evaluation: Evaluation) -> Json:
    return {
        **request_item(build, branch),
        "properties": _properties(evaluation.wish.environment),
        "build_ids": [build.id] if is_built(build) else [],
    }


def build_details(build: Build, branch: str, evaluation: Evaluation) -> Json:
    request = request_item(build, branch)
    request["properties"] = _properties(evaluation.wish.environment)
    return {**build_item(build, branch), "requests": [request]}


def in_order(builds: Iterable[Build]) -> list[Build]:
    """Builds, the newest first, then requests that wait, the newest first."""
    builds = tuple(builds)
    built = sorted((one for one in builds if is_built(one)), key=lambda one: -one.id)
    waiting = sorted(
        (one for one in builds if one.status.is_waiting),
        key=lambda one: (one.queued_at, one.id),
        reverse=True,
    )
    return [*built, *waiting]


def flat_list(builds: Iterable[Build], branch: str) -> list[Json]:
    """What is in order, each as a build or as a request."""
    return [
        build_item(one, branch) if is_built(one) else request_item(one, branch)
        for one in in_order(builds)
    ]


def days_around(since: datetime) -> dict[str, str]:
    """The day before and the day after, as they are asked for; none beyond the calendar."""
    return {"earlier": _day_beside(since, -1), "later": _day_beside(since, 1)}


def _day_beside(since: datetime, days: int) -> str:
    try:
        return (since + timedelta(days=days)).date().isoformat()
    except OverflowError:
        return ""


def pending_item(build: Build) -> Json:
    """A request that waits, beneath its branch and revision."""
    return {
        "id": build.id,
        "buildername": build.job,
        "submitted_at": epoch(build.queued_at),
    }


def running_item(build: Build, heard: datetime | None) -> Json:
    """A build that runs, beneath its branch and revision; its worker was `heard` of then."""
    return {
        "id": build.id,
        "buildername": build.job,
        "number": build.number,
        "start_time": epoch_or_none(build.started_at),
        "submitted_at": epoch(build.queued_at),
        "last_heartbeat": epoch_or_none(heard),
        "claimed_by_name": build.worker or None,
        "request_ids": [build.id],
        "revision": build.revision,
    }


def wait_times(found: WaitTimes, branch: str) -> Json:
    """How many builds waited how many minutes, by the beginning of each block."""
    return {
        "branch": branch,
        "starttime": epoch(found.since),
        "endtime": epoch(found.until),
        "mpb": found.block_minutes,
        "total": found.total,
        "platforms": {
            system: {str(index * found.block_minutes): count for index, count in enumerate(counts)}
            for system, counts in found.systems.items()
        },
        "pending": [pending_item(one) for one in found.waiting],
    }


def push_times(found: Iterable[PushTime], branch: str) -> Json:
    """How many seconds each push took, the earliest first."""
    return {
        "branch": branch,
        "pushes": [
            {
                "revision": one.revision,
                "starttime": epoch(one.requested_at),
                "endtime": epoch(one.ended_at),
                "duration": int(one.seconds),
                "builds": one.builds,
                "green": one.is_green,
            }
            for one in found
        ],
    }


def outcome(builds: Iterable[Build], now: int, stable_delay: int) -> Json:
    """Whether everything here has ended, long enough ago for what follows it to be there, and
    ended well.
    """
    there = [one for one in builds if is_built(one) or one.status.is_waiting]
    complete = all(
        one.finished_at is not None and now - epoch(one.finished_at) >= stable_delay
        for one in there
    )
    return {
        "stableDelay": stable_delay,
        "job_complete": complete,
        "job_passed": complete and all(STATE[one.status] == SUCCESS for one in there),
    }


def job(request: JobRequest, branches: Mapping[str, str]) -> Json:
    """A job request. `branches` are the names of jobsets by their full names."""
    action = action_of(request.action, request.asked_as, request.what)
    arguments = _arguments(request.what, branches)
    return {
        "action": action,
        "who": request.who,
        "when": epoch(request.requested_at),
        "completed_at": epoch_or_none(request.completed_at),
        "what": {name: arguments[name] for name in ARGUMENTS[action]},
        "complete_data": _completed(request, action) if request.completed_at else None,
    }


def epoch(moment: datetime) -> int:
    return int(moment.timestamp())


def epoch_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else epoch(moment)


def reason_of(build: Build) -> str:
    """Why a request was made, as far as self-serve tells."""
    if build.rebuild_of is not None:
        return f"Self-serve: Rebuilt by {build.requested_by}"
    # A schedule signs as "schedule N"; no name of a person has a space.
    if build.kind in _ASKED_FOR and build.requested_by and " " not in build.requested_by:
        return f"Self-serve: Requested by {build.requested_by}"
    return "scheduler"


def _arguments(what: Mapping[str, Any], branches: Mapping[str, str]) -> Json:
    environment = what.get("environment", {})
    jobset = what.get("jobset", "")
    return {
        "brid": what.get("build"),
        "bid": what.get("build"),
        "priority": what.get("priority") or 0,
        "count": what.get("count", 1),
        "branch": branches.get(jobset, jobset),
        "revision": what.get("revision", ""),
        "builder_name": ", ".join(what.get("jobs", ())),
        "properties": _properties(environment),
        "files": json.loads(environment.get(FILES_VARIABLE, "[]")),
    }


def _properties(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name != FILES_VARIABLE}


def _completed(request: JobRequest, action: str) -> Json:
    return {
        "request_id": request.id,
        "body": {
            "errors": request.status is RequestStatus.FAILED,
            "msg": _message(request, action),
            "created": list(request.created),
        },
    }


def _message(request: JobRequest, action: str) -> str:
    """What came of it, to the letter where clients know the sentence."""
    build_id = request.what.get("build", 0)
    if action in NOTHING_TO_DO and request.message == nothing_to_do(build_id):
        return NOTHING_TO_DO[action].format(build_id)
    if action in SETS and request.status is RequestStatus.DONE and not request.created:
        return NO_BUILDS
    return request.message
