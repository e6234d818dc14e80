"""Cron lines as people write them, and the calendars that they name."""

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta, tzinfo
from difflib import get_close_matches
from functools import lru_cache

from ciserver.model.errors import Complaint, Invalid
from ciserver.model.frozen import frozen

LONGEST = 1000  # of a line; one that lists every value of every field is shorter
YEARS = 40  # 29 February falls on a given weekday at least this often, even around 2100
MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_DAY = timedelta(days=1)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@frozen
class Calendar:
    """Certain times of certain days, in no zone yet.

    Where `either` is set, the right day of the month or the right day of the week is enough; else
    a day must be both.
    """

    seconds: tuple[int, ...]  # of the day, in order
    month_days: frozenset[int] = frozenset(range(1, 32))
    months: frozenset[int] = frozenset(range(1, 13))
    weekdays: frozenset[int] = frozenset(range(7))  # from Sunday = 0
    either: bool = False
    every_hour: bool = False

    def has(self, day: date) -> bool:
        right = (day.day in self.month_days, day.isoweekday() % 7 in self.weekdays)
        return day.month in self.months and (any(right) if self.either else all(right))

    def walk(self, start: date, step: timedelta) -> Iterator[date]:
        """Its days from `start` on for 40 years; back in time when the step is a day back."""
        day = start
        while abs(day.year - start.year) <= YEARS:
            if day.month not in self.months:
                day = _last_of_month(day, step)
            elif self.has(day):
                yield day
            day += step

    @property
    def is_empty(self) -> bool:
        """None of its months ever has one of its days, as with 30 February."""
        if self.either:
            return False
        longest = max(_LONGEST_MONTHS[month - 1] for month in self.months)
        return min(self.month_days) > longest

    @property
    def dates(self) -> str:
        """Its days and months for people: `30 or 31 in Feb`."""
        days = " or ".join(str(day) for day in sorted(self.month_days))
        months = " or ".join(_MONTHS[month - 1].capitalize() for month in sorted(self.months))
        return f"{days} in {months}"


def _last_of_month(day: date, step: timedelta) -> date:
    """The last day of its month that a walk passes."""
    return day.replace(day=1 if step < timedelta() else monthrange(day.year, day.month)[1])


@frozen
class LocalCalendar:
    """A calendar in a zone. Moments are seconds since 1970 in UTC.

    A change of the clocks may carry a moment past some of the day that follows, never further:
    so the search begins a day early, and what it finds on a day is held against the next one.
    """

    calendar: Calendar
    zone: tzinfo

    def following(self, moment: int) -> int | None:
        """The first due moment after this one."""
        for day in self.calendar.walk(self._day(moment) - _DAY, _DAY):
            first = self._first(day, moment)
            if first is not None:
                rival = self._first(day + _DAY, moment)
                return first if rival is None else min(first, rival)
        return None

    def preceding(self, moment: int) -> int | None:
        """The last due moment that is not after this one."""
        for day in self.calendar.walk(self._day(moment) + _DAY, -_DAY):
            last = self._last(day, moment)
            if last is not None:
                rival = self._last(day - _DAY, moment)
                return last if rival is None else max(last, rival)
        return None

    def _day(self, moment: int) -> date:
        return datetime.fromtimestamp(moment, self.zone).date()

    def _first(self, day: date, moment: int) -> int | None:
        start, seconds = self._due_on(day)
        index = bisect_right(seconds, moment - start)
        return start + seconds[index] if index < len(seconds) else None

    def _last(self, day: date, moment: int) -> int | None:
        start, seconds = self._due_on(day)
        index = bisect_right(seconds, moment - start)
        return start + seconds[index - 1] if index else None

    def _due_on(self, day: date) -> tuple[int, tuple[int, ...]]:
        """The start of a day and the due seconds after it."""
        if not self.calendar.has(day):
            return 0, ()
        start = _moment(datetime.combine(day, time(), self.zone))
        end = _moment(datetime.combine(day + _DAY, time(fold=1), self.zone))
        if end - start == _DAY.total_seconds():
            return start, self.calendar.seconds
        return start, _due_on_change(self.calendar, self.zone, day)


@lru_cache(maxsize=256)
def _due_on_change(calendar: Calendar, zone: tzinfo, day: date) -> tuple[int, ...]:
    """The due seconds of a day on which the clocks are changed."""
    midnight = datetime.combine(day, time(), zone)
    due: set[int] = set()
    for second in calendar.seconds:
        local = midnight + timedelta(seconds=second)
        # They differ for a repeated time, and the other way round for a skipped one.
        first, again = _moment(local), _moment(local.replace(fold=1))
        if not calendar.every_hour:
            due.add(first)
        elif first <= again:
            due |= {first, again}
    start = _moment(midnight)
    return tuple(sorted(moment - start for moment in due))


def _moment(local: datetime) -> int:
    return int(local.timestamp())


