"""The hook over https: a server is believed only with a certificate that the machine trusts."""

import datetime as dt
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ciserver.git.hook import install

CHANGE = b"%b %b refs/heads/direct\n" % (b"0" * 40, b"1" * 40)


@pytest.fixture
def certificate(tmp_path):
    """A file with key and certificate of a server on 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    kind = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *kind)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secured(site, listener, certificate):
    """The site, with the same server behind https."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    plain = listener.server.socket
    listener.server.socket = context.wrap_socket(
        plain, server_side=True, do_handshake_on_connect=False
    )
    hook = site.bare / "hooks" / "post-receive"
    url = listener.url.replace("http://", "https://")
    secret = "whsec_c2l4dGVlbiBieXRlcyBvciBtb3Jl"
    install(site.bare, script=hook, url=url, secret=secret)
    return site


def test_push_is_told_over_https(secured, listener, certificate):
    """With a certificate the machine trusts the push arrives."""
    secured.environment["SSL_CERT_FILE"] = str(certificate)
    assert secured.run_hook(said=CHANGE) == ""
    assert listener.heard[0].refs() == ["refs/heads/direct"]


def test_certificate_nobody_vouches_for_is_refused(secured, listener):
    """The push is kept, and a flush tells the cause."""
    assert "server not reachable" in secured.run_hook(said=CHANGE)
    assert "certificate verify failed" in secured.run_hook("--flush")
    assert listener.heard == []
    assert len(secured.kept()) == 1
