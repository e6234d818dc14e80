"""The logs of a build's steps, one behind the other: one log, which only grows."""

import io
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import accumulate
from typing import IO, Any

from ciserver.model.account import Actor
from ciserver.model.build import Build, Step
from ciserver.model.errors import NotFound
from ciserver.model.frozen import frozen
from ciserver.model.view import LogChunk
from ciserver.service.logs import Logs, removed
from ciserver.service.rights import Rights
from ciserver.store.store import Store

_BLOCK = 64 * 1024
_DERIVATION = ".drv"
_LIKE_IT = 20  # builds of derivations whose names begin alike
_OF_BUILD = re.compile(r"build-([0-9]{1,18})")


@frozen
class WholeLog:
    """The steps that began, and how long the log of each is now. `complete` when nothing will
    follow.
    """

    build: Build
    steps: tuple[Step, ...]
    sizes: tuple[int, ...]
    complete: bool
    removed_at: datetime | None = None

    @property
    def size(self) -> int:
        return sum(self.sizes)


@frozen
class LogEnd:
    """The last part of a log, and the number of the line that it begins in."""

    chunk: LogChunk
    line: int


class BuildLogs:
    """All raise NotFound for what is not there, or not there for the actor."""

    def __init__(self, store: Store, rights: Rights, logs: Logs) -> None:
        self._store = store
        self._rights = rights
        self._logs = logs

    @staticmethod
    def name_of(build_id: int) -> str:
        """What `find` knows the log of a build by."""
        return f"build-{build_id}"

    def find(self, actor: Actor, name: str) -> WholeLog:
        """The log of `build-NUMBER`, or of the newest build of a derivation: the last part of its
        path.
        """
        if of_build := _OF_BUILD.fullmatch(name):
            return self.of_build(actor, int(of_build[1]))
        if name.endswith(_DERIVATION) and "/" not in name:
            sight = self._rights.sight(actor)
            builds = self._store.search.of_derivation(sight, name, limit=_LIKE_IT)
            outputs = self._store.products.outputs_of(builds)
            for one in builds:
                if outputs[one.id].drv_path.endswith(f"/{name}"):
                    return self.of_build(actor, one.id)
        raise NotFound(f"there is no log {name}")

    def of_build(self, actor: Actor, build_id: int) -> WholeLog:
        """That of the newest attempt."""
        build = self._rights.build(actor, build_id)
        steps = self._store.builds.steps_of([build])[build_id]
        return self._whole(build, steps, complete=build.status.is_final)

    def of_step(self, actor: Actor, step: Step) -> WholeLog:
        build = self._rights.build(actor, step.build_id)
        return self._whole(build, [step], complete=step.has_ended)

    def _whole(self, build: Build, steps: Iterable[Step], *, complete: bool) -> WholeLog:
        began = tuple(one for one in steps if one.started_at)
        sizes = tuple(self._logs.size(build.id, one) for one in began)
        removed_at = None
        if began and not any(sizes):
            removed_at = self._logs.removed_at(build.id, began[0].attempt)
        return WholeLog(build, began, sizes, complete, removed_at)

    def open(self, log: WholeLog) -> IO[bytes]:
        """The log as it was when it was looked up, as a file. Raises Gone."""
        if log.removed_at:
            raise removed(log.build.id, log.removed_at)
        return io.BufferedReader(_Joined(log, self._logs))

    def last_lines(self, log: WholeLog, count: int) -> int:
        """Where the last lines begin."""
        if not count:
            return log.size
        with self.open(log) as file:
            at = log.size - 1  # a line feed at the very end begins no line
            while at > 0:
                start = max(0, at - _BLOCK)
                file.seek(start)
                block = file.read(at - start)
                end = len(block)
                while (end := block.rfind(b"\n", 0, end)) >= 0:
                    count -= 1
                    if not count:
                        return start + end + 1
                at = start
        return 0

    def end(self, log: WholeLog, start: int) -> LogEnd:
        """What stands from `start` on."""
        line, left = 1, start
        for step, size in zip(log.steps, log.sizes, strict=True):
            line += self._logs.count_lines(log.build.id, step, min(left, size)) if left > 0 else 0
            left -= size
        with self.open(log) as file:
            file.seek(start)
            content = file.read(log.size - start)
        return LogEnd(LogChunk(start, content, log.size, log.complete), line)

    def wait(
        self, log: WholeLog, offset: int, seconds: float, has_left: Callable[[], bool]
    ) -> None:
        """Return when there may be something at `offset`, or after so long; where the log cannot
        grow, or that is not its end, at once. Raises Busy when too many readers wait already.
        """
        if log.complete or offset != log.size or not log.steps:
            return
        last = log.steps[-1]
        self._logs.read(
            last.build_id,
            last.attempt,
            last.number,
            offset=log.sizes[-1],
            wait_seconds=seconds,
            has_left=has_left,
        )


class _Joined(io.RawIOBase):
    """The logs of several steps as one file; each is opened when it is read from."""

    def __init__(self, log: WholeLog, logs: Logs) -> None:
        self._log = log
        self._logs = logs
        self._starts = [0, *accumulate(log.sizes)]
        self._at = 0
        self._open: tuple[int, IO[bytes]] | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._starts[-1])[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        if not 0 <= self._at < self._starts[-1]:
            return 0
        part = bisect_right(self._starts, self._at) - 1
        view = memoryview(buffer).cast("B")
        file = self._part(part)
        file.seek(self._at - self._starts[part])
        content = file.read(min(len(view), self._starts[part + 1] - self._at))
        view[: len(content)] = content
        self._at += len(content)
        return len(content)

    def _part(self, part: int) -> IO[bytes]:
        if self._open is None or self._open[0] != part:
            self._close()
            file = self._logs.open(self._log.build.id, self._log.steps[part])
            self._open = (part, file or io.BytesIO())
        return self._open[1]

    def _close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def close(self) -> None:
        self._close()
        super().close()
