"""What the body of a request asks for: a build to make, or what becomes of one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

import falcon
from falcon.media.multipart import BodyPart, MultipartFormHandler

from ciserver.dialects.copr.bodies import (
    Given,
    Kind,
    faults_of,
    given_in,
    is_texts,
    is_truth,
    read_object,
    refused,
)
from ciserver.model.account import Actor
from ciserver.model.errors import Complaint, Invalid, TooLarge
from ciserver.model.uploads import Upload
from ciserver.service.source_builds import SourceBuilds, SourceSubmission

_JSON, _FORM = "application/json", "multipart/form-data"
_ROOM = 1024 * 1024  # for what stands around a file in a form
_OF_BUILD = {
    "chroots": Kind(is_texts, "a list of names"),
    "enable_net": Kind(is_truth, "true or false"),
}


@contextmanager
def build(req: falcon.Request, sources: SourceBuilds) -> Iterator[tuple[int, SourceSubmission]]:
    """The project that a build is for and its source; what was uploaded is forgotten again where
    it is not taken. Raises Invalid, TooLarge.
    """
    kind, _ = falcon.parse_header(req.content_type or "")
    if (req.content_length or 0) > sources.most_bytes + _ROOM:
        raise TooLarge(f"the source is over {sources.most_bytes >> 20} MiB")
    if kind.lower() == _JSON:
        yield _submission(given_in(req), None)
    elif kind.lower() == _FORM:
        with _uploaded(req, sources) as (metadata, upload):
            yield _submission(metadata, upload)
    else:
        raise Invalid(f"the body must be {_JSON} or {_FORM}")


def state(req: falcon.Request) -> str:
    """The state that a build is to have. Raises Invalid."""
    wanted = given_in(req).get("state")
    if not isinstance(wanted, str):
        raise refused([Complaint("state", "must be the name of a state, such as canceled")])
    return wanted


# -- a build --------------------------------------------------------------------------------------


def _submission(given: Given, upload: Upload | None) -> tuple[int, SourceSubmission]:
    project_id, url = _whole(given.get("project_id")), given.get("srpm_url", "")
    faults = []
    if project_id is None:
        faults.append(Complaint("project_id", "must be the number of a project"))
    if upload is None and (not isinstance(url, str) or not url):
        faults.append(Complaint("srpm_url", "must be the address of a source"))
    faults += faults_of(given, _OF_BUILD)
    if faults or project_id is None:
        raise refused(faults)
    wanted = SourceSubmission(
        url="" if upload else url,
        upload=upload,
        systems=tuple(given.get("chroots", ())),
        network=given.get("enable_net"),
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
        self._metadata: Given | None = None
        self._upload: Upload | None = None

    def read(self, req: falcon.Request) -> tuple[Given, Upload]:
        """Keeps the file as it comes in. Raises Invalid, TooLarge."""
        form = MultipartFormHandler().deserialize(
            req.bounded_stream, req.content_type or "", req.content_length
        )
        for part in form:
            self._take(part)
        if self._metadata is None or self._upload is None:
            parts = {"metadata": self._metadata, "srpm": self._upload}
            fault = "this part of the form is missing"
            raise refused([Complaint(name, fault) for name in parts if parts[name] is None])
        return self._metadata, self._upload

    def _take(self, part: BodyPart) -> None:
        if part.name == "metadata" and self._metadata is None:
            self._metadata = read_object(part.get_data(), "metadata")
        elif part.name == "srpm" and self._upload is None:
            stream = cast("IO[bytes]", part.stream)
            self._upload = self._sources.keep(self._actor, part.filename or "", stream)
        else:
            raise refused([Complaint(part.name or "", "is unknown, or there twice")])

    def forget(self) -> None:
        if self._upload is not None:
            self._sources.discard(self._upload)


@contextmanager
def _uploaded(req: falcon.Request, sources: SourceBuilds) -> Iterator[tuple[Given, Upload]]:
    form = _Form(req.context.actor, sources)
    try:
        yield form.read(req)
    except (falcon.HTTPError, UnicodeError) as error:
        form.forget()
        raise Invalid("the body is no multipart form") from error
    except BaseException:
        form.forget()
        raise
