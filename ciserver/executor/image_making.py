"""Making an image: everything runs in a sandbox as the user of builds, and needs no rights."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import IO

from ciserver.executor.bubblewrap import RESOLVER, Bubblewrap
from ciserver.executor.image_archive import examine
from ciserver.executor.image_scripts import FIND_OUT, FRESHEN, SUDO, TIDY
from ciserver.executor.images import HOOK, ROOT, Image, ImageFacts, Images
from ciserver.executor.network import HOST
from ciserver.executor.rooted import Workshop
from ciserver.executor.sandbox import PATH, Bind, BuildUser, Process, SandboxFailed
from ciserver.model.errors import BadConfiguration, Invalid
from ciserver.model.frozen import frozen

_INSIDE = "/image"
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_FROM_TAR = "/run/ciserver/image.tar"
_LEFT_OUT = "/run/ciserver/left-out"
_TAIL = 20
DEBOOTSTRAP = "debootstrap"


@frozen
class Debootstrap:
    """What debootstrap is asked for; without a mirror Debian's own, with its security updates."""

    suite: str
    mirror: str = ""
    include: tuple[str, ...] = ()

    @property
    def updated(self) -> str:
        """The release whose updates apt is told of, as debootstrap does not; empty for none."""
        is_release = self.suite not in {"sid", "unstable", "experimental"}
        return self.suite if is_release and not self.mirror else ""


