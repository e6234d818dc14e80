"""Where the builds of a server run: here, elsewhere, or nowhere until something is mended."""

from dataclasses import replace

from ciserver.executor.idle import IdleEngine
from ciserver.executor.local import LocalEngine
from ciserver.executor.network import HOST_FOR_ALL, Networks
from ciserver.executor.sandbox import Sandbox, SandboxBroken
from ciserver.machine import make_local_engine, offered_systems, runs_builds
from ciserver.model.build import Offer
from ciserver.model.ports import WorkerState
from ciserver.wiring import Parts


def make_engine(
    parts: Parts,
    sandbox: Sandbox | SandboxBroken,
    networks: Networks | SandboxBroken = HOST_FOR_ALL,
) -> LocalEngine | IdleEngine:
    """The engine that runs builds here; one that only says why it cannot when the sandbox or its
    network is broken, and one without workers where builds run elsewhere only.
    """
    if not runs_builds(parts.settings):
        return IdleEngine()
    systems = offered_systems(parts.settings)
    idle = WorkerState(parts.worker, systems, slots=0, busy=0)
    if isinstance(sandbox, SandboxBroken):
        return IdleEngine(replace(idle, paused=str(sandbox)))
    if isinstance(networks, SandboxBroken):
        return IdleEngine(replace(idle, paused=str(networks)))
    return make_local_engine(
        LocalEngine,
        parts.settings,
        parts.data,
        Offer(parts.worker, systems, labels=parts.settings.builds.labels),
        sandbox,
        networks,
        parts.reporter,
        parts.sources,
        parts.services.clock,
    )
