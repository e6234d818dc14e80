"""A cost as the work grows, or as time goes by, as an SVG: a line a system."""

import math
from collections.abc import Callable, Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 360, 64, 90, 52, 48
NAME_HEIGHT = 13
MOST_MARKS = 8
COLOURS = ("#1b6ac9", "#c9551b", "#2a8a4a", "#7a4bb0", "#666666")

Points = Sequence[tuple[float, float]]
Scale = Callable[[float], float]


def plot(
    title: str, across: str, up: str, series: Mapping[str, Points], *, by_powers: bool = True
) -> str:
    """The SVG's text; `across` and `up` say what the axes count. Points are above zero, a series
    may be empty. Both axes are by powers, with a mark below each point, or straight from zero.
    """
    points = [point for line in series.values() for point in line]
    x_marks, y_marks = ([*dict.fromkeys(sorted(values))] for values in _axes(points))
    if by_powers:
        y_marks = _powers(y_marks)
    else:
        x_marks, y_marks = _steps(x_marks), _steps(y_marks)
    measure = math.log if by_powers else float
    at_x = _scale(measure, x_marks, LEFT, WIDTH - RIGHT)
    at_y = _scale(measure, y_marks, HEIGHT - BOTTOM, TOP)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="11">'
    )
    parts = [
        head,
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>',
        _text(LEFT - 6, TOP - 14, up, "end"),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, across, "middle"),
    ]
    for x in x_marks:
        parts.append(_line(f"M{at_x(x):.1f} {TOP}V{HEIGHT - BOTTOM}"))
        parts.append(_text(at_x(x), HEIGHT - BOTTOM + 16, _number(x), "middle"))
    for y in y_marks:
        parts.append(_line(f"M{LEFT} {at_y(y):.1f}H{WIDTH - RIGHT}"))
        parts.append(_text(LEFT - 6, at_y(y) + 4, _number(y), "end"))
    drawn = {
        name: (colour, [(at_x(x), at_y(y)) for x, y in line])
        for number, (name, line) in enumerate(series.items())
        if line and (colour := COLOURS[number % len(COLOURS)])
    }
    names = _apart({name: places[-1][1] for name, (_, places) in drawn.items()})
    for name, (colour, places) in drawn.items():
        parts.append(_curve(places, colour, has_dots=by_powers))
        parts.append(_text(places[-1][0] + 8, names[name] + 4, name, "start", colour))
    return "\n".join((*parts, "</svg>", ""))


def _axes(points: Points) -> tuple[list[float], list[float]]:
    return [x for x, _ in points] or [1.0], [y for _, y in points] or [1.0]


def _curve(places: Points, colour: str, *, has_dots: bool) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in places if has_dots)
    return (
        f'<g fill="{colour}"><polyline points="{path}" fill="none" stroke="{colour}"'
        f' stroke-width="1.5"/>{dots}</g>'
    )


def _line(path: str) -> str:
    return f'<path d="{path}" stroke="#ddd" fill="none"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = "black") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}">{escape(text)}</text>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _scale(
    measure: Callable[[float], float], marks: Sequence[float], first: float, last: float
) -> Scale:
    """The lowest of the marks comes to `first`, the highest to `last`."""
    low, high = measure(marks[0]), measure(marks[-1])
    span = high - low or 1
    return lambda value: first + (last - first) * (measure(value) - low) / span


def _powers(values: Sequence[float]) -> list[float]:
    """1, 2 and 5 times powers of ten around all of the values; ten times each where these would
    be many.
    """
    low, high = min(values), max(values)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1,)):
        marks = [step * 10.0**power for power in powers for step in steps]
        first = max((n for n, mark in enumerate(marks) if mark <= low), default=0)
        last = next((n for n, mark in enumerate(marks) if mark >= high), len(marks) - 1)
        if last - first < MOST_MARKS:
            break
    return marks[first : last + 1]


def _steps(values: Sequence[float]) -> list[float]:
    """From zero to above all of the values, by 1, 2 or 5 times a power of ten."""
    high = max(values)
    power = 10.0 ** math.floor(math.log10(high / MOST_MARKS))
    step = next(one * power for one in (1, 2, 5, 10) if one * power * MOST_MARKS >= high)
    return [number * step for number in range(math.ceil(high / step) + 1)]


def _apart(heights: Mapping[str, float]) -> dict[str, float]:
    """Names that would lie upon each other are moved down."""
    found: dict[str, float] = {}
    lowest = -math.inf
    for name, height in sorted(heights.items(), key=lambda one: one[1]):
        lowest = max(height, lowest + NAME_HEIGHT)
        found[name] = lowest
    return found
