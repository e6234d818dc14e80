"""A reverse proxy that gives each request to the next of several servers."""

import contextlib
import http.client
import itertools
import re
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_HOP = {"connection", "transfer-encoding", "keep-alive"}


class RoundRobin:
    """`ports` are of servers on this machine; one that does not answer is passed over. Requests of
    a kind, such as all for the sources of a build, go to them in turn, whatever comes in between.
    """

    def __init__(self, ports) -> None:
        turns, self.given = defaultdict(lambda: itertools.cycle(ports)), []
        given = self.given

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                for _ in ports:
                    port = next(turns[_kind(self.path)])
                    upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                    with contextlib.closing(upstream):
                        try:
                            upstream.request(self.command, self.path, body, dict(self.headers))
                            answer = upstream.getresponse()
                        except OSError:
                            continue
                        given.append((port, self.command, self.path))
                        self._answer(answer)
                        return
                self.send_error(502)

            def _answer(self, answer):
                content = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in {*_HOP, "content-length", "date", "server"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _pass_on  # noqa: N815

            def log_message(self, *_):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """A client that leaves, or a server that is killed, is what is tested."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def asked(self, part):
        """The ports that were given a request with this in its path."""
        return {port for port, _, path in self.given if part in path}


def _kind(path):
    found = re.search(r"/attempts/\d+/([a-z-]+)", path)
    return found[1] if found else path.partition("?")[0]
