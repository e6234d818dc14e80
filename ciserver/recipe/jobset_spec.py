"""The file that declares the jobsets of a project: JSON, with the keys that Hydra's users write."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from ciserver.model.errors import Complaint, Invalid
from ciserver.model.frozen import frozen
from ciserver.model.input_text import read_input
from ciserver.model.project import (
    DECLARING,
    DEFAULT_RECIPE,
    Input,
    InputType,
    JobsetMode,
    JobsetSettings,
)

SPEC_LIMIT = 1024 * 1024  # bytes of one file
MOST_JOBSETS = 1000
_MODES = (JobsetMode.OFF, JobsetMode.ON, JobsetMode.ONE_SHOT, JobsetMode.ONE_AT_A_TIME)
_KEYS = (
    *("enabled", "hidden", "type", "flake", "description", "nixexprinput", "nixexprpath"),
    *("checkinterval", "schedulingshares", "enableemail", "enable_dynamic_run_command"),
    *("emailoverride", "keepnr", "inputs"),
)
_INPUT_KEYS = ("type", "value", "emailresponsible")
# What the core calls a key.
_WORDS = {
    "recipe_input": "nixexprinput",
    "recipe_path": "nixexprpath",
    "check_interval_seconds": "checkinterval",
    "shares": "schedulingshares",
    "keep_evaluations": "keepnr",
    "mail_to": "emailoverride",
}
_UNFIT = re.compile(r"[\x00\ud800-\udfff]")  # what can be neither kept nor sent
_NUMBER = re.compile(r"-?[0-9]{1,9}")


@frozen
class JobsetSpec:
    """A jobset as it is declared; `complaints` are about what keeps it from being one."""

    name: str
    settings: JobsetSettings
    inputs: tuple[Input, ...]
    complaints: tuple[Complaint, ...]

    @property
    def place(self) -> str:
        """The name as complaints have it, whatever it holds."""
        return _shown(self.name)

    def written(self, complaint: Complaint) -> Complaint:
        """A complaint about a setting, with the key as it is written."""
        first, dot, rest = complaint.field.partition(".")
        key = _WORDS.get(first, first)
        return Complaint(f"{self.place}.{key}{dot}{rest}", complaint.message)


@frozen
class Declared:
    """What a file declares: the jobsets of the project, or how the jobset is set up whose build
    declares them.
    """

    jobsets: tuple[JobsetSpec, ...] = ()
    itself: JobsetSpec | None = None


def read_declaration(text: bytes) -> Declared:
    """An object of objects declares jobsets, any other one sets up the jobset that does. Raises
    Invalid for what is neither.
    """
    found = _object(text)
    if all(isinstance(one, dict) for one in found.values()):
        return _jobsets(found)
    return Declared(itself=_jobset(DECLARING, found))


def read_jobsets(text: bytes) -> Declared:
    """What the build of that jobset left: jobsets by name. Raises Invalid."""
    return _jobsets(_object(text))


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(
            text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise Invalid(f"the declaration of the jobsets is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Invalid("the declaration of the jobsets must be a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("an object has the same key twice")
    return values


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no value")


def _jobsets(found: Mapping[str, Any]) -> Declared:
    if len(found) > MOST_JOBSETS:
        raise Invalid(f"at most {MOST_JOBSETS} jobsets can be declared, not {len(found)}")
    return Declared(tuple(_jobset(name, one) for name, one in found.items()))


def _jobset(name: str, spec: Any) -> JobsetSpec:
    if not isinstance(spec, dict):
        fault = Complaint(_shown(name), "must be an object")
        return JobsetSpec(name, JobsetSettings(), (), (fault,))
    reader = _Reader(_shown(name), spec)
    reader.check_keys(_KEYS)
    if reader.number("type", 0) or reader.text("flake"):
        reader.fault("type", "must be 0: this server evaluates no flakes")
    if reader.number("enable_dynamic_run_command", 0):
        reader.fault("enable_dynamic_run_command", "is not to be had on this server")
    usual = JobsetSettings()
    paths = tuple(one.strip() for one in reader.text("nixexprpath").split(",") if one.strip())
    settings = JobsetSettings(
        description=reader.text("description"),
        mode=_mode(reader),
        hidden=bool(reader.number("hidden", 0)),
        recipe_input=reader.text("nixexprinput"),
        recipe_path=paths or DEFAULT_RECIPE,
        check_interval_seconds=reader.number("checkinterval", 300),
        shares=reader.number("schedulingshares", usual.shares),
        keep_evaluations=reader.number("keepnr", usual.keep_evaluations),
        tell_by_mail=bool(reader.number("enableemail", 1)),
        mail_to=reader.text("emailoverride"),
    )
    return JobsetSpec(name, settings, tuple(_inputs(reader)), tuple(reader.faults))


def _shown(name: str) -> str:
    return _UNFIT.sub("?", name)[:100]


def _mode(reader: "_Reader") -> JobsetMode:
    number = reader.number("enabled", 1)
    if 0 <= number < len(_MODES):
        return _MODES[number]
    reader.fault("enabled", f"must be 0 to {len(_MODES) - 1}")
    return JobsetMode.OFF


def _inputs(reader: "_Reader") -> Iterator[Input]:
    for name, value in reader.map("inputs").items():
        if not isinstance(value, dict) or _UNFIT.search(name):
            reader.fault(f"inputs.{_shown(name)}", "must be an object under a name of letters")
            continue
        fields = _Reader(f"{reader.place}.inputs.{_shown(name)}", value)
        fields.check_keys(_INPUT_KEYS)
        one = _input(name, fields)
        reader.faults += fields.faults
        if one is not None:
            yield one


def _input(name: str, fields: "_Reader") -> Input | None:
    kind = fields.text("type")
    if kind not in set(InputType):
        fields.fault("type", f"must be one of {', '.join(InputType)}")
        return None
    try:
        return read_input(name, InputType(kind), fields.text("value"))
    except ValueError as error:
        fields.fault("value", str(error))
        return None


class _Reader:
    """The keys of an object. What is wrong with one is noted in `faults`."""

    def __init__(self, place: str, values: Mapping[str, Any]) -> None:
        self.place = place
        self.faults: list[Complaint] = []
        self._values = values

    def fault(self, key: str, message: str) -> None:
        self.faults.append(Complaint(f"{self.place}.{key}", message))

    def check_keys(self, known: tuple[str, ...]) -> None:
        for key in self._values:
            if key not in known:
                self.fault(_shown(key), f"unknown key; known are {', '.join(known)}")

    def text(self, key: str) -> str:
        """Also of true and false, as the value of a boolean may be written."""
        value = self._values.get(key)
        if value is None:
            return ""
        if isinstance(value, bool):
            return str(value).lower()
        if not isinstance(value, str) or _UNFIT.search(value):
            self.fault(key, "must be text")
            return ""
        return value

    def number(self, key: str, default: int) -> int:
        """Also one written as text, or true and false."""
        value = self._values.get(key)
        if value is None:
            return default
        if isinstance(value, int):
            return int(value)
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            return int(value)
        self.fault(key, "must be a whole number")
        return default

    def map(self, key: str) -> Mapping[str, Any]:
        value = self._values.get(key)
        if value is None or isinstance(value, dict):
            return value or {}
        self.fault(key, "must be an object")
        return {}
