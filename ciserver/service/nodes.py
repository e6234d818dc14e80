"""The servers of one database: which are alive, and what dead ones were doing is done by others."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import timedelta

import structlog

from ciserver.model.errors import BadConfiguration, Busy, Conflict
from ciserver.model.node import Node
from ciserver.model.ports import Clock
from ciserver.store.store import Store

BEAT_SECONDS = 5
ALIVE = timedelta(seconds=15)  # after a beat
FILES = "files"  # what only one server at a time sweeps
_REMEMBERED = timedelta(days=1)
log = structlog.get_logger()


class Nodes:
    """`place` is the machine and data directory of this server. `ring` wakes the loops that take up
    what dead servers had claimed. Where a database is one server's, there are no others.
    """

    def __init__(self, store: Store, clock: Clock, *, place: str, ring: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._place = place
        self._ring = ring
        self._beating = threading.Lock()
        self._has_left = False

    @property
    def name(self) -> str:
        """That of this server."""
        return self._store.node

    @property
    def is_shared(self) -> bool:
        """Whether there may be others."""
        return self._store.database.is_shared

    def join(self) -> None:
        """At start, before anything is taken up: be one of them. Raises Conflict when another one
        has the name of this one, and BadConfiguration where it would sign with another key, or keep
        its files elsewhere.
        """
        if not self.is_shared:
            return
        mine = self._mine()
        for other in self._others():
            if other.storage != mine.storage:
                raise BadConfiguration(
                    f"the server {other.name} keeps logs and products in another directory",
                    hint="name one directory that all servers share: storage.directory",
                )
            if other.signs_with != mine.signs_with:
                raise BadConfiguration(
                    f"the server {other.name} signs webhooks with the key {other.signs_with},"
                    f" and not with {mine.signs_with}",
                    hint="give all servers the same webhook.key, or one storage.keys",
                )
        if not self._beat(mine):
            raise Conflict(
                f"another server of this database is called {mine.name} and is alive",
                hint="give each a name of its own: server.node",
            )

    def leave(self) -> None:
        """Take up nothing more: the others need not wait until this one is believed dead."""
        with self._beating, suppress(Busy):
            self._has_left = True
            if self.is_shared:
                self._store.nodes.remove(self._mine())

    def look(self) -> None:
        """Say that this one is alive, and see to what dead ones had claimed. To be called every
        BEAT_SECONDS; may be called from several servers at once.
        """
        if not self._beat(self._mine()):
            log.error(
                "name-taken",
                node=self.name,
                hint="another server has this name: give each its own server.node",
            )
        alive = {self.name, *(one.name for one in self._others())}
        if dead := self._store.claims.nodes() - alive:
            with self._store.transaction():
                evaluations = self._store.claims.release_evaluations(alive=alive)
                deliveries = self._store.claims.release_deliveries(alive=alive)
            log.info(
                "taken-over", nodes=sorted(dead), evaluations=evaluations, deliveries=deliveries
            )
            self._ring()
        self._store.nodes.forget(self._clock.now() - _REMEMBERED)

    def alive_beside(self) -> tuple[str, ...]:
        """The names of the others that are alive."""
        return tuple(one.name for one in self._others()) if self.is_shared else ()

    def alone(self, name: str) -> AbstractContextManager[bool]:
        """True within the block where no other server is in one of this name."""
        return self._store.database.alone(name)

    def _others(self) -> tuple[Node, ...]:
        alive = self._store.nodes.list_alive(self._clock.now())
        return tuple(one for one in alive if one.name != self.name)

    def _beat(self, mine: Node) -> bool:
        with self._beating:
            now = self._clock.now()
            return self._has_left or self._store.nodes.beat(mine, now, now + ALIVE)

    def _mine(self) -> Node:
        signs_with = self._store.signing_keys.list_all()[0].id
        return Node(self.name, self._place, self._store.storage_mark, signs_with)
