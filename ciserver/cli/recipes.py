"""Commands that read recipes and run nothing: what is wrong with them, what they would build."""

import json
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from ciserver.cli.options import choice, json_output, place_ignored
from ciserver.cli.output import EXIT_USAGE, print_json, print_table
from ciserver.model.build import Job
from ciserver.model.errors import Complaint, Invalid, NotFound
from ciserver.model.evaluation import Kind, SkippedJob
from ciserver.model.project import DEFAULT_RECIPE
from ciserver.model.schedule import PgoStrategy
from ciserver.recipe.expand import MOST_JOBS
from ciserver.recipe.globs import Changes
from ciserver.recipe.graph import Placed, order
from ciserver.recipe.json_schema import manifest_schema
from ciserver.recipe.manifest import job_name, read_manifest
from ciserver.service.filters import Filters
from ciserver.wiring import native_system


@click.command()
@click.argument(
    "paths", nargs=-1, type=click.Path(path_type=Path, exists=True), metavar="[PATH]..."
)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a recipe, and no more.")
@place_ignored
def lint(*, paths: tuple[Path, ...], schema: bool) -> None:
    """Check recipes; every fault is named. Of a directory (default: this one) all recipes
    together: that what they need is there, and that none waits for itself.
    """
    if schema:
        click.echo(json.dumps(manifest_schema(), indent=2))
        return
    faulty = False
    for path in paths or (Path(),):
        faults = read_tree(path)[1] if path.is_dir() else read_files([path], str)[1]
        for one in faults:
            click.echo(str(one))
        if not faults:
            click.echo(f"{path}: no faults")
        faulty |= bool(faults)
    if faulty:
        raise SystemExit(EXIT_USAGE)


@click.command()
@click.argument(
    "path", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path()
)
@click.option("--kind", type=choice(Kind), default="push", show_default=True)
@click.option("--ref", default="", help="As if this full ref was pushed; default: the branch.")
@click.option("--base", metavar="REVISION", help="Compare with it for when.paths.")
@json_output
@place_ignored
def plan(*, path: Path, kind: str, ref: str, base: str | None, output: str) -> None:
    """Say what the recipe of a working tree would build, in which order, and why the rest is left
    out.
    """
    tree = path.resolve()
    ref = ref or (git(tree, "symbolic-ref", "-q", "HEAD") or "HEAD").strip()
    changes = Changes(_changed(tree, base)) if base else None
    filters = Filters(Kind(kind), ref, PgoStrategy.PERIODIC, changes)
    wanted, skipped = filters.select(placed_jobs(tree))
    if output == "json":
        print_json(_plan_to_json(wanted, skipped))
        return
    rows = [
        (one.job.name, one.job.system, ", ".join(dict.fromkeys(need.name for need in one.needs)))
        for one in wanted
    ]
    print_table(("JOB", "SYSTEM", "NEEDS"), rows)
    for left in skipped:
        click.echo(f"left out: {left.job}: {left.reason}")


def _plan_to_json(
    wanted: Iterable[Placed], skipped: Iterable[SkippedJob]
) -> dict[str, list[dict[str, object]]]:
    return {
        "jobs": [
            {
                "job": one.job.name,
                "system": one.job.system,
                "needs": [{"job": need.name, "system": need.system} for need in one.needs],
            }
            for one in wanted
        ],
        "skipped": [{"job": one.job, "reason": one.reason} for one in skipped],
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


def placed_jobs(tree: Path) -> tuple[Placed, ...]:
    """The jobs of a working tree, each after what it needs. Raises Invalid, NotFound."""
    placed, complaints = read_tree(tree, lambda file: str(file.relative_to(tree)))
    if complaints:
        raise Invalid("the recipe has faults", complaints=complaints)
    return placed


def read_tree(
    tree: Path, name_of: Callable[[Path], str] = str
) -> tuple[tuple[Placed, ...], tuple[Complaint, ...]]:
    """All recipes of a tree together, or their complaints. Raises NotFound where there are none."""
    found = {file for glob in DEFAULT_RECIPE for file in tree.glob(glob) if file.is_file()}
    if not found:
        hint = f"looked for {', '.join(DEFAULT_RECIPE)}"
        raise NotFound(f"there is no recipe in {tree}", hint=hint)
    files = sorted(found)
    jobs, complaints = read_files(files, name_of)
    faulty = {one.file for one in complaints}
    # What could not be read is there all the same: whoever needs it has no fault.
    unread = [_unread(name) for name in map(name_of, files) if name in faulty]
    placed, faults = order([*jobs, *unread])
    complaints = (*complaints, *faults)
    return () if complaints else placed, complaints


def _unread(file: str) -> Job:
    return Job(job_name(file), file, image="", system=native_system(), tasks=())


def read_files(
    files: Iterable[Path], name_of: Callable[[Path], str]
) -> tuple[tuple[Job, ...], tuple[Complaint, ...]]:
    """The jobs of these recipes, and every complaint about one of them."""
    jobs: list[Job] = []
    complaints: list[Complaint] = []
    for file in files:
        try:
            text = file.read_bytes()
        except OSError as error:
            complaints.append(Complaint("", f"cannot be read: {error.strerror}", name_of(file)))
            continue
        reading = read_manifest(
            name_of(file),
            text,
            default_system=native_system(),
            most_jobs=MOST_JOBS - len(jobs),
        )
        complaints += reading.complaints
        jobs += reading.jobs
    return tuple(jobs), tuple(complaints)


def git(tree: Path, *arguments: str) -> str | None:
    """What git says of the tree; None where it cannot say."""
    said = subprocess.run(
        ["git", "-C", str(tree), *arguments],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )
    return said.stdout if said.returncode == 0 else None
