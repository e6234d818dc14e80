"""Counts what is asked of the database."""

from contextlib import contextmanager


@contextmanager
def asked(store):
    """The statements of this thread within the block, in order."""
    statements, connection = [], store.database.connection()
    connection.set_trace_callback(statements.append)
    try:
        yield statements
    finally:
        connection.set_trace_callback(None)
