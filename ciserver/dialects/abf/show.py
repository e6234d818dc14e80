"""Our values as ABF shows them. Moments are seconds of the epoch, times are minutes."""

import math
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from ciserver.dialects.abf.asked import ROOT
from ciserver.dialects.abf.words import (
    AUTOSTARTED,
    STATE,
    VISIBILITY,
    arch_of,
    autostart_of,
    done,
    log_name,
)
from ciserver.model.account import User, Visibility
from ciserver.model.build import Build, Product
from ciserver.model.links import Links
from ciserver.model.project import Input, Jobset, Project
from ciserver.model.schedule import Schedule
from ciserver.model.view import BuildView, System
from ciserver.service.build_logs import BuildLogs, WholeLog

PREFIX = "/api/v1"
LISTS = f"{PREFIX}/product_build_lists.json"


def lists(builds: Iterable[tuple[Build, float]]) -> dict[str, Any]:
    """A page of builds, each with its limit in seconds."""
    return {"product_build_lists": [_item(*one) for one in builds], "url": LISTS}


def product_build_list(
    view: BuildView,
    timeout_seconds: float,
    *,
    product: dict[str, Any] | None,
    project: dict[str, Any] | None,
    systems: Iterable[System],
    log: WholeLog,
    links: Links,
) -> dict[str, Any]:
    build = view.build
    return {
        ROOT: {
            **_item(build, timeout_seconds),
            "product": product,
            "project": project,
            "arch": _arch_of(build, systems),
            "main_script": view.job.script,
            "params": view.job.parameters,
            "commit_hash": build.revision,
            "results": [*(_result(one, links) for one in view.results), *_log(log, links)],
            "created_at": _epoch(view.evaluation.requested_at),
            "updated_at": _epoch(build.updated_at),
            "not_delete": build.kept,
            "autostarted": build.kind in AUTOSTARTED,
            "reason": build.reason.value,
        }
    }


def _item(build: Build, timeout_seconds: float) -> dict[str, Any]:
    return {
        "id": build.id,
        "status": STATE[build.status],
        "notified_at": _epoch(build.updated_at),
        "time_living": _minutes(timeout_seconds),
        "url": _address("product_build_lists", build.id),
    }


def _result(one: Product, links: Links) -> dict[str, Any]:
    return {
        "file_name": one.name,
        "size": one.size,
        "url": links.product(one.build_id, one.id, one.name),
    }


def _log(log: WholeLog, links: Links) -> Iterator[dict[str, Any]]:
    """The last of the results, when nothing will follow in it."""
    if log.complete and log.size:
        number = log.build.id
        yield {
            "file_name": log_name(number),
            "size": log.size,
            "url": links.text_log(BuildLogs.name_of(number)),
        }


def product(
    jobset: Jobset, timeout_seconds: float, schedules: Iterable[Schedule]
) -> dict[str, Any]:
    script = jobset.settings.script
    codes = (autostart_of(one.timing) for one in schedules if not one.paused)
    return {
        "id": jobset.id,
        "name": jobset.name,
        "description": jobset.settings.description,
        "main_script": script.script,
        "params": script.parameters,
        "time_living": _minutes(timeout_seconds),
        "autostart_status": next((one for one in codes if one is not None), None),
        "url": _address("products", jobset.id),
    }


def project_of(jobset: Jobset, uri: str, maintainer: User | None) -> dict[str, Any]:
    """The project of a jobset, with the address of the repository that is meant."""
    person = _person(jobset.owner, maintainer)
    return _project(jobset.project_id, jobset.project, jobset.visibility, uri, person)


def project(one: Project, source: Input | None, maintainer: User | None) -> dict[str, Any]:
    """A project by itself; what clients ask for and has no counterpart here is empty."""
    person = _person(one.owner, maintainer)
    uri, ref = (source.uri, source.ref) if source else ("", "")
    return {
        "project": {
            **_project(one.id, one.name, one.settings.visibility, uri, person),
            "description": one.settings.description,
            "default_branch": ref.removeprefix("refs/heads/"),
            "owner": {"id": person["id"], "name": one.owner, "type": "User", "url": person["url"]},
            "repositories": [],
            "ancestry": None,
            "has_issues": False,
            "has_wiki": False,
            "is_package": False,
            "created_at": _epoch(one.created_at),
            "updated_at": _epoch(one.created_at),
        }
    }


def _project(
    number: int, name: str, visibility: Visibility, uri: str, maintainer: dict[str, Any]
) -> dict[str, Any]:
    return {
        "id": number,
        "name": name,
        "visibility": VISIBILITY[visibility],
        "fullname": f"{maintainer['uname']}/{name}",
        "url": _address("projects", number),
        "git_url": uri,
        "ssh_url": uri if _is_ssh(uri) else "",
        "maintainer": maintainer,
    }


def arches(systems: Iterable[System]) -> dict[str, Any]:
    return {"architectures": [_arch(one) for one in systems]}


def said(number: int, deed: str, root: str = ROOT) -> dict[str, Any]:
    """That a list, or a product, was created, updated, destroyed or canceled."""
    return {root: {"id": number, "message": done(root, deed)}}


def _arch_of(build: Build, systems: Iterable[System]) -> dict[str, Any]:
    """One that nothing runs here has no number."""
    known = {one.name: one.id for one in systems}
    return {"id": known.get(build.system), "name": arch_of(build.system)}


def _arch(system: System) -> dict[str, Any]:
    return {"id": system.id, "name": arch_of(system.name)}


def _person(name: str, user: User | None) -> dict[str, Any]:
    if user is None:
        return {"id": None, "uname": name, "name": name, "email": "", "url": None}
    return {
        "id": user.id,
        "uname": user.name,
        "name": user.full_name or user.name,
        "email": user.email,
        "url": _address("users", user.id),
    }


def _address(kind: str, number: int) -> str:
    return f"{PREFIX}/{kind}/{number}.json"


def _is_ssh(uri: str) -> bool:
    return uri.startswith("ssh://") or ("@" in uri and "://" not in uri)


def _minutes(seconds: float) -> int:
    return math.ceil(seconds / 60)


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())
