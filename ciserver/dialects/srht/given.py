"""What a request brings: a job or a group of them, ids, and where a page begins."""

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import falcon

from ciserver.dialects.srht.bodies import read_body, type_faults
from ciserver.dialects.srht.words import FIELD, VISIBILITY
from ciserver.edge.bodies import number
from ciserver.model.account import Visibility
from ciserver.model.errors import Complaint, Invalid, NotFound
from ciserver.model.frozen import frozen
from ciserver.service.job_groups import GivenGroup
from ciserver.service.submissions import ManifestSubmission

EVERYBODY = "*"
_JOB: dict[str, type] = {
    "manifest": str,
    "note": str,
    "tags": list,
    "access:read": list,
    "access:write": list,
    "triggers": list,
    "execute": bool,
    "secrets": bool,
    "visibility": str,
}
_IN_JOB: dict[str, type] = dict.fromkeys(("tags", "access:read", "access:write"), str)
_GROUP: dict[str, type] = {"jobs": list, "triggers": list, "note": str, "execute": bool}
_IN_GROUP: dict[str, type] = {"jobs": int}
_HIGHEST_ID = 2**63 - 1
_CORE = {ours: core for core, ours in FIELD.items()}

Made = TypeVar("Made")


@frozen
class Given(Generic[Made]):
    """What a body asks for, without the fields that have `faults`: these must be told, with
    whatever else is wrong.
    """

    what: Made
    faults: tuple[Complaint, ...]


def submission(req: falcon.Request) -> Given[ManifestSubmission]:
    """The job that the body describes. Raises TooLarge."""
    body, faults = read_body(req, _JOB, _IN_JOB)
    faults += type_faults(body, _JOB, _IN_JOB, required="manifest")
    asked = body.get("visibility", "PUBLIC")
    if isinstance(asked, str) and asked.upper() not in VISIBILITY:
        faults.append(Complaint("visibility", f"should be one of {', '.join(VISIBILITY)}"))
    right = _right(body, _JOB)
    readers = _texts(right.get("access:read", [EVERYBODY]))
    job = ManifestSubmission(
        manifest=right.get("manifest", ""),
        note=right.get("note", ""),
        # In the place of what is no text: what is wrong with others is told by their places.
        tags=tuple(one if isinstance(one, str) else "" for one in right.get("tags", ())),
        visibility=_visibility(right, is_open=EVERYBODY in readers),
        readers=_names(name for name in readers if name != EVERYBODY),
        writers=_names(_texts(right.get("access:write", []))),
        triggers=tuple(right.get("triggers", ())),
        execute=right.get("execute", True),
        secrets=right.get("secrets", True),
    )
    return Given(job, _in_core_words(faults))


def group(req: falcon.Request) -> Given[GivenGroup]:
    """The group that the body describes. Raises TooLarge."""
    body, faults = read_body(req, _GROUP, _IN_GROUP)
    faults += type_faults(body, _GROUP, _IN_GROUP, required="jobs")
    right = _right(body, _GROUP)
    asked = GivenGroup(
        builds=tuple(one for one in right.get("jobs", ()) if type(one) is int),
        note=right.get("note", ""),
        triggers=tuple(right.get("triggers", ())),
        execute=right.get("execute", False),
    )
    return Given(asked, _in_core_words(faults))


def job_id(text: str) -> int:
    """Raises NotFound for what is no id."""
    try:
        return number(text)
    except Invalid:
        raise NotFound(f"there is no job {text}") from None


def start(req: falcon.Request) -> int | None:
    """The id that a page begins with; None for the first page. Raises Invalid."""
    text = req.get_param("start", default="")
    if text in {"", "-1"}:
        return None
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        complaint = Complaint("start", "should be an int")
        raise Invalid("the page cannot be shown", complaints=[complaint])
    if len(text) > len(str(_HIGHEST_ID)):
        return -1 if text.startswith("-") else _HIGHEST_ID
    return min(int(text), _HIGHEST_ID)


def _in_core_words(faults: Iterable[Complaint]) -> tuple[Complaint, ...]:
    """As the core names the fields, which has more to say of them."""
    named = ((one, *one.field.partition("[")) for one in faults)
    return tuple(
        Complaint(_CORE.get(name, name) + bracket + place, one.message)
        for one, name, bracket, place in named
    )


def _right(body: dict[str, Any], fields: dict[str, type]) -> dict[str, Any]:
    """Those fields that are of their types."""
    return {name: one for name, one in body.items() if type(one) is fields.get(name)}


def _texts(given: Iterable[Any]) -> list[str]:
    return [one for one in given if isinstance(one, str)]


def _names(given: Iterable[str]) -> tuple[str, ...]:
    """People may be named as ~ada or as ada; each counts once."""
    return tuple(dict.fromkeys(name.removeprefix("~") for name in given))


def _visibility(right: dict[str, Any], *, is_open: bool) -> Visibility:
    """Of two answers the one that shows it to fewer."""
    asked = VISIBILITY.get(right.get("visibility", "PUBLIC").upper(), Visibility.PRIVATE)
    return asked if is_open else Visibility.PRIVATE
