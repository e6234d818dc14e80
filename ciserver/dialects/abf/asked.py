"""What a request asks for, read from its body, its query and its path."""

import re
from typing import Any

import falcon

from ciserver.dialects.abf.autostarts import Autostarts
from ciserver.dialects.abf.given import boolean, whole
from ciserver.edge.bodies import json_object
from ciserver.model.errors import Complaint, Invalid, NotFound
from ciserver.model.frozen import frozen
from ciserver.service.script_products import ProductGiven

ROOT, PRODUCT = "product_build_list", "product"
_PAGE_SIZE, _LARGEST_PAGE = 20, 100
_LAST_PAGE = 10**9
_LONGEST_NAME = 100
_NONE = -1  # no status and no list has this number
_UNUSABLE = re.compile("[\0\ud800-\udfff]")  # can neither be stored nor given to a script


@frozen
class Asked:
    """A list that is to be made. What is None or empty was left open."""

    project_id: int | None
    arch_id: int | None
    commit_hash: str
    project_version: str
    main_script: str | None
    params: str | None
    time_living: int | None


@frozen
class Slice:
    """A page, of all lists or of those that the parameters `status`, `name` (of the product) and
    `id` name; None and empty name all.
    """

    page: int
    size: int
    status: int | None = None
    name: str = ""
    id: int | None = None

    @property
    def is_filtered(self) -> bool:
        return bool(self.name) or (self.status, self.id) != (None, None)

    @property
    def filters(self) -> dict[str, str]:
        """As parameters of an address."""
        given = {"status": self.status, "name": self.name or None, "id": self.id}
        return {name: str(value) for name, value in given.items() if value is not None}


def object_given(req: falcon.Request, root: str) -> dict[str, Any]:
    """The object in the body that says what a list or a product shall be. Raises Invalid."""
    given = json_object(req).get(root, {})
    if not isinstance(given, dict):
        raise Invalid(
            f"the {root} cannot be read", complaints=[Complaint(root, "is not an object")]
        )
    return given


def list_asked(given: dict[str, Any]) -> Asked:
    """Raises Invalid with every fault. Keys that nobody needs are no fault."""
    faults: list[Complaint] = []
    asked = Asked(
        project_id=_number(given, "project_id", "Project", faults),
        arch_id=_number(given, "arch_id", "Arch", faults),
        commit_hash=_text(given, "commit_hash", "Commit hash", faults) or "",
        project_version=_text(given, "project_version", "Project version", faults) or "",
        main_script=_text(given, "main_script", "Main script", faults),
        params=_text(given, "params", "Params", faults),
        time_living=_number(given, "time_living", "Time living", faults),
    )
    if not any(given.get(one) for one in ("commit_hash", "project_version")):
        faults.append(Complaint("Project version", "can't be blank"))
        faults.append(no_commit(""))
    if faults:
        raise Invalid("the list cannot be made", complaints=faults)
    return asked


def product_asked(given: dict[str, Any], autostarts: Autostarts) -> ProductGiven:
    """Raises Invalid with every fault. Keys that nobody needs are no fault."""
    faults: list[Complaint] = []
    asked = ProductGiven(
        name=_text(given, "name", "Name", faults),
        description=_text(given, "description", "Description", faults),
        ref=_text(given, "project_version", "Project version", faults),
        script=_text(given, "main_script", "Main script", faults),
        parameters=_text(given, "params", "Params", faults),
        timeout_minutes=_number(given, "time_living", "Time living", faults),
        autostart=autostarts.asked(given, faults),
    )
    if faults:
        raise Invalid("the product cannot be saved", complaints=faults)
    return asked


def no_commit(name: str) -> Complaint:
    return Complaint("Commit hash", f"Unable find commit '{name}' in project")


def keep_asked(given: dict[str, Any]) -> bool:
    """Whether the list shall outlive others. Raises Invalid."""
    value = boolean(given.get("not_delete"))
    if value is None:
        fault = Complaint("Not delete", "must be true or false")
        raise Invalid("the list cannot be changed", complaints=[fault])
    return value


def id_in_path(text: str) -> int:
    """Raises NotFound: nothing is at an address without a number."""
    found = whole(text)
    if found is None or found < 0:
        raise NotFound(f"there is no {text}")
    return found


def slice_asked(req: falcon.Request) -> Slice:
    """The page that is asked for; what is no number of one is the first, of the usual size. What
    names no status or list there can be, names none.
    """
    page, size = (whole(req.get_param(name)) or 0 for name in ("page", "per_page"))
    status, name, number = (req.get_param(one) or "" for one in ("status", "name", "id"))
    return Slice(
        page=min(max(page, 1), _LAST_PAGE),
        size=min(size, _LARGEST_PAGE) if size > 0 else _PAGE_SIZE,
        status=_one_of(status),
        name=name[:_LONGEST_NAME],
        id=_NONE if _UNUSABLE.search(name) else _one_of(number),
    )


def _one_of(text: str) -> int | None:
    found = whole(text)
    return None if not text else _NONE if found is None else found


def _number(given: dict[str, Any], key: str, name: str, faults: list[Complaint]) -> int | None:
    value = given.get(key)
    found = whole(value)
    if found is None and value not in (None, ""):
        faults.append(Complaint(name, "is not a number"))
    return found


def _text(given: dict[str, Any], key: str, name: str, faults: list[Complaint]) -> str | None:
    value = given.get(key)
    if value is None or (isinstance(value, str) and not _UNUSABLE.search(value)):
        return value
    faults.append(Complaint(name, "is not text"))
    return None
