"""The job that runs a script of a repository, whoever or whatever asks for it."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from ciserver.model.build import Job, Source, Task
from ciserver.model.errors import Complaint
from ciserver.model.evaluation import Kind
from ciserver.model.project import Input, Jobset, ScriptDefaults
from ciserver.recipe.sources import repository_name
from ciserver.service.scripts import limit_faults, path_faults, read_parameters

PARTIAL_EXIT_CODE = 6
_PREFIX = re.compile("^refs/(heads|tags)/")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.+-]")


def script_job(
    source: Input, wanted: ScriptDefaults, *, system: str, ref: str = ""
) -> tuple[Job | None, list[Complaint]]:
    """A job for the script, of the repository of `source` at no revision yet; or every fault. No
    limit of time, 0, is left to the server.
    """
    environment, unreadable = read_parameters(wanted.parameters)
    faults = [*_faults(wanted), *unreadable]
    if faults:
        return None, faults
    directory = repository_name(source.uri)
    run = f"cd {shlex.quote(directory)}\nbash {shlex.quote(wanted.script)}\n"
    job = Job(
        name=_job_name(wanted.script),
        file=wanted.script,
        image="host",
        system=system,
        tasks=(Task("script", run),),
        sources=(Source(source.uri, directory, ref or source.ref, type=source.type),),
        environment=dict(environment),
        timeout_seconds=wanted.timeout_minutes * 60,
        kinds=tuple(Kind),
        partial_exit_code=PARTIAL_EXIT_CODE,
        script=wanted.script,
        parameters=wanted.parameters,
    )
    return job, []


def at_revision(job: Job, jobset: Jobset, ref: str, revision: str) -> Job:
    """The job of a jobset's repository at a commit, which its script is told by the names that such
    scripts know; what its own parameters say of these wins.
    """
    told = {
        "PROJECT": f"{jobset.owner}/{jobset.project}",
        "PROJECT_VERSION": _PREFIX.sub("", ref) or revision,
        "COMMIT_HASH": revision,
    }
    first, *rest = job.sources
    return replace(
        job,
        sources=(replace(first, ref=ref or first.ref, revision=revision), *rest),
        environment={**told, **job.environment},
    )


def _faults(wanted: ScriptDefaults) -> Iterator[Complaint]:
    yield from path_faults(wanted.script)
    if wanted.timeout_minutes:
        yield from limit_faults(wanted.timeout_minutes)


def _job_name(script: str) -> str:
    name = _NOT_IN_NAMES.sub("-", PurePosixPath(script).name)
    return name[:128].lstrip("-.") or "script"
