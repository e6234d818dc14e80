"""The log of one step on its way to the server."""

from ciserver.executor.mask import Mask
from ciserver.model.build import Lease
from ciserver.model.ports import Reporter


class StepLog:
    """Masked bytes, appended at growing offsets. Past `limit` nothing of the task is kept; our own
    words always are. The mask is used up to `close` and may then serve the next log.
    """

    def __init__(
        self, reporter: Reporter, lease: Lease, step: int, *, mask: Mask, limit: int
    ) -> None:
        self._reporter = reporter
        self._lease = lease
        self._step = step
        self._mask = mask
        self._limit = limit
        self._in_line = False
        self._noted = b""
        self.size = 0
        self.is_full = False

    def write(self, chunk: bytes) -> None:
        """Add what a task wrote. Raises LeaseLost and what the reporter raises."""
        self._add(self._mask.feed(chunk))

    def say(self, *lines: str) -> None:
        """Add lines of our own, masked."""
        self.note(*lines)
        self.flush()

    def note(self, *lines: str) -> None:
        """As `say`, for lines that nobody waits for: they leave with what comes next."""
        text = self._mask.text("".join(f"{line}\n" for line in lines)).encode(errors="replace")
        self._noted += b"\n" + text if self._in_line else text
        self._in_line = False

    def flush(self) -> None:
        """Let what was noted leave."""
        self._append(b"")

    def close(self) -> None:
        """Add what the mask held back."""
        self._add(self._mask.close())

    def _add(self, chunk: bytes) -> None:
        room = self._limit - self.size
        if len(chunk) > room:
            self.is_full = True
            chunk = chunk[: max(room, 0)]
        self._append(chunk)

    def _append(self, chunk: bytes) -> None:
        chunk, self._noted = self._noted + chunk, b""
        if chunk:
            self._reporter.append_log(self._lease, self._step, self.size, chunk)
            self.size += len(chunk)
            self._in_line = not chunk.endswith(b"\n")
