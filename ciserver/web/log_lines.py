"""Stretches of a log as a page shows them: its end, and what follows while it grows."""

from dataclasses import asdict
from typing import Any

from markupsafe import Markup

from ciserver.model.frozen import frozen
from ciserver.model.view import LogChunk
from ciserver.web.ansi import START, AnsiState, render_log

PAGE_LINES = 50_000  # more than this at once would only stall the browser


@frozen
class LogLines:
    """A stretch of a step's log, ready for a page.

    `offset`, `line` and `state` are what the next request must ask with; `unfinished` shows the
    bytes after `offset`, a line that has not ended. `skipped` bytes before the first line shown
    were left out. `complete` says that nothing will follow.
    """

    html: Markup
    unfinished: Markup
    offset: int
    line: int
    state: str
    complete: bool
    size: int
    skipped: int = 0

    def to_json(self) -> dict[str, Any]:
        """The answer that static/log.js understands."""
        return {**asdict(self), "html": str(self.html), "unfinished": str(self.unfinished)}


def tail_lines(chunk: LogChunk, line: int = 1) -> LogLines:
    """The end of a log, for a page. `line` is the number of the line that holds the chunk's first
    byte (one more than the line feeds before it).

    When the chunk starts within the log its first, broken line is left out; so is what stands
    before the last PAGE_LINES lines.
    """
    content = chunk.content
    if chunk.offset and b"\n" in content:
        content = content.split(b"\n", 1)[1]
    surplus = content.count(b"\n") - PAGE_LINES
    if surplus > 0:
        content = content.split(b"\n", surplus)[-1]
    left_out = len(chunk.content) - len(content)
    line += chunk.content.count(b"\n", 0, left_out)
    shown = LogChunk(chunk.offset + left_out, content, chunk.size, chunk.complete)
    return _log_lines(shown, START, line, skipped=shown.offset)


def more_lines(chunk: LogChunk, line: int, state: str) -> LogLines:
    """What follows `chunk.offset`, for a page that has shown everything before it. `line` and
    `state` are what the answer before said. At most PAGE_LINES lines: the rest is for the next
    request.
    """
    content, complete = chunk.content, chunk.complete
    if content.count(b"\n") > PAGE_LINES:
        rest = content.split(b"\n", PAGE_LINES)[-1]
        content, complete = content[: len(content) - len(rest)], False
    shown = LogChunk(chunk.offset, content, chunk.size, complete)
    return _log_lines(shown, AnsiState.from_text(state), line, skipped=0)


def _log_lines(chunk: LogChunk, state: AnsiState, line: int, *, skipped: int) -> LogLines:
    log = render_log(chunk.content, state, line, complete=chunk.complete)
    waiting = render_log(b"", log.state, log.next_line, complete=True)
    return LogLines(
        html=log.html,
        unfinished=waiting.html,
        offset=chunk.offset + len(chunk.content) - len(log.state.pending),
        line=log.next_line,
        state=log.state.to_text(),
        complete=chunk.complete,
        size=chunk.size,
        skipped=skipped,
    )
