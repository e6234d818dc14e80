"""A row of the table: one fault, how often it was done, what came of it, and the verdict."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from faults import promises
from faults.site import Load, Site


class Lacking(Exception):
    """The machine does not have what a fault needs; says what."""


@dataclass(frozen=True)
class Effort:
    """How much is done. Seconds are of the lease, and of what is shorter and longer than it."""

    lease: int = 30
    short: int = 10
    long: int = 60
    builds: int = 200  # of the rows that kill at random
    kills: int = 100


QUICK = Effort(lease=12, short=3, long=20, builds=20, kills=10)


@dataclass
class Finding:
    """What came of a fault."""

    times: int = 0
    builds: int = 0
    lost: int = 0  # attempts
    outcomes: Counter = field(default_factory=Counter)
    ready: list[float] = field(default_factory=list)  # seconds, of each restart of the server
    told: str = ""  # what else was seen
    broken: list[str] = field(default_factory=list)
    skipped: str = ""

    @property
    def verdict(self) -> str:
        if self.skipped:
            return "skipped"
        return "BROKEN" if self.broken else "kept"

    def check(self, holds: bool, why: str) -> None:
        if not holds:
            self.broken.append(why)

    def settle(
        self, load: Load, *, seconds: float, lost: range, status: str = "succeeded"
    ) -> list[dict]:
        """Wait for the builds to end, and look at everything that is promised. `lost`: how many
        attempts the fault may cost; answers them.
        """
        load.until_built(seconds)
        details = load.details()
        found = promises.lost_attempts(details)
        self.builds += len(details)
        self.lost += len(found)
        self.outcomes += promises.outcomes(details)
        self.broken += promises.broken_by(load, details, status=status)
        told = [f"{one['worker']}: {one['detail']}" for one in found]
        self.check(len(found) in lost, f"{len(found)} attempts were lost: {told}")
        return found

    def as_dict(self) -> dict:
        return {**asdict(self), "outcomes": dict(self.outcomes), "verdict": self.verdict}


@dataclass(frozen=True)
class Stage:
    """Where a row happens, with chances of its own that a seed repeats."""

    site: Site
    effort: Effort
    chance: random.Random
    finding: Finding

    def patience(self, attempts: int = 1) -> float:
        """How long builds may take that lose so many attempts."""
        return 180 + attempts * 2 * self.effort.lease


@dataclass(frozen=True)
class Row:
    """`alone`: it holds up the others. `kinds` are the sites that it is about; none: all."""

    name: str
    promise: str
    act: Callable[[Stage], None]
    alone: bool = False
    kinds: tuple[str, ...] = ()


def table(rows: dict[str, Finding]) -> str:
    """One line for each row, as a table of Markdown."""
    heads = ("fault", "times", "builds", "attempts lost", "came to", "seen", "verdict")
    lines = [heads, ("---",) * len(heads)]
    for name, one in rows.items():
        came = ", ".join(f"{count} {status}" for status, count in sorted(one.outcomes.items()))
        seen = [one.told] if one.told else []
        if one.ready:
            seen.append(f"ready after {max(one.ready):.1f} s at most")
        numbers = (one.times or "", one.builds or "", one.lost if one.builds else "")
        seen = [one.skipped] if one.skipped else seen
        lines.append((name, *map(str, numbers), came, "; ".join(seen), one.verdict))
    return "\n".join("| " + " | ".join(one) + " |" for one in lines)
