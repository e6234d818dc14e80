"""Putting the sources of a job into its home."""

import os
import stat
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Protocol

from ciserver.executor.sandbox import Bind, Sandbox
from ciserver.executor.workdir import hand_over
from ciserver.model.build import Source, Work
from ciserver.model.errors import Invalid


class SourceProvider(Protocol):
    """Where work trees come from."""

    def put(
        self, work: Work, source: Source, into: Path, objects_at: Callable[[Path], str]
    ) -> tuple[Path, ...]:
        """Write the work tree of a source at its revision into a new directory.

        Gives the directories outside of it that it borrows objects from; `objects_at` tells where
        a task will see them. Raises RemoteFailure, which says whether another try may help, and
        other CiErrors for what no try will change.
        """


def put_source(
    provider: SourceProvider, sandbox: Sandbox, work: Work, source: Source, home: Path
) -> tuple[Bind, ...]:
    """Put one source into the home; gives what its tasks need to read beside it.
    Raises Invalid for a directory that is not a new one of the home, and what the provider raises.
    """
    top, into = _prepare(home, source.directory)
    borrowed = provider.put(work, source, into, sandbox.objects_at)
    hand_over(top, sandbox.user)
    return tuple(Bind(path, sandbox.objects_at(path)) for path in borrowed)


def _prepare(home: Path, directory: str) -> tuple[Path, Path]:
    """What of the home a source goes into, and its place there, with the directories above it made.
    An earlier source may hold links that lead out of the home: they are not walked.
    """
    pure = PurePosixPath(directory)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise _refusal(directory, "it is not inside the home")
    folder = home
    for part in pure.parts[:-1]:
        folder /= part
        folder.mkdir(exist_ok=True)
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise _refusal(directory, f"{part} is a link")
    into = folder / pure.parts[-1]
    if os.path.lexists(into):
        raise _refusal(directory, "something is already there")
    return home / pure.parts[0], into


def _refusal(directory: str, why: str) -> Invalid:
    return Invalid(
        f"a source cannot be put into {directory!r}: {why}",
        hint="give each source a directory of its own in the recipe",
    )
