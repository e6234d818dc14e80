"""What containers have as their root file system, and the small files that are put into it."""

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from ciserver.executor.bubblewrap import HOME, SYSTEM, is_seen
from ciserver.executor.sandbox import find_shell
from ciserver.model.frozen import frozen

_MADE = ("", "home", "home/build", "tmp", "var", "var/tmp", "run", "proc", "dev", "sys", "root")


@frozen
class Users:
    """The users and groups that a root file system knows, as the text of its two files."""

    passwd: str
    group: str

    def with_build(self, uid: int, gid: int, shell: str) -> tuple[str, str]:
        """The same, and that the user of builds has these numbers and the name `build`."""
        users = [one for one in self.passwd.splitlines() if not _is_of("build", uid, one)]
        groups = [one for one in self.group.splitlines() if not _is_of("build", gid, one)]
        users.append(f"build:x:{uid}:{gid}:build:{HOME}:{shell}\n")
        groups.append(f"build:x:{gid}:\n")
        return "\n".join(users), "\n".join(groups)


_USUAL = Users(
    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "root:x:0:\nnogroup:x:65534:\n",
)


@frozen
class Root:
    """`words` name it to podman, `mounts` come over it. Without users its own files say who there
    is, and the user of builds has no name.
    """

    words: tuple[str, ...]
    shell: str
    about: str
    image: str = ""
    mounts: tuple[str, ...] = ()
    users: Users | None = None


def host_root(place: Path, readable: tuple[Path, ...], hidden: tuple[Path, ...]) -> Root:
    """The system directories of this machine, in a directory that has nothing else, which is made
    there. `readable` is shown beside them, `hidden` is covered where it would be seen.
    """
    visible = (*map(Path, SYSTEM), *readable)
    for name in _MADE:
        (place / name).mkdir(parents=True, exist_ok=True)
        (place / name).chmod(0o1777 if name == "run" else 0o755)
    mounts = []
    for path in visible:
        if path.is_symlink() and is_seen(path.resolve(), (Path("/usr"),)):
            with suppress(FileExistsError):
                (place / path.relative_to("/")).symlink_to(path.readlink())
        elif path.exists():
            mounts.append(bind(path, str(path)))
    return Root(
        words=("--rootfs", str(place)),
        shell=find_shell(),
        about="(own files and processes, fewer system calls; the system is read-only)",
        mounts=(*mounts, *_covers(visible, hidden), "--no-hosts"),
        users=_USUAL,
    )


class SmallFiles:
    """Files beneath a directory by what they hold, one for all who ask for the same."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def holding(self, text: str) -> Path:
        path = self._place / hashlib.sha256(text.encode()).hexdigest()[:32]
        if not path.exists():
            fresh = path.with_suffix(f".{token_hex(8)}")
            fresh.write_text(text)
            fresh.chmod(0o644)
            fresh.rename(path)
        return path


def bind(source: Path, target: str, *, writable: bool = False) -> str:
    """As podman reads it: words of CSV, so that a path may hold a comma or a colon."""
    words = ("type=bind", f"source={source}", f"destination={target}")
    return _mount(*words, *(() if writable else ("ro=true",)))


def _mount(*words: str) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(words)
    return f"--mount={line.getvalue()}"


def _covers(visible: tuple[Path, ...], hidden: tuple[Path, ...]) -> Iterator[str]:
    for path in map(Path.resolve, hidden):
        if path.exists() and is_seen(path, visible):
            # As podman has it, it would begin with a copy of what it covers.
            bare = ("type=tmpfs", "notmpcopyup", "tmpfs-size=4096", "ro=true")
            empty = _mount(*bare, f"destination={path}")
            yield empty if path.is_dir() else bind(Path("/dev/null"), str(path))


def _is_of(name: str, number: int, line: str) -> bool:
    """Whether a line of users or groups is about one of that name or that number."""
    return re.match(rf"{name}:|[^:]*:[^:]*:{number}:", line) is not None
