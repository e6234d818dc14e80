"""Which repository addresses and names this server accepts, and when two mean the same thing."""

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ciserver.model.errors import BadAddress, Complaint, Invalid
from ciserver.model.frozen import frozen

_PREFIXES = ("git+https://", "git+ssh://")
_USER = re.compile(r"[A-Za-z0-9_~][A-Za-z0-9_.+~-]*")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_SCP = re.compile(r"(?:([^@/:]*)@)?([^/:@\[\]]+|\[[^\]/]*\]):([^:].*|)", re.DOTALL)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_REVISION = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_IN_REFS = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock/")
_DEFAULT_PORTS = {"ssh": 22, "https": 443, "http": 80, "git": 9418}


class Addresses:
    """The rules of one server for repository addresses.

    `local_roots` are directories whose repositories anybody may name; `forbidden` are directories
    (the server's own data) that nobody may name, whoever registered it.
    """

    def __init__(
        self,
        *,
        local_roots: tuple[Path, ...] = (),
        forbidden: tuple[Path, ...] = (),
        allow_http: bool = False,
        allow_git: bool = False,
    ) -> None:
        self._local_roots = tuple(map(os.path.realpath, local_roots))
        self._forbidden = tuple(map(os.path.realpath, forbidden))
        optional = {"http": allow_http, "git": allow_git}
        self._schemes = {"https", "ssh"} | {name for name, allowed in optional.items() if allowed}

    @property
    def schemes(self) -> frozenset[str]:
        """The schemes that may leave this machine."""
        return frozenset(self._schemes)

    @property
    def content_schemes(self) -> frozenset[str]:
        """The schemes of URLs whose content may be read."""
        return self.schemes & {"http", "https"}

    def check(self, uri: str, *, local: bool = False) -> str:
        """Return the address to use. A path comes back absolute, with symbolic links resolved.

        `local` says that an administrator registered the address. Raises BadAddress.
        """
        fault = _text_fault(uri)
        if fault:
            raise _refused(uri, fault)
        address = uri.removeprefix("git+") if uri.startswith(_PREFIXES) else uri
        path = _local_path(address)
        if path is not None:
            return self._check_local(uri, path, local=local)
        fault = self._remote_fault(address)
        if fault:
            raise _refused(uri, fault)
        return address

    def check_path(self, uri: str, *, local: bool = False) -> str:
        """Return the path or URL whose content is to be read, as `check` returns an address.

        Raises BadAddress, also for a directory that the server's own data lies in.
        """
        fault = _text_fault(uri)
        path = None if fault else _local_path(uri)
        fault = fault or (_text_fault(path) if path else self._content_url_fault(uri))
        if fault:
            raise _path_refused(uri, fault)
        if path is None:
            return uri
        real = os.path.realpath(path)
        for one in self._forbidden:
            if _is_in(real, one) or _is_in(one, real):
                raise _path_refused(uri, "the server keeps its own data there")
        if not local and not any(_is_in(real, root) for root in self._local_roots):
            raise BadAddress(
                f"the path {uri!r} is refused: it is on the server's machine",
                hint="an administrator can register it or allow its directory",
            )
        return real

    def _content_url_fault(self, uri: str) -> str:
        """What is wrong with a URL whose content is to be read; unlike that of a repository it may
        have a query.
        """
        if not uri.isascii() or " " in uri:
            return "only printable ASCII is accepted; percent-encode the rest"
        match = _SCHEME.fullmatch(uri)
        if not match:
            return "it is neither an absolute path nor a URL"
        if match[1] not in self.content_schemes:
            return f"the scheme {match[1]!r} is not accepted here"
        place = uri.partition("?")[0]
        if "@" in place.split("/")[2] or "#" in uri:
            return "it has a user name, a password or a fragment"
        return self._url_fault(place, match[1])

    def _check_local(self, uri: str, path: str, *, local: bool) -> str:
        fault = _text_fault(path)
        if fault:
            raise _refused(uri, fault)
        real = os.path.realpath(path)
        if any(_is_in(real, one) for one in self._forbidden):
            raise _refused(uri, "it is in a directory of the server itself")
        if not local and not any(_is_in(real, root) for root in self._local_roots):
            raise BadAddress(
                f"the repository address {uri!r} is refused: it is a path on this machine",
                hint="an administrator can register it or allow its directory",
            )
        return real

    def _remote_fault(self, address: str) -> str:
        if not address.isascii() or " " in address:
            return "only printable ASCII is accepted; percent-encode the rest"
        match = _SCHEME.fullmatch(address)
        if match:
            return self._url_fault(address, match[1])
        match = _SCP.fullmatch(address)
        if not match:
            return "it is neither a URL, nor user@host:path, nor an absolute path"
        return _scp_fault(*match.groups())

    def _url_fault(self, address: str, scheme: str) -> str:
        if scheme not in self._schemes:
            return f"the scheme {scheme!r} is not accepted here"
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError as err:
            return str(err)
        if port == 0 or parts.netloc.endswith(":"):
            return "the port is not a number between 1 and 65535"
        if parts.query or parts.fragment or address.endswith(("?", "#")):
            return "a repository has no query or fragment"
        if parts.password is not None:
            return "a password does not belong in an address; give a credential"
        host = re.sub(r":\d+$", "", parts.netloc.rpartition("@")[2])
        return _user_fault(parts.username) or _host_fault(host) or _path_fault(parts.path)


