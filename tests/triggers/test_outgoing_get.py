"""What is read from a URL: bounded, whole, and each redirect checked like the first address."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ciserver.model.errors import RemoteFailure
from triggers.outgoing import Outgoing

MOST = 1000
LOCAL = ["127.0.0.1"]
BOTH = ("http", "https")


class Site:
    """Answers by path: a status, headers and a body; notes what it was asked."""

    def __init__(self):
        self.pages, self.asked = {}, []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked.append((self.path, dict(self.headers)))
                status, headers, body = site.pages[self.path.partition("?")[0]]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_):
                """A client that goes early is what is tested."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def page(self, path, body=b"", status=200, **headers):
        self.pages[path] = (status, {"Content-Length": str(len(body)), **headers}, body)
        return self.url(path)

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def site():
    started = Site()
    yield started
    started.close()


def get(url, schemes=BOTH, allow=LOCAL, **options):
    return Outgoing(allow=allow, **options).get(url, MOST, schemes=schemes)


def test_the_whole_content_comes(site):
    site.page("/data", b"x" * MOST)
    assert get(site.url("/data?version=3")) == b"x" * MOST
    ((path, headers),) = site.asked
    assert path == "/data?version=3"
    assert headers["Connection"] == "close"


def test_an_empty_file_is_content(site):
    assert get(site.page("/empty")) == b""


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(site, status):
    site.page("/data", b"here")
    assert get(site.page("/old", status=status, Location="/data")) == b"here"


def test_redirects_end(site):
    url = site.page("/round", status=302, Location="/round")
    with pytest.raises(RemoteFailure, match="redirects more than 5 times"):
        get(url)
    assert len(site.asked) == 6


def test_a_redirect_to_a_private_address_is_refused(site):
    """Where the first address is allowed and the second is not."""
    url = site.page("/out", status=302, Location="http://169.254.169.254/latest/meta-data")
    with pytest.raises(RemoteFailure, match="link-local or cloud metadata") as caught:
        get(url)
    assert not caught.value.temporary


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://[", "//user@127.0.0.1/x"]
)
def test_a_redirect_elsewhere_is_refused(site, location):
    with pytest.raises(RemoteFailure, match="cannot be called"):
        get(site.page("/out", status=302, Location=location))


def test_a_scheme_that_is_not_wanted_is_refused_at_the_first_step_and_later(site):
    with pytest.raises(RemoteFailure, match="not https"):
        get(site.page("/data"), schemes=("https",))
    assert site.asked == []


def test_private_addresses_are_refused_unless_they_are_allowed(site):
    with pytest.raises(RemoteFailure, match=r"not a public address \(loopback\)"):
        get(site.page("/data"), allow=())
    assert site.asked == []


@pytest.mark.parametrize(
    ("status", "temporary"), [(404, False), (403, False), (204, False), (500, True), (429, True)]
)
def test_other_answers_are_failures(site, status, temporary):
    with pytest.raises(RemoteFailure, match=f"answers {status}") as caught:
        get(site.page("/data", status=status))
    assert caught.value.temporary is temporary
    assert "/data" not in caught.value.message


def test_too_much_is_refused_without_being_read(site):
    url = site.page("/big", b"x" * (MOST + 1))
    with pytest.raises(RemoteFailure, match="sends more than") as caught:
        get(url)
    assert not caught.value.temporary


def test_too_much_without_a_length_is_refused(site):
    site.pages["/big"] = (200, {}, b"x" * 100_000)
    with pytest.raises(RemoteFailure, match="sends more than"):
        get(site.url("/big"))


def test_a_part_is_not_taken_for_the_whole(site):
    site.pages["/part"] = (200, {"Content-Length": "100"}, b"half")
    with pytest.raises(RemoteFailure) as caught:
        get(site.url("/part"))
    assert caught.value.temporary


def test_a_server_that_drips_is_left_in_time():
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def drip():
        with listener, listener.accept()[0] as sock:
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while not done.wait(0.05):
                try:
                    sock.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        with pytest.raises(RemoteFailure, match=r"no complete answer within 0.5 s") as caught:
            get(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_seconds=0.5)
        assert caught.value.temporary
    finally:
        done.set()
        thread.join()
