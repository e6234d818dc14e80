"""The YAML recipe: one file, its jobs or all of its faults at once."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from ciserver.model.build import (
    Cache,
    Concurrency,
    EnvironmentValue,
    Job,
    Reports,
    Resources,
    Task,
    TriggerSpec,
)
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.frozen import frozen
from ciserver.model.schedule import ScheduleKind, ScheduleSpec
from ciserver.recipe.checks import kind_of
from ciserver.recipe.complaints import at_most, shown
from ciserver.recipe.expand import MOST_JOBS, combinations, expand
from ciserver.recipe.fields import JOB_NAME, JOB_NAME_RULE
from ciserver.recipe.files import job_name
from ciserver.recipe.joint_rules import joint_faults, trigger_faults
from ciserver.recipe.matrix_rules import matrix_faults
from ciserver.recipe.schema import (
    MOST_TRIGGERS,
    ConcurrencyKeys,
    EmailTrigger,
    FurtherTrigger,
    Manifest,
    ReportKeys,
    ResourceKeys,
    ScheduleEntry,
    TriggerList,
    WebhookTrigger,
)
from ciserver.recipe.sentences import complaints_of
from ciserver.recipe.sources import parse_source
from ciserver.recipe.yaml_text import load

_NAME = re.compile(JOB_NAME)
_NOT_ACTED_ON = {
    "oauth": "not available in this version; the build runs without a token",
    "shell": "not available in this version; nothing is kept after the build",
}


@frozen
class Reading:
    """What came of a recipe file: jobs and the schedules it wants, or the complaints that say why
    not. `broken` are complaints of single jobs, without which the others can be built;
    `characters` is how much text the jobs hold together.
    """

    jobs: tuple[Job, ...] = ()
    complaints: tuple[Complaint, ...] = ()
    schedules: tuple[ScheduleSpec, ...] = ()
    broken: tuple[Complaint, ...] = ()
    characters: int = 0


def read_manifest(
    file: str, text: bytes | str, *, default_system: str, most_jobs: int = MOST_JOBS
) -> Reading:
    """Read one recipe file. Never raises: every fault of the text is a complaint.

    `most_jobs` is how many jobs it may make: who reads several files takes off what the files
    before have made.
    """
    try:
        value = load(text)
    except Invalid as error:
        return _faulty(file, error)
    reading = read_value(
        file,
        job_name(file),
        value,
        default_system=default_system,
        most_jobs=most_jobs,
        faults=_name_faults(file),
    )
    return replace(reading, characters=len(text) * len(reading.jobs))


def read_value(
    file: str,
    name: str,
    value: object,
    *,
    default_system: str,
    most_jobs: int = MOST_JOBS,
    faults: Iterable[Complaint] = (),
) -> Reading:
    """Read a manifest that is plain data already, as the recipe of this name. Never raises.

    `faults` are what is known to be wrong with it beside.
    """
    try:
        manifest = _validated(name, _keys_of(value), most_jobs, faults)
    except Invalid as error:
        return _faulty(file, error)
    schedules = tuple(_schedule(file, one) for one in manifest.schedules)
    return Reading(_jobs(file, name, manifest, default_system), schedules=schedules)


def read_triggers(raw: object) -> tuple[tuple[TriggerSpec, ...], tuple[Complaint, ...]]:
    """Read triggers that were given beside a recipe. Never raises; fields are `triggers[0]...`."""
    if isinstance(raw, list):
        raw = raw[: MOST_TRIGGERS + 1]  # a megabyte of them would be looked at for seconds
    faults = list(trigger_faults({"triggers": raw}))
    try:
        read = TriggerList.model_validate({"triggers": raw})
    except ValidationError as error:
        return (), at_most([*complaints_of(error), *faults])
    if faults:
        return (), at_most(faults)
    return tuple(_trigger(one) for one in read.triggers), ()


def _faulty(file: str, error: Invalid) -> Reading:
    return Reading(complaints=at_most(replace(one, file=file) for one in error.complaints))


def _keys_of(value: object) -> dict[str, Any]:
    """The top map without its empty keys: `packages:` with nothing after it asks for nothing."""
    if not isinstance(value, dict):
        found = kind_of(value)
        raise _refusal(
            [Complaint("", f"must be a map with keys such as image and tasks, not {found}")]
        )
    known = Manifest.model_fields
    return {key: one for key, one in value.items() if one is not None or key not in known}


def _validated(
    name: str, raw: dict[str, Any], most_jobs: int, faults: Iterable[Complaint]
) -> Manifest:
    complaints = [*faults, *joint_faults(raw), *matrix_faults(name, raw, most_jobs)]
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        raise _refusal([*complaints_of(error), *complaints]) from error
    if complaints:
        raise _refusal(complaints)
    return manifest


def _refusal(complaints: list[Complaint]) -> Invalid:
    return Invalid("the recipe has faults", complaints=complaints)


def _name_faults(file: str) -> Iterator[Complaint]:
    name = job_name(file)
    if not _NAME.fullmatch(name):
        yield Complaint(
            "",
            f"the file's name makes the job {shown(name)}, which is no job name: "
            f"{JOB_NAME_RULE}; rename the file",
        )


def _jobs(file: str, name: str, manifest: Manifest, default_system: str) -> tuple[Job, ...]:
    systems = tuple(dict.fromkeys(manifest.systems)) or (
        f"{manifest.arch}-linux" if manifest.arch else default_system,
    )
    job, matrix = _job(file, name, manifest, systems[0]), manifest.matrix
    if matrix is None and len(systems) == 1:
        return (job,)
    chosen = combinations(matrix.axes, matrix.exclude) if matrix else ({},)
    return expand(job, tuple(chosen), systems)


def _job(file: str, name: str, manifest: Manifest, system: str) -> Job:
    return Job(
        name=name,
        file=file,
        image=manifest.image,
        system=system,
        tasks=tuple(Task(*entry) for task in manifest.tasks for entry in task.items()),
        sources=tuple(parse_source(text) for text in manifest.sources),
        environment={name: _variable(value) for name, value in manifest.environment.items()},
        packages=tuple(name for entry in manifest.packages for name in entry.split()),
        repositories=manifest.repositories,
        artifacts=manifest.artifacts,
        triggers=tuple(_trigger(one) for one in manifest.triggers),
        timeout_seconds=_seconds(manifest.timeout),
        silence_seconds=_seconds(manifest.silence),
        priority=manifest.priority,
        network=manifest.network,
        kinds=tuple(dict.fromkeys(manifest.when.kinds)),
        refs=manifest.when.refs,
        by_push=manifest.submitter.git.enabled,
        push_refs=manifest.submitter.git.allow_refs,
        notes=tuple(_notes(manifest)),
        base=name,
        runs_on=tuple(sorted(set(manifest.runs_on))),
        needs=tuple(dict.fromkeys(manifest.needs)),
        changed_paths=manifest.when.paths,
        paths=manifest.paths,
        retries=manifest.retries,
        retry_on_failure=manifest.retry_on_failure,
        concurrency=_concurrency(manifest.concurrency),
        resources=_resources(manifest.resources),
        cache=tuple(Cache(one.key, one.paths) for one in manifest.cache),
        reports=_reports(manifest.reports),
        maintainers=manifest.maintainers,
        always=manifest.always,
        secrets=tuple(dict.fromkeys(manifest.secrets)),
    )


def _concurrency(keys: ConcurrencyKeys | None) -> Concurrency | None:
    return Concurrency(keys.group, keys.policy) if keys else None


def _resources(keys: ResourceKeys) -> Resources:
    return Resources(keys.memory or 0, keys.pids or 0, keys.disk or 0)


def _reports(keys: ReportKeys) -> Reports:
    return Reports(keys.junit, keys.tap, keys.coverage)


def _variable(value: float | str | tuple[str, ...] | None) -> EnvironmentValue:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            return value


def _trigger(one: EmailTrigger | WebhookTrigger | FurtherTrigger) -> TriggerSpec:
    """Options are JSON values and hold only what was given; addresses are always lists."""
    if isinstance(one, WebhookTrigger):
        return TriggerSpec(one.action, one.condition, {"url": one.url})
    if isinstance(one, FurtherTrigger):
        return TriggerSpec(one.action, one.condition, one.model_extra or {})
    options: dict[str, Any] = {
        key: [lines] if isinstance(lines, str) else list(lines)
        for key, lines in (("to", one.to), ("cc", one.cc))
        if lines
    }
    if one.in_reply_to:
        options["in_reply_to"] = one.in_reply_to
    return TriggerSpec(one.action, one.condition, options)


def _schedule(file: str, one: ScheduleEntry) -> ScheduleSpec:
    kind = ScheduleKind(one.kind)
    changed = kind.only_if_changed if one.only_if_changed is None else one.only_if_changed
    return ScheduleSpec(kind, one.timing, changed, one.last_good, file)


def _seconds(minutes: float | None) -> int:
    """Rounded up: 0 would mean that the server chooses."""
    return math.ceil(minutes * 60) if minutes else 0


def _notes(manifest: Manifest) -> Iterator[str]:
    for key, note in _NOT_ACTED_ON.items():
        if getattr(manifest, key):
            yield f"{key}: {note}"