def repository_key(uri: str) -> str:
    """A normal form by which two addresses of one repository compare equal, whatever the way in.

    For comparing only, never to fetch from. Never raises: what cannot be read is its own key.
    """
    address = uri.strip()
    address = address.removeprefix("git+") if address.startswith(_PREFIXES) else address
    try:
        path = _local_path(address)
        if path is not None:
            return os.path.realpath(path)
        return _remote_key(address)
    except (ValueError, OSError):
        return address


def check_ref(ref: str) -> str:
    """Return `ref` if it is a full ref name that git accepts; raises Invalid."""
    if not ref.startswith("refs/") or not is_ref_name(ref):
        raise Invalid(
            f"{ref!r} is not a full ref name",
            complaints=[Complaint("ref", f"{ref!r} is not a full ref name")],
            hint="write it as refs/heads/NAME or refs/tags/NAME",
        )
    return ref


def is_ref_name(ref: str) -> bool:
    """Whether git accepts this as the name of a ref, without reserving anything for us."""
    return (
        "/" in ref
        and not ref.startswith(("/", "."))
        and not ref.endswith(("/", ".", ".lock"))
        and not _IN_REFS.search(ref)
    )


def check_revision(text: str) -> str:
    """Return `text` if it is a full revision, 40 or 64 lower-case hex digits; raises Invalid."""
    if not is_revision(text):
        raise Invalid(
            f"{text!r} is not a revision",
            complaints=[Complaint("revision", f"{text!r} is not a revision")],
            hint="write all 40 (or 64) hex digits in lower case",
        )
    return text


def is_revision(text: str) -> bool:
    return _REVISION.fullmatch(text) is not None


def is_local(address: str) -> bool:
    """Whether a checked address is a path on this machine."""
    return address.startswith("/")


def is_user(name: str) -> bool:
    """Whether this is a plain user name, as an address may have one."""
    return _USER.fullmatch(name) is not None


def is_ssh(address: str) -> bool:
    """Whether a checked address is one for ssh, as a URL or as USER@HOST:PATH."""
    place = _place(address)
    return place is not None and place.scheme == "ssh"


@frozen
class _Place:
    scheme: str
    host: str
    port: int | None
    path: str


def host_of(address: str) -> str:
    """The host and port that a checked address names; empty for a path."""
    place = _place(address)
    return f"{place.host}:{place.port or _DEFAULT_PORTS.get(place.scheme, 0)}" if place else ""


def _place(address: str) -> _Place | None:
    if _SCHEME.fullmatch(address):
        parts = urlsplit(address)
        return _Place(parts.scheme, (parts.hostname or "").lower(), parts.port, parts.path)
    match = _SCP.fullmatch(address)
    return _Place("ssh", match[2].strip("[]").lower(), None, match[3]) if match else None


def _remote_key(address: str) -> str:
    place = _place(address)
    if place is None or not place.host:
        return address
    ordinary = place.port is None or place.port == _DEFAULT_PORTS.get(place.scheme)
    host = place.host if ordinary else f"{place.host}:{place.port}"
    path = re.sub("/+", "/", unquote(place.path)).strip("/")
    return f"{host}/{path.removesuffix('.git').rstrip('/')}"


def _local_path(address: str) -> str | None:
    """The path that an address names, or None when it is no absolute path."""
    if address.startswith("/"):
        return address
    if not address.lower().startswith("file://"):
        return None
    host, slash, path = address[len("file://") :].partition("/")
    if host not in {"", "localhost"} or not slash:
        return None
    return unquote("/" + path)


def _is_in(path: str, folder: str) -> bool:
    """Whether one of two resolved paths is the other, or lies beneath it."""
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")


def _text_fault(text: str) -> str:
    if not text:
        return "it is empty"
    if text.startswith("-"):
        return "it begins like an option"
    if "\\" in text:
        return "it has a backslash"
    if _CONTROL.search(text):
        return "it has control characters"
    if re.match(r"[A-Za-z0-9+.-]*::", text):
        return "remote helpers are not accepted"
    return ""


def _scp_fault(user: str | None, host: str, path: str) -> str:
    if user is None and host in {*_DEFAULT_PORTS, "file"}:
        return f"{host}: wants two slashes"
    if user is None and "@" in path:
        return "its user name is not plain"
    return _user_fault(user) or _host_fault(host) or _path_fault(path)


def _user_fault(user: str | None) -> str:
    return "" if user is None or is_user(user) else "its user name is not plain"


def _host_fault(host: str) -> str:
    return "" if _HOST.fullmatch(host) else "its host name is not one"


def _path_fault(path: str) -> str:
    plain = unquote(path)
    if not plain.strip("/"):
        return "it names no repository on that host"
    if any(part.startswith("-") for part in plain.split("/")[:2]):
        return "its path begins like an option"
    if ".." in plain.split("/"):
        return "its path climbs"
    return _text_fault(plain)


def _refused(uri: str, fault: str) -> BadAddress:
    return BadAddress(
        f"the repository address {without_password(uri)!r} is refused: {fault}",
        hint="use https://HOST/PATH, ssh://USER@HOST/PATH or USER@HOST:PATH",
    )


def _path_refused(uri: str, fault: str) -> BadAddress:
    return BadAddress(
        f"the path {without_password(uri)!r} is refused: {fault}",
        hint="use an absolute path or https://HOST/PATH",
    )


def without_password(uri: str) -> str:
    """An address as it may be shown: the user and what belongs to it are left out."""
    return re.sub(r"^((?:[^/]*//)?)[^/]*@", r"\1...@", uri)
