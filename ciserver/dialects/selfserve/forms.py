"""Reads what a job request brings: a form, and the few kinds of values that it holds."""

import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import falcon
from falcon.media.multipart import MultipartForm, MultipartFormHandler

from ciserver.dialects.selfserve.words import FILES_VARIABLE
from ciserver.edge.bodies import form_body, raw_body
from ciserver.model.errors import Complaint, Invalid
from ciserver.service.variables import variable_faults

Form = dict[str, str]
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_UNUSABLE = re.compile(r"[\0\ud800-\udfff]")
# Programs cannot be started with a variable that is much longer.
_LONGEST = 64 * 1024


def read_form(req: falcon.Request) -> Form:
    """The fields of the body; none where there is no body. Raises Invalid for what is no form."""
    kind, _ = falcon.parse_header(req.content_type or "")
    if kind.lower() == "application/x-www-form-urlencoded":
        return form_body(req)
    body = raw_body(req)
    if kind.lower() == "multipart/form-data":
        return _multipart(body, req.content_type or "")
    if body:
        raise Invalid(
            "the body must be a form",
            hint="send application/x-www-form-urlencoded or multipart/form-data",
        )
    return {}


def _multipart(body: bytes, content_type: str) -> Form:
    try:
        parts: MultipartForm = MultipartFormHandler().deserialize(
            io.BytesIO(body), content_type, len(body)
        )
        return {one.name or "": one.get_data().decode("utf-8", "replace") for one in parts}
    except (falcon.HTTPError, ValueError) as error:
        raise Invalid("the body is no multipart form") from error


def whole(text: str) -> int | None:
    """The whole number that is written here, of at most 18 digits; None for anything else."""
    text = text.strip()
    return int(text) if _WHOLE.fullmatch(text) else None


def number(form: Form, name: str, default: int | None = None) -> int:
    """A number of a form; one without a default must be there. Raises Invalid."""
    text = form.get(name, "").strip()
    value = whole(text) if text else default
    if value is None:
        raise Invalid(f"Bad {name}")
    return value


def day(text: str, today: datetime) -> tuple[datetime, datetime]:
    """The beginning and the end of a day, in UTC; of today's where none is named. Raises Invalid
    for what is no YYYY-MM-DD.
    """
    text = text or f"{today.astimezone(UTC):%Y-%m-%d}"
    try:
        since = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        return since, since + timedelta(days=1)
    except (ValueError, OverflowError):
        raise Invalid("Bad date", hint="write YYYY-MM-DD") from None


def variables(form: Form) -> dict[str, str]:
    """The variables for a build of `properties` and `files`. Raises Invalid with every fault."""
    properties, faults = _load(form, "properties", dict)
    files, more = _load(form, "files", list)
    faults += [*more, *_property_faults(properties), *_file_faults(files)]
    if faults:
        raise Invalid("the build cannot be made", complaints=faults)
    values = {name: _as_text(value) for name, value in properties.items()}
    if files:
        values[FILES_VARIABLE] = json.dumps(files, ensure_ascii=False)
    return values


def _load(form: Form, name: str, kind: type) -> tuple[Any, list[Complaint]]:
    """The value of a field that holds JSON; an empty one where it is empty or wrong."""
    text = form.get(name, "").strip()
    word = "an object" if kind is dict else "a list"
    fault = ""
    try:
        if len(text) > _LONGEST:
            fault = f"must be at most {_LONGEST // 1024} KiB"
        elif text:
            value = json.loads(text)
            if isinstance(value, kind):
                return value, []
            fault = f"must be {word}"
    except (ValueError, RecursionError) as error:
        fault = f"must be {word} in JSON ({error})"
    return kind(), [Complaint(name, fault)] if fault else []


def _property_faults(properties: dict[str, Any]) -> Iterator[Complaint]:
    yield from variable_faults(properties)
    for name, value in properties.items():
        if name == FILES_VARIABLE:
            fault = "is reserved"
        elif not isinstance(value, str | int | float):
            fault = "must be text, a number, true or false"
        elif isinstance(value, str) and _UNUSABLE.search(value):
            fault = "has a character that a variable cannot hold"
        else:
            continue
        yield Complaint("properties", f"{name!r} {fault}")


def _file_faults(files: list[Any]) -> Iterator[Complaint]:
    if not all(isinstance(one, str) and not _UNUSABLE.search(one) for one in files):
        yield Complaint("files", "must be a list of texts")


def _as_text(value: str | float) -> str:
    return value if isinstance(value, str) else json.dumps(value)
