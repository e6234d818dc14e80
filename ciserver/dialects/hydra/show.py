"""Our values as Hydra shows them: what its manual has, and what it has beside that today."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ciserver.dialects.hydra.words import (
    ADMIN,
    LEGACY,
    MODE,
    ROLE,
    STATE,
    STATE_BY_REASON,
    USUAL_PRIORITY,
)
from ciserver.model.account import User
from ciserver.model.build import Build, Product
from ciserver.model.evaluation import Evaluation, PinnedInput
from ciserver.model.links import Links
from ciserver.model.project import Input, InputType, Jobset
from ciserver.model.status import EvaluationStatus
from ciserver.model.view import BuildView, ProjectSummary

_PATHS = Links("")
_BRANCH = "refs/heads/"


def epoch(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment else None


def user(one: User) -> dict[str, Any]:
    roles = [ROLE[each] for each in ROLE if each in one.roles]
    return {
        "username": one.name,
        "fullname": one.full_name,
        "emailaddress": one.email,
        "userroles": [ADMIN, *roles] if one.is_admin else roles,
    }


def project(summary: ProjectSummary) -> dict[str, Any]:
    one, settings = summary.project, summary.project.settings
    return {
        "name": one.name,
        "displayname": settings.display_name or one.name,
        "description": settings.description,
        "homepage": settings.homepage,
        "owner": one.owner,
        "enabled": int(settings.enabled),
        "hidden": int(settings.hidden),
        "enable_dynamic_run_command": False,
        "jobsets": [each.jobset.name for each in summary.jobsets],
        "releases": [],
    }


# -- jobsets --------------------------------------------------------------------------------------


def jobset(one: Jobset, newest: Iterable[Evaluation], *, may_edit: bool) -> dict[str, Any]:
    """`newest` are its evaluations, newest first. Whom it mails to is for those who may edit it."""
    settings = one.settings
    return {
        "name": one.name,
        "project": one.project,
        "description": settings.description,
        "enabled": MODE[settings.mode],
        "visible": not settings.hidden,
        "type": LEGACY,
        "flake": "",
        "nixexprinput": settings.recipe_input,
        "nixexprpath": recipe_path(settings.recipe_path),
        "checkinterval": settings.check_interval_seconds,
        "schedulingshares": settings.shares,
        "keepnr": settings.keep_evaluations,
        "enableemail": settings.tell_by_mail,
        "emailoverride": settings.mail_to if may_edit else "",
        "enable_dynamic_run_command": False,
        "inputs": {each.name: _input(each) for each in one.inputs},
        "jobsetinputs": {
            each.name: {"jobsetinputalts": [input_value(each)]} for each in one.inputs
        },
        **_looked_at(tuple(newest)),
    }


def recipe_path(paths: Iterable[str]) -> str:
    """Several in one text; `given.recipe_paths` takes it apart again."""
    return ", ".join(paths)


def input_value(one: Input) -> str:
    """The one text that an input is in Hydra: a repository with what of it is followed."""
    if one.type is not InputType.GIT:
        return one.value
    tracked = "" if one.ref == "HEAD" else one.ref.removeprefix(_BRANCH)
    return f"{one.uri} {tracked}".rstrip()


def _input(one: Input) -> dict[str, Any]:
    return {
        "name": one.name,
        "type": one.type.value,
        "value": input_value(one),
        "emailresponsible": False,
    }


def _looked_at(newest: tuple[Evaluation, ...]) -> dict[str, Any]:
    """When it was and will be looked at, and what was wrong the last time. What came of a
    repository that could not be read is not an error of the evaluation.
    """
    ended = next((one for one in newest if one.status.is_final), None)
    waiting = [one.requested_at for one in newest if one.status is EvaluationStatus.REQUESTED]
    running = [one.started_at for one in newest if one.status is EvaluationStatus.RUNNING]
    wrong = "\n".join(map(str, ended.complaints)) if ended else ""
    was_fetched = ended is not None and ended.pinned_at is not None
    return {
        "errormsg": wrong if was_fetched else "",
        "fetcherrormsg": None if was_fetched else wrong or None,
        "errortime": epoch(ended.finished_at) if ended and wrong else None,
        "lastcheckedtime": epoch(ended.finished_at) if ended else None,
        "triggertime": epoch(waiting[0]) if waiting else None,
        "starttime": epoch(running[0]) if running else None,
    }


# -- evaluations ----------------------------------------------------------------------------------


def evaluation(one: Evaluation, builds: Iterable[int]) -> dict[str, Any]:
    return {
        "id": one.id,
        "timestamp": epoch(one.requested_at),
        "checkouttime": _seconds(one.started_at, one.pinned_at),
        "evaltime": _seconds(one.pinned_at, one.finished_at),
        "hasnewbuilds": int(one.builds_total > 0),
        "flake": None,
        "builds": list(builds),
        "jobsetevalinputs": {each.name: _pinned(each) for each in one.inputs},
    }


def _seconds(since: datetime | None, until: datetime | None) -> int | None:
    return int((until - since).total_seconds()) if since and until else None


def _pinned(one: PinnedInput) -> dict[str, Any]:
    is_git = one.type is InputType.GIT
    return {
        "type": one.type.value,
        "uri": one.uri if is_git else None,
        "revision": one.revision if is_git else None,
        "value": None if is_git else one.value,
        "dependency": None,
    }


# -- builds ---------------------------------------------------------------------------------------


def latest_build(one: Build) -> dict[str, Any]:
    """A build as lists have it."""
    return {
        "id": one.id,
        "project": one.project,
        "jobset": one.jobset,
        "job": one.job,
        "system": one.system,
        "nixname": one.job,
        "finished": int(one.status.is_final),
        "timestamp": epoch(one.queued_at),
        "buildstatus": build_status(one),
    }


def build(view: BuildView) -> dict[str, Any]:
    one = view.build
    good = {"out": {"path": _PATHS.results(one.id)}} if one.status.is_good else {}
    return {
        **latest_build(one),
        "starttime": None if one.status.is_waiting else epoch(one.started_at),
        "stoptime": epoch(one.finished_at) if one.status.is_final else None,
        "priority": USUAL_PRIORITY + one.priority,
        "releasename": None,
        "drvpath": "",
        "jobsetevals": [one.evaluation_id],
        "buildoutputs": good,
        "buildproducts": {
            str(number): _product(each) for number, each in enumerate(view.results, 1)
        },
        "buildmetrics": None,
        "ciserver_waiting_reason": view.waiting_for or None,
    }


def build_status(one: Build) -> int | None:
    state = STATE[one.status]
    return state if state is None else STATE_BY_REASON.get(one.reason, state)


def _product(one: Product) -> dict[str, Any]:
    return {
        "type": "file",
        "subtype": "",
        "name": one.name,
        "filesize": one.size,
        "sha256hash": one.sha256,
        "sha1hash": None,
        "path": _PATHS.product(one.build_id, one.id, one.name),
        "defaultpath": "",
    }
