"""The recipes of a working tree, read as the server reads those of a revision."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from ciserver.cli.working_tree import WorkingTree, git
from ciserver.machine import native_system
from ciserver.model.build import Job
from ciserver.model.errors import Complaint, Invalid, NotFound
from ciserver.model.evaluation import SkippedJob
from ciserver.model.frozen import frozen
from ciserver.model.project import DEFAULT_RECIPE, Input, JobsetSettings
from ciserver.recipe.complaints import Faults, at_most
from ciserver.recipe.evaluators import read_recipes
from ciserver.recipe.files import PROGRAMS, RECIPE_LIMIT, choose_files, job_name
from ciserver.recipe.graph import Placed, order
from ciserver.service.jobset_faults import settings_faults

Command = TypeVar("Command", bound=Callable[..., Any])
Inputs = Mapping[str, str | bool]
_BOOLEANS = {"true": True, "false": False}


@frozen
class Wanted:
    """Which files are recipes, and the inputs that programs among them are given."""

    globs: tuple[str, ...]
    inputs: Inputs


@frozen
class Recipes:
    """What the recipes of a tree come to: jobs, each after what it needs, or the complaints that
    keep all from being built. `broken` keeps only the jobs that it names; `left_out` are files
    that a server would not read either.
    """

    placed: tuple[Placed, ...] = ()
    complaints: tuple[Complaint, ...] = ()
    broken: tuple[Complaint, ...] = ()
    left_out: tuple[SkippedJob, ...] = ()

    @property
    def faults(self) -> tuple[Complaint, ...]:
        return at_most((*self.complaints, *self.broken))


def recipe_options(command: Command) -> Command:
    """--recipe and --input, handed on as `wanted`."""

    @wraps(command)
    def with_wanted(*, globs: tuple[str, ...], inputs: tuple[str, ...], **rest: Any) -> Any:
        return command(wanted=wanted_of(globs, inputs), **rest)

    globs = click.option(
        "--recipe",
        "globs",
        multiple=True,
        metavar="GLOB",
        help=f"Where recipes are, repeatable; default: {', '.join(DEFAULT_RECIPE)}.",
    )
    inputs = click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="NAME=VALUE",
        help="An input for recipes that are programs; true and false are no strings unless it is"
        " written NAME:string=VALUE. Repeatable.",
    )
    return globs(inputs(with_wanted))  # type: ignore[return-value]


def wanted_of(globs: tuple[str, ...], inputs: tuple[str, ...]) -> Wanted:
    """What these options say. Raises Invalid with every fault, those that a jobset would have."""
    settings = JobsetSettings(recipe_path=globs or DEFAULT_RECIPE)
    complaints, given = Faults(), dict[str, str | bool]()
    names = []
    for one in inputs:
        label, equals, text = one.partition("=")
        name, _, kind = label.partition(":")
        if not equals or kind not in {"", "string", "boolean"}:
            complaints.append(Complaint("--input", f"must be NAME=VALUE, not {one!r}"))
            continue
        if kind == "boolean" and text not in _BOOLEANS:
            complaints.append(Complaint(f"inputs.{name}", "must be true or false"))
        names.append(Input(name))
        given[name] = text if kind == "string" else _BOOLEANS.get(text, text)
    complaints.extend(settings_faults(settings, (Input(settings.recipe_input), *names)))
    if complaints:
        raise Invalid("the options cannot be used", complaints=complaints)
    return Wanted(settings.recipe_path, given)


def read_tree(tree: WorkingTree, wanted: Wanted) -> Recipes:
    """All recipes of a tree together. Raises NotFound where there are none."""
    files = tree.find(wanted.globs)
    if not files:
        hint = f"looked for {', '.join(wanted.globs)}"
        raise NotFound(f"there is no recipe in {tree.root}", hint=hint)
    chosen = choose_files(files)
    files = chosen.files
    with tree.lend() as copied:
        jobs, complaints, broken = _read(tree.root, files, wanted.inputs, copied)
    faulty = {one.file for one in complaints}
    if any(file.endswith(PROGRAMS) for file in faulty):
        # Nobody knows which jobs it would have made, so nobody who needs one can be blamed.
        return Recipes(complaints=complaints, broken=broken)
    # What could not be read is there all the same: whoever needs it has no fault.
    placed, faults = order([*jobs, *(_unread(file) for file in files if file in faulty)])
    complaints = at_most((*complaints, *faults))
    return Recipes(() if complaints else placed, complaints, broken, chosen.left_out)


def read_good_tree(tree: WorkingTree, wanted: Wanted) -> Recipes:
    """The same where there is something to build. Raises NotFound, Invalid with every complaint."""
    recipes = read_tree(tree, wanted)
    if recipes.complaints or (recipes.broken and not recipes.placed):
        raise Invalid("the recipe has faults", complaints=recipes.faults)
    return recipes


def read_file(file: Path, inputs: Inputs) -> tuple[Complaint, ...]:
    """What is wrong with one recipe, taken by itself; what it imports is in its repository."""
    folder = file.parent.resolve()
    top = (git(folder, "rev-parse", "--show-toplevel") or "").removesuffix("\n")
    if not top and file.name.endswith(".nix"):
        fault = "is in no git repository, which would say what it may import; name its directory"
        return (Complaint("", f"{fault}, and the file with --recipe", str(file)),)
    tree = WorkingTree(Path(top) if top else folder)
    name = str((folder / file.name).relative_to(tree.root))
    with tree.lend() as copied:
        _, complaints, broken = _read(tree.root, [name], inputs, copied)
    return tuple(replace(one, file=str(file)) for one in at_most((*complaints, *broken)))


def _read(
    root: Path, files: Sequence[str], inputs: Inputs, copied: Callable[[], Path]
) -> tuple[list[Job], tuple[Complaint, ...], tuple[Complaint, ...]]:
    jobs: list[Job] = []
    complaints, broken = Faults(), Faults()

    def texts() -> Iterator[tuple[str, bytes]]:
        for file in files:
            try:
                yield file, _content(root / file)
            except Invalid as error:
                complaints.append(Complaint("", error.message, file))

    for _, _, reading in read_recipes(
        texts(), default_system=native_system(), inputs=inputs, tree=copied
    ):
        jobs += reading.jobs
        complaints.extend(reading.complaints)
        broken.extend(reading.broken)
    return jobs, tuple(complaints), tuple(broken)


def _content(path: Path) -> bytes:
    """Raises Invalid."""
    try:
        with path.open("rb") as file:
            content = file.read(RECIPE_LIMIT + 1)
    except OSError as error:
        raise Invalid(f"cannot be read: {error.strerror}") from error
    if len(content) > RECIPE_LIMIT:
        raise Invalid(f"has more than the {RECIPE_LIMIT} bytes allowed; make it smaller")
    return content


def _unread(file: str) -> Job:
    return Job(job_name(file), file, image="", system=native_system(), tasks=())
