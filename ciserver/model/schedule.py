"""When a jobset is evaluated without a push, and when that is due.

The zone's own time and real time part where the clocks are changed. A time of day that people
chose happens once on each of its days: one that the clocks skip comes later by what they skip,
one that they repeat comes the first time only. Where every hour was chosen, and where the timing
is an interval, real time counts: nothing for skipped hours, both passes of repeated ones.
"""

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from ciserver.model.cron import (
    Calendar,
    LocalCalendar,
    did_you_mean,
    nearest,
    parse,
    shown,
    times,
)
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.frozen import frozen

SHORTEST_SECONDS, LONGEST_SECONDS = 60, 366 * 24 * 3600
_UNITS = (("day", 24 * 3600), ("hour", 3600), ("minute", 60), ("second", 1))
_SHOWN_TIMES = 6


class ScheduleKind(StrEnum):
    NIGHTLY = "nightly"
    PGO = "pgo"
    PERIODIC = "periodic"

    @property
    def only_if_changed(self) -> bool:
        """What a schedule of this kind does unless it says otherwise."""
        return self is not ScheduleKind.PERIODIC


class PgoStrategy(StrEnum):
    """When a jobset gets its profile-guided builds."""

    PERIODIC = "periodic"
    PER_PUSH = "per-push"  # the builds of a push are the PGO builds
    MANUAL = "manual"
    NONE = "none"


@frozen
class Timing:
    """Exactly one of a cron line, times of the day (each of `minutes` in each of `hours`) and an
    interval. The anchor gives an interval its phase and is no beginning; none means 1970 in UTC.
    """

    cron: str = ""
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = (0,)
    every_seconds: int = 0
    anchor: datetime | None = None
    zone: str = "UTC"  # the IANA name

    def describe(self) -> str:
        """For people: `at 03:00 Europe/Berlin`, `every 6 hours`, `cron 0 3 * * 1-5, UTC`."""
        if self.cron:
            return f"cron {' '.join(self.cron.split())}, {self.zone}"
        if self.hours:
            return f"at {_times_of_day(self)} {self.zone}"
        return f"every {_span(self.every_seconds)}" if self.every_seconds else "never"

    def told(self, moment: datetime) -> str:
        """A moment by the clock of its zone, for people: `Mon 2026-03-02 03:00 Europe/Berlin`.

        By that of UTC when the zone, once known, is known no more.
        """
        name = "UTC" if _complaints_of(_zone, self.zone) else self.zone
        return f"{moment.astimezone(_zone(name)):%a %Y-%m-%d %H:%M} {name}"


@frozen
class ScheduleSpec:
    """A schedule as a recipe declares it."""

    kind: ScheduleKind
    timing: Timing
    only_if_changed: bool
    last_good: bool
    file: str


@frozen
class Schedule:
    id: int
    jobset_id: int
    project: str
    jobset: str
    kind: ScheduleKind
    timing: Timing
    ref: str  # what is evaluated; HEAD is the default branch, or of a script that of its jobset
    only_if_changed: bool
    last_good: bool  # prefer the newest revision whose push builds are all good
    paused: bool
    declared_by: str  # command, page, api or the name of a recipe file
    created_at: datetime
    next_due_at: datetime | None
    runs_script: bool = False  # of the jobset, in place of its recipe


@frozen
class Firing:
    """One due moment that was acted on. `missed` counts the earlier ones that it stands for;
    `outcome` says why no evaluation was requested and is empty when one was.
    """

    schedule_id: int
    due_at: datetime
    fired_at: datetime
    missed: int
    evaluation_id: int | None
    outcome: str


def faults(timing: Timing) -> tuple[Complaint, ...]:
    """Every fault of a timing with its field, a date that never comes included."""
    return (*_mistakes(timing), *_never(timing))


def next_due(timing: Timing, after: datetime) -> datetime | None:
    """The first due moment after `after` (aware), in UTC; None when there is none in 40 years.

    Raises Invalid when the timing has faults, other than that it is never due.
    """
    return _moment(_plan(timing).following(_second(after)))


def latest_due(timing: Timing, after: datetime, until: datetime) -> datetime | None:
    """The newest due moment after `after` and not after `until`, in UTC.

    It is looked for backwards from `until`, so a long absence costs no more than a short one.
    """
    latest = _plan(timing).preceding(_second(until))
    return _moment(latest if latest is not None and latest > _second(after) else None)


def count_due(timing: Timing, after: datetime, until: datetime, limit: int = 1000) -> int:
    """How many moments are due after `after` and not after `until`, or `limit` when there are more:
    they are counted one by one, and no more than that.
    """
    plan, last = _plan(timing), _second(until)
    second = plan.following(_second(after))
    count = 0
    while count < limit and second is not None and second <= last:
        count += 1
        second = plan.following(second)
    return count


def _times_of_day(timing: Timing) -> str:
    every = times(timing.hours, timing.minutes)
    told = ", ".join(f"{one // 3600:02}:{one // 60 % 60:02}" for one in every[:_SHOWN_TIMES])
    rest = len(every) - _SHOWN_TIMES
    return told if rest <= 0 else f"{told} and {rest} more times"


