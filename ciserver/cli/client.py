"""How commands reach the server: over HTTP when one runs, in this process when none does.

Both speak the same API, so a command does not know the difference.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode

import urllib3

from ciserver.datadir import DataDirectory
from ciserver.model.errors import (
    Busy,
    CiError,
    Complaint,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    NotSignedIn,
    RemoteFailure,
)
from ciserver.model.frozen import frozen

if TYPE_CHECKING:
    from ciserver.config import Settings

_TIMEOUT = urllib3.Timeout(connect=5, read=60)
_REFUSALS: dict[int, type[CiError]] = {
    401: NotSignedIn,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    503: Busy,
}


@frozen
class Answer:
    status: int
    headers: Mapping[str, str]
    content: bytes


class Transport(Protocol):
    def send(self, method: str, path: str, body: bytes | None) -> Answer: ...


class Client:
    """Calls of /ci/v1. Refusals come back as the errors that the server raised."""

    def __init__(self, transport: Transport, url: str) -> None:
        self._transport = transport
        self.url = url

    def get(self, path: str, **query: Any) -> Any:
        return json.loads(self.get_raw(path, **query).content)

    def get_raw(self, path: str, **query: Any) -> Answer:
        given = {name: value for name, value in query.items() if value is not None}
        return self._call("GET", f"{path}?{urlencode(given)}" if given else path, None)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return json.loads(self._call("POST", path, json.dumps(body or {}).encode()).content)

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        return json.loads(self._call("PUT", path, json.dumps(body).encode()).content)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        return json.loads(self._call("PATCH", path, json.dumps(body).encode()).content)

    def delete(self, path: str) -> Any:
        return json.loads(self._call("DELETE", path, None).content)

    def _call(self, method: str, path: str, body: bytes | None) -> Answer:
        answer = self._transport.send(method, f"/ci/v1{path}", body)
        if answer.status >= 400:
            raise _refusal(answer)
        return answer


def path_of(*names: str) -> str:
    """The path of these names, each of which stays one part of it."""
    return "".join("/" + quote(one, safe="") for one in names)


class HttpTransport:
    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(retries=False, timeout=_TIMEOUT)
        self._headers = {"Authorization": f"Bearer {token}"}

    def send(self, method: str, path: str, body: bytes | None) -> Answer:
        headers = self._headers | ({"Content-Type": "application/json"} if body else {})
        try:
            answer = self._pool.request(method, self._url + path, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise RemoteFailure(
                f"the server at {self._url} does not answer", temporary=True
            ) from error
        return Answer(answer.status, answer.headers, answer.data)


class InProcess:
    """The application itself, called without a network."""

    def __init__(self, app: Any, token: str, listen: str) -> None:
        from falcon.testing import TestClient  # noqa: PLC0415  only where no server runs

        self._client = TestClient(app, headers={"Authorization": f"Bearer {token}", "Host": listen})

    def send(self, method: str, path: str, body: bytes | None) -> Answer:
        route, _, query = path.partition("?")
        answer = self._client.simulate_request(method, route, query_string=query, body=body)
        return Answer(answer.status_code, answer.headers, answer.content)


@contextmanager
def connect(data: DataDirectory, load: Callable[[], "Settings"]) -> Iterator[Client]:
    """A client of the server that runs over this data directory, or of its parts when none does."""
    server = data.running_server()
    if server is not None:
        yield Client(HttpTransport(server.url, server.token), server.url)
        return
    from ciserver.cli.journal import start_logging  # noqa: PLC0415
    from ciserver.wiring import make_parts  # noqa: PLC0415  slow, and not needed with a server

    start_logging("warning")
    settings = load()
    listen = settings.server.listen
    parts = make_parts(settings, data)
    try:
        yield Client(InProcess(parts.app, parts.local_token, listen), f"http://{listen}")
    finally:
        parts.store.database.close()


def _refusal(answer: Answer) -> CiError:
    try:
        error = json.loads(answer.content)["error"]
        message, hint = str(error["message"]), error.get("hint") or None
    except (ValueError, KeyError, TypeError):
        return RemoteFailure(f"the server answered {answer.status}", temporary=True)
    if answer.status in {400, 413}:
        complaints = [Complaint(**one) for one in error.get("complaints", ())]
        return Invalid(message, complaints=complaints, hint=hint)
    refusal = _REFUSALS.get(answer.status)
    if refusal is None:
        return RemoteFailure(message, temporary=True, hint=hint)
    return refusal(message, hint=hint)
