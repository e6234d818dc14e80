"""A WSGI application behind our HTTP server."""

import contextlib
import threading

from ciserver.edge.server import Server


@contextlib.contextmanager
def served(application, *, threads=4, listen="127.0.0.1:0", kind=Server, **how):
    server = kind(application, threads=threads, listen=listen, **how)
    runs = threading.Thread(target=server.run, daemon=True)
    runs.start()
    try:
        yield server
    finally:
        server.task_dispatcher.shutdown()
        runs.join(10)
        assert not runs.is_alive()
        server.close()
