"""Which root file system a build runs on: that of the image it names, or this machine's."""

import errno
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Protocol

from ciserver.executor.bubblewrap import Bubblewrap
from ciserver.executor.images import Image, Images, describe
from ciserver.executor.rooted import Layer, Rooted, overlay_words
from ciserver.executor.sandbox import PATH, BuildUser, Sandbox, SandboxFailed, spawn
from ciserver.executor.workdir import WorkDirectory
from ciserver.model.build import OWN_IMAGES, Job

LAYER = "layer"
_FULL = "No space left"


class RootProvider(Protocol):
    """Gives builds the images that they name, and what else there is to know of these."""

    def enter(self, job: Job, directory: WorkDirectory) -> AbstractContextManager[Sandbox]:
        """The sandbox for this job, whose image stays until the end. Raises SandboxFailed, and
        OSError where the disk is full.
        """

    def names(self) -> tuple[str, ...]:
        """The images that builds can have now."""

    def all_names(self) -> tuple[str, ...]:
        """Those that they cannot have, too."""

    def changes(self) -> tuple[bool, str]:
        """How builds may change their images, for people, and whether it is the best way."""

    def describe(self, name: str) -> str:
        """What an image is made of, for people."""

    def fault(self, name: str) -> str:
        """Why builds cannot run on the image of that name, by trying; empty when they can."""

    def remedy(self, name: str) -> str:
        """What to do about an image with a fault."""

    def sweep(self) -> None:
        """At the start of a server: remove what is left of images."""


class Roots:
    """What a build changes of its image is its own. Where this machine can lay an overlay over the
    image, every build has that; where not, a copy is made for those that install packages.
    """

    def __init__(
        self,
        images: Images,
        sandbox: Bubblewrap,
        *,
        try_overlay: Callable[[], str],
        refuses_unknown: bool,
    ) -> None:
        """`try_overlay` answers why there are no overlays, and nothing where there are. It is asked
        once, when somebody needs to know.
        """
        self.images = images
        self._try_overlay = try_overlay
        self.refuses_unknown = refuses_unknown
        self._sandbox = sandbox

    @cached_property
    def overlay_fault(self) -> str:
        return self._try_overlay()

    @contextmanager
    def enter(self, job: Job, directory: WorkDirectory) -> Iterator[Sandbox]:
        image: Image | None = None
        try:
            with self.images.use(job.image) as image:
                if image is None:
                    yield self._host(job)
                    return
                if fault := self.images.owner_fault(image):
                    raise SandboxFailed(f"the image {image.name} cannot be used: {fault}")
                yield Rooted(self._sandbox, self._layer(job, image, directory.root / LAYER))
        finally:
            if image and self.images.id_of(image.name) != image.facts.id:
                self.images.sweep()  # it was kept for this build alone, perhaps

    def _host(self, job: Job) -> Sandbox:
        if self.refuses_unknown and job.image not in OWN_IMAGES:
            raise SandboxFailed(f"the image {job.image} is no longer here")
        return self._sandbox

    def fault(self, name: str) -> str:
        with self.images.use(name) as image:
            if image is None:
                return "it is not whole"
            if fault := self.images.owner_fault(image):
                return fault
            broken = Rooted(self._sandbox, Layer(image, "none")).diagnose()
            return broken.reason if broken else ""

    def names(self) -> tuple[str, ...]:
        return self.images.names()

    def all_names(self) -> tuple[str, ...]:
        return self.images.all_names()

    def changes(self) -> tuple[bool, str]:
        return not self.overlay_fault, f"builds change their images {_how(self.overlay_fault)}"

    def describe(self, name: str) -> str:
        return describe(self.images.get(name))

    def remedy(self, name: str) -> str:
        return f"make it anew: ciserver image add {name} --replace"

    def sweep(self) -> None:
        self.images.sweep()

    def _layer(self, job: Job, image: Image, place: Path) -> Layer:
        user = self._sandbox.user
        if not self.overlay_fault:
            _make_overlay(image.root, place, user)
            return Layer(image, "overlay", place)
        if job.packages or job.repositories:
            _copy(image.root, place, user)
            return Layer(image, "copy", place)
        return Layer(image, "none")


def overlay_fault(folder: Path, user: BuildUser | None) -> str:
    """Why no overlay can be mounted for what lies in the folder, by trying; empty when it can."""
    with tempfile.TemporaryDirectory(prefix="build-probe-", dir=folder) as made:
        place = Path(made)
        place.chmod(0o711)
        lower = place / "image"
        lower.mkdir()
        (lower / "old").touch()
        _give(lower, user)
        _make_overlay(lower, place / LAYER, user)
        script = "echo new >merged/new && rm merged/old"
        command = [*overlay_words(place / LAYER), "sh", "-ec", script]
        try:
            child, output = spawn(command, user=user, cwd=None, environment={"PATH": PATH})
        except SandboxFailed as error:
            return str(error)
        os.set_blocking(output, True)
        with os.fdopen(output, "rb") as said:
            told = said.read().decode(errors="replace").strip().splitlines()
        failed = child.wait() != 0
    return (told[-1] if told else "it failed without a word") if failed else ""


def _how(fault: str) -> str:
    if not fault:
        return "in an overlay"
    return f"in a copy, made for builds that install packages, as there is no overlay: {fault}"


def _make_overlay(lower: Path, place: Path, user: BuildUser | None) -> None:
    place.mkdir(mode=0o700)
    (place / "lower").symlink_to(lower)
    for name in ("upper", "work", "merged"):
        (place / name).mkdir(mode=0o755)
        _give(place / name, user)
    _give(place, user)


def _copy(root: Path, place: Path, user: BuildUser | None) -> None:
    place.mkdir(mode=0o700)
    _give(place, user)
    command = ["cp", "-a", "--reflink=auto", "--", str(root), str(place / "root")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        if _FULL in done.stderr:
            raise OSError(errno.ENOSPC, "the image could not be copied")
        raise SandboxFailed(f"the image could not be copied: {done.stderr.strip()[-500:]}")


def _give(path: Path, user: BuildUser | None) -> None:
    if user:
        os.chown(path, user.uid, user.gid)
