"""A RabbitMQ of the bench's own."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from bench.parts import fresh_place
from bench.processes import Lacking, free_port, started, until

# Debian's own wrapper becomes another user, who could not enter a directory of ours.
PROGRAMS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")
START_SECONDS = 90


@contextmanager
def node() -> Iterator[str]:
    """The address of a broker over a fresh directory. Raises Lacking where it is not installed."""
    program = next((one for one in PROGRAMS if shutil.which(one)), None)
    if program is None:
        raise Lacking
    port = free_port()
    with fresh_place() as place:
        (place / "rabbitmq.conf").write_text(f"listeners.tcp.local = 127.0.0.1:{port}\n")
        (place / "plugins").write_text("[].\n")
        environment = {
            "HOME": str(place),
            "RABBITMQ_NODENAME": f"bench-{port}@localhost",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(place / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(place / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(place / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(place / "data"),
            "RABBITMQ_LOG_BASE": str(place / "log"),
            "PATH": os.environ["PATH"],
        }
        with started([program], place / "rabbitmq.log", environment):
            until(lambda: _answers(port), START_SECONDS, "RabbitMQ to start", 0.1)
            yield f"amqp://guest:guest@127.0.0.1:{port}//"


def _answers(port: int) -> bool:
    """It greets whoever says a version of the protocol that it does not speak."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as broker:
            broker.sendall(b"AMQP\0\0\0\0")
            return broker.recv(4) == b"AMQP"
    except OSError:
        return False
