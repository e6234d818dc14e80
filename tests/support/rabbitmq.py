"""RabbitMQ for tests: the server of this machine, with queues of each test's own, and nodes that a
test starts for itself, which may be killed.

The server is that of CISERVER_TEST_BROKER, or the one at 127.0.0.1 with its usual guest.
"""

import contextlib
import functools
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from amqp.exceptions import NotFound
from kombu import Connection

from ciserver.broker.place import Broker
from support.server import free_port
from support.waiting import until

QUEUES = ("x86_64-linux/trusted", "x86_64-linux/untrusted")
_USUAL = "amqp://guest:guest@127.0.0.1:5672//"
# Debian's own wrapper becomes another user, who could not enter the directories of a test.
_PROGRAMS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")


def _fault(url: str) -> str:
    """Why nobody answers there; empty when somebody does."""
    try:
        with Connection(url, connect_timeout=5, heartbeat=0) as connection:
            connection.connect()
    except OSError as error:
        return f"no RabbitMQ answers: {error}"
    return ""


@functools.cache
def _reason() -> str:
    return _fault(os.environ.get("CISERVER_TEST_BROKER", _USUAL))


def _miss(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def broker() -> Iterator[Broker]:
    """The broker, with a prefix that nobody else has; its queues go at the end. Skips where there
    is none; fails there when CI=true.
    """
    if _reason():
        _miss(_reason())
    made = Broker(os.environ.get("CISERVER_TEST_BROKER", _USUAL), f"test-{secrets.token_hex(6)}")
    yield made
    with Connection(made.url) as connection:
        for name in (*map(made.name_of, QUEUES), made.dead):
            connection.channel().queue_delete(name)


def settings_of(broker: Broker, *, kind="celery") -> str:
    """The section of a configuration."""
    return f'[engine]\nkind = "{kind}"\nbroker = "{broker.url}"\nqueue_prefix = "{broker.prefix}"\n'


def count(broker: Broker, name: str) -> int:
    """The messages in a queue, by its name at the broker; 0 when there is no such queue."""
    return _look(broker, name)[0]


def takers(broker: Broker, name: str) -> int:
    """The workers that take messages of a queue right now."""
    return _look(broker, name)[1]


def _look(broker: Broker, name: str) -> tuple[int, int]:
    with Connection(broker.url) as connection, contextlib.suppress(NotFound):
        there = connection.channel().queue_declare(name, passive=True)
        return there.message_count, there.consumer_count
    return 0, 0


def until_count(broker: Broker, name: str, messages: int) -> None:
    """Wait until so many messages are in a queue."""
    until(lambda: count(broker, name) == messages, what=f"{messages} messages in {name}")


class Node:
    """A RabbitMQ of its own, which can go away and come back with what it had."""

    def __init__(self) -> None:
        programs = (shutil.which(one) for one in _PROGRAMS)
        self._program = next((one for one in programs if one), None)
        if self._program is None:
            _miss("there is no program rabbitmq-server")
        self._home = Path(tempfile.mkdtemp(prefix="ciserver-rabbitmq-"))
        self._port, self._distribution = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.broker = Broker(f"amqp://guest:guest@127.0.0.1:{self._port}//", "own")

    def up(self) -> "Node":
        home = self._home
        (home / "rabbitmq.conf").write_text(f"listeners.tcp.local = 127.0.0.1:{self._port}\n")
        (home / "plugins").write_text("[].\n")
        environment = {
            **os.environ,
            "HOME": str(home),
            "RABBITMQ_NODENAME": f"test-{self._port}@localhost",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(home / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            # Two schedulers that do not spin: others use this machine.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none",
        }
        with (home / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [self._program],
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        until(self._answers, seconds=90, what=f"a RabbitMQ; see {home}/output")
        return self

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self._home / "output").read_text()
        return not _fault(self.broker.url)

    def signal(self, number: int) -> None:
        os.killpg(self._process.pid, number)

    def down(self) -> None:
        """Kill -9, as a crash does it."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def remove(self) -> None:
        self.down()
        shutil.rmtree(self._home)
