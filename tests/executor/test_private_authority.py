"""A server whose certificate is from an authority of its own: only who is told trusts it."""

import datetime as dt
import ipaddress
import ssl
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.factories import ADMIN

from ciserver import wire
from ciserver.executor.door import Door
from ciserver.model.errors import RemoteFailure

QUEUE = "x86_64-linux/trusted"
PEM = serialization.Encoding.PEM


def key_and_name(text):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    return ec.generate_private_key(ec.SECP256R1()), name


def signed(key, name, by, by_name, *extensions):
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(by_name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
    )
    for one in extensions:
        made = made.add_extension(one, critical=isinstance(one, x509.BasicConstraints))
    return made.sign(by, hashes.SHA256()).public_bytes(PEM)


class Authority:
    """Writes its own certificate, and those of servers on 127.0.0.1."""

    def __init__(self, folder):
        self._key, self._name = key_and_name("An authority of our own")
        self._folder = folder
        self.file = folder / "authority.pem"
        own = x509.BasicConstraints(ca=True, path_length=None)
        self.file.write_bytes(signed(self._key, self._name, self._key, self._name, own))

    def certificate(self):
        key, name = key_and_name("ci")
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        names = x509.SubjectAlternativeName([address])
        kind = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        path = self._folder / "server.pem"
        text = key.private_bytes(PEM, *kind) + signed(key, name, self._key, self._name, names)
        path.write_bytes(text)
        return path


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


class Secured(WSGIServer):
    def handle_error(self, *_):
        """A client that does not believe the certificate hangs up."""


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def url(parts, authority):
    """The application behind https."""
    server = make_server("127.0.0.1", 0, parts.app, Secured, Quiet)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate())
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def hello(parts, url, tmp_path):
    """Ask the server who the worker is."""
    credential = parts.services.workers.add(ADMIN, "arm", (QUEUE,))

    def ask(**trust):
        door = Door(url, credential, spool=tmp_path, **trust)
        return door.ask(wire.Hello, "GET", "hello", patience_seconds=0)

    return ask


def test_a_worker_trusts_the_authority_that_it_is_told_of(hello, authority):
    """And speaks to the server."""
    assert hello(authorities=authority.file).name == "arm"


def test_a_worker_believes_nobody_else(hello, tmp_path):
    """Neither without being told, nor another authority."""
    (tmp_path / "other").mkdir()
    for trust in ({}, {"authorities": Authority(tmp_path / "other").file}):
        with pytest.raises(RemoteFailure, match="certificate verify failed"):
            hello(**trust)
