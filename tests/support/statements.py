"""Which statements a question runs, on whatever database."""

import logging
from collections.abc import Callable
from typing import Any

_LOGGER = logging.getLogger("peewee")


class _Recorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == _LOGGER.name:  # not of its pool
            self.seen.append(record.msg)


def recorded(question: Callable[[], object]) -> list[tuple[str, Any]]:
    """The statements that it runs, each with its values."""
    recorder, level = _Recorder(), _LOGGER.level
    _LOGGER.addHandler(recorder)
    _LOGGER.setLevel(logging.DEBUG)
    try:
        question()
    finally:
        _LOGGER.setLevel(level)
        _LOGGER.removeHandler(recorder)
    return recorder.seen
