"""From samples to a table: medians, ratios, and whether the goals are met."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

OURS = "ciserver"
DRIFT = 0.10  # how far the calibration after a row may be from the one before


@dataclass(frozen=True)
class Goal:
    """Our figure divided by another one is at least, or at most, `factor`.

    The other is of the system `against` in the row `of` (empty: the same row). Without a system
    it is our own; with neither the figure itself is compared.
    """

    factor: float
    at_least: bool = True
    against: str = ""
    of: str = ""


@dataclass(frozen=True)
class Row:
    key: str
    label: str
    unit: str
    goals: tuple[Goal, ...] = ()


@dataclass
class Measured:
    """All samples of a row by system, why there are none, and whether the machine held still."""

    row: Row
    samples: dict[str, list[float]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    is_steady: bool = True

    def middle(self, system: str) -> float | None:
        samples = self.samples.get(system)
        return statistics.median(samples) if samples else None


def p95(samples: Sequence[float]) -> float:
    return percentile(samples, 95)


def percentile(samples: Sequence[float], percent: int) -> float:
    """The nearest sample that so many percent are not above."""
    ordered = sorted(samples)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def is_steady(before: float, after: float) -> bool:
    return abs(after - before) <= DRIFT * before


def judged(goal: Goal, row: Row, rows: Mapping[str, Measured]) -> tuple[float, bool] | None:
    """Our figure beside what the goal names, and whether that is met; None where one is missing."""
    ours = rows[row.key].middle(OURS)
    is_plain = not goal.against and not goal.of
    there = rows.get(goal.of or row.key)
    other = 1.0 if is_plain else there.middle(goal.against or OURS) if there else None
    if ours is None or not other:
        return None
    ratio = ours / other
    return ratio, ratio >= goal.factor if goal.at_least else ratio <= goal.factor


def told(goal: Goal, row: Row, rows: Mapping[str, Measured]) -> str:
    """A goal with what came of it, for people."""
    wanted = f"{'>=' if goal.at_least else '<='} {number(goal.factor)}"
    if goal.against or goal.of:
        label = rows[goal.of].row.label if goal.of in rows else goal.of
        whom = " ".join(filter(None, (goal.against, label)))
        wanted += f"x {whom}"
    found = judged(goal, row, rows)
    if found is None:
        return f"{wanted}: unknown"
    return f"{wanted}: {'yes' if found[1] else 'NO'} ({number(found[0])})"


def number(value: float) -> str:
    """Three digits that count."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def table(rows: Mapping[str, Measured], systems: Sequence[str]) -> str:
    """A line a row. `~`: the machine did not hold still; `!`: see the faults; `-`: not had."""
    lines = [("", "unit", *systems, "goals")]
    for one in rows.values():
        goals = "; ".join(told(goal, one.row, rows) for goal in one.row.goals)
        cells = (_cell(one, name) for name in systems)
        label = f"{one.row.label}{'' if one.is_steady else ' ~'}"
        lines.append((label, one.row.unit, *cells, goals))
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    return "\n".join(_line(line, widths) for line in lines)


def _cell(one: Measured, system: str) -> str:
    middle = one.middle(system)
    mark = " !" if system in one.faults else ""
    return ("-" if middle is None else number(middle)) + mark


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    last = len(cells) - 1
    aligned = (
        cell.ljust(width) if n in {0, 1, last} else cell.rjust(width)
        for n, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(aligned).rstrip()


def faults(rows: Iterable[Measured]) -> list[str]:
    """Each once, though it is told of all rows that one measurement would have filled."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in rows:
        for system, why in one.faults.items():
            found.setdefault((system, why), []).append(one.row.key)
    return [f"! {system}, {', '.join(keys)}: {why}" for (system, why), keys in found.items()]
