"""What is wrong with the settings and inputs of a jobset, whoever wrote them."""

import re
from collections.abc import Iterator

from ciserver.git.address import check_ref, is_revision
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.project import Input, InputType, JobsetSettings

GLOB_FAULT = "must be a glob of full ref names such as refs/heads/*"
_INPUT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
_IN_NO_REF = re.compile(r"[\x00-\x20\x7f~^:\\]")
_HIGHEST = 2**31 - 1


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
    if inputs and (source is None or source.type is not InputType.GIT):
        yield Complaint("recipe_input", "must be the name of one of the git inputs")
    for path in settings.recipe_path:
        if path.startswith("/") or ".." in path.split("/") or not path or "\0" in path:
            yield Complaint("recipe_path", "must be a path inside the repository, without '..'")
    for field, value, least in (
        ("check_interval_seconds", settings.check_interval_seconds, 0),
        ("shares", settings.shares, 1),
        ("keep_evaluations", settings.keep_evaluations, 0),
        ("timeout_minutes", settings.script.timeout_minutes, 0),
    ):
        if not least <= value <= _HIGHEST:
            yield Complaint(field, f"must be {least} to {_HIGHEST}")


def input_faults(one: Input) -> Iterator[Complaint]:
    """The faults of what an input of a repository follows and watches."""
    if one.type is not InputType.GIT:
        return
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
