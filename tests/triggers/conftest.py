"""Receivers on 127.0.0.1, a certificate, and deliveries that are valid by default."""

import datetime as dt
import ipaddress
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ciserver.model.delivery import Delivery
from ciserver.model.event import BuildFinished, StepSummary
from ciserver.model.status import DeliveryStatus

CREATED_AT = dt.datetime(2026, 1, 31, 12, 0, tzinfo=dt.UTC)
EVENT = BuildFinished(
    build_id=41,
    attempt=1,
    number=7,
    project="site",
    jobset="main",
    job="test",
    system="x86_64-linux",
    image="debian/stable",
    status="failed",
    reason="exit-code",
    detail="step unit ended with exit code 2",
    previous_status="succeeded",
    kind="push",
    ref="refs/heads/main",
    revision="4f1c2a9be07d4f1c2a9be07d4f1c2a9be07d4f1c",
    subject="Teach the parser commas",
    author="Ada Lovelace",
    requested_by="ada",
    canceled_by="",
    queued_at="2026-01-31T11:58:00+00:00",
    started_at="2026-01-31T11:58:02+00:00",
    finished_at="2026-01-31T11:59:07+00:00",
    duration_seconds=65.4,
    url="https://ci.example/builds/41",
    evaluation_url="https://ci.example/evaluations/9",
    steps=(
        StepSummary("setup", "succeeded", "https://ci.example/builds/41/log/0"),
        StepSummary("unit", "failed", "https://ci.example/builds/41/log/1"),
        StepSummary("pack", "skipped", "https://ci.example/builds/41/log/2"),
    ),
)


@pytest.fixture
def make_delivery():
    """One keyword changes one field of the event."""

    def make(action="webhook", options=None, delivery_id="d-7f3a", **changes):
        return Delivery(
            id=delivery_id,
            action=action,
            target="somebody",
            options=options or {},
            event=BuildFinished(**{**vars(EVENT), **changes}),
            status=DeliveryStatus.PENDING,
            tries=0,
            due_at=CREATED_AT,
            created_at=CREATED_AT,
            sent_at=None,
            detail="",
        )

    return make


@dataclass
class Request:
    path: str
    headers: dict
    body: bytes


@dataclass
class Receiver:
    """An HTTP server that notes what it gets and answers what it is told."""

    port: int
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes = b"thanks"
    requests: list = field(default_factory=list)

    def url(self, path="/hook", scheme="http", host="127.0.0.1"):
        return f"{scheme}://{host}:{self.port}{path}"


@contextmanager
def _receiving(tls=None):
    receiver = Receiver(port=0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append(Request(self.path, dict(self.headers), body))
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(receiver.body)))
            self.end_headers()
            self.wfile.write(receiver.body)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):
            """A client that refuses the certificate is what is tested."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def receiver():
    with _receiving() as started:
        yield started


@pytest.fixture
def tls_receiver(certificate):
    with _receiving(certificate.server_context()) as started:
        yield started


@dataclass(frozen=True)
class Certificate:
    """Self-signed, for hooks.test and 127.0.0.1."""

    path: Path

    def server_context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path)
        return context

    def client_context(self):
        return ssl.create_default_context(cafile=self.path)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    plain_key = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(plain_key + _signed(key).public_bytes(serialization.Encoding.PEM))
    return Certificate(path)


def _signed(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.test")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("hooks.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


@pytest.fixture
def templates():
    return Path(__file__).parents[2] / "templates"
