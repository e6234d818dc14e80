"""What the body of a request asks for: a build to make, or what becomes of one."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

import falcon
from falcon.media.multipart import BodyPart, MultipartFormHandler

from ciserver.dialects.copr.show import is_address
from ciserver.edge.bodies import json_object
from ciserver.model.account import Actor
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.uploads import Upload
from ciserver.service.source_builds import SourceBuilds, SourceSubmission

_JSON, _FORM = "application/json", "multipart/form-data"
_NAME = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
_NAMED = "must be letters, digits, '_', '.' and '-', beginning with a letter"
_MAIL = re.compile(r"[^\s@,;<>]+@[^\s@,;<>]+")
_UNUSABLE = re.compile(r"[\0\ud800-\udfff]")

Texts = dict[str, str]


@contextmanager
def build(req: falcon.Request, sources: SourceBuilds) -> Iterator[tuple[int, SourceSubmission]]:
    """The project that a build is for and its source; what was uploaded is forgotten again where
    it is not taken. Raises Invalid, TooLarge.
    """
    kind, _ = falcon.parse_header(req.content_type or "")
    if kind.lower() == _JSON:
        yield _submission(json_object(req), None)
    elif kind.lower() == _FORM:
        with _uploaded(req, sources) as (metadata, upload):
            yield _submission(metadata, upload)
    else:
        raise Invalid(f"the body must be {_JSON} or {_FORM}")


def state(req: falcon.Request) -> str:
    """The state that a build is to have. Raises Invalid."""
    wanted = json_object(req).get("state")
    if not isinstance(wanted, str):
        raise _refused([Complaint("state", "must be the name of a state, such as canceled")])
    return wanted


def new_project(req: falcon.Request) -> tuple[str, Texts]:
    """The name of a project to make, and what else it shall have. Raises Invalid."""
    body = json_object(req)
    name = body.get("name")
    faults = [] if isinstance(name, str) and _NAME.fullmatch(name) else [Complaint("name", _NAMED)]
    if body.get("group") is not None:
        faults.append(Complaint("group", "there are no groups"))
    return cast("str", name), _project(body, faults)


def changes(req: falcon.Request) -> Texts:
    """What a project shall have, of what can be changed. Raises Invalid."""
    return _project(json_object(req), [])


# -- a project ------------------------------------------------------------------------------------


def _project(body: dict[str, Any], faults: list[Complaint]) -> Texts:
    """All of what Copr knows is checked, and what there is here is answered. Unknown keys are left
    alone, and null is as good as nothing.
    """
    given = {name: value for name, value in body.items() if value is not None}
    for name, (is_right, wanted) in _OF_PROJECT.items():
        if name in given and not is_right(given[name]):
            faults.append(Complaint(name, f"must be {wanted}"))
    if faults:
        raise _refused(faults)
    return {name: given[name] for name in ("description", "homepage") if name in given}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not _UNUSABLE.search(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool)


def _is_homepage(value: Any) -> bool:
    return _is_text(value) and (not value or is_address(value))


def _is_contact(value: Any) -> bool:
    return _is_homepage(value) or (isinstance(value, str) and bool(_MAIL.fullmatch(value)))


_OF_PROJECT: dict[str, tuple[Callable[[Any], bool], str]] = {
    "chroots": (_is_texts, "a list of names"),
    "description": (_is_text, "text"),
    "instructions": (_is_text, "text"),
    "homepage": (_is_homepage, "an address that begins with http:// or https://"),
    "contact": (_is_contact, "an address or a mail address"),
    "repos": (_is_texts, "a list of addresses"),
    "disable_createrepo": (_is_truth, "true or false"),
    "build_enable_net": (_is_truth, "true or false"),
}


# -- a build --------------------------------------------------------------------------------------


def _submission(body: dict[str, Any], upload: Upload | None) -> tuple[int, SourceSubmission]:
    """Unknown keys are left alone, as Copr does, and null is as good as nothing."""
    given = {name: value for name, value in body.items() if value is not None}
    project_id, url = _whole(given.get("project_id")), given.get("srpm_url", "")
    chroots, network = given.get("chroots", []), given.get("enable_net", True)
    faults = []
    if project_id is None:
        faults.append(Complaint("project_id", "must be the number of a project"))
    if upload is None and (not isinstance(url, str) or not url):
        faults.append(Complaint("srpm_url", "must be the address of a source"))
    if not isinstance(chroots, list) or not all(isinstance(one, str) for one in chroots):
        faults.append(Complaint("chroots", "must be a list of names"))
    if not isinstance(network, bool):
        faults.append(Complaint("enable_net", "must be true or false"))
    if faults or project_id is None:
        raise _refused(faults)
    wanted = SourceSubmission(
        url="" if upload else url, upload=upload, systems=tuple(chroots), network=network
    )
    return project_id, wanted


def _whole(value: Any) -> int | None:
    """A number, or its digits; one that is too high for an id is none."""
    text = str(value)
    is_one = isinstance(value, int | str) and not isinstance(value, bool)
    return int(text) if is_one and text.isascii() and text.isdigit() and len(text) < 19 else None


class _Form:
    """The parts `metadata` and `srpm` of a form, in either order, and no others."""

    def __init__(self, actor: Actor, sources: SourceBuilds) -> None:
        self._actor = actor
        self._sources = sources
        self._metadata: dict[str, Any] | None = None
        self._upload: Upload | None = None

    def read(self, req: falcon.Request) -> tuple[dict[str, Any], Upload]:
        """Keeps the file as it comes in. Raises Invalid, TooLarge."""
        form = MultipartFormHandler().deserialize(
            req.bounded_stream, req.content_type or "", req.content_length
        )
        for part in form:
            self._take(part)
        if self._metadata is None or self._upload is None:
            parts = {"metadata": self._metadata, "srpm": self._upload}
            fault = "this part of the form is missing"
            raise _refused([Complaint(name, fault) for name in parts if parts[name] is None])
        return self._metadata, self._upload

    def _take(self, part: BodyPart) -> None:
        if part.name == "metadata" and self._metadata is None:
            self._metadata = _object(part.get_data())
        elif part.name == "srpm" and self._upload is None:
            stream = cast("IO[bytes]", part.stream)
            self._upload = self._sources.keep(self._actor, part.filename or "", stream)
        else:
            raise _refused([Complaint(part.name or "", "is unknown, or there twice")])

    def forget(self) -> None:
        if self._upload is not None:
            self._sources.discard(self._upload)


@contextmanager
def _uploaded(
    req: falcon.Request, sources: SourceBuilds
) -> Iterator[tuple[dict[str, Any], Upload]]:
    form = _Form(req.context.actor, sources)
    try:
        yield form.read(req)
    except (falcon.HTTPError, UnicodeError) as error:
        form.forget()
        raise Invalid("the body is no multipart form") from error
    except BaseException:
        form.forget()
        raise


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise Invalid(f"metadata is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Invalid("metadata must be a JSON object")
    return value


def _refused(faults: list[Complaint]) -> Invalid:
    names = ", ".join(one.field for one in faults)
    return Invalid(f"Failed to validate: {names}", complaints=faults)
