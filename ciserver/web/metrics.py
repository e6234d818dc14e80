"""What this server did and does, in numbers for Prometheus."""

import os
import resource
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import falcon

from ciserver import __version__
from ciserver.edge.exposition import TEXT, Family, Sample, exposition, of_histogram
from ciserver.model.overview import Gauges
from ciserver.model.ports import BrokerState
from ciserver.service.services import Services

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_PROCESS = Path("/proc/self")


class RequestCounters:
    """Counts the answers by method, route and status; a middleware, and the outermost one. A route
    is told by its template, so there are as many as the application has.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: Counter[tuple[str, str, int]] = Counter()
        self._seconds = 0.0

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context.arrived = time.monotonic()

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        method = req.method if req.method in _METHODS else "other"
        took = time.monotonic() - req.context.arrived
        with self._lock:
            self._answers[method, req.uri_template or "none", resp.status_code] += 1
            self._seconds += took

    def families(self) -> Iterator[Family]:
        with self._lock:
            answers, seconds = sorted(self._answers.items()), self._seconds
        yield Family(
            "http_requests_total",
            "counter",
            "Requests that were answered",
            [
                Sample(count, {"method": method, "route": route, "code": str(code)})
                for (method, route, code), count in answers
            ],
        )
        yield Family(
            "http_request_seconds_total",
            "counter",
            "Time until the answers began",
            [Sample(seconds)],
        )


class Metrics:
    def __init__(self, services: Services, requests: RequestCounters) -> None:
        self._status = services.status
        self._requests = requests

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = TEXT
        resp.text = exposition(self._families(req))

    def _families(self, req: falcon.Request) -> Iterator[Family]:
        gauges = self._status.gauges(req.context.actor)
        yield Family("ciserver_info", "gauge", "The version", [Sample(1, {"version": __version__})])
        yield from self._requests.families()
        yield from _of_builds(gauges)
        yield from _of_storage(gauges)
        yield from _of_workers(gauges)
        if gauges.broker:
            yield from _of_broker(gauges.broker)
        yield from _of_process(gauges)


def _of_builds(gauges: Gauges) -> Iterator[Family]:
    yield Family(
        "ciserver_builds",
        "gauge",
        "Builds that have not ended",
        [Sample(count, {"status": status}) for status, count in sorted(gauges.builds.items())],
    )
    yield Family(
        "ciserver_builds_made_total",
        "counter",
        "Builds that there ever were",
        [Sample(gauges.builds_made)],
    )
    yield Family(
        "ciserver_builds_ended_total",
        "counter",
        "Builds that ended since the start",
        [Sample(count, {"status": status}) for status, count in sorted(gauges.ended.items())],
    )
    yield Family(
        "ciserver_build_duration_seconds",
        "histogram",
        "How long builds took that ended since the start",
        [
            sample
            for worker, one in sorted(gauges.durations.items())
            for sample in of_histogram(one, {"worker": worker})
        ],
    )
    yield Family(
        "ciserver_evaluations",
        "gauge",
        "Evaluations that have not ended",
        [Sample(count, {"status": status}) for status, count in sorted(gauges.evaluations.items())],
    )
    yield Family(
        "ciserver_evaluations_made_total",
        "counter",
        "Evaluations that there ever were",
        [Sample(gauges.evaluations_made)],
    )
    yield Family(
        "ciserver_deliveries_pending",
        "gauge",
        "Deliveries that are to be sent",
        [Sample(gauges.deliveries_pending)],
    )


def _of_storage(gauges: Gauges) -> Iterator[Family]:
    yield Family(
        "ciserver_kept_bytes",
        "gauge",
        "Bytes that projects keep",
        [
            Sample(gauges.kept.logs, {"what": "logs"}),
            Sample(gauges.kept.products, {"what": "products"}),
        ],
    )
    yield Family(
        "ciserver_projects_full",
        "gauge",
        "Projects that keep as much as they may",
        [Sample(gauges.projects_full)],
    )
    yield Family(
        "ciserver_storage_away",
        "gauge",
        "Whether the object storage did not answer",
        [Sample(bool(gauges.waiting.fault))],
    )
    yield Family(
        "ciserver_storage_waiting_files",
        "gauge",
        "Files that are to go to the object storage",
        [Sample(gauges.waiting.files)],
    )
    yield Family(
        "ciserver_storage_waiting_bytes",
        "gauge",
        "Their bytes",
        [Sample(gauges.waiting.size)],
    )


def _of_workers(gauges: Gauges) -> Iterator[Family]:
    for name, meaning, counted in (
        ("slots", "Builds that a worker can run at a time", lambda one: one.worker.slots),
        ("busy", "Builds that a worker runs", lambda one: one.worker.busy),
        ("idle", "Whether a worker takes no builds", lambda one: bool(one.idle_because)),
        ("faults", "Builds in a row that ended at once through a worker", lambda one: one.faults),
    ):
        yield Family(
            f"ciserver_worker_{name}",
            "gauge",
            meaning,
            [Sample(counted(one), {"worker": one.worker.name}) for one in gauges.machines],
        )


def _of_broker(broker: BrokerState) -> Iterator[Family]:
    yield Family(
        "ciserver_broker_up",
        "gauge",
        "Whether the message broker answers",
        [Sample(not broker.fault)],
    )
    yield Family(
        "ciserver_broker_messages",
        "gauge",
        "Messages that wait for workers",
        [Sample(one.messages, {"queue": one.name}) for one in broker.queues],
    )
    yield Family(
        "ciserver_broker_takers",
        "gauge",
        "Workers that take messages right now, as they have room",
        [Sample(one.takers, {"queue": one.name}) for one in broker.queues],
    )
    yield Family(
        "ciserver_broker_sent_total",
        "counter",
        "Messages that were sent since the start",
        [Sample(broker.sent)],
    )


def _of_process(gauges: Gauges) -> Iterator[Family]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    resident = int((_PROCESS / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    for name, kind, meaning, value in (
        ("resident_memory_bytes", "gauge", "Memory in use", resident),
        ("open_fds", "gauge", "Open file descriptors", sum(1 for _ in (_PROCESS / "fd").iterdir())),
        ("max_fds", "gauge", "Descriptors that may be open", most),
        ("threads", "gauge", "Threads", threading.active_count()),
        ("cpu_seconds_total", "counter", "Processor time", used.ru_utime + used.ru_stime),
        ("start_time_seconds", "gauge", "When it started", gauges.started_at.timestamp()),
    ):
        yield Family(f"process_{name}", kind, meaning, [Sample(value)])
