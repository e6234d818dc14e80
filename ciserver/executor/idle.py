"""An engine that runs nothing and says why: builds wait, visibly, until the cause is mended."""

from ciserver.model.ports import EngineState, WorkerState


class IdleEngine:
    """Implements model.ports.Engine."""

    def __init__(self, worker: str, systems: tuple[str, ...], reason: str) -> None:
        self._state = EngineState((WorkerState(worker, systems, slots=0, busy=0, paused=reason),))

    def start(self) -> None: ...

    def ring(self) -> None: ...

    def stop(self, build_id: int) -> None: ...

    def drain(self, timeout_seconds: float) -> None: ...

    def pause(self, reason: str) -> None: ...

    def resume(self) -> None: ...

    def state(self) -> EngineState:
        return self._state
