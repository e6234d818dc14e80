"""Outgoing HTTP calls only what is public or allowed, at the address that was checked, in time."""

import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from ciserver.model.errors import BadConfiguration, RemoteFailure
from triggers.outgoing import ANSWER_LIMIT, Outgoing

REFUSED = [
    "127.0.0.1",
    "127.1.2.3",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.0.8",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "198.18.0.1",
    "198.19.255.255",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::2",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "3fff::1",
    "100::1",
    "5f00::1",
    "4000::1",
    "fc00::1",
    "fd00:ec2::254",
    "fdff::1",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]

PUBLIC = ("8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::8.8.8.8")


class Names:
    """A resolver that gives its answers one after the other, and counts the questions."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host, port, **_):
        self.asked += 1
        addresses = self.answers.pop(0)
        return [self._place(one, port) for one in addresses.split()]

    @staticmethod
    def _place(address, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        rest = (0, 0) if ":" in address else ()
        return (family, socket.SOCK_STREAM, 6, "", (address, port, *rest))


@contextmanager
def serving(talk):
    """A raw server for one connection: `talk` gets its socket and an event set at the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def run():
        with listener, listener.accept()[0] as sock:
            talk(sock, done)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("address", REFUSED)
def test_address_that_is_not_public_is_refused(address):
    """No connection is made, and the hint names the setting that would allow it."""
    http = Outgoing(resolver=Names(address))
    with pytest.raises(RemoteFailure, match="not a public address") as caught:
        http.post("http://hooks.example/", b"", {})
    assert not caught.value.temporary
    assert "outgoing.allow" in caught.value.hint


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_is_called(address):
    """What is public is tried; here nothing is sent because the time is up before."""
    http = Outgoing(resolver=Names(address), timeout_seconds=0.000001)
    with pytest.raises(RemoteFailure, match="no complete answer") as caught:
        http.post("http://hooks.example/", b"", {})
    assert caught.value.temporary


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "[::1]", "localhost", "0"])
def test_other_spellings_of_this_machine_are_refused(host):
    """The address that the system reads in a name counts, not the spelling."""
    with pytest.raises(RemoteFailure, match="not a public address"):
        Outgoing().post(f"http://{host}/", b"", {})


def test_one_bad_address_among_good_ones_is_refused():
    """A name that mixes public and private addresses is not called at all."""
    with pytest.raises(RemoteFailure, match=r"10\.0\.0\.1"):
        Outgoing(resolver=Names("8.8.8.8 10.0.0.1")).post("http://mixed.example/", b"", {})


def test_name_is_resolved_once():
    """A name server that changes its answer between check and use gains nothing."""
    names = Names("8.8.8.8", "127.0.0.1")
    with pytest.raises(RemoteFailure):
        Outgoing(resolver=names, timeout_seconds=0.000001).post("http://rebind.example/", b"", {})
    assert names.asked == 1


def test_checked_address_is_the_one_called(receiver):
    """The connection goes to what the resolver said, and the Host header keeps the name."""
    names = Names("127.0.0.1")
    answer = Outgoing(allow=["127.0.0.0/8"], resolver=names).post(
        receiver.url("/a?b=c", host="hooks.example"), b"body", {"X-One": "1"}
    )
    assert (answer.status, answer.body_head, names.asked) == (200, b"thanks", 1)
    request = receiver.requests[0]
    assert (request.path, request.body) == ("/a?b=c", b"body")
    assert request.headers["Host"] == f"hooks.example:{receiver.port}"
    assert request.headers["X-One"] == "1"


@pytest.mark.parametrize("entry", ["Hooks.Example.", "127.0.0.1", "127.0.0.0/8", "127.0.0.7/8"])
def test_allowed_by_name_address_or_network(receiver, entry):
    """Each kind of entry in outgoing.allow opens the way to a private receiver."""
    http = Outgoing(allow=[entry], resolver=Names("127.0.0.1"))
    assert http.post(receiver.url(host="hooks.example"), b"", {}).status == 200


