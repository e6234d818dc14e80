"""Puts a worker on another machine than the server together, from its settings."""

import shutil
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from ciserver import wire
from ciserver.broker.place import Broker
from ciserver.clock import SystemClock
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.called import CalledEngine, NoRoom
from ciserver.executor.disk import DiskGuard
from ciserver.executor.door import Door
from ciserver.executor.doorbell import Doorbell
from ciserver.executor.given_sources import GivenSources
from ciserver.executor.local import LocalEngine
from ciserver.executor.network import Networks
from ciserver.executor.remote import HttpReporter
from ciserver.executor.sandbox import Sandbox
from ciserver.git.care import MirrorCare
from ciserver.git.given import GivenCheckouts
from ciserver.machine import (
    make_addresses,
    make_local_engine,
    make_mirrors,
    offered_systems,
    work_root,
)
from ciserver.model.build import Offer
from ciserver.model.errors import BadConfiguration, CiError, Forbidden, NotSignedIn, OtherVersion
from ciserver.model.frozen import frozen
from ciserver.model.worker import queue_of

if TYPE_CHECKING:
    from ciserver.broker.listener import Listener

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 10.0
_CARE_SECONDS = 600.0
_AGAIN_SECONDS = 5.0
_LISTEN_AGAIN_SECONDS = 5.0
_TELL_AGAIN_SECONDS = 20.0
_GIVE_BACK_SECONDS = 20.0  # to tell the server what is given back


@frozen
class Worker:
    """A worker's parts; `offer` is what it claims."""

    settings: Settings
    offer: Offer
    door: Door
    reporter: HttpReporter
    engine: LocalEngine
    doorbell: Doorbell
    disk: DiskGuard
    care: MirrorCare
    listener: "Listener | None" = None

    def run(self, stopping: threading.Event, hurry: threading.Event) -> None:
        """Run builds until somebody says to stop; then let those that run finish for as long as
        the settings say, or until there is a `hurry`, and give the others back.
        """
        self.disk.check()
        self.engine.start()
        self.doorbell.start()
        threading.Thread(target=self._care, args=(stopping,), name="mirrors", daemon=True).start()
        if self.listener:
            self.listener.start(stopping.set)
        while not stopping.wait(_LOOK_SECONDS):
            self.disk.check()
        seconds = self.settings.builds.drain_seconds
        log.info("stopping", drain_seconds=seconds)
        given_up = threading.Timer(seconds + _GIVE_BACK_SECONDS, self.door.close)
        given_up.daemon = True
        given_up.start()
        self.engine.drain(seconds, hurry)
        if self.listener:
            self.listener.stop()
        self.doorbell.stop()
        self.door.close()
        self.reporter.close()

    def _care(self, stopping: threading.Event) -> None:
        """Packing may take minutes: it holds up nothing else."""
        while True:
            self.care.look()
            if stopping.wait(_CARE_SECONDS):
                return


def open_door(
    data: DataDirectory, url: str, credential: str, authorities: Path | None = None
) -> Door:
    """The way to the server, with an empty place for what is under way. `authorities` is a file of
    certificates to trust in the place of the machine's own.
    """
    spool = _spool(data)
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir(mode=0o700)
    return Door(url, credential, spool=spool, authorities=authorities)


def introduce(door: Door, stopping: threading.Event) -> wire.Hello | None:
    """Who this worker is to the server, which is waited for; None when it has to stop before.
    Raises NotSignedIn when the server does not know the credential, OtherVersion when it is not of
    this version.
    """
    is_away = False
    while not stopping.is_set():
        try:
            return door.ask(wire.Hello, "GET", "hello", patience_seconds=0)
        except (NotSignedIn, OtherVersion):
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
    networks: Networks,
    door: Door,
    hello: wire.Hello,
    queues: tuple[str, ...],
    labels: tuple[str, ...],
    broker: Broker | None = None,
) -> Worker:
    """A worker for these queues, or for all of its own that this machine can build, with these
    labels, or with all that it may have. It hears of builds from the broker, or else from the
    server itself. Raises Forbidden and BadConfiguration for what it may not have, and for queues
    that it cannot build.
    """
    clock = SystemClock()
    _require("have the labels", hello.name, labels, hello.labels)
    offer = _offer(hello, queues, offered_systems(settings))
    offer = replace(offer, labels=labels or hello.labels)
    reporter = HttpReporter(door, _spool(data))
    mirrors = make_mirrors(settings, data, make_addresses(settings, data), clock)
    checkouts = GivenCheckouts(mirrors, most_have=wire.MOST_HAVE)
    sources = GivenSources(door, checkouts)
    parts = (settings, data, offer, sandbox, networks, reporter, sources, clock)
    engine: LocalEngine
    if broker is None:
        engine, listener = make_local_engine(LocalEngine, *parts), None
    else:
        engine = called = make_local_engine(CalledEngine, *parts)
        listener = _make_listener(broker, called, offer)
    guard = DiskGuard((data.root, work_root(settings, data)), engine)
    days = settings.git.unused_days
    care = MirrorCare(mirrors, clock, unused=timedelta(days=days) if days else None)
    # Who hears of builds from a broker can wait longer where too many listen at the server.
    again = _LISTEN_AGAIN_SECONDS if broker is None else _TELL_AGAIN_SECONDS
    doorbell = Doorbell(door, engine, after_fault_seconds=again)
    return Worker(settings, offer, door, reporter, engine, doorbell, guard, care, listener)


def _make_listener(broker: Broker, engine: CalledEngine, offer: Offer) -> "Listener":
    from ciserver.broker.listener import Listener  # noqa: PLC0415  Celery is an extra

    return Listener(
        broker,
        engine,
        name=offer.worker,
        queues=offer.queues,
        slots=engine.slots,
        refused=NoRoom,
    )


def _require(what: str, worker: str, asked: tuple[str, ...], given: tuple[str, ...]) -> None:
    others = [one for one in asked if one not in given]
    if others:
        raise Forbidden(
            f"the worker {worker} may not {what} {', '.join(others)}",
            hint=f"its credential is for {', '.join(given) or 'none'}",
        )


def _spool(data: DataDirectory) -> Path:
    return data.root / "spool"


def _offer(hello: wire.Hello, queues: tuple[str, ...], systems: tuple[str, ...]) -> Offer:
    _require("take builds of", hello.name, queues, hello.queues)
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
