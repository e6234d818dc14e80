"""The Starlark recipe: one file, a function that makes its jobs."""

import json
import re
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ciserver.model.build import Job
from ciserver.model.errors import Complaint
from ciserver.model.schedule import ScheduleSpec
from ciserver.recipe.checks import kind_of
from ciserver.recipe.child import Ended, our_program, run
from ciserver.recipe.complaints import Faults, shown
from ciserver.recipe.expand import MOST_JOBS as MOST_OF_ONE
from ciserver.recipe.expand import MOST_OF_ALL, MOST_TEXT_OF_ALL, too_many
from ciserver.recipe.fields import JOB_NAME, JOB_NAME_RULE
from ciserver.recipe.manifest import Reading, read_value
from ciserver.recipe.yaml_text import MAX_BYTES, MAX_DEPTH, MAX_NODES

MOST_SCHEDULES = 100
_MOST_BYTES = 50_000_000
_NAME = re.compile(JOB_NAME)

Inputs = Mapping[str, str | bool]


def read_starlark(
    file: str,
    text: bytes | str,
    *,
    default_system: str,
    inputs: Inputs,
    most_jobs: int = MOST_OF_ALL,
    seconds: float = 10,
    memory_mb: int = 512,
) -> Reading:
    """Call `jobs(inputs)` of a recipe and read what it returns: manifests, each with a name.

    Never raises: every fault is a complaint, those of a job with its place in the list. The recipe
    runs in a process of its own, which sees no files and no network, within these limits;
    `most_jobs` is what the files before it left.
    """
    try:
        source = text.decode("utf-8-sig") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1 if isinstance(text, bytes) else 1
        return Reading(complaints=(Complaint("", f"line {line}: not valid UTF-8", file),))
    request = {
        "file": file,
        "text": source,
        "inputs": dict(inputs),
        "seconds": int(seconds) + 1,
        "memory_bytes": memory_mb << 20,
        "limits": {
            "jobs": most_jobs,
            "too_many": f"makes more than {most_jobs} jobs; {too_many(most_jobs)}",
            "depth": MAX_DEPTH,
            "nodes": MAX_NODES,
            "characters": MAX_BYTES,
        },
    }
    ended = run(
        our_program("starlark_child"),
        json.dumps(request).encode(),
        seconds=seconds,
        most_bytes=_MOST_BYTES,
    )
    no_memory = f"takes more than {memory_mb} MB of memory"
    collected = _Collected(file, default_system, most_jobs, no_memory)
    for answer, size in _answers(ended.output):
        collected.take(answer, size)
    collected.complaints.extend(_ends(ended, collected.is_whole, seconds, no_memory))
    return collected.reading()


class _Collected:
    """The answers of the child, as jobs and complaints."""

    def __init__(self, file: str, default_system: str, most_jobs: int, no_memory: str) -> None:
        self._file = file
        self._no_memory = no_memory
        self._default_system = default_system
        self._most_jobs = most_jobs
        self._jobs = list[Job]()
        self._schedules = list[ScheduleSpec]()
        self._characters = 0
        self.complaints = Faults()
        self.is_whole = False

    def take(self, answer: list[Any], size: int) -> None:
        """`size` is how long it was as text."""
        match answer:
            case ["job", int(place), manifest]:
                self._take_job(f"jobs[{place}]", manifest, size)
            case ["fault", str(field), str(message)]:
                self.complaints.append(Complaint(field, message))
            case ["memory"]:
                self.complaints.append(Complaint("", self._no_memory))
            case _:
                self.is_whole = True

    def _take_job(self, field: str, manifest: object, size: int) -> None:
        if self._characters >= MOST_TEXT_OF_ALL:
            most = f"{MOST_TEXT_OF_ALL >> 20} MiB"
            self.complaints.append(Complaint(field, f"the jobs before it hold more than {most}"))
            return
        if not isinstance(manifest, dict):
            self.complaints.append(Complaint(field, f"must be a map, not {kind_of(manifest)}"))
            return
        keys = {key: value for key, value in manifest.items() if key != "name"}
        name = manifest.get("name")
        reading = read_value(
            self._file,
            name if isinstance(name, str) else "job",
            keys,
            default_system=self._default_system,
            most_jobs=min(MOST_OF_ONE, self._most_jobs - len(self._jobs)),
            faults=_name_faults(name),
        )
        self._jobs += reading.jobs
        self._schedules += reading.schedules[: MOST_SCHEDULES + 1 - len(self._schedules)]
        self._characters += size * len(reading.jobs)
        self.complaints.extend(
            replace(one, field=f"{field}.{one.field}" if one.field else field, file="")
            for one in reading.complaints
        )

    def reading(self) -> Reading:
        if len(self._schedules) > MOST_SCHEDULES:
            self.complaints.append(Complaint("", f"has more than {MOST_SCHEDULES} schedules"))
        if self.complaints:
            placed = (replace(one, file=self._file) for one in self.complaints)
            return Reading(complaints=tuple(placed))
        return Reading(
            tuple(self._jobs), schedules=tuple(self._schedules), characters=self._characters
        )


def _name_faults(name: object) -> Iterator[Complaint]:
    if name is None:
        yield Complaint("name", "is required")
    elif not isinstance(name, str):
        yield Complaint("name", f"must be a string, not {kind_of(name)}")
    elif not _NAME.fullmatch(name):
        yield Complaint("name", f"{shown(name)} is no job name: {JOB_NAME_RULE}")


def _answers(output: bytes) -> Iterator[tuple[list[Any], int]]:
    """Whole lines and their lengths; the last one of a program that was killed may be a part."""
    start = 0
    while (end := output.find(b"\n", start)) >= 0:
        yield json.loads(output[start:end]), end - start
        start = end + 1


def _ends(ended: Ended, is_whole: bool, seconds: float, no_memory: str) -> list[Complaint]:
    """Why the child did not come to its end, if it did not."""
    if is_whole:
        return []
    if ended.late:
        fault = f"takes longer than {seconds:g} seconds"
    elif ended.too_long:
        fault = f"makes more than {_MOST_BYTES // 1_000_000} MB of jobs"
    elif ended.code == -signal.SIGSEGV:
        fault = "is nested too deeply"
    elif ended.code == -signal.SIGABRT:
        fault = no_memory
    else:
        fault = f"its evaluation ended without an answer (status {ended.code})"
    return [Complaint("", fault)]
