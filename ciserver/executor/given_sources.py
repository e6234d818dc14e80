"""The sources of builds on another machine than the server: everything comes through its door."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ciserver import wire
from ciserver.executor.door import Door
from ciserver.git.given import GivenCheckouts
from ciserver.model.build import Source, Work
from ciserver.model.errors import RemoteFailure

_FETCH_SECONDS = 1800.0  # the server may have to fetch it first


class GivenSources:
    """Implements executor.sources.SourceProvider."""

    def __init__(self, door: Door, checkouts: GivenCheckouts) -> None:
        self._door = door
        self._checkouts = checkouts

    def put(
        self, work: Work, source: Source, into: Path, objects_at: Callable[[Path], str]
    ) -> tuple[Path, ...]:
        number = work.job.sources.index(source)
        mirror = work.mirrors[number] if number < len(work.mirrors) else ""
        path = f"sources/{number}"

        def ask(mirror: str, have: tuple[str, ...]) -> IO[bytes]:
            return self._file(work, "POST", f"{path}/pack", wire.AskPack(mirror, have))

        found = mirror and self._checkouts.again(source, mirror, into, ask, objects_at)
        if found:
            return found
        answer = self._door.ask(
            wire.SourceAnswer, "GET", path, lease=work.lease, read_seconds=_FETCH_SECONDS
        )
        listing = answer.listing if answer else None
        if answer is None or listing is None:
            said = answer.refused if answer else "the server says nothing of it"
            hint, may_pass = (answer.hint, answer.temporary) if answer else ("", True)
            raise RemoteFailure(said, temporary=may_pass, hint=hint or None)
        if listing.upload:
            with self._file(work, "GET", f"{path}/content", None) as content:
                into.mkdir()
                with (into / Path(listing.upload).name).open("xb") as file:
                    shutil.copyfileobj(content, file)
            return ()
        return self._checkouts.make(source, listing.checkouts, into, ask, objects_at)

    def _file(self, work: Work, method: str, path: str, message: object) -> IO[bytes]:
        file = self._door.ask_file(
            method, path, lease=work.lease, message=message, read_seconds=_FETCH_SECONDS
        )
        if file is None:
            raise RemoteFailure("the server sent nothing", temporary=True)
        return file
