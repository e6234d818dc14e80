"""Fetching over https: whom the server believes, and whom it gives a password."""

import base64
import datetime as dt
import ipaddress
import os
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PASSWORD = "pa:ss w@rd/100%"
TOLD = "Basic " + base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
BOTH_WAYS = pytest.mark.parametrize("way", ["", "listed"], ids=["library", "program"])

# A process of its own: which certificates are trusted is read once, when it starts.
PIN = """
import sys
from pathlib import Path
from ciserver.git.address import Addresses
from ciserver.git.mirrors import Mirrors
from ciserver.model.errors import RemoteFailure
from ciserver.model.project import Credential
root, uri, revision, password = sys.argv[1:]
credential = Credential("ada", password) if password else None
mirrors = Mirrors(Path(root), Addresses(), timeout_seconds=20)
mirror = mirrors.open(uri, credential)
try:
    if revision == "listed":
        print("listed", *mirrors.program.list_refs(Path(root), uri, credential)[0])
    else:
        print("pinned", mirror.pin("refs/heads/main", revision))
except RemoteFailure as error:
    print("temporary" if error.temporary else "lasting", error.message, error.hint)
"""


class GitOverHttps(BaseHTTPRequestHandler):
    """git http-backend. What is beneath /private/ wants Ada's password; /moved/ and
    /private/moved/ are at the server's twin.
    """

    def do_GET(self):
        self.serve()

    def do_POST(self):
        self.serve()

    def log_message(self, *_args):
        """Say nothing."""

    def serve(self):
        self.server.passwords.append(self.headers.get("Authorization"))
        path, _, query = self.path.partition("?")
        if path.startswith("/private/"):
            path = path.removeprefix("/private")
            if self.headers.get("Authorization") != TOLD:
                self.say(401, {"WWW-Authenticate": 'Basic realm="git"'})
                return
        if path.startswith("/moved/"):
            self.say(302, {"Location": f"{self.server.twin}{path[6:]}?{query}"})
            return
        self.say(*self.ask(path, query))

    def ask(self, path, query):
        environment = {
            "PATH": os.defpath,
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
        }
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        output = subprocess.run(
            ["git", "http-backend"], input=sent, env=environment, capture_output=True, check=False
        ).stdout
        head, _, body = output.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        return int(headers.pop("Status", "200").split()[0]), headers, body

    def say(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Site(ThreadingHTTPServer):
    """A server that offers every repository of a folder behind a certificate for 127.0.0.1."""

    def __init__(self, root, certificate):
        super().__init__(("127.0.0.1", 0), GitOverHttps)
        self.root = root
        self.passwords = []  # of each request, or None
        self.url = f"https://127.0.0.1:{self.server_port}"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def handle_error(self, *_):
        """A client that does not believe the certificate hangs up."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with key and certificate of a server on 127.0.0.1, which vouches for itself."""
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
    path = tmp_path_factory.mktemp("certificate") / "server.pem"
    pem = serialization.Encoding.PEM
    kind = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, *kind) + made.public_bytes(pem))
    return path


@pytest.fixture
def make_site(tmp_path, certificate):
    running = []

    def make():
        site = Site(tmp_path, certificate)
        thread = threading.Thread(target=site.serve_forever, args=(0.01,))
        thread.start()
        running.append((site, thread))
        return site

    yield make
    for site, thread in running:
        site.shutdown()
        thread.join()
        site.server_close()


@pytest.fixture
def site(make_site):
    return make_site()


@pytest.fixture
def twin(make_site, site):
    """Another host, to which the site sends those who ask for what has moved."""
    other = make_site()
    site.twin = other.url
    return other


@pytest.fixture
def pin(tmp_path, certificate):
    """Pins as a server does that was started with this certificate among the trusted ones; with
    the revision `listed` only asks for the refs, by the git program.
    """

    def run(uri, revision="", *, password="", trusts=True):
        trust = {"SSL_CERT_FILE": str(certificate)} if trusts else {}
        bare = {key: value for key, value in os.environ.items() if not key.startswith("SSL_CERT")}
        done = subprocess.run(
            [sys.executable, "-c", PIN, str(tmp_path / "mirrors"), uri, revision, password],
            env={**bare, **trust},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def revision(origin):
    return origin.commit_and_push({"a": "1"})


@pytest.fixture
def away(origin, revision):
    """A revision that no ref has any more, which the git program must ask for."""
    away = origin.commit({"a": "away"})
    origin.push("HEAD:refs/heads/away")
    origin.push(":refs/heads/away")
    return away


def test_a_host_with_a_trusted_certificate_is_believed(pin, site, away, revision):
    """By the library and by the git program."""
    assert pin(f"{site.url}/origin.git") == f"pinned {revision}"
    assert pin(f"{site.url}/origin.git", away) == f"pinned {away}"


@BOTH_WAYS
def test_a_host_with_a_foreign_certificate_is_refused(pin, site, revision, way):
    """For good; it hears no password, and the hint says how it could be trusted."""
    uri = f"{site.url}/private/origin.git"
    said = pin(uri, way, password=PASSWORD, trusts=False)
    assert said.startswith(f"lasting cannot fetch from {uri}")
    assert "SSL_CERT_FILE" in said
    assert site.passwords == []


def test_a_password_opens_a_private_repository(pin, site, away, revision):
    """For the library and for the git program."""
    uri = f"{site.url}/private/origin.git"
    assert pin(uri, password=PASSWORD) == f"pinned {revision}"
    assert pin(uri, away, password=PASSWORD) == f"pinned {away}"


@BOTH_WAYS
@pytest.mark.parametrize("password", ["", "wr0ng"])
def test_a_wrong_password_is_refused_for_good(pin, site, revision, password, way):
    """The failure names the repository and not the password."""
    uri = f"{site.url}/private/origin.git"
    said = pin(uri, way, password=password)
    assert said.startswith(f"lasting cannot fetch from {uri}: ")
    assert "wr0ng" not in said


@BOTH_WAYS
def test_a_redirect_is_followed(pin, site, twin, revision, way):
    """A repository that moved to another host is read there."""
    said = pin(f"{site.url}/moved/origin.git", way)
    assert said in {f"pinned {revision}", "listed HEAD refs/heads/main"}
    assert twin.passwords


@BOTH_WAYS
@pytest.mark.parametrize("moved", ["moved/private", "private/moved", "private/moved/private"])
def test_a_password_does_not_follow_a_redirect(pin, site, twin, revision, moved, way):
    """It is for its own host only, whether the other one asks for it or not."""
    said = pin(f"{site.url}/{moved}/origin.git", way, password=PASSWORD)
    assert said.startswith("lasting") == moved.endswith("private")
    assert twin.passwords
    assert set(twin.passwords) == {None}
    assert (TOLD in site.passwords) == moved.startswith("private")
