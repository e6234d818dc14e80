"""Forms about projects and jobsets: what is written in them, and what it stands for."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from ciserver.model.account import Right, Visibility
from ciserver.model.errors import Complaint
from ciserver.model.frozen import frozen
from ciserver.model.input_text import input_text, read_input
from ciserver.model.project import (
    DEFAULT_WATCH,
    Declaration,
    Input,
    InputType,
    JobsetMode,
    JobsetSettings,
    Project,
    ProjectSettings,
)

MOST_INPUTS = 200
_FREE_ROWS = 3
_NUMBER = re.compile(r"[0-9]{1,10}")
_UNFIT = re.compile(r"[\x00\ud800-\udfff]")  # what can be neither kept nor sent
_PROJECT = (
    *("name", "display_name", "description", "homepage", "visibility", "owner"),
    *("declaration.file", "declaration.type", "declaration.value"),
)
_JOBSET = (
    *("name", "description", "mode", "recipe_input", "recipe_path", "check_interval_seconds"),
    *("shares", "keep_evaluations", "mail_to"),
)
_NUMBERS = ("check_interval_seconds", "shares", "keep_evaluations")


@frozen
class Row:
    """An input as it is written."""

    name: str = ""
    type: str = InputType.GIT
    value: str = ""
    watch: str = ""


@frozen
class Form:
    """What is written in the fields, and what is wrong with it. A box that is ticked is there."""

    written: Mapping[str, str]
    rows: tuple[Row, ...] = ()
    faults: tuple[Complaint, ...] = ()

    def __getitem__(self, name: str) -> str:
        return self.written.get(name, "")

    def told(self, field: str) -> list[str]:
        """What is wrong with a field."""
        return [one.message for one in self.faults if one.field == field]

    def told_of_input(self, name: str) -> list[str]:
        """What is wrong with an input, whichever part of it."""
        parts = (f"inputs.{name}", f"inputs.{name}.ref", f"inputs.{name}.watch")
        return [one.message for one in self.faults if name and one.field.startswith(parts)]

    @property
    def elsewhere(self) -> list[str]:
        """What is wrong with what no field stands for."""
        places = {*_PROJECT, *_JOBSET}
        names = tuple(f"inputs.{one.name}" for one in self.rows if one.name)
        return [
            str(one)
            for one in self.faults
            if one.field not in places and not (names and one.field.startswith(names))
        ]


def said(form: Mapping[str, str]) -> Iterator[Complaint]:
    """What is no text."""
    for name, value in form.items():
        if _UNFIT.search(value):
            yield Complaint(name, "must be text")


# -- projects -------------------------------------------------------------------------------------


def form_of_project(one: Project | None) -> Form:
    settings = one.settings if one else ProjectSettings()
    declaration = settings.declaration
    written = {
        "name": one.name if one else "",
        "display_name": settings.display_name,
        "description": settings.description,
        "homepage": settings.homepage,
        "visibility": settings.visibility,
        "owner": one.owner if one else "",
        "declaration.file": declaration.file,
        "declaration.type": declaration.type,
        "declaration.value": declaration.value,
        **_ticked(enabled=settings.enabled, hidden=settings.hidden),
    }
    return Form(written)


def project_settings(
    form: Mapping[str, str], kept: ProjectSettings
) -> tuple[ProjectSettings, list[Complaint]]:
    """The settings that a form asks for, and what is wrong with it."""
    faults = list(said(form))
    visibility, kind = form.get("visibility", ""), form.get("declaration.type", "")
    if visibility not in set(Visibility):
        faults.append(Complaint("visibility", f"must be one of {', '.join(Visibility)}"))
    if kind not in set(InputType):
        faults.append(Complaint("declaration.type", f"must be one of {', '.join(InputType)}"))
    file = form.get("declaration.file", "").strip()
    value = form.get("declaration.value", "").strip()
    declaration = Declaration()
    if file and kind in set(InputType):
        declaration = Declaration(file, InputType(kind), value)
    settings = replace(
        kept,
        display_name=form.get("display_name", "").strip(),
        description=form.get("description", "").strip(),
        homepage=form.get("homepage", "").strip(),
        enabled="enabled" in form,
        hidden="hidden" in form,
        visibility=Visibility(visibility) if visibility in set(Visibility) else kept.visibility,
        declaration=declaration,
    )
    return settings, faults


def rights_of(form: Mapping[str, str]) -> frozenset[Right]:
    return frozenset(one for one in Right if f"right.{one}" in form)


# -- jobsets --------------------------------------------------------------------------------------


def form_of_jobset(name: str, settings: JobsetSettings, inputs: tuple[Input, ...]) -> Form:
    written = {
        "name": name,
        "description": settings.description,
        "mode": settings.mode,
        "recipe_input": settings.recipe_input,
        "recipe_path": ", ".join(settings.recipe_path),
        "mail_to": settings.mail_to,
        **{field: str(getattr(settings, field)) for field in _NUMBERS},
        **_ticked(
            hidden=settings.hidden,
            tell_by_mail=settings.tell_by_mail,
            reuse_results=settings.reuse_results,
        ),
    }
    return Form(written, with_free_rows(map(_row, inputs)))


def with_free_rows(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Those that are written, and some to write in."""
    return (*rows, *[Row()] * _FREE_ROWS)


