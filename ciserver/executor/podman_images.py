"""The images in podman's storage that builds may have."""

import json
import threading
import time
from collections.abc import Callable, Mapping

from ciserver.executor.containers import call, last_line
from ciserver.model.frozen import frozen

_KEPT_SECONDS = 10


@frozen
class _Listing:
    """What was there at a moment: the ids of images by each of their names, and by themselves."""

    ids: Mapping[str, str]
    fault: str
    until: float


class PodmanImages:
    """`given` says which image of podman's a recipe means by which name. They are in podman's
    storage or not there: nothing is fetched. podman is asked every few seconds at most.
    """

    def __init__(
        self, given: Mapping[str, str], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.given = given
        self._now = now
        self._lock = threading.Lock()
        self._listing = _Listing({}, "", now())

    def names(self) -> tuple[str, ...]:
        """Those that are there, in order."""
        return tuple(sorted(name for name in self.given if self.id_of(name)))

    def id_of(self, name: str, *, fresh: bool = False) -> str:
        """Another one for each making of an image; empty where there is none of the name."""
        return self._list(fresh=fresh).ids.get(self.given.get(name, ""), "")

    def fault(self) -> str:
        """Why podman does not say what it has; empty when it does."""
        return self._list().fault

    def _list(self, *, fresh: bool = False) -> _Listing:
        if not self.given:
            return self._listing
        with self._lock:
            if fresh or self._now() >= self._listing.until:
                self._listing = _list(self._now() + _KEPT_SECONDS)
            return self._listing


def _list(until: float) -> _Listing:
    done = call("--log-level=error", "images", "--no-trunc", "--format=json")
    if done.returncode:
        return _Listing({}, f"podman does not list its images: {last_line(done.stderr)}", until)
    ids = {}
    for image in json.loads(done.stdout):
        bare = image["Id"].removeprefix("sha256:")
        ids[bare] = bare
        ids.update((name, bare) for name in image.get("Names") or ())
    return _Listing(ids, "", until)
