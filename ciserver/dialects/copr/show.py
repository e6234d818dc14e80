"""Builds, jobsets and systems as Copr shows them. Clients refuse entities with unknown keys."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ciserver.dialects.copr.words import STATE, state_of
from ciserver.model.build import Build, Job, Product
from ciserver.model.links import Links
from ciserver.model.project import Jobset, Project
from ciserver.model.source import Origin, SourceSettings, SourceSystem
from ciserver.model.view import System
from ciserver.service.source_builds import origin_of

PREFIX = "/api_2"
_PACKAGE = re.compile(r"(?P<name>.+)-(?P<version>[^-]+)-[^-]+\.(?P<arch>[^.]+)\.rpm")

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


def build(
    group: tuple[Build, ...], job: Job, products: Mapping[int, Iterable[Product]], **query: Any
) -> Json:
    """A group of builds; `query` is what the address of the answer had."""
    first, origin = group[0], origin_of(job)
    return {
        "build": {
            "id": first.group_id,
            "state": state_of(group),
            "submitter": first.requested_by,
            "built_packages": _built(group, products),
            "package_version": (origin.version or None) if origin else None,
            "package_name": first.job,
            "repos": list(origin.repositories) if origin else [],
            "submitted_on": _epoch(min(one.queued_at for one in group)),
            "enable_net": job.network,
            **_source(first, origin),
        },
        "_links": {
            "self": link("builds", first.group_id, **query),
            "project": link("projects", first.jobset_id),
            "build_tasks": link("build_tasks", build_id=first.group_id),
        },
    }


def _source(build: Build, origin: Origin | None) -> Json:
    """Where it came from. Clients refuse one without metadata."""
    if origin is not None:
        told = {"pkg": origin.name}
        return {
            "source_type": "link" if origin.url else "upload",
            "source_metadata": {"url": origin.url, **told} if origin.url else told,
        }
    if build.revision:
        told = {"type": "git", "committish": build.revision}
        return {"source_type": "scm", "source_metadata": told}
    return {"source_type": "custom", "source_metadata": {}}


def _built(group: tuple[Build, ...], products: Mapping[int, Iterable[Product]]) -> list[Json]:
    """The packages that the builds of a group left, each once."""
    names = (one.name for build in group for one in products[build.id])
    found = (_PACKAGE.fullmatch(one) for one in names)
    packages = {(one["name"], one["version"]) for one in found if one and "src" not in one["arch"]}
    return [{"name": name, "version": version} for name, version in sorted(packages)]


def project(jobset: Jobset, owner: Project, settings: SourceSettings, **query: Any) -> Json:
    """A jobset with the project that it is of."""
    homepage = owner.settings.homepage
    return {
        "project": {
            "id": jobset.id,
            "name": jobset.slug,
            "owner": jobset.owner,
            "is_a_group_project": False,
            "description": description(jobset, owner),
            "instructions": settings.instructions,
            # Clients refuse a project whose homepage is no address.
            "homepage": homepage if is_address(homepage) else None,
            "contact": settings.contact or None,
            "disable_createrepo": not settings.makes_index,
            "build_enable_net": settings.network,
            "repos": list(settings.repositories),
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


def project_chroot(jobset_id: int, chroot: SourceSystem) -> Json:
    return {
        "chroot": {
            "name": chroot.system,
            "buildroot_pkgs": list(chroot.packages),
            "comps": chroot.comps or None,
            "comps_name": chroot.comps_name or None,
            "comps_len": len(chroot.comps.encode()),
        },
        "_links": {
            "project": link("projects", jobset_id),
            "self": link("projects", jobset_id, "chroots", chroot.system),
        },
    }


def mock_chroot(system: System) -> Json:
    parts = zip(("os_release", "os_version", "arch"), _parts(system.name), strict=True)
    return {
        "chroot": {
            "name": system.name,
            **{name: system.labels.get(name, part) for name, part in parts},
            "is_active": system.active,
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
