"""Commands that read recipes and run nothing: what is wrong with them, what they would build."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import click

from ciserver.cli.options import choice, json_output, place_ignored
from ciserver.cli.output import EXIT_USAGE, print_json, print_table
from ciserver.cli.reading import Wanted, read_file, read_good_tree, read_tree, recipe_options
from ciserver.cli.working_tree import WorkingTree, git
from ciserver.model.errors import Complaint, NotFound
from ciserver.model.evaluation import Kind, SkippedJob
from ciserver.model.schedule import PgoStrategy
from ciserver.recipe.globs import Changes
from ciserver.recipe.graph import Placed
from ciserver.recipe.json_schema import manifest_schema
from ciserver.service.filters import Filters


@click.command()
@click.argument(
    "paths", nargs=-1, type=click.Path(path_type=Path, exists=True), metavar="[PATH]..."
)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a recipe, and no more.")
@recipe_options
@place_ignored
def lint(*, paths: tuple[Path, ...], schema: bool, wanted: Wanted) -> None:
    """Check recipes; every fault is named. Of a directory (default: this one) all recipes
    together: that what they need is there, and that none waits for itself. Those that are programs
    are evaluated, as confined as on a server.
    """
    if schema:
        click.echo(json.dumps(manifest_schema(), indent=2))
        return
    faulty = False
    for path in paths or (Path(),):
        faults = _faults_of(path, wanted)
        for one in faults:
            click.echo(str(one))
        if not faults:
            click.echo(f"{path}: no faults")
        faulty |= bool(faults)
    if faulty:
        raise SystemExit(EXIT_USAGE)


def _faults_of(path: Path, wanted: Wanted) -> tuple[Complaint, ...]:
    if not path.is_dir():
        return read_file(path, wanted.inputs)
    faults = read_tree(WorkingTree(path), wanted).faults
    return tuple(replace(one, file=str(path / one.file)) if one.file else one for one in faults)


@click.command()
@click.argument(
    "path", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path()
)
@click.option("--kind", type=choice(Kind), default="push", show_default=True)
@click.option("--ref", default="", help="As if this full ref was pushed; default: the branch.")
@click.option("--base", metavar="REVISION", help="Compare with it for when.paths.")
@recipe_options
@json_output
@place_ignored
def plan(*, path: Path, kind: str, ref: str, base: str | None, wanted: Wanted, output: str) -> None:
    """Say what the recipe of a working tree would build, in which order, and why the rest is left
    out.
    """
    tree = path.resolve()
    recipes = read_good_tree(WorkingTree(tree), wanted)
    ref = ref or (git(tree, "symbolic-ref", "-q", "HEAD") or "HEAD").strip()
    changes = Changes(_changed(tree, base)) if base else None
    filters = Filters(Kind(kind), ref, PgoStrategy.PERIODIC, changes)
    chosen, filtered = filters.select(recipes.placed)
    skipped = (*recipes.left_out, *filtered)
    if output == "json":
        print_json(_plan_to_json(chosen, skipped, recipes.broken))
        return
    rows = [
        (one.job.name, one.job.system, ", ".join(dict.fromkeys(need.name for need in one.needs)))
        for one in chosen
    ]
    print_table(("JOB", "SYSTEM", "NEEDS"), rows)
    for left in skipped:
        click.echo(f"left out: {left.job}: {left.reason}")
    for one in recipes.broken:
        click.echo(f"broken: {one}")


def _plan_to_json(
    chosen: Iterable[Placed], skipped: Iterable[SkippedJob], broken: Iterable[Complaint]
) -> dict[str, list[dict[str, object]]]:
    return {
        "jobs": [
            {
                "job": one.job.name,
                "system": one.job.system,
                "needs": [{"job": need.name, "system": need.system} for need in one.needs],
            }
            for one in chosen
        ],
        "skipped": [{"job": one.job, "reason": one.reason} for one in skipped],
        "broken": [vars(one) for one in broken],
    }


def _changed(tree: Path, base: str) -> list[str]:
    """The files of the tree that differ from a revision, what is not committed included."""
    listed = (
        git(tree, "diff", "--name-only", "--no-renames", "--relative", "-z", "--end-of-options",
            base, "--"),
        git(tree, "ls-files", "--others", "--exclude-standard", "-z"),
    )  # fmt: skip
    if listed[0] is None:
        raise NotFound(f"{tree} cannot be compared with {base}", hint="name a commit or branch")
    return [one for names in listed for one in (names or "").split("\0") if one]