def times(hours: Iterable[int], minutes: Iterable[int]) -> tuple[int, ...]:
    """Each of the minutes in each of the hours, as seconds of the day."""
    every = set(minutes)
    return tuple(sorted({hour * 3600 + minute * 60 for hour in hours for minute in every}))


def parse(line: str) -> Calendar:
    """The calendar of a cron line: five fields or a macro such as @daily.

    As in crontab(5), a field that begins with `*` does not restrict the day, and of two that do
    either is enough. Raises Invalid naming every fault.
    """
    texts = _split(line)
    fields = [_Reader(field, text) for field, text in zip(_FIELDS, texts, strict=True)]
    complaints = [complaint for field in fields for complaint in field.complaints]
    if complaints:
        raise _invalid(*complaints)
    minutes, hours, month_days, months, weekdays = (field.values for field in fields)
    return Calendar(
        times(hours, minutes),
        month_days,
        months,
        frozenset(day % 7 for day in weekdays),
        either=not (texts[2].startswith("*") or texts[4].startswith("*")),
        every_hour=texts[1] == "*",
    )


def nearest(word: str, words: Iterable[str]) -> str:
    """The word that was probably meant; empty when none is near."""
    return next(iter(get_close_matches(word[:100], tuple(words), n=1)), "")


def did_you_mean(word: str) -> str:
    return f"; did you mean {word}?" if word else ""


def shown(text: str) -> str:
    """What a person wrote, short and on one line, to be quoted in a sentence."""
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


def _split(line: str) -> list[str]:
    if len(line) > LONGEST:
        raise _invalid(Complaint("cron", f"is longer than {LONGEST} characters"))
    word = line.strip().lower()
    if word.startswith("@") and word not in MACROS:
        hint = did_you_mean(nearest(word, MACROS)) or f"; known are {', '.join(MACROS)}"
        raise _invalid(Complaint("cron", f"{shown(word)} is not a known macro{hint}"))
    texts = MACROS.get(word, word).split()
    if len(texts) != len(_FIELDS):
        names = ", ".join(field.name for field in _FIELDS)
        fault = f"has {len(texts)} fields and must have {len(_FIELDS)}: {names}"
        raise _invalid(Complaint("cron", fault))
    return texts


def _invalid(*complaints: Complaint) -> Invalid:
    return Invalid("the cron line cannot be used", complaints=complaints)


@frozen
class _Field:
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()

    @property
    def known(self) -> str:
        names = f" or {self.words[0]} to {self.words[-1]}" if self.words else ""
        return f"the {self.name}, {self.low} to {self.high}{names}"


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _WEEKDAYS),
)


class _Reader:
    """Reads one field. A fault is noted and reading goes on, so that every fault is told; the
    values are of use when there was none.
    """

    def __init__(self, field: _Field, text: str) -> None:
        self._field = field
        self.complaints: list[Complaint] = []
        self.values = frozenset(value for item in text.split(",") for value in self._item(item))

    def _item(self, item: str) -> range:
        span, slash, step = item.partition("/")
        values = self._span(item, span)
        if not slash:
            return values
        if _is_number(span):
            self._note(
                f"{shown(item)} has a step and no range; begin with {span}-{self._field.high}"
            )
        return values[:: self._step(item, step, values)]

    def _span(self, item: str, span: str) -> range:
        field = self._field
        if span == "*":
            return range(field.low, field.high + 1)
        first, dash, last = span.partition("-")
        low = self._number(item, first)
        high = self._number(item, last) if dash else low
        if low is None or high is None:
            return range(0)
        if high == 0 and field.words == _WEEKDAYS:
            high = 7 if low else 0  # fri-sun ends on the Sunday that follows
        if high < low:
            both = f"{low}-{field.high},{field.low}-{high}"
            self._note(f"the range {shown(item)} is reversed; to go on from the start write {both}")
        return range(low, high + 1)

    def _step(self, item: str, step: str, values: range) -> int:
        if not _is_number(step):
            self._note(f"{shown(item)} has no number after the slash")
        elif int(step) == 0:
            self._note(f"{shown(item)} has a step of zero; the smallest step is 1")
        elif int(step) >= len(values) > 1:
            self._note(f"the step of {shown(item)} is too long: only {values[0]} would be left")
        else:
            return int(step)
        return 1

    def _number(self, item: str, word: str) -> int | None:
        field = self._field
        numbers = {name: number for number, name in enumerate(field.words, field.low)}
        if _is_number(word) and field.low <= int(word) <= field.high:
            return int(word)
        if word in numbers:
            return numbers[word]
        # Names have three letters, so what follows in a whole word says nothing.
        hint = did_you_mean(nearest(word[:3], field.words))
        if not item:
            self._note("has a comma with nothing beside it")
        elif _is_number(word):
            self._note(f"{shown(word)} is outside of {field.low} to {field.high}")
        else:
            self._note(f"{shown(word or item)} cannot be {field.known}{hint}")
        return None

    def _note(self, fault: str) -> None:
        self.complaints.append(Complaint(f"cron.{self._field.name}", fault))


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit()
