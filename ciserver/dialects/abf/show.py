"""Our values as ABF shows them. Moments are seconds of the epoch, times are minutes."""

import math
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from ciserver.dialects.abf.asked import ROOT
from ciserver.dialects.abf.autostarts import Autostarts
from ciserver.dialects.abf.words import (
    AUTOSTARTED,
    STATE,
    VISIBILITY,
    arch_of,
    done,
    log_name,
)
from ciserver.model.account import User, Visibility
from ciserver.model.build import Build, Product
from ciserver.model.links import Links
from ciserver.model.project import Input, Jobset, Project
from ciserver.model.view import BuildView, System, Tip
from ciserver.service.build_logs import BuildLogs, WholeLog
from ciserver.service.keeping import Outlook
from ciserver.service.scripts import without_secrets

PREFIX = "/api/v1"
LISTS = f"{PREFIX}/product_build_lists.json"
_BRANCHES, _TAGS = "refs/heads/", "refs/tags/"


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
    outlook: Outlook,
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
            "params": without_secrets(view.job.parameters),
            "commit_hash": build.revision,
            "results": [*(_result(one, links) for one in view.results), *_log(log, links)],
            "created_at": _epoch(view.evaluation.requested_at),
            "updated_at": _epoch(build.updated_at),
            "not_delete": build.kept,
            "autostarted": build.kind in AUTOSTARTED,
            "reason": build.reason.value,
            "removable_at": _epoch(outlook.removable_at) if outlook.removable_at else None,
            "kept_why": outlook.why,
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


def product(jobset: Jobset, timeout_seconds: float, autostarts: Autostarts) -> dict[str, Any]:
    script = jobset.settings.script
    return {
        "id": jobset.id,
        "name": jobset.name,
        "description": jobset.settings.description,
        "main_script": script.script,
        "params": without_secrets(script.parameters),
        "time_living": _minutes(timeout_seconds),
        **autostarts.shown(),
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
            "owner": _owner(one, person),
            "repositories": [],
            "ancestry": None,
            "has_issues": False,
            "has_wiki": False,
            "is_package": False,
            "project_statistics": [],
            "created_at": _epoch(one.created_at),
            "updated_at": _epoch(one.created_at),
        }
    }


def projects_found(projects: Iterable[Project]) -> list[dict[str, Any]]:
    return [
        {
            "id": one.id,
            "name": one.name,
            "fullname": f"{one.owner}/{one.name}",
            "visibility": VISIBILITY[one.settings.visibility],
            "description": one.settings.description,
            "url": _address("projects", one.id),
        }
        for one in projects
    ]


def refs(project_id: int, tips: Iterable[Tip]) -> dict[str, Any]:
    return {
        "refs_list": [
            {
                "ref": one.ref.removeprefix(_BRANCHES).removeprefix(_TAGS),
                "object": {
                    "type": "tag" if one.ref.startswith(_TAGS) else "commit",
                    "sha": one.revision,
                },
            }
            for one in tips
        ],
        "url": f"{PREFIX}/projects/{project_id}/refs_list.json",
    }


def platform_of(one: Project) -> dict[str, Any]:
    """The platform of a product: its project, which has the rights."""
    return {
        "id": one.id,
        "name": one.name,
        "visibility": VISIBILITY[one.settings.visibility],
        "platform_type": "main",
        "url": _address("platforms", one.id),
    }


def platform(one: Project, owner: User | None) -> dict[str, Any]:
    url = _address("platforms", one.id)
    return {
        "platform": {
            **platform_of(one),
            "description": one.settings.description,
            "parent_platform_id": None,
            "released": False,
            "distrib_type": "",
            "owner": _owner(one, _person(one.owner, owner)),
            "repositories": [],
            "created_at": _epoch(one.created_at),
            "updated_at": _epoch(one.created_at),
        },
        "url": url,
    }


def platforms(projects: Iterable[Project]) -> dict[str, Any]:
    return {"platforms": platforms_found(projects), "url": f"{PREFIX}/platforms.json"}


def platforms_found(projects: Iterable[Project]) -> list[dict[str, Any]]:
    return [{**platform_of(one), "distrib_type": "", "repositories": []} for one in projects]


def found(results: dict[str, Any]) -> dict[str, Any]:
    return {"results": results, "url": f"{PREFIX}/search.json"}


def _owner(one: Project, person: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": person["id"],
        "name": one.owner,
        "uname": one.owner,
        "type": "User",
        "url": person["url"],
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
