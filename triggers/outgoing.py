"""HTTP to addresses that others chose: one checked address, one request, bounded in every way."""

import http.client
import socket
import ssl
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from ciserver.model.errors import RemoteFailure
from ciserver.model.frozen import frozen
from triggers.addresses import AllowList, refusal
from triggers.deadline import Deadline
from triggers.text import one_line

ANSWER_LIMIT = 64 * 1024
DEFAULT_PORTS = {"http": 80, "https": 443}
_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TEMPORARY = frozenset({408, 425, 429})
_PATH_CHARACTERS = "%/:=&?~+!$,;'@()*[]"

Place = tuple[Any, ...]  # a row of getaddrinfo: family, type, protocol, name, socket address
Resolver = Callable[..., Sequence[Place]]


@frozen
class Answer:
    """What the other server said; header names are lower case, the body is cut at 64 KiB."""

    status: int
    headers: dict[str, str]
    body_head: bytes


@frozen
class Target:
    """A URL taken apart. Its path may hold a secret and is never part of a message."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> "Target":
        """Raises RemoteFailure, not temporary, naming every fault of the URL."""
        parts = _split(url)
        faults = [*_faults(url, parts)]
        if faults:
            raise _unusable(faults)
        host = (parts.hostname or "").encode("idna").decode()
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.scheme, host, port, quote(path, _PATH_CHARACTERS, errors="replace"))

    @property
    def authority(self) -> str:
        """The Host header."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == DEFAULT_PORTS[self.scheme] else f"{name}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as err:
        raise _unusable(["it is not a URL"]) from err


def _faults(url: str, parts: SplitResult) -> Iterator[str]:
    if any(one <= " " or one in "\\\x7f" for one in url):
        yield "it has a space, a backslash or a control character"
    if parts.scheme not in DEFAULT_PORTS:
        yield "it does not begin with http:// or https://"
    if "@" in parts.netloc:
        yield "it carries a user name or password"
    if not parts.hostname:
        yield "it names no host"
    elif not _is_dns_name(parts.hostname):
        yield "its host is not a valid name"
    if not _has_valid_port(parts):
        yield "its port is not a number from 1 to 65535"


def _is_dns_name(host: str) -> bool:
    try:
        return bool(host.encode("idna"))
    except ValueError:
        return False


def _has_valid_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _unusable(faults: Sequence[str]) -> RemoteFailure:
    return RemoteFailure(
        f"the URL cannot be called: {'; '.join(faults)}",
        temporary=False,
        hint="give an address such as https://host.example/path",
    )


