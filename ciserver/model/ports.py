"""The seams of the house: each has at least two real implementations."""

from datetime import datetime
from typing import IO, ClassVar, Protocol

from ciserver.model.build import (
    OWN_IMAGES,
    PLAIN,
    BuildResult,
    Lease,
    Loss,
    Offer,
    Output,
    ProductKind,
    StepResult,
    Work,
)
from ciserver.model.delivery import Delivery
from ciserver.model.frozen import frozen
from ciserver.model.report import Counts, ReportKind


class Clock(Protocol):
    def now(self) -> datetime:
        """The time as an aware datetime in UTC."""


@frozen
class WorkerState:
    """What a worker can do right now; `paused` says why it takes no builds by itself, as while its
    disk is full. Pauses that people ask for are in the store. `images` are those that it has; one
    that takes no others has `takes_any_image` off. One that may not take every build of its systems
    has the queues, as SYSTEM/TRUST, that it may take builds of; a dedicated one the names of its
    projects. Builds that ask for `labels` are for workers that have all of them.
    """

    name: str
    systems: tuple[str, ...]
    slots: int
    busy: int
    paused: str = ""
    images: tuple[str, ...] = ()
    takes_any_image: bool = True
    queues: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()

    def is_for(self, project: str) -> bool:
        return not self.projects or project in self.projects

    def has(self, labels: tuple[str, ...]) -> bool:
        return set(labels) <= set(self.labels)

    def serves(self, queue: str) -> bool:
        return not self.queues or queue in self.queues

    def takes(self, image: str) -> bool:
        return self.takes_any_image or image in self.images or image in OWN_IMAGES


@frozen
class QueueState:
    """A queue at a message broker: the messages in it, and the workers that take some right now."""

    name: str
    messages: int
    takers: int


@frozen
class BrokerState:
    """How the message broker is that tells workers of work, at `place`; `fault` says since when it
    does not, and is empty when it does. `why` is for administrators. `sent` counts messages since
    the start.
    """

    place: str
    fault: str = ""
    why: str = ""
    queues: tuple[QueueState, ...] = ()
    sent: int = 0


@frozen
class EngineState:
    """The workers of an engine, and what tells those elsewhere of work, if it is a broker."""

    workers: tuple[WorkerState, ...]
    broker: BrokerState | None = None


class Engine(Protocol):
    """Runs queued builds somewhere. The queue itself is in the store; an engine is told to look."""

    def ring(self) -> None:
        """Say that the queue has work. May be called too often; returns at once."""

    def stop(self, build_id: int) -> None:
        """Ask for cancellation at once. No effect when the build is not running here."""

    def state(self) -> EngineState: ...


class Reporter(Protocol):
    """What a worker tells the server about the one attempt it runs.

    Every method that takes a lease raises LeaseLost when the attempt no longer owns its build; the
    worker then stops quietly. All calls may be repeated with the same arguments.
    """

    def claim(self, offer: Offer) -> Work | None:
        """Take the best queued build for this worker; None when nothing is to be done.
        The attempt's setup step (number 0) is running when this returns.
        """

    def renew(self, lease: Lease) -> bool:
        """Keep the lease. True when somebody asked for cancellation."""

    def advance(
        self, lease: Lease, done: StepResult, starting: int | None, *, sandbox: str
    ) -> None:
        """Step `done` ended; step `starting` (if any) begins. One commit."""

    def append_log(self, lease: Lease, step: int, offset: int, chunk: bytes) -> None:
        """Add bytes to a step's log at `offset`. Once it returns the bytes outlive any process."""

    def add_product(
        self,
        lease: Lease,
        path: str,
        content: IO[bytes],
        *,
        kind: ProductKind = PLAIN,
        name: str = "",
    ) -> None:
        """Keep a file; `path` as the recipe or the build states it. Without a name it has that of
        the path. Raises OverQuota when its project may not keep as much.
        """

    def set_output(self, lease: Lease, output: Output) -> None:
        """Keep what the attempt tells of what it made, in the place of what it told before."""

    def add_report(
        self, lease: Lease, kind: ReportKind, path: str, content: IO[bytes]
    ) -> tuple[Counts, tuple[str, ...]]:
        """Read and keep what a file of the build tells; answers how much that is, and what is
        wrong with the file.
        """

    def open_cache(self, lease: Lease, key: str) -> IO[bytes] | None:
        """What builds of the project keep under the key; None when that is nothing."""

    def save_cache(self, lease: Lease, key: str, content: IO[bytes]) -> None:
        """Keep it under the key, in the place of what was there."""

    def finish(self, lease: Lease, result: BuildResult, steps: tuple[StepResult, ...]) -> None:
        """The attempt ended. `steps` are the ends not yet told. Nothing may follow."""

    def give_back(self, lease: Lease, loss: Loss) -> None:
        """The attempt ended before the job could be judged: queue the build again or, when it was
        tried often enough, end it as errored.
        """


class Trigger(Protocol):
    """Tells one event to one target.

    `deliver` is a pure translation plus one send. It returns a short text for the delivery log, or
    raises RemoteFailure, which says whether another try may help.
    """

    action: ClassVar[str]

    def deliver(self, delivery: Delivery) -> str: ...
