"""The kinds of values that a manifest holds: names, paths, addresses, words of a fixed list."""

import re
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Tag, WithJsonSchema

from ciserver.model.build import Policy
from ciserver.model.errors import Invalid
from ciserver.model.evaluation import Kind
from ciserver.model.schedule import ScheduleKind
from ciserver.model.worker import LABEL, LABEL_RULE, MOST_LABELS
from ciserver.recipe.checks import (
    MANY,
    NO_NUL,
    NOT_EMPTY,
    ONE,
    Line,
    Rule,
    Text,
    Whole,
    by_list,
    fault,
    kind_of,
    matches,
    must_be,
    must_be_one_of,
    not_one_of,
    refused_if,
    up_to,
    within,
)
from ciserver.recipe.sources import parse_source

CONDITIONS = ("success", "failure", "always", "change")
HIGHEST_PRIORITY = 10
LOWEST_PRIORITY = -1000
MOST_EXCLUDED = 100
MOST_RETRIES = 10
MOST_PROCESSES = 1 << 22  # Linux has no more
MOST_MEBIBYTES = 16 << 20  # 16 TiB
JOB_NAME = r"[A-Za-z0-9_+][A-Za-z0-9_.+-]{0,127}"
JOB_NAME_RULE = "1 to 128 letters, digits, '_', '-', '.' and '+', not beginning with '-' or '.'"
VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
SYSTEM = r"[A-Za-z0-9_]+-[a-z0-9]+"
ADDRESS = r".*[^\s@]@[^\s@].*"
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_YEAR = 366 * 24 * 60
_SIZE = re.compile(r"([1-9][0-9]{0,8})([MG])")


def _is_bad_artifact(path: str) -> bool:
    return ".." in path.split("/") or path.endswith("/") or PurePosixPath(path).name in {"", "."}


def _is_bad_glob(glob: str) -> bool:
    return glob.startswith(("/", "~", "!")) or not {".", ".."}.isdisjoint(glob.split("/"))


def _is_bad_cache_path(path: str) -> bool:
    return _is_bad_glob(path) or any(sign in path for sign in "*?[") or not path.strip("/")


def _is_bad_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return True
    return parts.scheme not in {"http", "https"} or not host or re.search(r"\s", text) is not None


def _check_source(text: str) -> str:
    try:
        parse_source(text)
    except Invalid as error:
        raise fault(error.message) from error
    return text


def _member_of(kinds: type[StrEnum]) -> BeforeValidator:
    words = tuple(kinds)

    def check(value: Any) -> StrEnum:
        if not isinstance(value, str) or value not in words:
            raise fault(not_one_of(value, words))
        return kinds(value)

    return BeforeValidator(check)