def _span(seconds: int) -> str:
    name, size = next(unit for unit in _UNITS if seconds % unit[1] == 0)
    count = seconds // size
    return name if count == 1 else f"{count} {name}s"


def _mistakes(timing: Timing) -> Iterator[Complaint]:
    """All that keeps its due moments from being told."""
    yield from _ways(timing)
    if timing.cron:
        yield from _complaints_of(parse, timing.cron)
    for index, hour in enumerate(timing.hours):
        if not 0 <= hour <= 23:
            yield Complaint(f"hours[{index}]", f"{hour} is not an hour of the day, 0 to 23")
    yield from _minutes(timing)
    if timing.every_seconds:
        yield from _interval(timing.every_seconds)
    yield from _anchor(timing)
    yield from _complaints_of(_zone, timing.zone)


def _never(timing: Timing) -> Iterator[Complaint]:
    if timing.cron and not _complaints_of(parse, timing.cron):
        calendar = parse(timing.cron)
        if calendar.is_empty:
            fault = f"there is never a {calendar.dates}, so it is never due"
            yield Complaint("cron.day of month", fault)


def _ways(timing: Timing) -> Iterator[Complaint]:
    ways = ("cron", "hours", "every_seconds")
    given = [way for way in ways if getattr(timing, way)]
    if not given:
        yield Complaint("", "does not say when: give cron, hours or every_seconds")
    if len(given) > 1:
        yield Complaint("", f"says when in {len(given)} ways, {' and '.join(given)}: keep one")


def _minutes(timing: Timing) -> Iterator[Complaint]:
    if not timing.minutes and timing.hours:
        yield Complaint("minutes", "must name a minute; 0 is the full hour")
    if timing.minutes not in {(), (0,)} and not timing.hours:
        yield Complaint("minutes", "has no meaning without hours")
    for index, minute in enumerate(timing.minutes):
        if not 0 <= minute <= 59:
            yield Complaint(f"minutes[{index}]", f"{minute} is not a minute of an hour, 0 to 59")


def _interval(seconds: int) -> Iterator[Complaint]:
    if seconds < SHORTEST_SECONDS:
        yield Complaint("every_seconds", f"{seconds} is too short; the least is {SHORTEST_SECONDS}")
    if seconds > LONGEST_SECONDS:
        most = f"the most is {LONGEST_SECONDS}, a year"
        yield Complaint("every_seconds", f"{seconds} is too long; {most}")


def _anchor(timing: Timing) -> Iterator[Complaint]:
    if timing.anchor is None:
        return
    if not timing.every_seconds:
        yield Complaint("anchor", "has no meaning without every_seconds")
    if timing.anchor.utcoffset() is None:
        yield Complaint("anchor", "must have a zone, as 2026-01-31T03:00:00+01:00 has")


def _complaints_of(read: Callable[[str], object], text: str) -> tuple[Complaint, ...]:
    try:
        read(text)
    except Invalid as error:
        return error.complaints
    return ()


def _zone(name: str) -> tzinfo:
    """Raises Invalid for an unknown name. UTC needs no database of time zones."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        fault = f"{shown(name)} is not a known time zone{_near_zone(name)}"
        raise Invalid(fault, complaints=[Complaint("zone", fault)]) from None


def _near_zone(name: str) -> str:
    """Names are compared in any case, and by their last part too: `berlin` is Europe/Berlin."""
    known = {part.lower(): zone for zone in sorted(available_timezones()) for part in _parts(zone)}
    near = nearest(name.lower(), known)
    return did_you_mean(known[near]) if near else ""


def _parts(zone: str) -> tuple[str, ...]:
    return (zone, zone.rpartition("/")[2])


class _Plan(Protocol):
    """Due moments as whole seconds since 1970."""

    def following(self, second: int) -> int | None:
        """The first one after."""

    def preceding(self, second: int) -> int | None:
        """The last one that is not after."""


@frozen
class _Interval:
    anchor: int
    length: int

    def following(self, second: int) -> int | None:
        return second + self.length - (second - self.anchor) % self.length

    def preceding(self, second: int) -> int | None:
        return second - (second - self.anchor) % self.length


@lru_cache(maxsize=20_000)
def _plan(timing: Timing) -> _Plan:
    mistakes = tuple(_mistakes(timing))
    if mistakes:
        raise Invalid("the timing has faults", complaints=mistakes)
    if timing.every_seconds:
        return _Interval(_second(timing.anchor) if timing.anchor else 0, timing.every_seconds)
    if timing.cron:
        return LocalCalendar(parse(timing.cron), _zone(timing.zone))
    return LocalCalendar(Calendar(times(timing.hours, timing.minutes)), _zone(timing.zone))


def _second(moment: datetime) -> int:
    return math.floor(moment.timestamp())


def _moment(second: int | None) -> datetime | None:
    return None if second is None else datetime.fromtimestamp(second, UTC)
