"""Charts that the server draws: a series as points, a line and a scale, for a template to place."""

import math

from ciserver.model.frozen import frozen
from ciserver.model.job import Series

WIDTH, HEIGHT = 480, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 8, 12, 12
_STEPS = (1, 2, 2.5, 5, 10)
_ABOUT = 4  # steps of a scale


@frozen
class Mark:
    """A build in the chart."""

    x: float
    y: float
    build_id: int
    value: float


@frozen
class Tick:
    """A line across the chart, and the number that it stands for."""

    y: float
    value: float


@frozen
class Chart:
    """A series with its places in a picture of WIDTH to HEIGHT; `line` goes through all marks."""

    series: Series
    marks: tuple[Mark, ...]
    ticks: tuple[Tick, ...]
    line: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT


def chart(series: Series) -> Chart:
    """A chart of a series that has points; its scale begins at zero unless values are below."""
    values = [one.value for one in series.points]
    scale = _scale(min(0.0, *values), max(0.0, *values))
    low, high = scale[0], scale[-1]

    def height_of(value: float) -> float:
        # Parted before they are subtracted: values may be as far apart as numbers go.
        part = (value / 2 - low / 2) / (high / 2 - low / 2)
        return round(HEIGHT - _BOTTOM - part * (HEIGHT - _TOP - _BOTTOM), 1)

    room = WIDTH - _LEFT - _RIGHT - 8
    step = room / max(1, len(values) - 1)
    marks = tuple(
        Mark(round(_LEFT + 4 + index * step, 1), height_of(one.value), one.build_id, one.value)
        for index, one in enumerate(series.points)
    )
    line = "M" + "L".join(f"{one.x} {one.y}" for one in marks)
    return Chart(series, marks, tuple(Tick(height_of(one), one) for one in scale), line)


def _scale(low: float, high: float) -> tuple[float, ...]:
    """Round numbers, evenly apart, from below the lowest to above the highest."""
    wide = high / _ABOUT - low / _ABOUT
    if not wide:
        return (0.0, 1.0)
    power = 10.0 ** math.floor(math.log10(wide))
    if not power:  # smaller than numbers go
        return (low, high)
    step = next(one for one in _STEPS if one * power >= wide * 0.999) * power
    first, last = math.floor(low / step), math.ceil(high / step)
    found = tuple(number * step for number in range(first, last + 1))
    return found if all(map(math.isfinite, found)) else (low, high)