def _axis_value(value: Any) -> str:
    """As it was written, as far as that can still be known."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | str():
            return str(value)
        case float():
            raise fault('must be in quotes, such as "3.10": as a number, 3.10 is 3.1')
        case _:
            raise fault(f"must be a string or a whole number, not {kind_of(value)}")


def _mebibytes(value: Any) -> int:
    size = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if size:
        number = int(size[1]) * (1024 if size[2] == "G" else 1)
    elif type(value) is int:
        number = value
    else:
        raise fault("must be a size such as 512M or 4G, or a whole number of MiB")
    if not 0 < number <= MOST_MEBIBYTES:
        raise fault(f"must be more than 0 and at most {MOST_MEBIBYTES // 1024}G")
    return number


def _known_machine(system: str) -> str:
    machine, dash, kernel = system.partition("-")
    return f"{_MACHINES.get(machine, machine)}{dash}{kernel}"


Machine = Annotated[
    Line,
    matches(r"[A-Za-z0-9_]+", "must be the name of a machine such as x86_64 or aarch64"),
    AfterValidator(_known_machine),
]
System = Annotated[
    Line,
    matches(SYSTEM, "must be a system such as x86_64-linux: machine and kernel"),
    AfterValidator(_known_machine),
]
Systems = Annotated[tuple[System, ...], NOT_EMPTY, must_be("a list of strings", list)]
TaskName = Annotated[
    str,
    matches(
        r"[a-z0-9_-]{1,128}",
        "is not a task name: 1 to 128 of the characters a-z, 0-9, '_' and '-'",
    ),
]
TaskEntry = Annotated[
    dict[TaskName, Text],
    # That there is exactly one is a joint rule, told beside the faults of the names.
    Rule(lambda task: task, {"minProperties": 1, "maxProperties": 1}),
    must_be("a map of one name to its script", dict),
]
VariableName = Annotated[
    str,
    matches(
        VARIABLE,
        "is not a variable name: letters, digits and '_', not beginning with a digit",
    ),
    refused_if(
        lambda name: name.startswith("CISERVER_"), "is reserved; CISERVER_ belongs to the server"
    ),
]
Artifact = Annotated[Line, refused_if(_is_bad_artifact, "must be the path of a file, without '..'")]
SourceEntry = Annotated[
    str,
    must_be("a string", str),
    AfterValidator(_check_source),
]
Condition = Annotated[Literal["success", "failure", "always", "change"], must_be_one_of(CONDITIONS)]
Glob = Annotated[Line, up_to(250, "characters")]
PathGlob = Annotated[
    Glob,
    refused_if(
        _is_bad_glob, "must be relative: without '.' and '..', not beginning with '/', '~' or '!'"
    ),
]
KindWord = Annotated[Kind, _member_of(Kind)]
Kinds = Annotated[tuple[KindWord, ...], NOT_EMPTY, must_be("a list of strings", list)]
Sources = Annotated[tuple[SourceEntry, ...], must_be("a list of strings", list)]
Artifacts = Annotated[tuple[Artifact, ...], up_to(100, "files"), must_be("a list of strings", list)]
# Each glob costs time at every push, so their number is bounded.
Globs = Annotated[tuple[Glob, ...], up_to(100, "globs"), must_be("a list of strings", list)]
PathGlobs = Annotated[tuple[PathGlob, ...], up_to(100, "globs"), must_be("a list of strings", list)]
CachePath = Annotated[
    Line,
    refused_if(
        _is_bad_cache_path,
        "must be a path in the home: relative, without '.', '..' and wildcards",
    ),
]
CachePaths = Annotated[
    tuple[CachePath, ...], NOT_EMPTY, up_to(100, "paths"), must_be("a list of strings", list)
]
CacheKey = Annotated[
    Line,
    matches(
        r"[A-Za-z0-9_+][A-Za-z0-9_.+-]{0,99}",
        "must be a name: 1 to 100 letters, digits, '_', '-', '.' and '+'",
    ),
]
NeededName = Annotated[Line, matches(JOB_NAME, f"must be the name of a job: {JOB_NAME_RULE}")]
NeededNames = Annotated[
    tuple[NeededName, ...], up_to(1000, "names"), must_be("a list of strings", list)
]
AxisValue = Annotated[
    str,
    matches(
        r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]*",
        "must be of letters, digits, '_', '-', '.' and '+': it becomes part of the job's name",
    ),
    BeforeValidator(_axis_value, json_schema_input_type=str | int | bool),
]
AxisValues = Annotated[
    tuple[AxisValue, ...], NOT_EMPTY, must_be("a list of strings or whole numbers", list)
]
PartialCombination = Annotated[
    dict[str, AxisValue],
    NOT_EMPTY,
    must_be("a map of keys of the matrix, each to one of its values", dict),
]
PartialCombinations = Annotated[
    tuple[PartialCombination, ...], up_to(MOST_EXCLUDED, "entries"), must_be("a list of maps", list)
]
WorkerLabels = Annotated[
    tuple[Annotated[Line, matches(LABEL, f"must be a label: {LABEL_RULE}")], ...],
    up_to(MOST_LABELS, "labels"),
    must_be("a list of labels", list),
]
GroupName = Annotated[Line, up_to(128, "characters")]
PolicyWord = Annotated[Policy, _member_of(Policy)]
Retries = Annotated[Whole, within(0, MOST_RETRIES)]
Processes = Annotated[Whole, within(1, MOST_PROCESSES)]
Mebibytes = Annotated[
    int,
    BeforeValidator(_mebibytes),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MOST_MEBIBYTES},
                {"type": "string", "pattern": f"^{_SIZE.pattern}$"},
            ]
        }
    ),
]
SecretName = Annotated[
    Line,
    matches(r".{3,512}", "must be the UUID of a secret, or its name of 3 to 512 characters"),
]
SecretNames = Annotated[
    tuple[SecretName, ...], up_to(100, "secrets"), must_be("a list of strings", list)
]
AddressLine = Annotated[Line, matches(ADDRESS, "must be an email address")]
Maintainers = Annotated[
    tuple[AddressLine, ...], up_to(100, "addresses"), must_be("a list of addresses", list)
]
WebAddress = Annotated[
    Line, refused_if(_is_bad_url, "must be a URL that begins with http:// or https://")
]
AddressLines = Annotated[
    Annotated[AddressLine, Tag(ONE)] | Annotated[tuple[AddressLine, ...], Tag(MANY)],
    by_list(),
    must_be("an address or a list of addresses", str, list),
]
# On builds.sr.ht, too, several names in one entry are several packages.
Packages = Annotated[
    tuple[
        Annotated[
            Line,
            matches(r"(?!-)\S+( +(?!-)\S+)*", "must be names, none of which begins with '-'"),
        ],
        ...,
    ],
    must_be("a list of strings", list),
]
ScheduleWord = Annotated[Literal["nightly", "pgo", "periodic"], must_be_one_of(tuple(ScheduleKind))]
DayParts = Annotated[
    tuple[Whole, ...],
    must_be("a list of whole numbers", list),
]
Minutes = Annotated[
    int | float,
    must_be("a number of minutes", int, float),
    refused_if(
        lambda value: not 0 < value <= _YEAR,
        f"must be more than 0 and at most {_YEAR} minutes",
        exclusiveMinimum=0,
        maximum=_YEAR,
    ),
]
Priority = Annotated[Whole, within(LOWEST_PRIORITY, HIGHEST_PRIORITY)]
EnvironmentEntry = Annotated[
    Annotated[str | int | float | bool | None, NO_NUL, Tag(ONE)]
    | Annotated[tuple[Text, ...], Tag(MANY)],
    by_list(),
    must_be(
        "a string, number, true or false, nothing, or a list of strings",
        str,
        int,
        float,
        bool,
        type(None),
        list,
    ),
]
Environment = Annotated[
    dict[VariableName, EnvironmentEntry], must_be("a map of names to values", dict)
]
Tasks = Annotated[
    tuple[TaskEntry, ...],
    NOT_EMPTY,
    must_be("a list of maps, each one name with its script", list),
]
