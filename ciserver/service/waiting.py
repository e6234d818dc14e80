"""Why a build has not started: one function, for pages, commands and APIs alike."""

from collections.abc import Callable, Container, Mapping, Sequence

from ciserver.model.build import Build
from ciserver.model.frozen import frozen
from ciserver.model.ports import EngineState, WorkerState
from ciserver.model.status import BuildStatus
from ciserver.model.view import Pause
from ciserver.store.gates import GROUP, NEEDS
from ciserver.store.pauses import QUEUE, names_of


@frozen
class Holds:
    """What is known of a build beside itself: what is paused, with by whom as far as the reader is
    told; the builds that it needs and that have not succeeded as (id, job, status); systems for
    which nothing is begun.
    """

    pauses: Sequence[Pause] = ()
    is_jobset_paused: bool = False
    blockers: Sequence[tuple[int, str, str]] = ()
    inactive: Container[str] = ()


_NOTHING = Holds()


def waiting_reason(build: Build, engine: EngineState | None, holds: Holds = _NOTHING) -> str:
    """In words for people; empty when the build does not wait."""
    if not build.status.is_waiting:
        return ""
    if build.status is BuildStatus.HELD:
        return "it is held until somebody starts it"
    return (
        _gate_reason(build, holds)
        or _pause_reason(build, holds)
        or _engine_reason(build, engine, {one.worker: one for one in holds.pauses})
    )


def _gate_reason(build: Build, holds: Holds) -> str:
    """What the build itself waits for, whoever could run it."""
    if build.waiting == NEEDS:
        told = ", ".join(f"{job} (build {id_}, {status})" for id_, job, status in holds.blockers)
        return f"it needs {told}" if told else "it needs other builds"
    if build.waiting == GROUP:
        return f"one build of the group {group_name(build.concurrency)} runs at a time"
    return ""


def _pause_reason(build: Build, holds: Holds) -> str:
    """What is paused, or not active, for all workers alike."""
    if build.system in holds.inactive:
        return f"nothing is begun for the system {build.system}: it is not active"
    if holds.is_jobset_paused:
        return f"the jobset {build.project}:{build.jobset} is paused"
    return next((said_of(one) for one in holds.pauses if one.worker == QUEUE), "")


def _engine_reason(build: Build, engine: EngineState | None, pauses: Mapping[str, Pause]) -> str:
    if engine is None:
        return "no engine runs builds right now"
    able = list(engine.workers)
    for can_take, why_not in _RULES:
        before, able = able, [one for one in able if can_take(one, build)]
        if not able:
            return why_not(build, before, engine)
    free = [one for one in able if not why_idle(one, pauses)]
    if not free:
        return _all_idle(build, able, pauses)
    slots = sum(one.slots for one in free)
    if sum(one.busy for one in free) >= slots:
        said = "the only slot is" if slots == 1 else f"all {slots} slots are"
        return f"{said} busy; builds of higher priority and of jobsets that used less go first"
    return (engine.broker and engine.broker.fault) or "about to start"


def could_take(worker: WorkerState, build: Build) -> bool:
    """Whether the build is one for this worker, as far as that does not change by itself."""
    return all(can_take(worker, build) for can_take, _ in _RULES)


def _queue_of(build: Build) -> str:
    return f"{build.system}/{build.trust.value}"


def _no_system(build: Build, _before: object, engine: EngineState) -> str:
    systems = dict.fromkeys(system for one in engine.workers for system in one.systems)
    return f"no worker for system {build.system} (there is: {', '.join(systems) or 'none'})"


def _no_label(build: Build, before: Sequence[WorkerState], _engine: object) -> str:
    there = sorted({label for one in before for label in one.labels})
    have = f"they have: {', '.join(there)}" if there else "they have none"
    return f"no worker for {_queue_of(build)} has the labels {', '.join(build.runs_on)} ({have})"


def _no_image(build: Build, _before: object, engine: EngineState) -> str:
    images = sorted({image for one in engine.workers for image in one.images})
    return f"no worker offers the image {build.image} (there is: {', '.join(images) or 'none'})"


# What a worker must be for a build, and what is said where none is; the rules are those of a claim.
_RULES: tuple[tuple[Callable[[WorkerState, Build], bool], Callable[..., str]], ...] = (
    (lambda worker, build: build.system in worker.systems, _no_system),
    (
        lambda worker, build: worker.serves(_queue_of(build)),
        lambda build, *_: f"no worker for {build.system} takes {build.trust.value} builds",
    ),
    (
        lambda worker, build: worker.is_for(build.project),
        lambda build, *_: f"the workers for {_queue_of(build)} are for other projects",
    ),
    (lambda worker, build: worker.has(build.runs_on), _no_label),
    (lambda worker, build: worker.takes(build.image), _no_image),
)


def _all_idle(build: Build, able: Sequence[WorkerState], pauses: Mapping[str, Pause]) -> str:
    """Each worker that could run it takes no builds: what is said of each."""
    reasons = [(one.name, why_idle(one, pauses)) for one in able]
    if len(reasons) == 1:
        return reasons[0][1]
    told = "; ".join(why if name in why else f"{name}: {why}" for name, why in reasons)
    return f"all workers for {build.system} take no builds: {told}"


def why_idle(worker: WorkerState, pauses: Mapping[str, Pause]) -> str:
    """Why a worker takes no builds; empty when it does. The rule is that of a claim."""
    pause = next((pauses[name] for name in names_of(worker.name) if name in pauses), None)
    return said_of(pause) if pause else worker.paused


def why_unwanted(worker: WorkerState, inactive: Container[str]) -> str:
    """Why nothing is begun for any of a worker's systems; empty when it is for one."""
    is_unwanted = all(one in inactive for one in worker.systems)
    return "none of its systems is active" if is_unwanted else ""


def said_of(pause: Pause) -> str:
    """What is paused, by whom and why, as far as it is told."""
    what = f"the worker {pause.worker}" if pause.worker else "the queue"
    if pause.until:
        return f"{what} is out of work until {pause.until:%H:%M} UTC: {pause.reason}"
    by = f" by {pause.by}" if pause.by else ""
    return f"{what} is paused{by}{f': {pause.reason}' if pause.reason else ''}"


def group_name(concurrency: str) -> str:
    """A group as its recipe names it: in the row the project stands before it."""
    return concurrency.partition(":")[2]
