"""The recipes of a revision, read together: what they make, and what is wrong with them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ciserver.model.errors import Complaint
from ciserver.model.evaluation import Evaluation, SkippedJob
from ciserver.model.project import InputType, Jobset
from ciserver.model.schedule import ScheduleSpec
from ciserver.recipe.complaints import Faults
from ciserver.recipe.files import NIX, RECIPE_LIMIT, choose_files
from ciserver.recipe.inputs import Expression
from ciserver.recipe.selection import recipe_globs
from ciserver.service.building import WrittenJob
from ciserver.service.exports import Exports
from ciserver.service.pinning import Pinned, require_source
from ciserver.service.script_jobs import at_revision, script_job

_VALUE: dict[InputType, Callable[[str], str | bool | Expression]] = {
    InputType.STRING: str,
    InputType.BOOLEAN: lambda value: value == "true",
    InputType.NIX: Expression,
}


@dataclass
class Read:
    """What the recipe files of a revision come to; `broken` is what keeps single jobs from being
    built, `complaints` what keeps all. `left_out` are files that were not read. What is momentary
    may be read from the same files in another way tomorrow.
    """

    jobs: list[WrittenJob] = field(default_factory=list)
    schedules: list[ScheduleSpec] = field(default_factory=list)
    complaints: Faults = field(default_factory=Faults)
    broken: Faults = field(default_factory=Faults)
    left_out: tuple[SkippedJob, ...] = ()
    is_momentary: bool = False


class RecipeReading:
    """`system` is what jobs are built for that name none, `most_files` how many recipes are read
    of one revision; 0 is no limit.
    """

    def __init__(self, exports: Exports, *, system: str, most_files: int) -> None:
        self._exports = exports
        self._system = system
        self._most_files = most_files

    def forget(self) -> None:
        """At start: remove what a killed server had lent to evaluators."""
        self._exports.forget()

    def read(self, jobset: Jobset, evaluation: Evaluation, pinned: Pinned) -> Read:
        """Raises what reading a mirror raises; faults of recipes are complaints."""
        look = self._read_script if evaluation.wish.script else self._read_files
        return look(jobset, evaluation, pinned)

    def _read_files(self, jobset: Jobset, evaluation: Evaluation, pinned: Pinned) -> Read:
        from ciserver.recipe.evaluators import read_recipes  # noqa: PLC0415  slow to load

        globs = recipe_globs(evaluation.options, jobset.recipe_path)
        jobs: dict[tuple[str, str], WrittenJob] = {}
        with self._exports.lend(jobset, pinned) as tree:
            revision = pinned.input.revision
            chosen = choose_files(pinned.mirror.list_files(revision, globs), most=self._most_files)
            is_momentary = any(file.endswith(NIX) for file in chosen.files)
            read = Read(left_out=chosen.left_out, is_momentary=is_momentary)
            files = (
                (file, pinned.mirror.read(revision, file, limit=RECIPE_LIMIT))
                for file in chosen.files
            )
            for file, text, reading in read_recipes(
                files, default_system=self._system, inputs=_values(pinned), tree=tree
            ):
                read.complaints.extend(reading.complaints)
                read.broken.extend(reading.broken)
                read.schedules += reading.schedules
                whole = text.decode("utf-8", "replace")
                for job in reading.jobs:
                    written = WrittenJob(job, whole)
                    twin = jobs.setdefault((job.name, job.system), written)
                    if twin is not written:
                        fault = f"the job {job.name} is already made by {twin.job.file}"
                        read.complaints.append(Complaint("", fault, file))
        read.jobs = list(jobs.values())
        return read

    def _read_script(self, jobset: Jobset, evaluation: Evaluation, pinned: Pinned) -> Read:
        """The one job that the jobset's own script is, whatever recipes there are."""
        source, read = require_source(jobset), Read()
        job, faults = script_job(source, jobset.settings.script, system=self._system)
        read.complaints.extend(faults)
        if job is not None:
            job = at_revision(job, jobset, pinned.input.ref, pinned.input.revision)
            read.jobs = [WrittenJob(job, "")]
        return read


def _values(pinned: Pinned) -> dict[str, str | bool | Expression]:
    """The inputs that stand for themselves."""
    return {one.name: _VALUE[one.type](one.value) for one in pinned.others if one.type in _VALUE}