def test_allowing_one_host_allows_no_other(receiver):
    """An allowed name says nothing of its neighbours."""
    http = Outgoing(allow=["hooks.example", "10.0.0.0/8"], resolver=Names("127.0.0.1"))
    with pytest.raises(RemoteFailure, match="not a public address"):
        http.post(receiver.url(host="evil.hooks.example"), b"", {})
    assert receiver.requests == []


def test_broken_allow_list_names_every_entry():
    """Entries that can never match are told at the start, all of them."""
    with pytest.raises(BadConfiguration) as caught:
        Outgoing(allow=["10.0.0.0/99", "fine.example", "http://x/"])
    assert [one.message.split()[0] for one in caught.value.complaints] == [
        "'10.0.0.0/99'",
        "'http://x/'",
    ]


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("ftp://hooks.example/", "http"),
        ("file:///etc/passwd", "http"),
        ("hooks.example", "http"),
        ("//hooks.example/", "http"),
        ("http:///path", "no host"),
        ("http://hooks.example:0/", "port"),
        ("http://hooks.example:99999/", "port"),
        ("http://hooks.example:x/", "port"),
        ("http://me:topsecret@hooks.example/", "user name"),
        ("http://hooks.example\\@127.0.0.1/", "backslash"),
        ("http://hooks.example/a b", "space"),
        ("http://hooks.example/\r\nX: y", "control"),
        ("http://[::1/", "not a URL"),
        (f"http://{'a' * 64}.example/", "valid name"),
        ("http://a..example/", "valid name"),
    ],
)
def test_url_that_cannot_be_called(url, fault):
    """Refused for good before any question to a name server; secrets are not repeated."""
    names = Names()
    with pytest.raises(RemoteFailure, match=fault) as caught:
        Outgoing(resolver=names).post(url, b"", {})
    assert not caught.value.temporary
    assert names.asked == 0
    assert "topsecret" not in caught.value.message


def test_all_faults_of_a_url_are_told():
    """One look is enough to mend it."""
    with pytest.raises(RemoteFailure, match=r"begin with http.*user name.*no host.*port"):
        Outgoing().post("gopher://me@:0/", b"", {})


def test_path_with_other_letters_is_written_in_ascii(receiver):
    """Letters beyond ASCII are percent-encoded; what is encoded already stays."""
    http = Outgoing(allow=["127.0.0.1"])
    http.post(receiver.url("/ä%20b?q=ü"), b"", {})
    assert receiver.requests[0].path == "/%C3%A4%20b?q=%C3%BC"


def test_redirect_is_not_followed(receiver):
    """The redirect itself is the answer."""
    receiver.status, receiver.headers = 302, {"Location": receiver.url("/elsewhere")}
    answer = Outgoing(allow=["127.0.0.1"]).post(receiver.url(), b"", {})
    assert answer.status == 302
    assert len(receiver.requests) == 1


def test_long_answer_is_cut(receiver):
    """No more than 64 KiB of an answer are kept."""
    receiver.body = b"x" * (ANSWER_LIMIT * 3)
    answer = Outgoing(allow=["127.0.0.1"]).post(receiver.url(), b"", {})
    assert len(answer.body_head) == ANSWER_LIMIT


POST = """
import sys
from triggers.outgoing import Outgoing
print(Outgoing(allow=["127.0.0.1"]).post(sys.argv[1], b"", {}).status)
"""


