"""Why a build has not started: one function, for pages, commands and APIs alike."""

from collections.abc import Sequence
from dataclasses import dataclass

from ciserver.model.build import Build
from ciserver.model.ports import EngineState
from ciserver.model.status import BuildStatus
from ciserver.store.gates import GROUP, NEEDS


@dataclass(frozen=True)
class Holds:
    """What is known of a build beside itself: who paused what, the builds that it needs and that
    have not succeeded as (id, job, status).
    """

    paused: str = ""
    blockers: Sequence[tuple[int, str, str]] = ()


def waiting_reason(build: Build, engine: EngineState | None, holds: Holds = Holds()) -> str:
    """In words for people; empty when the build does not wait."""
    if not build.status.is_waiting:
        return ""
    if build.status is BuildStatus.HELD:
        return "it is held until somebody starts it"
    if build.waiting == NEEDS:
        told = ", ".join(f"{job} (build {id_}, {status})" for id_, job, status in holds.blockers)
        return f"it needs {told}" if told else "it needs other builds"
    if build.waiting == GROUP:
        return f"one build of the group {group_name(build.concurrency)} runs at a time"
    if holds.paused:
        return holds.paused
    return _engine_reason(build, engine)


def _engine_reason(build: Build, engine: EngineState | None) -> str:
    if engine is None:
        return "no engine runs builds right now"
    if engine.paused:
        return engine.paused
    if build.system not in engine.systems:
        return f"no worker for system {build.system} (there is: {', '.join(engine.systems)})"
    if engine.busy >= engine.slots:
        slots = "the only slot is" if engine.slots == 1 else f"all {engine.slots} slots are"
        return f"{slots} busy; builds of higher priority and of jobsets that used less go first"
    return "about to start"


def group_name(concurrency: str) -> str:
    """A group as its recipe names it: in the row the project stands before it."""
    return concurrency.partition(":")[2]
