"""The Starlark recipe: one file, a function that makes its jobs."""

import json
import re
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ciserver.model.errors import Complaint
from ciserver.recipe.checks import kind_of, shown
from ciserver.recipe.child import Ended, our_program, run
from ciserver.recipe.complaints import at_most
from ciserver.recipe.expand import MOST_JOBS as MOST_OF_ONE
from ciserver.recipe.fields import JOB_NAME, JOB_NAME_RULE
from ciserver.recipe.manifest import Reading, read_value
from ciserver.recipe.yaml_text import MAX_BYTES, MAX_DEPTH, MAX_NODES

MOST_JOBS = 100_000
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
    seconds: float = 10,
    memory_mb: int = 512,
) -> Reading:
    """Call `jobs(inputs)` of a recipe and read what it returns: manifests, each with a name.

    Never raises: every fault is a complaint, those of a job with its place in the list. The recipe
    runs in a process of its own, which sees no files and no network, within these limits.
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
            "jobs": MOST_JOBS,
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
    collected = _Collected(file, default_system, no_memory)
    for answer in _answers(ended.output):
        collected.take(answer)
    collected.complaints += _ends(ended, collected.is_whole, seconds, no_memory)
    return collected.reading()


class _Collected:
    """The answers of the child, as jobs and complaints."""

    def __init__(self, file: str, default_system: str, no_memory: str) -> None:
        self._file = file
        self._no_memory = no_memory
        self._default_system = default_system
        self._readings: list[Reading] = []
        self._count = 0
        self.complaints: list[Complaint] = []
        self.is_whole = False

    def take(self, answer: list[Any]) -> None:
        match answer:
            case ["job", int(place), manifest]:
                self._take_job(f"jobs[{place}]", manifest)
            case ["fault", str(field), str(message)]:
                self.complaints.append(Complaint(field, message))
            case ["memory"]:
                self.complaints.append(Complaint("", self._no_memory))
            case _:
                self.is_whole = True

    def _take_job(self, field: str, manifest: object) -> None:
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
            most_jobs=min(MOST_OF_ONE, MOST_JOBS - self._count),
            faults=_name_faults(name),
        )
        self._readings.append(reading)
        self._count += len(reading.jobs)
        self.complaints += (
            replace(one, field=f"{field}.{one.field}" if one.field else field, file="")
            for one in reading.complaints
        )

    def reading(self) -> Reading:
        schedules = tuple(one for reading in self._readings for one in reading.schedules)
        if len(schedules) > MOST_SCHEDULES:
            self.complaints.append(Complaint("", f"has more than {MOST_SCHEDULES} schedules"))
        if self.complaints:
            placed = (replace(one, file=self._file) for one in self.complaints)
            return Reading(complaints=at_most(placed))
        jobs = tuple(one for reading in self._readings for one in reading.jobs)
        return Reading(jobs, schedules=schedules)


def _name_faults(name: object) -> Iterator[Complaint]:
    if name is None:
        yield Complaint("name", "is required")
    elif not isinstance(name, str):
        yield Complaint("name", f"must be a string, not {kind_of(name)}")
    elif not _NAME.fullmatch(name):
        yield Complaint("name", f"{shown(name)} is no job name: {JOB_NAME_RULE}")


def _answers(output: bytes) -> Iterator[list[Any]]:
    """Whole lines; the last one of a program that was killed may be a part."""
    start = 0
    while (end := output.find(b"\n", start)) >= 0:
        yield json.loads(output[start:end])
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
