"""The kinds of values that a manifest holds: names, paths, addresses, words of a fixed list."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Tag

from ciserver.model.build import SETUP
from ciserver.model.errors import Invalid
from ciserver.model.evaluation import Kind
from ciserver.model.schedule import ScheduleKind
from ciserver.recipe.checks import (
    MANY,
    NO_NUL,
    NOT_EMPTY,
    ONE,
    Line,
    Text,
    by_list,
    fault,
    matches,
    must_be,
    must_be_one_of,
    not_one_of,
    refused_if,
)
from ciserver.recipe.sources import parse_source

CONDITIONS = ("success", "failure", "always", "change")
HIGHEST_PRIORITY = 10
LOWEST_PRIORITY = -1000
_YEAR = 366 * 24 * 60


def _is_bad_artifact(path: str) -> bool:
    return ".." in path.split("/") or path.endswith("/") or PurePosixPath(path).name in {"", "."}


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


def _known_kind(value: Any) -> Kind:
    words = tuple(Kind)
    if not isinstance(value, str) or value not in words:
        raise fault(not_one_of(value, words))
    return Kind(value)


Machine = Annotated[
    Line, matches(r"[A-Za-z0-9_]+", "must be the name of a machine such as x86_64 or aarch64")
]
TaskName = Annotated[
    str,
    matches(
        r"[a-z0-9_-]{1,128}",
        "is not a task name: 1 to 128 of the characters a-z, 0-9, '_' and '-'",
    ),
    refused_if(lambda name: name == SETUP, "is reserved; give the task another name"),
]
TaskEntry = Annotated[
    dict[TaskName, Text],
    must_be("a map of one name to its script", dict),
]
VariableName = Annotated[
    str,
    matches(
        r"[A-Za-z_][A-Za-z0-9_]*",
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
Glob = Annotated[Line, refused_if(lambda glob: len(glob) > 250, "must have at most 250 characters")]
KindWord = Annotated[Kind, BeforeValidator(_known_kind)]
Kinds = Annotated[tuple[KindWord, ...], NOT_EMPTY, must_be("a list of strings", list)]
Sources = Annotated[tuple[SourceEntry, ...], must_be("a list of strings", list)]
Artifacts = Annotated[tuple[Artifact, ...], must_be("a list of strings", list)]
# Each glob costs time at every push, so their number is bounded.
Globs = Annotated[
    tuple[Glob, ...],
    refused_if(lambda globs: len(globs) > 100, "must have at most 100 globs"),
    must_be("a list of strings", list),
]
AddressLine = Annotated[Line, matches(r".*[^\s@]@[^\s@].*", "must be an email address")]
WebAddress = Annotated[
    Line, refused_if(_is_bad_url, "must be a URL that begins with http:// or https://")
]
AddressLines = Annotated[
    Annotated[AddressLine, Tag(ONE)] | Annotated[tuple[AddressLine, ...], Tag(MANY)],
    by_list(),
    must_be("an address or a list of addresses", str, list),
]
Word = Annotated[
    Line, matches(r"(?!-)\S*", "must be one word without spaces, and not begin with '-'")
]
Words = Annotated[tuple[Word, ...], must_be("a list of strings", list)]
ScheduleWord = Annotated[Literal["nightly", "pgo", "periodic"], must_be_one_of(tuple(ScheduleKind))]
DayParts = Annotated[
    tuple[Annotated[int, must_be("a whole number", int)], ...],
    must_be("a list of whole numbers", list),
]
Minutes = Annotated[
    int | float,
    must_be("a number of minutes", int, float),
    refused_if(
        lambda value: not 0 < value <= _YEAR,
        f"must be more than 0 and at most {_YEAR} minutes",
    ),
]
Priority = Annotated[
    int,
    must_be("a whole number", int),
    refused_if(
        lambda value: not LOWEST_PRIORITY <= value <= HIGHEST_PRIORITY,
        f"must be from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}",
    ),
]
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
