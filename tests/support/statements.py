"""Which statements are asked of the database, and how much is called beside them."""

import logging
import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest

_LOGGER = logging.getLogger("peewee")


class _Recorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == _LOGGER.name:  # not of its pool
            self.seen.append(record.msg)


def recorded(question: Callable[[], object]) -> list[tuple[str, Any]]:
    """The statements that it runs, each with its values, on whatever database."""
    recorder, level = _Recorder(), _LOGGER.level
    _LOGGER.addHandler(recorder)
    _LOGGER.setLevel(logging.DEBUG)
    try:
        question()
    finally:
        _LOGGER.setLevel(level)
        _LOGGER.removeHandler(recorder)
    return recorder.seen


@contextmanager
def asked(store):
    """The statements of this thread within the block, in order, with those that begin and end
    transactions; of SQLite, which alone tells of them. Skips the test on another database.
    """
    if store.database.is_shared:
        pytest.skip("this test counts the statements of SQLite")
    statements, connection = [], store.database.connection()
    connection.set_trace_callback(statements.append)
    try:
        yield statements
    finally:
        connection.set_trace_callback(None)


def calls(question: Callable[[], object]) -> int:
    """How many functions of Python are called by it, whatever a processor takes for them."""
    counted = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal counted
        counted += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        question()
    finally:
        sys.setprofile(before)
    return counted
