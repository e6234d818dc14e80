"""Images: root file systems by name, each in a directory of its own, that builds run on."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from secrets import token_hex
from typing import IO

import structlog

from ciserver.executor.removal import remove_tree
from ciserver.executor.sandbox import BuildUser
from ciserver.model.errors import Complaint, Conflict, Invalid, NotFound
from ciserver.model.frozen import frozen
from ciserver.model.image import MOST_NAME, RESERVED, is_image_name

HOOK, ROOT = "packages", "root"
_FACTS, _LOCK, _OWN_LOCK = "image.json", "lock", ".lock"
_MAKING, _GONE = ".making-", ".gone-"
_TRIES = 10
log = structlog.get_logger(__name__)


@frozen
class ImageFacts:
    """What is noted when an image is made. `id` is another for each making; `made_at` is a time in
    ISO 8601. `shell` is where it has bash, or else sh; `packages` who installs there: `apt`,
    `hook`, or nobody.
    """

    id: str
    made_at: str
    origin: str
    shell: str
    packages: str = ""


@frozen
class Image:
    name: str
    place: Path
    facts: ImageFacts

    @property
    def root(self) -> Path:
        return self.place / ROOT

    @property
    def hook(self) -> Path:
        return self.place / HOOK


class Images:
    """The images beneath a directory of this machine, which commands and a server share.

    An image is made beside the others under a name that is none and comes in place by one rename.
    Whoever makes or uses one holds its lock: what is left without a holder goes with the next
    sweep. Builds that run keep the image that they began with.
    """

    def __init__(self, directory: Path, user: BuildUser | None) -> None:
        self.directory = directory
        self.user = user

    def names(self) -> tuple[str, ...]:
        """In order; without what is broken."""
        return tuple(name for name in self.all_names() if self._facts(self._place(name)))

    def all_names(self) -> tuple[str, ...]:
        """Broken ones, too."""
        with suppress(FileNotFoundError), os.scandir(self.directory) as found:
            return tuple(sorted(one.name.replace("+", "/") for one in found if one.name[0] != "."))
        return ()

    def get(self, name: str) -> Image | None:
        """The image of that name; None where there is none that can be used."""
        if not is_image_name(name):
            return None
        place = self._place(name)
        facts = self._facts(place)
        return Image(name, place, facts) if facts else None

    def id_of(self, name: str) -> str:
        """Another one for each making of an image; empty where there is none of the name."""
        image = self.get(name)
        return image.facts.id if image else ""

    def owner_fault(self, image: Image) -> str:
        """Why builds cannot use an image that others could; empty when they can."""
        wanted = self.user.uid if self.user else os.geteuid()
        if image.root.lstat().st_uid == wanted:
            return ""
        return "it belongs to another user than builds run as"

    @contextmanager
    def use(self, name: str) -> Iterator[Image | None]:
        """The image, which stays as it is until the end; None where there is none."""
        lock, image = self._lock_newest(name)
        try:
            yield image
        finally:
            if lock is not None:
                lock.close()

    @contextmanager
    def make(self, name: str, *, replace: bool) -> Iterator[Path]:
        """A directory to make the image in. Without an error, after `note` was called with it, it
        becomes the image; with one it goes. Raises Invalid, Conflict and OSError.
        """
        check_name(name)
        self._may_make(name, replace=replace)
        with self._alone():
            place = self._new_place()
            lock = _lock(place, fcntl.LOCK_EX)
        try:
            yield place
            with self._alone():
                self._may_make(name, replace=replace)
                self._put(place, name)
        finally:
            if lock is not None:
                lock.close()
            self.sweep()

    def note(self, place: Path, facts: ImageFacts) -> None:
        """Write the facts of what was made there."""
        path = place / _FACTS
        path.write_text(json.dumps(asdict(facts), indent=2) + "\n")
        self._give(path)

    def remove(self, name: str) -> bool:
        """The image is gone for new builds; True when its files are, too, and False when a build
        still uses them. Raises NotFound.
        """
        place = self._place(name)
        if not is_image_name(name) or not place.exists():
            have = ", ".join(self.all_names()) or "none"
            raise NotFound(f"there is no image {name!r}", hint=f"there is: {have}")
        with self._alone():
            gone = self._set_aside(place)
        self.sweep()
        return not gone.exists()

    def sweep(self) -> None:
        """Remove what was replaced, removed or half made, where nobody holds it any more."""
        if not self.directory.exists():
            return
        with self._alone():
            for place in self.directory.iterdir():
                if place.name.startswith((_MAKING, _GONE)):
                    _remove_unheld(place)

    def _may_make(self, name: str, *, replace: bool) -> None:
        if not replace and self._place(name).exists():
            raise Conflict(f"there is an image {name} already", hint="make it anew with --replace")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process changes which images there are."""
        if not self.directory.exists():
            self.directory.mkdir(parents=True)
            self.directory.chmod(0o711)
        with (self.directory / _OWN_LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _lock_newest(self, name: str) -> tuple[IO[str] | None, Image | None]:
        for _ in range(_TRIES):
            image = self.get(name)
            if image is None:
                break
            lock = _lock(image.place, fcntl.LOCK_SH)
            if lock is None:
                continue
            if self.id_of(name) == image.facts.id:
                return lock, image
            lock.close()
        return None, None

    def _new_place(self) -> Path:
        place = self.directory / f"{_MAKING}{token_hex(8)}"
        place.mkdir(mode=0o700)
        for path in (place / ROOT, place / _LOCK):
            path.mkdir(mode=0o755) if path.name == ROOT else path.touch(mode=0o600)
            self._give(path)
        self._give(place)
        return place

    def _give(self, path: Path) -> None:
        if self.user:
            os.chown(path, self.user.uid, self.user.gid)

    def _put(self, place: Path, name: str) -> None:
        target = self._place(name)
        if target.exists():
            self._set_aside(target)
        place.rename(target)

    def _set_aside(self, place: Path) -> Path:
        gone = self.directory / f"{_GONE}{token_hex(8)}"
        return place.rename(gone)

    def _place(self, name: str) -> Path:
        return self.directory / name.replace("/", "+")

    def _facts(self, place: Path) -> ImageFacts | None:
        try:
            return ImageFacts(**json.loads((place / _FACTS).read_text()))
        except (OSError, ValueError, TypeError):
            return None


def describe(image: Image | None) -> str:
    """What it is made of and who installs packages in it, for people; empty where there is none."""
    if image is None:
        return ""
    who = {"apt": "by apt-get", "hook": "by its own program"}.get(image.facts.packages, "by nobody")
    return f"of {image.facts.origin}, {image.facts.made_at[:10]}; packages are installed {who}"


def check_name(name: str) -> None:
    """Raises Invalid."""
    if is_image_name(name):
        return
    why = (
        "is the name of what this machine has itself"
        if name in RESERVED
        else f"must be words such as debian/stable: small letters, digits, . _ -, at most "
        f"{MOST_NAME} characters"
    )
    raise Invalid("the image cannot be made", complaints=[Complaint("NAME", why)])


def _lock(place: Path, how: int) -> IO[str] | None:
    """Hold the lock of an image as long as it is open; None where that cannot be had."""
    try:
        lock = (place / _LOCK).open("r")
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _remove_unheld(place: Path) -> None:
    lock = _lock(place, fcntl.LOCK_EX)
    if lock is None and (place / _LOCK).exists():
        return
    try:
        remove_tree(place)
    except OSError as error:
        log.warning("image-not-removed", path=str(place), error=str(error))
    finally:
        if lock is not None:
            lock.close()
