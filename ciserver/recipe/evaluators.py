"""Which evaluator reads a recipe: the file's name says it."""

from collections.abc import Callable, Mapping
from pathlib import Path

from ciserver.recipe.manifest import Reading, read_manifest
from ciserver.recipe.nix import read_nix
from ciserver.recipe.starlark import read_starlark


def read_recipe(
    file: str,
    text: bytes | str,
    *,
    default_system: str,
    inputs: Mapping[str, str | bool],
    tree: Callable[[], Path],
) -> Reading:
    """Read one recipe file: `*.star` is Starlark, `*.nix` is Nix, all others are manifests.

    Never raises: every fault of the recipe is a complaint. `inputs` are the jobset's values by
    name. `tree` gives, to an evaluator that needs it, the files of the recipe's repository in a
    directory with the name that it has in the home of a build, and other repositories beside it;
    what it raises is passed on.
    """
    if file.endswith(".star"):
        return read_starlark(file, text, default_system=default_system, inputs=inputs)
    if file.endswith(".nix"):
        return read_nix(file, inputs=inputs, tree=tree)
    return read_manifest(file, text, default_system=default_system)
