"""What a request brings, by Hydra's rules: present or not, numbers as texts, all of it anew."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import falcon

from ciserver.dialects.hydra.words import INPUT_TYPES, LEGACY, MODE
from ciserver.edge.bodies import form_body, json_object
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.input_text import follows_same, read_input
from ciserver.model.project import (
    DEFAULT_RECIPE,
    Declaration,
    Input,
    InputType,
    JobsetMode,
    JobsetSettings,
    ProjectSettings,
)

_JSON = {"application/json", "text/x-json"}
_FORM = "application/x-www-form-urlencoded"
_UNFIT = re.compile(r"[\x00\ud800-\udfff]")  # what can be neither kept nor sent
_NUMBER = re.compile(r"-?[0-9]{1,18}")


def body_of(req: falcon.Request) -> dict[str, Any]:
    """JSON by its content type, else the fields of a form. Raises Invalid."""
    media_type, _ = falcon.parse_header(req.content_type or _FORM)
    if media_type.lower() in _JSON:
        return json_object(req)
    if media_type.lower() != _FORM:
        raise falcon.HTTPUnsupportedMediaType(description=f"send application/json or {_FORM}")
    return dict(form_body(req))


def query_of(req: falcon.Request) -> dict[str, Any]:
    """The last one of a name counts."""
    fields = falcon.uri.parse_query_string(req.query_string, keep_blank=True, csv=False)
    return {name: one if isinstance(one, str) else one[-1] for name, one in fields.items()}


def parameters_of(req: falcon.Request) -> "Given":
    """The body, or the query where there is none. Raises Invalid."""
    return Given(body_of(req) or query_of(req))


class Given:
    """Parameters by name. What is wrong with one is noted in `faults`, to be told with the rest."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.faults: list[Complaint] = []

    def has(self, name: str) -> bool:
        """Whether it is there at all: to Hydra false is as good as true."""
        return self._values.get(name) is not None

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if value is None:
            return ""
        if not is_text(value):
            self.fault(name, "must be text")
            return ""
        return str(value)

    def number(self, name: str, default: int = 0) -> int:
        """Also one written as text, or true and false."""
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, int):
            return int(value)
        if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            return int(value)
        self.fault(name, "must be a whole number")
        return default

    def map(self, name: str) -> dict[str, Any]:
        value = self._values.get(name)
        if value is None or isinstance(value, dict):
            return value or {}
        self.fault(name, "must be an object")
        return {}

    def fault(self, name: str, message: str) -> None:
        self.faults.append(Complaint(name, message))

    def check(self) -> None:
        """Raises Invalid with every fault that there is so far."""
        if self.faults:
            raise Invalid("the request cannot be used", complaints=self.faults)


def is_text(value: Any) -> bool:
    return isinstance(value, str) and not _UNFIT.search(value)


# -- projects -------------------------------------------------------------------------------------


def project_settings(given: Given, kept: ProjectSettings) -> ProjectSettings:
    """What Hydra has no word for is kept; all else is as given, and empty where it is not."""
    if not given.text("displayname").strip():
        given.fault("displayname", "must not be empty")
    _refuse_run_command(given)
    return replace(
        kept,
        display_name=given.text("displayname").strip(),
        description=given.text("description"),
        homepage=given.text("homepage"),
        enabled=given.has("enabled"),
        hidden=not given.has("visible"),
        declaration=_declaration(given),
    )


def _declaration(given: Given) -> Declaration:
    """Without a file nothing else of it counts."""
    fields = Given(given.map("declarative"))
    file = fields.text("file").strip()
    if not file and not fields.faults:
        return Declaration()
    kind, value = fields.text("type"), fields.text("value")
    given.faults += [replace(one, field=f"declarative.{one.field}") for one in fields.faults]
    if kind not in set(InputType):
        given.fault("declarative.type", _bad_type(kind))
        return Declaration()
    return Declaration(file, InputType(kind), value)


def _refuse_run_command(given: Given) -> None:
    if given.number("enable_dynamic_run_command"):
        given.fault("enable_dynamic_run_command", "is not to be had on this server")


# -- jobsets --------------------------------------------------------------------------------------


def jobset_settings(given: Given, kept: JobsetSettings) -> JobsetSettings:
    """As for projects. Without a path the usual recipes are looked for."""
    if given.number("type", LEGACY) != LEGACY or given.text("flake"):
        given.fault("type", f"must be {LEGACY}: this server evaluates no flakes")
    _refuse_run_command(given)
    return replace(
        kept,
        description=given.text("description"),
        mode=_mode(given),
        hidden=not given.has("visible"),
        recipe_input=given.text("nixexprinput"),
        recipe_path=recipe_paths(given.text("nixexprpath")) or DEFAULT_RECIPE,
        check_interval_seconds=given.number("checkinterval"),
        shares=given.number("schedulingshares", 1),
        keep_evaluations=given.number("keepnr"),
        tell_by_mail=given.has("enableemail"),
        mail_to=given.text("emailoverride"),
    )


def recipe_paths(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _mode(given: Given) -> JobsetMode:
    wanted = given.number("enabled")
    for mode, number in MODE.items():
        if number == wanted:
            return mode
    given.fault("enabled", f"must be {min(MODE.values())} to {max(MODE.values())}")
    return JobsetMode.OFF


def inputs(given: Given, kept: tuple[Input, ...]) -> tuple[Input, ...]:
    """The inputs as given. One that follows what it followed before is still told by the same
    pushes.
    """
    return tuple(_inputs(given, {one.name: one for one in kept}))


def _inputs(given: Given, kept: Mapping[str, Input]) -> Iterator[Input]:
    for name, value in given.map("inputs").items():
        if not is_text(name):
            given.fault("inputs", "a name must be text")
        elif not isinstance(value, dict):
            given.fault(f"inputs.{name}", "must be an object")
        else:
            one = _input(name, Given({**value, "value": _as_text(value.get("value"))}), given)
            known = kept.get(name)
            if one is not None and known is not None and follows_same(one, known):
                one = replace(one, watch=known.watch)
            if one is not None:
                yield one


def _input(name: str, fields: Given, given: Given) -> Input | None:
    kind, value = fields.text("type"), fields.text("value")
    if kind not in set(InputType):
        given.fault(f"inputs.{name}", _bad_type(kind))
        return None
    if fields.faults:
        given.faults += [replace(one, field=f"inputs.{name}.{one.field}") for one in fields.faults]
        return None
    try:
        return read_input(name, InputType(kind), value)
    except ValueError as error:
        given.fault(f"inputs.{name}", str(error))
        return None


def _bad_type(kind: str) -> str:
    return f"Invalid input type \u2018{kind}\u2019; valid types: {INPUT_TYPES}"


def _as_text(value: Any) -> Any:
    """The value of a boolean may be one of JSON."""
    return str(value).lower() if isinstance(value, bool) else value
