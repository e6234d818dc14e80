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
from ciserver.model.evaluation import Evaluation
from ciserver.model.input_text import input_text
from ciserver.model.links import Links
from ciserver.model.project import Declaration, Input, Jobset
from ciserver.model.status import EvaluationStatus
from ciserver.model.view import BuildFacts, BuildView, ProjectSummary

_PATHS = Links("")


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
        **_declarative(settings.declaration),
    }


def _declarative(one: Declaration) -> dict[str, Any]:
    """Only where a file declares the jobsets."""
    if not one.file:
        return {}
    return {"declarative": {"file": one.file, "type": one.type.value, "value": one.value}}


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
        "jobsetinputs": {each.name: {"jobsetinputalts": [input_text(each)]} for each in one.inputs},
        **_looked_at(tuple(newest)),
    }


def recipe_path(paths: Iterable[str]) -> str:
    """Several in one text; `given.recipe_paths` takes it apart again."""
    return ", ".join(paths)


def _input(one: Input) -> dict[str, Any]:
    return {
        "name": one.name,
        "type": one.type.value,
        "value": input_text(one),
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


def build(view: BuildView | BuildFacts, evaluations: Iterable[int] = ()) -> dict[str, Any]:
    """In full, with the evaluations that have it; in lists only the one that made it is told."""
    one = view.build
    return {
        **latest_build(one),
        "starttime": None if one.status.is_waiting else epoch(one.started_at),
        "stoptime": epoch(one.finished_at) if one.status.is_final else None,
        "priority": USUAL_PRIORITY + one.priority,
        "releasename": view.output.release_name or None,
        "drvpath": view.output.drv_path,
        "jobsetevals": list(evaluations) or [one.evaluation_id],
        "buildoutputs": outputs(view),
        "buildproducts": {
            str(number): _product(each) for number, each in enumerate(view.results, 1)
        },
        "buildmetrics": {
            each.name: {"value": each.value, "unit": each.unit} for each in view.told.metrics
        }
        or None,
        "ciserver_waiting_reason": view.waiting_for or None,
    }


def build_status(one: Build) -> int | None:
    state = STATE[one.status]
    by_reason = STATE_BY_REASON[one.reason]
    return state if state is None or by_reason is None else by_reason


def outputs(view: BuildView | BuildFacts) -> dict[str, dict[str, str]]:
    """Those of a derivation in its store; else, of what was made well, the directory of it all."""
    if view.output.paths:
        return {name: {"path": path} for name, path in view.output.paths.items()}
    good = view.build.status.is_good
    return {"out": {"path": _PATHS.results(view.build.id)}} if good else {}


def _product(one: Product) -> dict[str, Any]:
    return {
        "type": one.type,
        "subtype": one.subtype,
        "name": one.title,
        "filesize": one.size,
        "sha256hash": one.sha256,
        "sha1hash": None,
        "path": _PATHS.product(one.build_id, one.id, one.name),
        "defaultpath": one.default_path,
    }
