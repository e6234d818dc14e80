"""The worker's side of the broker: a Celery worker whose one task is to run one build.

A message is acknowledged when its claim was answered, not when the build ended. From then on the
lease in the store protects the build: it is renewed every few seconds, it says who may write, and
when it runs out the server queues the build again, and a new message follows. To hold the message
as well would protect nothing twice. It would let the broker end builds that take longer than its
`consumer_timeout`, begin each build a second time when the connection to the broker breaks, and
count a build that kills its worker as deliveries of a message instead of as attempts.

What Celery prefetches is bounded for each queue, and not for all queues of a worker together, as
brokers do not count across quorum queues. So a worker takes messages only while one of its slots is
free. A message that arrives when none is, is sent on to the end of its queue.
"""

import socket
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import kombu
import structlog
from celery import Celery
from celery.app.trace import setup_worker_optimizations
from celery.exceptions import Reject
from celery.worker import WorkController, state
from celery.worker.consumer import Consumer

from ciserver.broker.app import TASK, connect, make_app
from ciserver.broker.place import Broker
from ciserver.model.build import Work

log = structlog.get_logger(__name__)

_AFTER_CRASH_SECONDS = 5.0
_AFTER_FAULT_SECONDS = 5.0  # of a claim
_IN_VAIN = 8  # claims in succession, as after builds were canceled; then it is left to others
_AFTER_NOTHING_SECONDS = 2.0
_STOP_SECONDS = 10.0
_LOOK_SECONDS = 1.0


class Runs(Protocol):
    """The engine of this machine."""

    @property
    def has_room(self) -> bool: ...

    def on_change(self, told: Callable[[], None]) -> None: ...

    def run_one(self, queue: str, *, claimed: Callable[[Work], None]) -> Work | None: ...


class Listener:
    """Runs builds of these queues, each SYSTEM/TRUST, as messages say; `refused` are the errors
    that mean that no build can be begun here right now.
    """

    def __init__(
        self,
        broker: Broker,
        engine: Runs,
        *,
        name: str,
        queues: tuple[str, ...],
        slots: int,
        refused: type[Exception],
        after_fault_seconds: float = _AFTER_FAULT_SECONDS,
    ) -> None:
        self._broker = broker
        self._engine = engine
        self.name = f"{name}@{socket.gethostname()}"
        self._queues = queues
        self._slots = slots
        self._refused = refused
        self._after_fault_seconds = after_fault_seconds
        self._on_end: Callable[[], object] = bool
        self._app = self._make_app()
        self._worker: _Worker | None = None
        self._in_vain = 0
        self._resting = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="celery", daemon=True)
        engine.on_change(self._adjust_soon)

    def start(self, on_end: Callable[[], object]) -> None:
        """Begin to take messages, and go on whenever the broker was away. `on_end` is told when
        somebody ends the worker by way of the broker.
        """
        self._on_end = on_end
        state.should_stop = None  # Celery's own mark, and the process's
        self._thread.start()

    def stop(self) -> None:
        """Take nothing any more; for when no build runs."""
        self._stopping.set()
        state.should_stop = 0
        self._adjust_soon()
        self._thread.join(_STOP_SECONDS)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            self._resting = False
            self._worker = _Worker(
                self._app,
                hostname=self.name,
                pool="threads",
                # Beside those that build, one for a message of each queue that has to be sent on.
                concurrency=self._slots + len(self._queues),
                without_mingle=True,
                ready=self._adjust,
                ended=self._ended,
            )
            self._worker.start()
            self._stopping.wait(_AFTER_CRASH_SECONDS)

    def _ended(self) -> None:
        if not self._stopping.is_set():
            log.info("ended-by-the-broker", worker=self.name)
            self._stopping.set()
            self._on_end()

    # -- the task ---------------------------------------------------------------------------------

    def _make_app(self) -> Celery:
        app = make_app(self._broker, self._queues)
        app.conf.worker_consumer = _Consumer

        def build(task: Any, *told: object) -> str:
            return self._build(task.request.id, *told)

        app.task(build, name=TASK, bind=True, shared=False)
        app.finalize()
        return app

    def _build(self, message: str, *told: object) -> str:
        """What became of a message, for those who watch."""
        queue = next((one for one in self._queues if told == (one,)), None)
        if queue is None:
            log.warning("message-refused", told=told, hint="it names no queue of this worker")
            raise Reject(f"it names no queue of this worker: {told}", requeue=False)
        request = state.requests.get(message)
        if request is None:
            return "the connection broke meanwhile: the broker delivers it again"
        try:
            work = self._engine.run_one(queue, claimed=lambda _: request.acknowledge())
        except self._refused:
            self._send_on(queue)
            return "no slot is free: sent on"
        except Exception as error:
            log.exception("claim-failed", worker=self.name)
            self._send_on(queue)
            self._soon(self._rest, self._after_fault_seconds)
            return f"sent on: {error}"
        self._soon(self._note, work is None)
        return f"build {work.lease.build_id}" if work else "nothing was to be done"

    def _send_on(self, queue: str) -> None:
        """A new message, as each return of the old one would count against it."""
        with connect(self._app) as connection:
            name = self._broker.name_of(queue)
            self._app.send_task(TASK, (queue,), queue=name, connection=connection)

    # -- taking messages, or not ------------------------------------------------------------------

    def _soon(self, step: Callable[..., None], *values: object) -> None:
        """In the thread of the consumer: the connection is its own, and so is what is counted."""
        worker = self._worker
        if worker is not None:
            worker.consumer.call_soon(step, worker.consumer, *values)

    def _adjust_soon(self) -> None:
        self._soon(self._adjust)

    def _note(self, consumer: Consumer, is_in_vain: bool) -> None:
        self._in_vain = self._in_vain + 1 if is_in_vain else 0
        if self._in_vain >= _IN_VAIN:
            self._in_vain = 0
            self._rest(consumer, _AFTER_NOTHING_SECONDS)

    def _rest(self, consumer: Consumer, seconds: float) -> None:
        self._resting = True
        self._adjust(consumer)
        consumer.timer.call_after(seconds, self._go_on, (consumer,))

    def _go_on(self, consumer: Consumer) -> None:
        self._resting = False
        self._adjust(consumer)

    def _adjust(self, consumer: Consumer) -> None:
        """Take messages while there is room for a build, and none otherwise."""
        tasks = consumer.task_consumer
        if tasks is None or self._stopping.is_set():
            return
        wanted = self._engine.has_room and not self._resting
        for name in map(self._broker.name_of, self._queues):
            if wanted and not tasks.consuming_from(name):
                consumer.add_task_queue(name)
            elif not wanted and tasks.consuming_from(name):
                consumer.cancel_task_queue(name)