class Outgoing:
    """Posts to URLs of project owners, and reads from them. Knows no proxies; what is posted
    follows no redirects.

    `allow` names what is called although it is not public: host names, addresses, networks.
    """

    def __init__(
        self,
        *,
        allow: Sequence[str] = (),
        resolver: Resolver = socket.getaddrinfo,
        timeout_seconds: float = 15,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow = AllowList.parse(allow)
        self._resolver = resolver
        self._timeout_seconds = timeout_seconds
        self._given_tls = tls

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made when it is first needed: reading the machine's certificates takes its time."""
        return self._given_tls or ssl.create_default_context()

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send `body` once and return the answer, whatever its status.

        Raises RemoteFailure: not temporary when the URL or an address behind it must not be
        called, temporary when the network, the certificate or the time limit was the reason.
        """
        target = Target.parse(url)
        deadline = Deadline(self._timeout_seconds)
        places = self._resolve(target)
        try:
            with _connect(places, deadline) as sock, deadline.cutting(sock):
                answer = self._exchange(sock, target, body, headers)
            # A connection that was cut looks like an answer that ended.
            deadline.check()
        except (OSError, http.client.HTTPException) as err:
            raise _failure(target, deadline, err) from err
        return answer

    def get(self, url: str, most_bytes: int, *, schemes: Collection[str] = ("https",)) -> bytes:
        """Return the whole content of a URL. Redirects are followed, each to an address that is
        checked like the first and has one of the schemes.

        Raises RemoteFailure as `post` does, and for any status but 200, and for more than
        `most_bytes`.
        """
        deadline = Deadline(self._timeout_seconds)
        for _ in range(_MOST_REDIRECTS + 1):
            target = Target.parse(url)
            if target.scheme not in schemes:
                raise _unusable([f"it or a redirect of it is not {' or '.join(sorted(schemes))}"])
            places = self._resolve(target)
            try:
                with _connect(places, deadline) as sock, deadline.cutting(sock):
                    found = self._fetch(sock, target, most_bytes)
                deadline.check()
            except (OSError, http.client.HTTPException) as err:
                raise _failure(target, deadline, err) from err
            if isinstance(found, bytes):
                return found
            url = _redirected(url, found)
        raise RemoteFailure(
            f"{target} redirects more than {_MOST_REDIRECTS} times",
            temporary=False,
            hint="give the address that it leads to",
        )

    def _fetch(self, sock: socket.socket, target: Target, most_bytes: int) -> bytes | str:
        """The content, or where it is instead."""
        with closing(http.client.HTTPConnection(target.host, target.port)) as connection:
            connection.sock = self._secured(sock, target)
            fixed = {"Host": target.authority, "Connection": "close"}
            connection.request("GET", target.path, headers=fixed)
            with connection.getresponse() as response:
                location = response.getheader("Location")
                if response.status in _REDIRECTS and location:
                    return location
                if response.status != http.client.OK:
                    raise _bad_status(target, response.status)
                return _whole(response, target, most_bytes)

    def _resolve(self, target: Target) -> Sequence[Place]:
        """Ask for the addresses once, and check every one: what is asked again may differ."""
        try:
            places = self._resolver(target.host, target.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as err:
            raise _unknown_host(target) from err
        if not places:
            raise _unknown_host(target)
        for place in places:
            self._require_allowed(target, place[4][0])
        return places

    def _require_allowed(self, target: Target, text: str) -> None:
        address = ip_address(text)
        kind = refusal(address)
        if kind and not self._allow.admits(target.host, address):
            raise RemoteFailure(
                f"{target} is not called: {address} is not a public address ({kind})",
                temporary=False,
                hint="an administrator can add the host or its network to outgoing.allow",
            )

    def _exchange(
        self, sock: socket.socket, target: Target, body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        with closing(http.client.HTTPConnection(target.host, target.port)) as connection:
            connection.sock = self._secured(sock, target)
            fixed = {"Host": target.authority, "Connection": "close"}
            connection.request("POST", target.path, body, {**headers, **fixed})
            with connection.getresponse() as response:
                found = {name.lower(): value for name, value in response.getheaders()}
                return Answer(response.status, found, response.read(ANSWER_LIMIT))

    def _secured(self, sock: socket.socket, target: Target) -> socket.socket:
        if target.scheme == "http":
            return sock
        return self._tls.wrap_socket(sock, server_hostname=target.host)


def _whole(response: http.client.HTTPResponse, target: Target, most_bytes: int) -> bytes:
    content = response.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise RemoteFailure(
            f"{target} sends more than {most_bytes / (1 << 20):g} MB",
            temporary=False,
            hint="name a smaller file",
        )
    if response.length:  # of what was announced, this did not come
        raise http.client.IncompleteRead(b"", response.length)
    return content


def _redirected(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as err:
        raise _unusable(["its redirect is not a URL"]) from err


def _bad_status(target: Target, status: int) -> RemoteFailure:
    return RemoteFailure(
        f"{target} answers {status}",
        temporary=status in _TEMPORARY or status >= http.client.INTERNAL_SERVER_ERROR,
        hint="check the address, and that it can be read without signing in",
    )


def _connect(places: Sequence[Place], deadline: Deadline) -> socket.socket:
    """Open a connection to the first place that answers; each gets its share of the time left."""
    failures: list[OSError] = []
    for tried, place in enumerate(places):
        try:
            return _open(place, deadline, share=len(places) - tried)
        except OSError as err:
            failures.append(err)
    raise failures[-1]


def _open(place: Place, deadline: Deadline, *, share: int) -> socket.socket:
    deadline.check()  # the name servers may have used it up
    family, kind, protocol, _, address = place
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(deadline.remaining_seconds / share)
        sock.connect(address)
        sock.settimeout(deadline.remaining_seconds)
    except OSError:
        sock.close()
        raise
    return sock


def _unknown_host(target: Target) -> RemoteFailure:
    return RemoteFailure(
        f"the host of {target} is not found",
        temporary=True,
        hint="check the host name, and the name servers of this machine",
    )


def _failure(target: Target, deadline: Deadline, err: Exception) -> RemoteFailure:
    if deadline.has_passed or isinstance(err, TimeoutError):
        message = f"{target} gave no complete answer within {deadline.seconds:g} s"
        return RemoteFailure(message, temporary=True, hint="the other side must answer sooner")
    if isinstance(err, ssl.SSLCertVerificationError):
        return RemoteFailure(
            f"the certificate of {target} is not accepted: {err.verify_message}",
            temporary=True,
            hint="it needs a certificate for its name that this machine trusts",
        )
    return RemoteFailure(
        f"{target} cannot be reached: {one_line(str(err), 200) or type(err).__name__}",
        temporary=True,
        hint="check that it runs and that this machine may reach it",
    )
