"""Watching one task: output goes to the log at once, limits hold, the end is noticed."""

import fcntl
import math
import os
import select
import time
from contextlib import suppress

from ciserver.executor.lease import Stop
from ciserver.executor.limits import Limits
from ciserver.executor.meter import Meter
from ciserver.executor.sandbox import Process, Sandbox
from ciserver.executor.steplog import StepLog
from ciserver.model.status import Reason

_SMALL, _LARGE = 1 << 16, 1 << 20
_READS = 16
_FLOOD = 4096  # a piece of this size, with the next one close behind
_BREATH_MS = 2
_DRAIN_SECONDS = 1.0
_LOOK_SECONDS = 0.25
# There is no time for a grace: a second later the machine may be full.
_AT_ONCE = frozenset({Reason.MEMORY_LIMIT, Reason.PIDS_LIMIT, Reason.DISK_LIMIT})


class Watch:
    """Runs in one thread on one poll: output, the end of the first process, a stop from outside,
    and the next limit.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        process: Process,
        log: StepLog,
        stop: Stop,
        *,
        limits: Limits,
        meter: Meter,
        deadline: float,
    ) -> None:
        self._sandbox = sandbox
        self._process = process
        self._log = log
        self._stop = stop
        self._limits = limits
        self._meter = meter
        self._deadline = deadline
        self._look_at = time.monotonic() if meter.is_needed else math.inf
        self._last_output = time.monotonic()
        self._kill_at = math.inf
        self._reason = Reason.NONE
        self._flooded = False
        self._buffer = memoryview(bytearray(_SMALL))

    def run(self) -> Reason:
        """Watch until nothing of the task is left. The reason tells which limit ended it, or
        CANCELED_BY for any stop; NONE when it ended by itself.
        """
        try:
            self._watch()
            self._sandbox.kill(self._process)
            self._drain()
            if self._reason is Reason.NONE:
                self._reason = self._meter.last()
        finally:
            self._sandbox.kill(self._process)
            self._meter.close()
        return self._reason

    def _watch(self) -> None:
        first_process = os.pidfd_open(self._process.child.pid)
        try:
            events = select.poll()
            events.register(first_process, select.POLLIN)
            events.register(self._stop.fileno(), select.POLLIN)
            everything = select.poll()
            for file in (self._process.output, first_process, self._stop.fileno()):
                everything.register(file, select.POLLIN)
            while not self._is_over(everything, first_process):
                if self._flooded:
                    events.poll(_BREATH_MS)
        finally:
            os.close(first_process)

    def _is_over(self, poll: select.poll, first_process: int) -> bool:
        ready = {file for file, _ in poll.poll(self._patience())}
        if self._process.output in ready and not self._take():
            poll.unregister(self._process.output)
        if self._stop.fileno() in ready:
            poll.unregister(self._stop.fileno())
            self._end(Reason.CANCELED_BY)
        self._check_limits()
        return first_process in ready or time.monotonic() >= self._kill_at

    def _take(self) -> bool:
        """Move what is there to the log in one piece; False at the end of the output."""
        size, is_open = 0, True
        for _ in range(_READS):
            try:
                count = os.readv(self._process.output, [self._buffer[size:]])
            except BlockingIOError:
                break
            size += count
            is_open = count > 0
            if not is_open or size == len(self._buffer):
                break
        if size:
            output = bytes(self._buffer[:size])
            self._note_pace(size)
            self._log.write(output)
        return is_open

    def _note_pace(self, size: int) -> None:
        """A program that writes faster than we read is let to fill a large pipe first: fewer and
        larger pieces cost less. Whoever writes a line now and then is never kept waiting.
        """
        before, self._last_output = self._last_output, time.monotonic()
        is_close = (self._last_output - before) * 1000 <= _BREATH_MS * 2
        self._flooded = size >= _FLOOD and is_close
        if self._flooded:
            self._widen()

    def _widen(self) -> None:
        if len(self._buffer) == _LARGE:
            return
        self._buffer = memoryview(bytearray(_LARGE))
        with suppress(OSError):  # the user may have too many large pipes already
            fcntl.fcntl(self._process.output, fcntl.F_SETPIPE_SZ, _LARGE)

    def _check_limits(self) -> None:
        now = time.monotonic()
        if self._log.is_full:
            self._end(Reason.LOG_LIMIT)
        if now >= self._deadline:
            self._end(Reason.TIME_LIMIT)
        if now >= self._silent_until():
            self._end(Reason.SILENCE_LIMIT)
        if now >= self._look_at and self._reason is Reason.NONE:
            self._look_at = now + _LOOK_SECONDS
            if reason := self._meter.look():
                self._end(reason)

    def _end(self, reason: Reason) -> None:
        if self._reason is Reason.NONE:
            self._reason = reason
            grace = 0 if reason in _AT_ONCE else self._limits.grace_seconds
            self._kill_at = time.monotonic() + grace
            self._sandbox.terminate(self._process)

    def _patience(self) -> int | None:
        """Milliseconds until the next limit; None for no limit."""
        if self._reason is Reason.NONE:
            until = min(self._deadline, self._silent_until(), self._look_at)
        else:
            until = self._kill_at
        if math.isinf(until):
            return None
        return max(0, math.ceil((until - time.monotonic()) * 1000))

    def _silent_until(self) -> float:
        return self._last_output + (self._limits.silence_seconds or math.inf)

    def _drain(self) -> None:
        """The rest of the output. What escaped from the sandbox may hold the pipe open for ever,
        so this has its own limit.
        """
        until = time.monotonic() + _DRAIN_SECONDS
        poll = select.poll()
        poll.register(self._process.output, select.POLLIN)
        while (left := until - time.monotonic()) > 0 and poll.poll(left * 1000):
            if not self._take():
                return
