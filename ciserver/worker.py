"""Puts a worker on another machine than the server together, from its settings."""

import shutil
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from ciserver import wire
from ciserver.clock import SystemClock
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.disk import DiskGuard
from ciserver.executor.door import Door
from ciserver.executor.doorbell import Doorbell
from ciserver.executor.given_sources import GivenSources
from ciserver.executor.local import LocalEngine
from ciserver.executor.remote import HttpReporter
from ciserver.executor.sandbox import Sandbox
from ciserver.git.given import GivenCheckouts
from ciserver.machine import (
    make_addresses,
    make_local_engine,
    make_mirrors,
    offered_systems,
    work_root,
)
from ciserver.model.build import Offer
from ciserver.model.errors import BadConfiguration, CiError, Forbidden, NotSignedIn
from ciserver.model.worker import queue_of

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 10.0
_AGAIN_SECONDS = 5.0
_GIVE_BACK_SECONDS = 20.0  # to tell the server what is given back


@dataclass(frozen=True)
class Worker:
    """A worker's parts; `offer` is what it claims."""

    settings: Settings
    offer: Offer
    door: Door
    reporter: HttpReporter
    engine: LocalEngine
    doorbell: Doorbell
    disk: DiskGuard

    def run(self, stopping: threading.Event) -> None:
        """Run builds until somebody says to stop; then let those that run finish for as long as
        the settings say, and give the others back.
        """
        self.disk.check()
        self.engine.start()
        self.doorbell.start()
        while not stopping.wait(_LOOK_SECONDS):
            self.disk.check()
        seconds = self.settings.builds.drain_seconds
        log.info("stopping", drain_seconds=seconds)
        given_up = threading.Timer(seconds + _GIVE_BACK_SECONDS, self.door.close)
        given_up.daemon = True
        given_up.start()
        self.engine.drain(seconds)
        self.doorbell.stop()
        self.door.close()
        self.reporter.close()


def open_door(data: DataDirectory, url: str, credential: str) -> Door:
    """The way to the server, with an empty place for what is under way."""
    spool = _spool(data)
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir(mode=0o700)
    return Door(url, credential, spool=spool)


def introduce(door: Door, stopping: threading.Event) -> wire.Hello | None:
    """Who this worker is to the server, which is waited for; None when it has to stop before.
    Raises NotSignedIn when the server does not know the credential.
    """
    is_away = False
    while not stopping.is_set():
        try:
            return door.ask(wire.Hello, "GET", "hello", patience_seconds=0)
        except NotSignedIn:
            raise
        except CiError as error:
            if not is_away:
                log.warning("server-not-heard", why=error.message)
            is_away = True
            stopping.wait(_AGAIN_SECONDS)
    return None


def make_worker(
    settings: Settings,
    data: DataDirectory,
    sandbox: Sandbox,
    door: Door,
    hello: wire.Hello,
    queues: tuple[str, ...],
) -> Worker:
    """A worker for these queues, or for all of its own that this machine can build. Raises
    Forbidden and BadConfiguration for queues that it may not or cannot build.
    """
    clock = SystemClock()
    offer = _offer(hello, queues, offered_systems(settings))
    reporter = HttpReporter(door, _spool(data))
    mirrors = make_mirrors(settings, data, make_addresses(settings, data), clock)
    checkouts = GivenCheckouts(mirrors, most_have=wire.MOST_HAVE)
    sources = GivenSources(door, checkouts)
    engine = make_local_engine(settings, data, offer, sandbox, reporter, sources, clock)
    disks = (data.root, work_root(settings, data))
    guard = DiskGuard(disks, engine)
    return Worker(settings, offer, door, reporter, engine, Doorbell(door, engine), guard)


def _spool(data: DataDirectory) -> Path:
    return data.root / "spool"


def _offer(hello: wire.Hello, queues: tuple[str, ...], systems: tuple[str, ...]) -> Offer:
    others = [one for one in queues if one not in hello.queues]
    if others:
        raise Forbidden(
            f"the worker {hello.name} may not take builds of {', '.join(others)}",
            hint=f"it may take those of {', '.join(hello.queues)}",
        )
    wanted = {one: queue_of(one) for one in queues or hello.queues}
    mine = {text: queue.system for text, queue in wanted.items() if queue}
    foreign = [text for text, system in mine.items() if system not in systems]
    if foreign and (queues or len(foreign) == len(mine)):
        raise BadConfiguration(
            f"this machine builds for {', '.join(systems)}, and not for {', '.join(foreign)}",
            hint="name further systems in the setting builds.systems",
        )
    taken = {text: system for text, system in mine.items() if system in systems}
    offer = Offer(hello.name, tuple(dict.fromkeys(taken.values())))
    return replace(offer, queues=tuple(taken))
