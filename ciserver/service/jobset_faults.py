"""What is wrong with the settings and inputs of a jobset, whoever wrote them."""

import re
from collections.abc import Iterator

from ciserver.git.address import check_ref, is_revision
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.project import Input, InputType, JobsetSettings
from ciserver.recipe.sources import is_directory, repository_name

GLOB_FAULT = "must be a glob of full ref names such as refs/heads/*"
_INPUT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
_IN_NO_REF = re.compile(r"[\x00-\x20\x7f~^:\\]")
_ADDRESS = re.compile(r"[^\s@,;<>]+@[^\s@,;<>]+")
_HIGHEST = 2**31 - 1
_LONGEST_EXPRESSION = 16 * 1024


def settings_faults(settings: JobsetSettings, inputs: tuple[Input, ...]) -> Iterator[Complaint]:
    """The faults of the settings, and of the names of the inputs."""
    names = [one.name for one in inputs]
    for name in dict.fromkeys(names):
        if not _INPUT_NAME.fullmatch(name):
            fault = "must be letters, digits, '_' and '-', beginning with a letter"
            yield Complaint(f"inputs.{name}", fault)
        if names.count(name) > 1:
            yield Complaint(f"inputs.{name}", "is there twice")
    source = next((one for one in inputs if one.name == settings.recipe_input), None)
    if inputs and (source is None or not source.type.has_files):
        yield Complaint("recipe_input", "must be the name of one of the git or path inputs")
    elif source and source.type is InputType.PATH and not is_directory(repository_name(source.uri)):
        fault = "must end in a usable directory name: without spaces or a leading '-'"
        yield Complaint(f"inputs.{source.name}", fault)
    yield from _value_faults(settings)


def _value_faults(settings: JobsetSettings) -> Iterator[Complaint]:
    for path in settings.recipe_path:
        if path.startswith("/") or ".." in path.split("/") or not path or "\0" in path:
            yield Complaint("recipe_path", "must be a path inside the repository, without '..'")
    if not all(map(_ADDRESS.fullmatch, filter(None, addresses_of(settings.mail_to)))):
        yield Complaint("mail_to", "must be mail addresses, parted by commas")
    for field, value, least in (
        ("check_interval_seconds", settings.check_interval_seconds, 0),
        ("shares", settings.shares, 1),
        ("keep_evaluations", settings.keep_evaluations, 0),
        ("timeout_minutes", settings.script.timeout_minutes, 0),
    ):
        if not least <= value <= _HIGHEST:
            yield Complaint(field, f"must be {least} to {_HIGHEST}")


def addresses_of(text: str) -> list[str]:
    """Mail addresses that are written one after the other."""
    return [one.strip() for one in text.split(",")]


def input_faults(one: Input) -> Iterator[Complaint]:
    """The faults of one input by itself, but for its address: of what a repository follows and
    watches, how a path is read, and what is no expression.
    """
    match one.type:
        case InputType.GIT:
            yield from _git_faults(one)
        case InputType.PATH if not 0 <= one.refresh_seconds <= _HIGHEST:
            yield Complaint(f"inputs.{one.name}.refresh_seconds", f"must be 0 to {_HIGHEST}")
        case InputType.NIX if not one.value.strip() or "\0" in one.value:
            yield Complaint(f"inputs.{one.name}", "must be a Nix expression")
        case InputType.NIX if len(one.value.encode("utf-8", "replace")) > _LONGEST_EXPRESSION:
            fault = f"must be at most {_LONGEST_EXPRESSION} bytes; put the rest into a file"
            yield Complaint(f"inputs.{one.name}", fault)


def _git_faults(one: Input) -> Iterator[Complaint]:
    if not _can_be_followed(one.ref):
        fault = "must be HEAD, a full ref, the name of a branch or tag, or a whole revision"
        yield Complaint(f"inputs.{one.name}.ref", fault)
    if not all(glob == one.ref or is_glob(glob) for glob in one.watch):
        yield Complaint(f"inputs.{one.name}.watch", GLOB_FAULT)


def is_glob(text: str) -> bool:
    """Whether this is a glob of full ref names."""
    return text.startswith("refs/") and not _IN_NO_REF.search(text)


def _can_be_followed(ref: str) -> bool:
    if ref == "HEAD" or is_revision(ref):
        return True
    try:
        check_ref(ref if ref.startswith("refs/") else f"refs/heads/{ref}")
    except Invalid:
        return False
    return True