def _row(one: Input) -> Row:
    watch = " ".join(one.watch) if one.watch != _usual_watch(one) else ""
    return Row(one.name, one.type, input_text(one), watch)


def _usual_watch(one: Input) -> tuple[str, ...]:
    """By which pushes an input is told where nothing else is said."""
    try:
        return read_input(one.name, one.type, input_text(one)).watch
    except ValueError:
        return DEFAULT_WATCH


def rows_of(form: Mapping[str, str]) -> tuple[Row, ...]:
    """The rows in which something is written."""
    rows = []
    for number in range(MOST_INPUTS):
        if f"input.{number}.name" not in form:
            break
        words = ("name", "type", "value", "watch")
        row = Row(*(form.get(f"input.{number}.{word}", "").strip() for word in words))
        if row.name or row.value:
            rows.append(row)
    return tuple(rows)


def jobset_settings(
    form: Mapping[str, str], kept: JobsetSettings
) -> tuple[JobsetSettings, list[Complaint]]:
    """The settings that a form asks for, and what is wrong with it."""
    faults = list(said(form))
    mode = form.get("mode", "")
    if mode not in set(JobsetMode):
        faults.append(Complaint("mode", f"must be one of {', '.join(JobsetMode)}"))
    paths = (one.strip() for one in form.get("recipe_path", "").split(","))
    settings = replace(
        kept,
        description=form.get("description", "").strip(),
        mode=JobsetMode(mode) if mode in set(JobsetMode) else kept.mode,
        hidden="hidden" in form,
        recipe_input=form.get("recipe_input", "").strip(),
        recipe_path=tuple(one for one in paths if one) or JobsetSettings().recipe_path,
        reuse_results="reuse_results" in form,
        tell_by_mail="tell_by_mail" in form,
        mail_to=form.get("mail_to", "").strip(),
        check_interval_seconds=_number(form, "check_interval_seconds", faults),
        shares=_number(form, "shares", faults),
        keep_evaluations=_number(form, "keep_evaluations", faults),
    )
    return settings, faults


def _number(form: Mapping[str, str], field: str, faults: list[Complaint]) -> int:
    """One that is wrong is noted, and is 1."""
    text = form.get(field, "").strip()
    if _NUMBER.fullmatch(text):
        return int(text)
    faults.append(Complaint(field, "must be a whole number"))
    return 1


def inputs_of(rows: Iterable[Row]) -> tuple[tuple[Input, ...], list[Complaint]]:
    """The inputs that rows stand for, and what is wrong with others, whose names are left."""
    inputs, faults = [], []
    for row in rows:
        try:
            inputs.append(_input(row))
        except ValueError as error:
            faults.append(Complaint(f"inputs.{row.name}", str(error)))
            if row.name:
                inputs.append(Input(row.name, type=InputType.STRING))
    return tuple(inputs), faults


def _input(row: Row) -> Input:
    if not row.name:
        raise ValueError(f"the input {row.value[:100]} needs a name")
    if row.type not in set(InputType):
        raise ValueError(f"the type must be one of {', '.join(InputType)}")
    one = read_input(row.name, InputType(row.type), row.value)
    return replace(one, watch=tuple(row.watch.split())) if row.watch else one


def _ticked(**boxes: bool) -> dict[str, str]:
    return {name: "on" for name, is_ticked in boxes.items() if is_ticked}
