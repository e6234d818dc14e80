"""The program's own log: lines for people or JSON, always on standard error."""

import logging
import sys
from typing import Any

import structlog


def start_logging(level: str, *, as_json: bool = False) -> None:
    threshold = getattr(logging, level.upper())
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            repr_native_str=True,  # a stranger's line feed must not begin a line of ours
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries speak through the standard module; their chatter below a warning helps nobody.
    logging.basicConfig(level=max(threshold, logging.WARNING), stream=sys.stderr)
    # A round that waits for another, or is still at work when it is due again, is nobody's concern.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
