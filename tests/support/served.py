"""A WSGI application behind our HTTP server."""

import contextlib
import threading

from waitress import wasyncore

from ciserver.edge.server import Server


@contextlib.contextmanager
def served(application, *, threads=4, **how):
    server = Server(application, threads=threads, listen="127.0.0.1:0", **how)
    runs = threading.Thread(target=server.run, daemon=True)
    runs.start()
    try:
        yield server
    finally:
        server.task_dispatcher.shutdown()
        runs.join(10)
        assert not runs.is_alive()
        wasyncore.close_all(server._map)
