"""Receivers on 127.0.0.1, a certificate, and deliveries that are valid by default."""

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.post import open_post
from support.receiver import receiving

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


@pytest.fixture
def receiver():
    with receiving() as started:
        yield started


@pytest.fixture
def tls_receiver(certificate):
    with receiving(certificate.server_context()) as started:
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
def post():
    with open_post() as opened:
        yield opened


@pytest.fixture
def mail(make_delivery):
    """A mail to be sent; its recipients and the fields of its event may be others."""

    def make(to="ada@site.example", **changes):
        return make_delivery("email", {"to": to, **changes.pop("options", {})}, **changes)

    return make


@pytest.fixture
def templates():
    return Path(__file__).parents[2] / "templates"
