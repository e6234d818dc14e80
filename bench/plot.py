"""A cost as the work grows, as an SVG: both axes by powers, a line a system."""

import math
from collections.abc import Callable, Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, EDGE = 560, 320, 60, 110, 40
COLOURS = ("#1b6ac9", "#c9551b", "#2a8a4a", "#7a4bb0", "#666666")

Points = Sequence[tuple[float, float]]
Scale = Callable[[float], float]


def plot(title: str, across: str, series: Mapping[str, Points]) -> str:
    """The SVG's text. Points are above zero; a series may be empty."""
    points = [point for line in series.values() for point in line]
    at_x = _scale([x for x, _ in points], LEFT, WIDTH - RIGHT)
    at_y = _scale([y for _, y in points], HEIGHT - EDGE, EDGE)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="11">'
    )
    parts = [
        head,
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="13">{escape(title)}</text>',
        _text(WIDTH - RIGHT, HEIGHT - 6, across, "end"),
        *(
            _text(at_x(x), HEIGHT - EDGE + 16, f"{x:g}", "middle")
            for x in sorted({x for x, _ in points})
        ),
    ]
    for y in _powers([y for _, y in points]):
        across_all = f"M{LEFT} {at_y(y):.1f}H{WIDTH - RIGHT}"
        parts.append(f'<path d="{across_all}" stroke="#ddd" fill="none"/>')
        parts.append(_text(LEFT - 6, at_y(y) + 4, f"{y:g}", "end"))
    for number, (name, line) in enumerate(series.items()):
        if line:
            parts.append(_drawn(name, line, COLOURS[number % len(COLOURS)], at_x, at_y))
    return "\n".join((*parts, "</svg>", ""))


def _drawn(name: str, line: Points, colour: str, at_x: Scale, at_y: Scale) -> str:
    places = [(at_x(x), at_y(y)) for x, y in line]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in places)
    x, y = places[-1]
    return (
        f'<g fill="{colour}"><polyline points="{path}" fill="none" stroke="{colour}"'
        f' stroke-width="1.5"/>{dots}{_text(x + 6, y + 4, name, "start")}</g>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _scale(values: Sequence[float], first: float, last: float) -> Scale:
    """By powers: the lowest of the values comes to `first`, the highest to `last`."""
    low, high = math.log(min(values, default=1)), math.log(max(values, default=1))
    span = high - low or 1
    return lambda value: first + (last - first) * (math.log(value) - low) / span


def _powers(values: Sequence[float]) -> list[float]:
    """1, 2 and 5 times powers of ten that lie among the values."""
    if not values:
        return []
    low, high = min(values), max(values)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    return [mark for mark in marks if low <= mark <= high] or [low]
