"""What servers and workers agree on: the queues at the broker, the one task, and the settings."""

import ssl
from collections.abc import Iterable
from urllib.parse import urlsplit

import kombu
from celery import Celery

from ciserver.broker.place import Broker

TASK = "ciserver.build"
DELIVERY_LIMIT = 3
_DEAD_AT_MOST = 1000
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 10.0


def queue_at(broker: Broker, queue: str) -> kombu.Queue:
    """A queue for SYSTEM/TRUST that outlives any one node of a cluster. A message that is delivered
    again and again, because whoever gets it dies, is put aside.
    """
    name = broker.name_of(queue)
    arguments = {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": broker.dead,
    }
    return _queue(name, arguments)


def dead_queue(broker: Broker) -> kombu.Queue:
    """The newest of the messages that were put aside."""
    return _queue(broker.dead, {"x-queue-type": "quorum", "x-max-length": _DEAD_AT_MOST})


def _queue(name: str, arguments: dict[str, object]) -> kombu.Queue:
    at = kombu.Exchange("")  # the default one, which knows every queue by its name
    return kombu.Queue(name, exchange=at, routing_key=name, queue_arguments=arguments)


def make_app(broker: Broker, queues: Iterable[str]) -> Celery:
    """Celery with the settings of this product and these queues, each SYSTEM/TRUST."""
    app = Celery("ciserver", set_as_current=False)
    app.conf.update(
        broker_url=broker.url,
        broker_use_ssl=_tls(broker),
        broker_connection_timeout=_CONNECT_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"confirm_publish": True},
        accept_content=["json"],
        event_serializer="json",
        # An exclusive one would be held by a connection that broke, for as long as nobody notices.
        control_queue_exclusive=False,
        control_queue_durable=True,
        result_accept_content=["json"],
        result_serializer="json",
        task_serializer="json",
        task_queues=[queue_at(broker, one) for one in queues],
        task_create_missing_queues=False,
        task_default_queue=broker.dead,
        task_default_exchange="",
        task_ignore_result=True,
        task_publish_retry=False,  # whoever publishes looks again by itself
        task_acks_late=True,
        task_acks_on_failure_or_timeout=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_enable_prefetch_count_reduction=False,
        worker_send_task_events=True,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    return app


def connect(app: Celery) -> kombu.Connection:
    """A connection of which no step waits for long."""
    timeouts = {"read_timeout": _ANSWER_SECONDS, "write_timeout": _ANSWER_SECONDS}
    options = {**app.conf.broker_transport_options, **timeouts}
    return app.connection_for_write(transport_options=options)


def _tls(broker: Broker) -> dict[str, object] | None:
    parts = urlsplit(broker.url)
    if parts.scheme != "amqps":
        return None
    known = ssl.get_default_verify_paths()
    return {
        "cert_reqs": ssl.CERT_REQUIRED,
        "ca_certs": str(broker.ca_file or known.cafile or known.openssl_cafile),
        "server_hostname": parts.hostname,
    }
