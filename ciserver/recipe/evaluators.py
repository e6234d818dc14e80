"""Which evaluator reads a recipe: the file's name says it."""

from collections.abc import Iterable, Iterator

from ciserver.model.errors import Complaint
from ciserver.recipe.expand import Allowance
from ciserver.recipe.files import NIX, PROGRAMS
from ciserver.recipe.inputs import Expression, Inputs, Tree
from ciserver.recipe.manifest import Reading, read_manifest
from ciserver.recipe.nix import read_nix
from ciserver.recipe.schema import Manifest
from ciserver.recipe.starlark import read_starlark


def get_ready() -> None:
    """Make the validators of a whole manifest, which the first one that is read would wait for."""
    Manifest.model_rebuild()


def read_recipes(
    files: Iterable[tuple[str, bytes]],
    *,
    default_system: str,
    inputs: Inputs,
    tree: Tree,
    allowance: Allowance | None = None,
) -> Iterator[tuple[str, bytes, Reading]]:
    """Read the files of one evaluation, given as (name, content), each when its turn comes.

    What they make together is within the allowance: a file that would make more has a complaint.
    Where nothing is left, the next file is told so in place of being read, and is the last.
    """
    allowance = allowance or Allowance()
    for file, text in files:
        is_program = file.endswith(PROGRAMS)
        if why := allowance.fault(is_program=is_program):
            fault = f"was not read, and no file after it: {why}"
            yield file, text, Reading(complaints=(Complaint("", fault, file),))
            return
        reading = read_recipe(
            file,
            text,
            default_system=default_system,
            inputs=inputs,
            tree=tree,
            most_jobs=allowance.left(is_program=is_program),
        )
        allowance.take(len(reading.jobs), reading.characters, is_program=is_program)
        yield file, text, reading


def read_recipe(
    file: str,
    text: bytes | str,
    *,
    default_system: str,
    inputs: Inputs,
    tree: Tree,
    most_jobs: int,
) -> Reading:
    """Read one recipe file: `*.star` is Starlark, `*.nix` is Nix, all others are manifests.

    Never raises: every fault of the recipe is a complaint. `inputs` are the jobset's values by
    name. `tree` gives, to an evaluator that needs it, the files of the recipe's repository in a
    directory with the name that it has in the home of a build, and other repositories beside it;
    what it raises is passed on. No more than `most_jobs` are made.
    """
    if file.endswith(NIX):
        return read_nix(file, inputs=inputs, tree=tree, most_jobs=most_jobs)
    values = {name: one for name, one in inputs.items() if not isinstance(one, Expression)}
    if faults := [
        Complaint(f"inputs.{name}", "is a Nix expression, which only a recipe *.nix can use", file)
        for name in inputs
        if name not in values
    ]:
        return Reading(complaints=tuple(faults))
    if file.endswith(".star"):
        return read_starlark(
            file, text, default_system=default_system, inputs=values, most_jobs=most_jobs
        )
    return read_manifest(file, text, default_system=default_system, most_jobs=most_jobs)
