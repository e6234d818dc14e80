"""Recipe files: what their names say, which of a revision are read, and why the others are not."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from ciserver.model.evaluation import SkippedJob
from ciserver.model.frozen import frozen

RECIPE_LIMIT = 256 * 1024  # bytes of one file
NIX = ".nix"  # such recipes may ask what time it is, and what else Nix itself knows
PROGRAMS = (".star", NIX)
_ENDINGS = (".yml", ".yaml", ".json")
_MOST_NAMED = 100


@frozen
class ChosenFiles:
    files: tuple[str, ...]
    left_out: tuple[SkippedJob, ...] = ()


def choose_files(found: Sequence[str], *, most: int = 0) -> ChosenFiles:
    """The files to read, in their order: of manifests that make jobs of the same name the first,
    and of all no more than `most`; 0 is no limit.
    """
    first: dict[str, str] = {}
    for file in found:
        if not file.endswith(PROGRAMS):
            first.setdefault(job_name(file), file)
    single = [file for file in found if file.endswith(PROGRAMS) or first[job_name(file)] == file]
    kept = frozenset(single)
    chosen = tuple(single[:most] if most else single)
    twins = (
        SkippedJob(job_name(file), f"{file}: the job is made by {first[job_name(file)]}")
        for file in found
        if file not in kept
    )
    fault = f"only the first {most} recipes of a revision are read"
    beyond = (SkippedJob(job_name(file), f"{file}: {fault}") for file in single[len(chosen) :])
    return ChosenFiles(chosen, tuple(_bounded([*twins, *beyond])))


def job_name(file: str) -> str:
    """`.builds/alpine.yml` makes the job `alpine`, `.build.yml` the job `build`."""
    name = PurePosixPath(file).name
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name.lstrip(".") or "build"


def _bounded(left_out: list[SkippedJob]) -> Iterator[SkippedJob]:
    yield from left_out[:_MOST_NAMED]
    if len(left_out) > _MOST_NAMED:
        more = f"and {len(left_out) - _MOST_NAMED} more recipes are not read"
        yield SkippedJob(left_out[_MOST_NAMED].job, more)