class _Worker(WorkController):
    """Tells `ready` whenever the broker is reached, and `ended` when it was told to stop."""

    def __init__(
        self,
        app: Celery,
        *,
        ready: Callable[[Consumer], None],
        ended: Callable[[], None],
        **options: Any,
    ) -> None:
        self.ready = ready
        self._ended = ended
        super().__init__(app, **options)

    def on_before_init(self, **options: Any) -> None:
        super().on_before_init(**options)
        # As the program `celery worker` does: else tasks are looked for in an app by default.
        setup_worker_optimizations(self.app, self.hostname)

    def on_close(self) -> None:
        super().on_close()
        if not self.exitcode:
            self._ended()


class _Consumer(Consumer):
    """Has one message of each queue in hand at most, and looks for a broker that is away every
    second.
    """

    class Blueprint(Consumer.Blueprint):
        # Celery's own without those for tasks that are put off, for which it would declare dozens
        # of queues, and for clocks and leaders that workers agree on.
        default_steps: ClassVar[list[str]] = [
            "celery.worker.consumer.connection:Connection",
            "celery.worker.consumer.events:Events",
            "celery.worker.consumer.heart:Heart",
            "celery.worker.consumer.control:Control",
            "celery.worker.consumer.tasks:Tasks",
            "celery.worker.consumer.consumer:Evloop",
        ]

    def __init__(self, *values: Any, **options: Any) -> None:
        super().__init__(*values, **{**options, "initial_prefetch_count": 1})

    def on_ready(self) -> None:
        super().on_ready()
        self.controller.ready(self)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        log.warning("message-refused", why=str(exc))
        message.reject()

    def ensure_connected(self, conn: kombu.Connection) -> kombu.Connection:
        is_away = False
        while True:
            try:
                conn.connect()
            except (*conn.connection_errors, *conn.channel_errors) as error:
                if not is_away:
                    log.warning("broker-not-heard", broker=conn.as_uri(), why=str(error))
                is_away = True
                state.maybe_shutdown()
                time.sleep(_LOOK_SECONDS)
                continue
            self.first_connection_attempt = False
            if is_away:
                log.info("broker-heard-again", broker=conn.as_uri())
            return conn
