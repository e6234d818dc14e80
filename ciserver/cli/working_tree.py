"""A working tree on this machine, in the place of the revision that a server would read."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from ciserver.recipe.sources import repository_name


class WorkingTree:
    """The files as they are, committed or not, without what git ignores."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def address(self) -> str:
        """Where it was cloned from, so that its directory has the name it has on the server."""
        return (git(self.root, "remote", "get-url", "origin") or "").strip() or str(self.root)

    def find(self, globs: Sequence[str]) -> tuple[str, ...]:
        """Names of the files that match, as a server finds them in a revision: glob by glob, each
        sorted, each once. A star does not match a slash; links are not followed.
        """
        found: dict[str, None] = {}
        for glob in globs:
            found.update(dict.fromkeys(sorted(_matching(self.root, glob.split("/"), ""))))
        return tuple(found)

    def copy(self, into: Path) -> None:
        """Write all of it into a directory, with its modes and links."""
        for name in self._names():
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.root / name, target, follow_symlinks=False)

    @contextmanager
    def lend(self) -> Iterator[Callable[[], Path]]:
        """A function that makes, when it is first called, a copy under the name that the repository
        has in the home of a build, and answers its directory: whoever evaluates may read it, where
        the tree itself may be its owner's alone.
        """
        with ExitStack() as stack:

            @cache
            def copied() -> Path:
                place = Path(stack.enter_context(TemporaryDirectory(prefix="ciserver-evaluate-")))
                place.chmod(0o711)
                into = place / repository_name(self.address())
                into.mkdir()
                self.copy(into)
                _open_to_readers(into)
                return into

            yield copied

    def _names(self) -> list[str]:
        """Files that git would commit; every file where there is no repository."""
        listed = subprocess.run(
            ["git", "-C", str(self.root), "ls-files", "-z", "-co", "--exclude-standard"],
            capture_output=True,
            check=False,
        )
        if listed.returncode == 0:
            names = [name.decode("utf-8", "surrogateescape") for name in listed.stdout.split(b"\0")]
            return [name for name in names if name and _is_file(self.root / name)]
        every = (one for one in self.root.rglob("*") if _is_file(one))
        return [str(one.relative_to(self.root)) for one in every]


def git(tree: Path, *arguments: str) -> str | None:
    """What git says of the tree; None where it cannot say."""
    said = subprocess.run(
        ["git", "-C", str(tree), *arguments],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )
    return said.stdout if said.returncode == 0 else None


def _is_file(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def _matching(folder: Path, parts: Sequence[str], above: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name == ".git" or not fnmatchcase(entry.name, parts[0]):
                continue
            if len(parts) == 1 and entry.is_file(follow_symlinks=False):
                yield above + entry.name
            elif len(parts) > 1 and entry.is_dir(follow_symlinks=False):
                yield from _matching(folder / entry.name, parts[1:], f"{above}{entry.name}/")


def _open_to_readers(folder: Path) -> None:
    for place, _, files in os.walk(folder):
        Path(place).chmod(0o755)
        for file in (Path(place, name) for name in files):
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