class ImageMaker:
    def __init__(self, images: Images, host: Bubblewrap, say: Callable[[str], None]) -> None:
        self._images = images
        self._host = host
        self._say = say

    def make(
        self,
        name: str,
        source: Debootstrap | Path | IO[bytes],
        *,
        hook: Path | None = None,
        replace: bool = False,
    ) -> Image:
        """Make an image by debootstrap, or of a directory or a tar file. Until it is whole there is
        no image of the name, or still the earlier one. Raises Invalid, Conflict, BadConfiguration,
        SandboxFailed and OSError.
        """
        updated = ""
        with self._images.make(name, replace=replace) as place:
            match source:
                case Debootstrap():
                    origin = self._debootstrap(place, source)
                    updated = source.updated
                case Path() if source.is_dir():
                    origin = self._copy(place, source)
                case Path():
                    with source.open("rb") as content:
                        origin = self._unpack(place, content, source.name)
                case _:
                    origin = self._unpack(place, source, "standard input")
            settle(place / ROOT, self._host.user)
            if hook:
                self._put_hook(place, hook)
            facts = self._tidy(place, origin, updated)
            if isinstance(source, Debootstrap):
                self._freshen(place)
            for leftover in ("home", "tmp"):
                shutil.rmtree(place / leftover)
            self._images.note(place, facts)
        found = self._images.get(name)
        if found is None:
            raise SandboxFailed(f"the image {name} was removed while it was made")
        return found

    def _debootstrap(self, place: Path, wanted: Debootstrap) -> str:
        if shutil.which(DEBOOTSTRAP, path=PATH) is None:
            raise BadConfiguration(
                "debootstrap is not installed",
                hint="install the package debootstrap, or give a root file system with --from",
            )
        words = [DEBOOTSTRAP, "--variant=minbase"]
        if wanted.include:
            words.append(f"--include={','.join(wanted.include)}")
        words += [wanted.suite, _INSIDE, *filter(None, (wanted.mirror,))]
        (place / ROOT / "dev").mkdir()
        self._give(place / ROOT / "dev")
        # It makes device files where there are none, which nobody without rights can.
        devices = [(f"/dev/{one}", f"{_INSIDE}/dev/{one}") for one in _DEVICES]
        devices += [("/dev/null", f"{_INSIDE}/dev/{one}") for one in ("console", "ptmx")]
        mounts = ["--bind", str(place / ROOT), _INSIDE, "--tmpfs", f"{_INSIDE}/dev"]
        for source, target in devices:
            mounts += ["--dev-bind", source, target]
        self._run(place, tuple(words), Workshop(self._host, mounts=tuple(mounts)), "debootstrap")
        return f"debootstrap {wanted.suite}{f' {wanted.mirror}' if wanted.mirror else ''}"

    def _copy(self, place: Path, source: Path) -> str:
        self._say(f"copying {source}")
        command = ["cp", "-a", "--one-file-system", "--reflink=auto", "--", f"{source}/."]
        done = subprocess.run(
            [*command, str(place / ROOT)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()[-_TAIL:]
            raise Invalid(f"{source} could not be copied: {'; '.join(said)}")
        return f"the directory {source}"

    def _unpack(self, place: Path, content: IO[bytes], name: str) -> str:
        """A copy is looked at and unpacked, which nobody else changes in between."""
        self._say(f"reading {name}")
        archive, listed = place / "archive", place / "left-out"
        with archive.open("wb") as copy:
            shutil.copyfileobj(content, copy, 1 << 20)
        left_out = examine(archive)
        listed.write_text("".join(f"{one}\n" for one in left_out))
        if left_out:
            self._say(f"leaving out {len(left_out)} devices and pipes")
        self._say("unpacking")
        for path in (archive, listed):
            self._give(path)
        words = (
            *("tar", "-x", "-f", _FROM_TAR, "-C", _INSIDE, "--no-same-owner", "-p"),
            *("--anchored", "--no-wildcards", "-X", _LEFT_OUT),
        )
        mounts = ("--bind", str(place / ROOT), _INSIDE)
        readable = (Bind(archive, _FROM_TAR), Bind(listed, _LEFT_OUT))
        self._run(place, words, Workshop(self._host, mounts=mounts), "tar", readable)
        archive.unlink()
        listed.unlink()
        return f"the archive {name}"

    def _put_hook(self, place: Path, hook: Path) -> None:
        shutil.copyfile(hook, place / HOOK)
        (place / HOOK).chmod(0o755)
        self._give(place / HOOK)

    def _tidy(self, place: Path, origin: str, updated: str) -> ImageFacts:
        """Make in it what builds need, and find out what it has. Only programs of the image touch
        its files, inside: a link in it may lead anywhere.
        """
        inside = Workshop(self._host, root=("--bind", str(place / ROOT), "/"))
        what = "the image's own /bin/sh"
        self._run(place, ("/bin/sh", "-c", TIDY, "sh", SUDO, updated), inside, what)
        said = self._run(place, ("/bin/sh", "-c", FIND_OUT), inside, what, is_shown=False)
        found = dict(line.partition("=")[::2] for line in said)
        return ImageFacts(
            id=token_hex(8),
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            origin=origin,
            shell=found.get("bash", "/bin/sh"),
            packages="hook" if (place / HOOK).exists() else "apt" if "apt" in found else "",
        )

    def _freshen(self, place: Path) -> None:
        names = ("--ro-bind-try", str(RESOLVER.resolve()), str(RESOLVER))
        inside = Workshop(self._host, root=("--bind", str(place / ROOT), "/"), mounts=names)
        self._run(place, ("/bin/sh", "-c", FRESHEN), inside, "apt-get")

    def _give(self, path: Path) -> None:
        if self._host.user:
            os.chown(path, self._host.user.uid, self._host.user.gid)

    def _run(
        self,
        place: Path,
        command: tuple[str, ...],
        inside: Workshop,
        what: str,
        readable: tuple[Bind, ...] = (),
        *,
        is_shown: bool = True,
    ) -> list[str]:
        """Run it to its end and show its output; gives the last lines. Raises SandboxFailed."""
        for name in ("home", "tmp"):
            if not (place / name).exists():
                (place / name).mkdir(mode=0o700)
                self._give(place / name)
        process = inside.start(
            command,
            home=place / "home",
            tmp=place / "tmp",
            environment={"PATH": PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", "TERM": "dumb"},
            network=HOST,
            readable=readable,
        )
        try:
            lines = self._follow(process, is_shown=is_shown)
        finally:
            inside.kill(process)
            process.close()
        if process.child.returncode:
            tail = "\n".join(lines[-_TAIL:])
            raise SandboxFailed(
                f"{what} ended with status {process.child.returncode}" + (f":\n{tail}" * bool(tail))
            )
        return lines

    def _follow(self, process: Process, *, is_shown: bool) -> list[str]:
        os.set_blocking(process.output, True)
        lines: list[str] = []
        with os.fdopen(os.dup(process.output), "rb") as output:
            for raw in output:
                line = raw.decode(errors="replace").rstrip()
                if is_shown:
                    self._say(line)
                lines = [*lines[-_TAIL:], line]
        process.child.wait()
        return lines


def settle(root: Path, user: BuildUser | None) -> None:
    """Make the files builds': owned by their user, who may read them and change directories. No
    file gives rights any more, and devices, pipes and sockets go.
    """
    _settle_one(str(root), None, user)
    for _, folders, files, folder in os.fwalk(root, follow_symlinks=False):
        for name in (*folders, *files):
            _settle_one(name, folder, user)


def _settle_one(name: str, folder: int | None, user: BuildUser | None) -> None:
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_IFMT(found.st_mode) not in {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}:
        os.unlink(name, dir_fd=folder)
        return
    if user:
        os.chown(name, user.uid, user.gid, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        rights = stat.S_IRWXU if stat.S_ISDIR(found.st_mode) else stat.S_IRUSR
        mode = stat.S_IMODE(found.st_mode) & ~(stat.S_ISUID | stat.S_ISGID) | rights
        os.chmod(name, mode, dir_fd=folder)