def test_proxy_of_the_environment_is_ignored(receiver):
    """The address checked is the address called, whatever proxies this machine has."""
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), "http://127.0.0.1:1")
    root = Path(__file__).parents[2]
    called = subprocess.run(
        [sys.executable, "-c", POST, receiver.url()],
        env={"PYTHONPATH": str(root), **proxies},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert called.stdout.strip() == "200"


def _drip(sock, done, start, drop):
    sock.recv(65536)
    sock.sendall(start)
    try:
        while not done.wait(0.02):
            sock.sendall(drop)
    except OSError:  # the client had enough
        return


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"HTTP/1.1 20", b"0"),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"y"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b"z"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["status", "header", "body", "continue"],
)
def test_dripping_server_meets_the_deadline(start, drop):
    """A server that always sends a little more is cut off when the whole time is up."""
    with serving(lambda sock, done: _drip(sock, done, start, drop)) as authority:
        begun = time.monotonic()
        with pytest.raises(RemoteFailure, match=r"no complete answer within 0\.3 s") as caught:
            Outgoing(allow=["127.0.0.1"], timeout_seconds=0.3).post(f"http://{authority}/", b"", {})
        assert time.monotonic() - begun < 2
    assert caught.value.temporary


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_silent_server_meets_the_deadline(scheme):
    """A server that takes the connection and says nothing is a temporary failure."""
    with (
        serving(lambda _, done: done.wait(10)) as authority,
        pytest.raises(RemoteFailure, match="no complete answer") as caught,
    ):
        Outgoing(allow=["127.0.0.1"], timeout_seconds=0.2).post(f"{scheme}://{authority}/", b"", {})
    assert caught.value.temporary


def test_answer_that_is_no_http():
    """Nonsense is a temporary failure, and its control characters are not shown."""

    def talk(sock, done):
        sock.recv(65536)
        sock.sendall(b"\x1b[31mSSH-2.0\r\n")

    with (
        serving(talk) as authority,
        pytest.raises(RemoteFailure, match="cannot be reached") as caught,
    ):
        Outgoing(allow=["127.0.0.1"]).post(f"http://{authority}/", b"", {})
    assert caught.value.temporary
    assert "\x1b" not in caught.value.message


def test_closed_port_is_temporary():
    """A receiver that is down may be up later."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(RemoteFailure, match="cannot be reached") as caught:
        Outgoing(allow=["127.0.0.1"]).post(f"http://127.0.0.1:{port}/token", b"", {})
    assert caught.value.temporary
    assert "/token" not in caught.value.message


def test_next_address_is_tried(receiver):
    """A receiver that listens at one of its addresses is found."""
    http = Outgoing(allow=["two.example"], resolver=Names("127.9.9.9 127.0.0.1"))
    assert http.post(receiver.url(host="two.example"), b"", {}).status == 200


def _unknown(host, port, **_):
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize("resolver", [_unknown, Names("")], ids=["error", "nothing"])
def test_unknown_host_is_temporary(resolver):
    """Name servers have bad days."""
    with pytest.raises(RemoteFailure, match="is not found") as caught:
        Outgoing(resolver=resolver).post("http://hooks.example/", b"", {})
    assert caught.value.temporary


def test_self_signed_certificate_is_refused(tls_receiver):
    """TLS without a trusted certificate delivers nothing."""
    with pytest.raises(RemoteFailure, match="certificate") as caught:
        Outgoing(allow=["127.0.0.1"]).post(tls_receiver.url(scheme="https"), b"secret", {})
    assert caught.value.temporary
    assert tls_receiver.requests == []


def test_trusted_certificate_for_the_name_is_accepted(tls_receiver, certificate):
    """The certificate is judged by the name in the URL although the connection knows an address."""
    http = Outgoing(
        allow=["hooks.test"], resolver=Names("127.0.0.1"), tls=certificate.client_context()
    )
    assert http.post(tls_receiver.url(scheme="https", host="hooks.test"), b"", {}).status == 200


def test_certificate_for_another_name_is_refused(tls_receiver, certificate):
    """A trusted certificate of somebody else is no proof."""
    http = Outgoing(
        allow=["other.test"], resolver=Names("127.0.0.1"), tls=certificate.client_context()
    )
    with pytest.raises(RemoteFailure, match="certificate"):
        http.post(tls_receiver.url(scheme="https", host="other.test"), b"", {})
    assert tls_receiver.requests == []
