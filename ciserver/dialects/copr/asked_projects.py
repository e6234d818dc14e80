"""What the body of a request asks of a project or of one of its chroots."""

import re
from typing import Any, NamedTuple

import falcon

from ciserver.dialects.copr.bodies import (
    Given,
    Kind,
    faults_of,
    given_in,
    is_text,
    is_texts,
    is_truth,
    refused,
)
from ciserver.dialects.copr.query import chroot_name
from ciserver.dialects.copr.show import is_address
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.source import SourceSystem
from ciserver.service.source_projects import SourceChanges

_NAME = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
_NAMED = "must be letters, digits, '_', '.' and '-', beginning with a letter"
_MAIL = re.compile(r"[^\s@,;<>]+@[^\s@,;<>]+")
_WORD = re.compile(r"[!-~]{1,1000}")
_COMPS_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}")
# Scripts find it in their environment, where a text may have less than 128 KiB.
_LONGEST = 64 * 1024


class ProjectAsked(NamedTuple):
    """What a project shall have, of what is given; `chroots` count when it is made."""

    description: str | None
    homepage: str | None
    told: SourceChanges
    chroots: tuple[str, ...] | None


def new_project(req: falcon.Request) -> tuple[str, ProjectAsked]:
    """The name of a project to make, and what else it shall have. Raises Invalid."""
    given = given_in(req)
    name = given.get("name")
    faults = [] if isinstance(name, str) and _NAME.fullmatch(name) else [Complaint("name", _NAMED)]
    if "group" in given:
        faults.append(Complaint("group", "there are no groups"))
    return str(name), _project(given, faults)


def changes(req: falcon.Request) -> ProjectAsked:
    """Raises Invalid."""
    return _project(given_in(req), [])


def _project(given: Given, faults: list[Complaint]) -> ProjectAsked:
    faults += faults_of(given, _OF_PROJECT)
    if faults:
        raise refused(faults)
    told = SourceChanges()
    if "instructions" in given:
        told["instructions"] = given["instructions"]
    if "contact" in given:
        told["contact"] = given["contact"]
    if "repos" in given:
        told["repositories"] = tuple(given["repos"])
    if "build_enable_net" in given:
        told["network"] = given["build_enable_net"]
    if "disable_createrepo" in given:
        told["makes_index"] = not given["disable_createrepo"]
    chroots = tuple(given["chroots"]) if "chroots" in given else None
    return ProjectAsked(given.get("description"), given.get("homepage"), told, chroots)


def new_chroot(req: falcon.Request) -> SourceSystem:
    """A chroot to switch on. Raises Invalid."""
    given = given_in(req)
    faults, name = faults_of(given, _OF_CHROOT), given.get("name")
    try:
        if not isinstance(name, str):
            faults.append(Complaint("name", "must be the name of a chroot"))
        else:
            chroot_name(name)
    except Invalid as error:
        faults += error.complaints
    if faults:
        raise refused(faults)
    return _chroot(SourceSystem(str(name)), given)


def changed_chroot(req: falcon.Request, before: SourceSystem) -> SourceSystem:
    """The chroot as it shall be: what is not given stays. Raises Invalid."""
    given = given_in(req)
    faults = faults_of(given, _OF_CHROOT)
    if faults:
        raise refused(faults)
    return _chroot(before, given)


def _chroot(before: SourceSystem, given: Given) -> SourceSystem:
    return SourceSystem(
        before.system,
        tuple(given.get("buildroot_pkgs", before.packages)),
        given.get("comps", before.comps),
        given.get("comps_name", before.comps_name),
    )


def _is_homepage(value: Any) -> bool:
    return is_text(value) and (not value or is_address(value))


def _is_contact(value: Any) -> bool:
    return _is_homepage(value) or (isinstance(value, str) and bool(_MAIL.fullmatch(value)))


def _are_words(value: Any) -> bool:
    is_right = is_texts(value) and all(map(_WORD.fullmatch, value))
    return is_right and sum(len(one) + 1 for one in value) <= _LONGEST


def _is_comps(value: Any) -> bool:
    return is_text(value) and len(value.encode()) <= _LONGEST


def _is_comps_name(value: Any) -> bool:
    return isinstance(value, str) and (not value or bool(_COMPS_NAME.fullmatch(value)))


_OF_PROJECT = {
    "chroots": Kind(is_texts, "a list of names"),
    "description": Kind(is_text, "text"),
    "instructions": Kind(is_text, "text"),
    "homepage": Kind(_is_homepage, "an address that begins with http:// or https://"),
    "contact": Kind(_is_contact, "an address or a mail address"),
    "repos": Kind(_are_words, "a list of addresses, of at most 64 KiB"),
    "disable_createrepo": Kind(is_truth, "true or false"),
    "build_enable_net": Kind(is_truth, "true or false"),
}
_OF_CHROOT = {
    "buildroot_pkgs": Kind(_are_words, "a list of names of packages, of at most 64 KiB"),
    "comps": Kind(_is_comps, "text of at most 64 KiB"),
    "comps_name": Kind(_is_comps_name, "the name of a file"),
}
