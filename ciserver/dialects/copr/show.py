"""Builds, jobsets and systems as Copr shows them. Clients refuse entities with unknown keys."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ciserver.dialects.copr.words import STATE, state_of
from ciserver.model.build import Build, Job
from ciserver.model.links import Links
from ciserver.model.project import Jobset, Project
from ciserver.model.view import System

PREFIX = "/api_2"

Json = dict[str, Any]


def link(*parts: object, **query: Any) -> Json:
    """A link object: a path, never a whole address."""
    path = "/".join((PREFIX, *(quote(str(one), safe="") for one in parts)))
    return {"href": f"{path}?{urlencode(query)}" if query else path}


def location(links: Links, *parts: object) -> str:
    """The whole address of a thing that was made or changed."""
    return f"{links.base}{link(*parts)['href']}"


def root() -> Json:
    filters = [
        {"name": "owner", "type": "string", "description": "only projects of this user"},
        {"name": "name", "type": "string", "description": "only projects of this name"},
        {
            "name": "search_query",
            "type": "string",
            "description": "only projects with this text in their name or description",
        },
        {"name": "limit", "type": "int", "description": "how many projects"},
        {"name": "offset", "type": "int", "description": "how many projects to leave out first"},
    ]
    return {
        "_links": {
            "self": {"href": f"{PREFIX}/"},
            "projects": {**link("projects"), "query_params": filters},
            "mock_chroots": link("mock_chroots"),
            "builds": link("builds"),
            "build_tasks": link("build_tasks"),
        }
    }


def task(build: Build, links: Links) -> Json:
    return {
        "build_task": {
            "chroot_name": build.system,
            "build_id": build.group_id,
            "state": STATE[build.status],
            "started_on": _epoch(build.started_at),
            "ended_on": _epoch(build.finished_at),
            "git_hash": build.revision or None,
            "result_dir_url": links.results(build.id) if build.started_at else None,
        },
        "_links": {
            "project": link("projects", build.jobset_id),
            "build": link("builds", build.group_id),
            "self": link("build_tasks", build.group_id, build.system),
        },
    }


def tasks(builds: Iterable[Build], links: Links) -> list[Json]:
    return [task(one, links) for one in builds]


def build(group: tuple[Build, ...], job: Job, **query: Any) -> Json:
    """A group of builds; `query` is what the address of the answer had."""
    first = group[0]
    return {
        "build": {
            "id": first.group_id,
            "state": state_of(group),
            "submitter": first.requested_by,
            "built_packages": [],
            "package_version": None,
            "package_name": first.job,
            "repos": [],
            "submitted_on": _epoch(min(one.queued_at for one in group)),
            "enable_net": job.network,
            "source_type": "scm" if first.revision else "custom",
            "source_metadata": (
                {"type": "git", "committish": first.revision} if first.revision else {}
            ),
        },
        "_links": {
            "self": link("builds", first.group_id, **query),
            "project": link("projects", first.jobset_id),
            "build_tasks": link("build_tasks", build_id=first.group_id),
        },
    }


def project(jobset: Jobset, owner: Project, **query: Any) -> Json:
    """A jobset with the project that it is of."""
    homepage = owner.settings.homepage
    return {
        "project": {
            "id": jobset.id,
            "name": jobset.slug,
            "owner": jobset.owner,
            "is_a_group_project": False,
            "description": description(jobset, owner),
            "instructions": "",
            # Clients refuse a project whose homepage is no address.
            "homepage": homepage if is_address(homepage) else None,
            "contact": None,
            "disable_createrepo": False,
            "build_enable_net": True,
            "repos": [],
        },
        "_links": {
            "self": link("projects", jobset.id, **query),
            "builds": link("builds", project_id=jobset.id),
            "chroots": link("projects", jobset.id, "chroots"),
            "build_tasks": link("build_tasks", project_id=jobset.id),
        },
    }


def description(jobset: Jobset, owner: Project) -> str:
    return jobset.settings.description or owner.settings.description


def project_chroot(jobset_id: int, system: System) -> Json:
    """A recipe chooses its systems, so a project has all that there are."""
    return {
        "chroot": {
            "name": system.name,
            "buildroot_pkgs": [],
            "comps": None,
            "comps_name": None,
            "comps_len": 0,
        },
        "_links": {
            "project": link("projects", jobset_id),
            "self": link("projects", jobset_id, "chroots", system.name),
        },
    }


def mock_chroot(system: System) -> Json:
    release, version, arch = _parts(system.name)
    return {
        "chroot": {
            "name": system.name,
            "os_release": release,
            "os_version": version,
            "arch": arch,
            "is_active": True,
        },
        "_links": {"self": link("mock_chroots", system.name)},
    }


def _parts(name: str) -> tuple[str, str, str]:
    """RELEASE-VERSION-ARCH, where a release may have dashes, or our own ARCH-RELEASE."""
    if name.count("-") > 1:
        release, version, arch = name.rsplit("-", 2)
        return release, version, arch
    arch, _, release = name.partition("-")
    return release, "", arch


def is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


def _epoch(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment else None
