"""An engine that runs nothing, and may say why: builds wait, visibly, until the cause is mended."""

from ciserver.model.ports import EngineState, WorkerState


class IdleEngine:
    """Implements model.ports.Engine."""

    def __init__(self, *workers: WorkerState) -> None:
        """Without workers: builds run elsewhere only."""
        self._state = EngineState(workers)

    def start(self) -> None: ...

    def ring(self) -> None: ...

    def stop(self, build_id: int) -> None: ...

    def drain(self, timeout_seconds: float) -> None: ...

    def pause(self, reason: str) -> None: ...

    def resume(self) -> None: ...

    def state(self) -> EngineState:
        return self._state
