"""Pictures that the server draws: where bars and marks lie, for a template to place them."""

import math
from collections.abc import Sequence

from ciserver.model.frozen import frozen
from ciserver.model.timing import PushTime, WaitTimes

_WIDTH, _HEIGHT = 480, 170
_LEFT, _TOP, _BOTTOM = 62, 12, 28
_ROOM = _WIDTH - _LEFT - 8
_STEPS = (1, 2, 2.5, 5, 10)


@frozen
class Tick:
    """A line across the picture, and what it stands for."""

    y: float
    label: str


@frozen
class Bar:
    x: float
    y: float
    width: float
    height: float
    label: str
    count: int


@frozen
class Mark:
    x: float
    y: float
    push: PushTime


@frozen
class Plot:
    ticks: tuple[Tick, ...]
    bars: tuple[Bar, ...] = ()
    marks: tuple[Mark, ...] = ()
    line: str = ""
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT


def bars(found: WaitTimes) -> Plot:
    """How many builds waited how long, of all systems together."""
    counts = [sum(some) for some in zip(*found.systems.values(), strict=True)]
    scale = _scale(max(counts, default=0), whole=True)
    step = _ROOM / max(1, len(counts))
    made = tuple(
        Bar(
            x=round(_LEFT + index * step + step * 0.1, 1),
            y=_height_of(count, scale[-1]),
            width=round(step * 0.8, 1),
            height=round(_HEIGHT - _BOTTOM - _height_of(count, scale[-1]), 1),
            label=block_label(index, len(counts), found.block_minutes),
            count=count,
        )
        for index, count in enumerate(counts)
    )
    return Plot(_ticks(scale, [f"{one:g}" for one in scale]), bars=made)


def course(found: Sequence[PushTime]) -> Plot:
    """How long each push took, oldest first; a line goes through all."""
    minutes = [one.seconds / 60 for one in found]
    scale = _scale(max(minutes, default=0.0))
    step = (_ROOM - 8) / max(1, len(found) - 1)
    marks = tuple(
        Mark(round(_LEFT + 4 + index * step, 1), _height_of(minutes[index], scale[-1]), one)
        for index, one in enumerate(found)
    )
    line = "M" + "L".join(f"{one.x} {one.y}" for one in marks) if len(marks) > 1 else ""
    return Plot(_ticks(scale, [f"{one:g} min" for one in scale]), marks=marks, line=line)


def block_label(index: int, blocks: int, minutes: int) -> str:
    """What a block of waiting times stands for, in minutes."""
    if index == blocks - 1:
        return f"{index * minutes}+"
    return f"{index * minutes}\u2013{(index + 1) * minutes}"


def _ticks(scale: Sequence[float], labels: Sequence[str]) -> tuple[Tick, ...]:
    return tuple(
        Tick(_height_of(one, scale[-1]), label) for one, label in zip(scale, labels, strict=True)
    )


def _height_of(value: float, highest: float) -> float:
    return round(_HEIGHT - _BOTTOM - value / highest * (_HEIGHT - _TOP - _BOTTOM), 1)


def _scale(highest: float, *, whole: bool = False) -> tuple[float, ...]:
    """Round numbers from zero to at least the highest."""
    about = max(highest, 1e-6 if not whole else 4) / 4
    power = 10.0 ** math.floor(math.log10(about))
    step = next(one for one in _STEPS if one * power >= about * 0.999) * power
    if whole:
        step = max(1.0, math.ceil(step))
    return tuple(number * step for number in range(max(1, math.ceil(highest / step)) + 1))
