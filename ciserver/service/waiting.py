"""Why a build has not started: one function, for pages, commands and APIs alike."""

from ciserver.model.build import Build
from ciserver.model.ports import EngineState


def waiting_reason(build: Build, engine: EngineState | None) -> str:
    """In words for people; empty when the build does not wait."""
    if not build.status.is_waiting:
        return ""
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
