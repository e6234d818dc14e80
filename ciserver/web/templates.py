"""The templates of pages, and how moments, spans and sizes look in them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from ciserver.edge.notes import note_html
from ciserver.web.product_words import product_label
from ciserver.web.words import WORDS


def environment(templates: Path) -> Environment:
    made = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(_FILTERS)
    return made


def _time_tag(moment: datetime, text: str) -> Markup:
    """`text` is of our own words, so nothing is escaped: a page has hundreds of these."""
    whole = moment.isoformat(timespec="seconds")
    exact = f"{whole[:10]} {whole[11:19]} UTC"
    return Markup(f'<time datetime="{whole}" title="{exact}">{text}</time>')  # noqa: S704  see above


@pass_context
def _ago(context: Context, moment: datetime) -> Markup:
    """How far a moment is from now, with the exact time as its title."""
    seconds = (context["page"].now - moment).total_seconds()
    if abs(seconds) < 10:
        return _time_tag(moment, "just now" if seconds >= 0 else "now")
    distance = _coarse(abs(seconds))
    return _time_tag(moment, f"{distance} ago" if seconds > 0 else f"in {distance}")


def _coarse(seconds: float) -> str:
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        count = int(seconds // size)
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{int(seconds)} seconds"


@pass_context
def _lasted(context: Context, thing: Any) -> str:
    """How long a build, step or evaluation took, or has taken until now."""
    if not thing.started_at:
        return "\u2013"
    return _duration((thing.finished_at or context["page"].now) - thing.started_at)


def _duration(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    if seconds < 1:
        return "< 1 s"
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    counts = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds % 60, "s"))
    first = next(index for index, (count, _) in enumerate(counts) if count)
    return " ".join(f"{count} {unit}" for count, unit in counts[first : first + 2] if count)


def _size(count: int) -> str:
    if count < 1_000:
        return f"{count} bytes" if count != 1 else "1 byte"
    amount = float(count)
    for unit in ("kB", "MB", "GB"):
        amount /= 1_000
        if amount < 999.5:
            return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:.0f} {unit}"
    return f"{amount / 1_000:.1f} TB"


_FILTERS: dict[str, Callable[..., Any]] = {
    **WORDS,
    "product_label": product_label,
    "note_html": note_html,
    "ago": _ago,
    "lasted": _lasted,
    "size": _size,
}
