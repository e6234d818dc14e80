"""Listens at the server for work, and rings the engine of this machine."""

import threading
from typing import Protocol

import structlog

from ciserver import wire
from ciserver.executor.door import Closed, Door
from ciserver.model.errors import Busy, CiError
from ciserver.model.ports import Engine

log = structlog.get_logger(__name__)

_LISTEN_SECONDS = 45.0  # the server answers earlier
_AFTER_FAULT_SECONDS = 5.0
_BREATH_SECONDS = 0.1  # while all slots are busy, and each claims by itself when it is free


class Listening(Engine, Protocol):
    """An engine on another machine than the server."""

    def heed(self, *, is_paused: bool) -> None:
        """The server says whether it gives this worker builds."""

    def check(self, build_id: int) -> None:
        """Ask the server at once whether a build that runs here has to stop."""


class Doorbell:
    """One thread, and one open request at the server, however many slots there are. It tells the
    server how the engine is, and goes on by itself when the server was away.
    """

    def __init__(
        self, door: Door, engine: Listening, *, after_fault_seconds: float = _AFTER_FAULT_SECONDS
    ) -> None:
        self._door = door
        self._engine = engine
        self._after_fault_seconds = after_fault_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="doorbell", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Listen no more; an open question is not waited for."""
        self._stopping.set()

    def _loop(self) -> None:
        heard, is_away = "", False
        while not self._stopping.is_set():
            try:
                now = self._ask(heard)
            except Closed:
                return
            except Busy:
                # Too many listen: whoever is not heard looks by itself.
                self._stopping.wait(self._after_fault_seconds)
                self._engine.ring()
                continue
            except CiError as error:
                if not is_away:
                    log.warning("server-not-heard", why=error.message)
                is_away = True
                self._stopping.wait(self._after_fault_seconds)
                continue
            if is_away:
                log.info("server-heard-again")
            self._engine.heed(is_paused=now.is_paused)
            if now.heard != heard:
                self._engine.ring()
            for build_id in now.canceled:
                self._engine.check(build_id)
            heard, is_away = now.heard, False
            (state,) = self._engine.state().workers
            if state.busy >= state.slots:
                self._stopping.wait(_BREATH_SECONDS)

    def _ask(self, heard: str) -> wire.Rung:
        (state,) = self._engine.state().workers
        answer = self._door.ask(
            wire.Rung,
            "POST",
            "bell",
            message=wire.Listen(heard, state),
            patience_seconds=0,
            read_seconds=_LISTEN_SECONDS,
        )
        return answer or wire.Rung(heard)
