"""When schedules are due: intended local times, real time, and the days when clocks change."""

import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ciserver.model.errors import Invalid
from ciserver.model.schedule import (
    LONGEST_SECONDS,
    ScheduleKind,
    Timing,
    count_due,
    faults,
    latest_due,
    next_due,
)

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO, FAR_AHEAD = datetime(1970, 1, 2, tzinfo=UTC), datetime(2400, 1, 1, tzinfo=UTC)

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
# Besides the usual changes: half an hour, one across midnight, at midnight, and a day left out.
CHANGES = {
    BERLIN: (date(2026, 3, 29), date(2026, 10, 25)),
    NEW_YORK: (date(2026, 3, 8), date(2026, 11, 1)),
    LORD_HOWE: (date(2026, 10, 4), date(2026, 4, 5)),
    "America/St_Johns": (date(2010, 3, 14), date(2010, 11, 7)),
    "America/Havana": (date(2026, 3, 8), date(2026, 11, 1)),
    "Pacific/Apia": (date(2011, 12, 30), date(2011, 12, 31)),
    "UTC": (date(2026, 2, 28), date(2027, 12, 31)),
}


def at(text, zone="UTC"):
    """A local time such as 2026-03-29 02:30, as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def local(moment, zone):
    return moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def firings(timing, after, until):
    """Every due moment of a time, one after the other as a server meets them."""
    found = []
    while (after := next_due(timing, after)) is not None and after <= until:
        found.append(after)
    return found


# -- against a reference that looks at every minute -----------------------------------------------


@lru_cache(maxsize=64)
def minutes_around(day, zone):
    """Every minute of five days as (real moment, intended local time, local time of the moment)."""
    info = ZoneInfo(zone)
    first = datetime(day.year, day.month, day.day, tzinfo=UTC) - 2 * DAY
    rows = []
    for number in range(5 * 24 * 60):
        moment = first + number * MINUTE
        intended = moment.replace(tzinfo=info)
        rows.append((moment, intended.astimezone(UTC), intended, moment.astimezone(info)))
    return rows


def expected_between(line, sets, day, zone, after, until):
    """The due moments of a line, by the words of its promise and minute by minute."""
    texts, (minutes, hours, month_days, months, weekdays) = line.split(), sets

    def is_right(when):
        by_month, by_week = when.day in month_days, when.isoweekday() % 7 in weekdays
        either = not (texts[2].startswith("*") or texts[4].startswith("*"))
        right_day = by_month or by_week if either else by_month and by_week
        return right_day and when.month in months and when.hour in hours and when.minute in minutes

    found = set()
    for moment, carried, intended, real in minutes_around(day, zone):
        if texts[1] == "*":
            found |= {moment} if is_right(real) else set()
        elif is_right(intended):
            found.add(carried)
    return sorted(moment for moment in found if after < moment <= until)


@st.composite
def field_texts(draw, low, high):
    """A cron field and the set of its values."""
    if draw(st.booleans()):
        return "*", set(range(low, high + 1))
    if draw(st.booleans()):
        step = draw(st.integers(1, high - low))
        return f"*/{step}", set(range(low, high + 1, step))
    values = set()
    items = []
    for first in draw(st.lists(st.integers(low, high), min_size=1, max_size=4)):
        last = draw(st.integers(first, high))
        items.append(f"{first}-{last}" if last > first else str(first))
        values |= set(range(first, last + 1))
    return ",".join(items), values


@st.composite
def cron_lines(draw):
    """A line with the values of its fields."""
    ranges = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
    drawn = [draw(field_texts(low, high)) for low, high in ranges]
    return " ".join(text for text, _ in drawn), [values for _, values in drawn]


@settings(max_examples=200)
@given(
    cron_lines(),
    st.sampled_from(sorted(CHANGES)),
    st.sampled_from([0, 1]),
    st.integers(0, 2 * 24 * 60 * 60 * 1_000_000),
)
def test_next_due_is_what_a_look_at_every_minute_finds(drawn, zone, change, offset):
    """Whatever the line and the zone: the first due moment strictly after, with none between;
    and what is counted and found from the other end agrees.
    """
    line, sets = drawn
    day = CHANGES[zone][change]
    timing = Timing(cron=line, zone=zone)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    after = noon - DAY + timedelta(microseconds=offset)
    until = noon + DAY
    expected = expected_between(line, sets, day, zone, after, until)
    found = next_due(timing, after)
    if expected:
        assert found == expected[0]
        assert found.tzinfo is UTC
    else:
        assert found is None or found > until
    assert count_due(timing, after, until, limit=20) == min(20, len(expected))
    assert latest_due(timing, after, until) == (expected[-1] if expected else None)


@given(
    st.integers(60, LONGEST_SECONDS),
    st.integers(0, 4 * 10**9).map(lambda second: LONG_AGO + timedelta(seconds=second)),
    st.integers(0, 4 * 10**15).map(lambda part: LONG_AGO + timedelta(microseconds=part)),
)
def test_an_interval_is_real_seconds_from_its_anchor(seconds, anchor, after):
    """The next one lies on the raster of the anchor and at most one interval ahead."""
    timing = Timing(every_seconds=seconds, anchor=anchor)
    found = next_due(timing, after)
    assert timedelta(0) < found - after <= timedelta(seconds=seconds)
    assert (found - anchor) % timedelta(seconds=seconds) == timedelta(0)
    assert latest_due(timing, after, found) == found
    assert latest_due(timing, after, found - INSTANT) is None


# -- known answers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("0 3 * * *", "2026-03-01 02:59", "2026-03-01 03:00"),
        ("0 3 * * *", "2026-03-01 03:00", "2026-03-02 03:00"),
        ("0 3 * * 1-5", "2026-03-06 03:00", "2026-03-09 03:00"),
        ("0 0 31 * *", "2026-03-31 00:00", "2026-05-31 00:00"),
        ("0 0 30 * *", "2026-01-30 00:00", "2026-03-30 00:00"),
        ("59 23 31 12 *", "2026-03-01 00:00", "2026-12-31 23:59"),
        ("@monthly", "2026-12-01 00:00", "2027-01-01 00:00"),
        ("@weekly", "2026-03-01 00:00", "2026-03-08 00:00"),
        ("0 0 29 2 *", "2026-03-01 00:00", "2028-02-29 00:00"),
        ("0 0 29 2 *", "2096-02-29 00:00", "2104-02-29 00:00"),
        # 29 February on a Sunday; 40 years, as 2100 has no leap day.
        ("0 0 29 2 */7", "2004-02-29 00:00", "2032-02-29 00:00"),
        ("0 0 29 2 */7", "2088-02-29 00:00", "2128-02-29 00:00"),
        ("*/20 9-10 * * *", "2026-03-01 10:40", "2026-03-02 09:00"),
    ],
)
def test_known_answers(cron, after, expected):
    """Month ends, leap days and weekdays, forwards and from the other end."""
    timing = Timing(cron=cron)
    assert next_due(timing, at(after)) == at(expected)
    assert latest_due(timing, at(after), at(expected)) == at(expected)
    assert latest_due(timing, at(after), at(expected) - INSTANT) is None


@pytest.mark.parametrize("microseconds", [1, 500_000, 999_999])
def test_strictly_after_and_not_after_by_fractions_of_a_second(microseconds):
    """A fraction of a second before the moment it is still to come, after it no longer."""
    timing, due = Timing(hours=(3,)), at("2026-03-02 03:00")
    part = timedelta(microseconds=microseconds)
    assert next_due(timing, due - part) == due
    assert next_due(timing, due + part) == due + DAY
    assert latest_due(timing, START, due - part) is None
    assert latest_due(timing, START, due + part) == due


def test_the_zone_of_the_question_does_not_matter():
    """The same moment in another zone has the same answer."""
    timing = Timing(hours=(3,), zone=BERLIN)
    elsewhere = START.astimezone(ZoneInfo(NEW_YORK))
    assert next_due(timing, elsewhere) == next_due(timing, START) == at("2026-03-02 02:00")


def test_a_change_of_clocks_does_not_move_an_interval():
    """An anchor in a zone gives the phase; the seconds since are real ones."""
    anchor = datetime(2026, 3, 28, 12, tzinfo=ZoneInfo(BERLIN))
    timing = Timing(every_seconds=24 * 3600, anchor=anchor, zone=BERLIN)
    assert local(next_due(timing, at("2026-03-29 06:00")), BERLIN) == "2026-03-29 13:00"
    assert next_due(timing, at("2025-01-01 00:00")) == at("2025-01-01 11:00")


def test_without_an_anchor_an_interval_counts_from_1970():
    """Every six hours is at 0, 6, 12 and 18 in UTC, on every server."""
    timing = Timing(every_seconds=6 * 3600)
    assert firings(timing, at("2026-03-01 00:00"), at("2026-03-02 00:00")) == [
        at("2026-03-01 06:00"),
        at("2026-03-01 12:00"),
        at("2026-03-01 18:00"),
        at("2026-03-02 00:00"),
    ]


# -- the clocks are changed -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cron", "zone", "day", "times"),
    [
        # Skipped: 02:00 to 03:00; on Lord Howe 02:00 to 02:30.
        ("30 2 * * *", BERLIN, "2026-03-29", ["03:30"]),
        ("30 1-3 * * *", BERLIN, "2026-03-29", ["01:30", "03:30"]),  # two fall together
        ("0,45 2,3 * * *", BERLIN, "2026-03-29", ["03:00", "03:45"]),
        ("15 2 * * *", LORD_HOWE, "2026-10-04", ["02:45"]),
        ("30 1-3 * * *", NEW_YORK, "2026-03-08", ["01:30", "03:30"]),
        ("30 * * * *", BERLIN, "2026-03-29", ["00:30", "01:30", "03:30", "04:30"]),
        ("15 * * * *", LORD_HOWE, "2026-10-04", ["00:15", "01:15", "03:15", "04:15"]),
        # Repeated: 02:00 to 03:00; on Lord Howe 01:30 to 02:00.
        ("30 2 * * *", BERLIN, "2026-10-25", ["02:30"]),
        ("30 */2 * * *", BERLIN, "2026-10-25", ["00:30", "02:30", "04:30"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-05", ["01:45"]),
        ("30 * * * *", BERLIN, "2026-10-25", ["00:30", "01:30", "02:30", "02:30", "03:30"]),
        ("45 * * * *", LORD_HOWE, "2026-04-05", ["00:45", "01:45", "01:45", "02:45", "03:45"]),
        ("15 * * * *", LORD_HOWE, "2026-04-05", ["00:15", "01:15", "02:15", "03:15", "04:15"]),
    ],
)
def test_the_day_of_a_change(cron, zone, day, times):
    """Chosen hours happen once each, shifted out of a gap; open hours follow real time."""
    timing = Timing(cron=cron, zone=zone)
    after, until = at(f"{day} 00:00", zone) - MINUTE, at(f"{day} 23:59", zone)
    found = [local(moment, zone) for moment in firings(timing, after, until)]
    assert found[: len(times)] == [f"{day} {time}" for time in times]


def test_a_repeated_time_is_due_in_its_first_pass():
    """The first of the two moments with that local time is the one."""
    timing = Timing(hours=(2,), minutes=(30,), zone=BERLIN)
    assert next_due(timing, at("2026-10-24 12:00")) == at("2026-10-25 00:30")
    assert next_due(timing, at("2026-10-25 00:30")) == at("2026-10-26 01:30")


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE])
def test_in_a_year_every_intended_local_time_happens_once(zone):
    """Four times a night through 2026: each has its moment, and only skipped ones are shifted."""
    timing = Timing(hours=(1, 2), minutes=(15, 45), zone=zone)
    found = firings(timing, at("2025-12-31 23:59", zone), at("2026-12-31 23:59", zone))
    told = Counter(local(moment, zone) for moment in found)
    intended = {
        f"{date(2026, 1, 1) + number * DAY} {hour:02}:{minute}"
        for number in range(365)
        for hour in (1, 2)
        for minute in (15, 45)
    }
    assert set(told.values()) == {1}
    shifted = {
        BERLIN: {"2026-03-29 02:15": "2026-03-29 03:15", "2026-03-29 02:45": "2026-03-29 03:45"},
        NEW_YORK: {"2026-03-08 02:15": "2026-03-08 03:15", "2026-03-08 02:45": "2026-03-08 03:45"},
        LORD_HOWE: {"2026-10-04 02:15": "2026-10-04 02:45"},  # where 02:45 is due anyway
    }[zone]
    assert set(told) == (intended - set(shifted)) | set(shifted.values())


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE])
def test_in_a_year_an_open_hour_happens_in_every_real_hour(zone):
    """At minute 45 of every hour there are as many moments as the year has hours, whether or not
    a change of half an hour moved them.
    """
    timing = Timing(cron="45 * * * *", zone=zone)
    found = firings(timing, at("2025-12-31 23:59", zone), at("2026-12-31 23:59", zone))
    assert {local(moment, zone)[-2:] for moment in found} == {"45"}
    assert len(found) == 365 * 24 + (1 if zone == LORD_HOWE else 0)  # its 01:45 comes twice


def test_a_day_that_a_zone_left_out_is_made_up_for():
    """Samoa had no 30 December 2011; what was meant for it happens a day later, with the 31st."""
    timing = Timing(hours=(3,), zone="Pacific/Apia")
    found = firings(timing, at("2011-12-29 00:00"), at("2012-01-01 12:00"))
    assert [local(moment, "Pacific/Apia") for moment in found] == [
        "2011-12-29 03:00",
        "2011-12-31 03:00",
        "2012-01-01 03:00",
    ]


def test_a_change_across_midnight_mixes_two_days():
    """In St John's one minute past midnight became 23:01 of the day before: its second pass comes
    after the next day has begun, and everything is found in the order in which it happens.
    """
    zone = "America/St_Johns"
    timing = Timing(cron="0,30 * * * *", zone=zone)
    after, until = at("2010-11-07 01:00"), at("2010-11-07 04:00")
    found = firings(timing, after, until)
    assert [local(moment, zone) for moment in found] == [
        "2010-11-06 23:00",
        "2010-11-06 23:30",
        "2010-11-07 00:00",
        "2010-11-06 23:30",
        "2010-11-07 00:00",
        "2010-11-07 00:30",
    ]
    for number in range(1, 180):
        moment = after + number * MINUTE
        newest = max((one for one in found if one <= moment), default=None)
        assert latest_due(timing, after, moment) == newest


# -- missed moments -------------------------------------------------------------------------------


def test_what_a_server_missed_in_a_year_off():
    """The newest missed moment and how many there were, the first one included."""
    timing = Timing(hours=(3,), zone=BERLIN)
    until = START + 365 * DAY
    assert count_due(timing, START, until) == 365
    assert latest_due(timing, START, until) == at("2027-03-01 02:00")
    assert count_due(timing, START, START + MINUTE) == 0
    assert latest_due(timing, START, START + MINUTE) is None
    assert latest_due(timing, until, START) is None


def test_counting_ends_at_its_limit():
    """More than the limit is told as the limit."""
    timing = Timing(cron="* * * * *", zone=BERLIN)
    assert count_due(timing, START, START + 365 * DAY) == 1000
    assert count_due(timing, START, START + 365 * DAY, limit=7) == 7


# -- the work it takes ----------------------------------------------------------------------------


def work_of(function, *arguments):
    """How many calls, of Python and of C, a call makes; the time of other programs is not in it."""
    calls = Counter()
    sys.setprofile(lambda _frame, event, _argument: calls.update([event]))
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return calls["call"] + calls["c_call"]


@pytest.mark.parametrize(
    ("timing", "after", "most"),
    [
        (Timing(hours=(3,), zone=BERLIN), START, 100),
        (Timing(cron="*/5 8-18 * * 1-5", zone=BERLIN), START, 100),
        (Timing(cron="* * * * *", zone=BERLIN), START, 100),
        (Timing(every_seconds=3600), START, 20),
        (Timing(cron="0 0 1 1 *"), START, 200),
        # Days are looked at in February only: 29 for each of 40 years, beside the other months.
        (Timing(cron="0 0 29 2 */7"), datetime(2088, 2, 29, tzinfo=UTC), 10_000),
        (Timing(cron="0 0 30 2 *"), START, 10_000),
    ],
)
def test_the_work_is_bounded(timing, after, most):
    """Ordinary timings look at a few days; the rarest, and those that never come, at 40 years of
    one month.
    """
    next_due(timing, after)  # reads the line, once
    assert 0 < work_of(next_due, timing, after) < most
    assert 0 < work_of(latest_due, timing, after, after + DAY) < most


def test_a_long_absence_is_no_more_work_than_a_short_one():
    """The newest missed moment is found from the end, and counting ends at its limit."""
    timing = Timing(cron="* * * * *", zone=BERLIN)
    short = work_of(latest_due, timing, START, START + DAY)
    assert work_of(latest_due, timing, LONG_AGO, START + DAY) == short
    assert work_of(count_due, timing, LONG_AGO, FAR_AHEAD, 10) < 10 * 200


def test_what_never_comes_is_none():
    """30 February is looked for without end neither forwards nor back."""
    timing = Timing(cron="0 0 30 2 *")
    assert next_due(timing, START) is None
    assert latest_due(timing, LONG_AGO, START) is None
    assert count_due(timing, LONG_AGO, START) == 0


# -- faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timing", "told"),
    [
        (Timing(), {"": "does not say when: give cron, hours or every_seconds"}),
        (
            Timing(cron="@daily", hours=(3,)),
            {"": "says when in 2 ways, cron and hours: keep one"},
        ),
        (
            Timing(cron="60 * * * *", zone="UTC"),
            {"cron.minute": "'60' is outside of 0 to 59"},
        ),
        (
            Timing(cron="0 0 30,31 2 *"),
            {"cron.day of month": "there is never a 30 or 31 in Feb, so it is never due"},
        ),
        (
            Timing(cron="0 0 31 4,6 *"),
            {"cron.day of month": "there is never a 31 in Apr or Jun, so it is never due"},
        ),
        (
            Timing(hours=(3, 15, 24, -1)),
            {
                "hours[2]": "24 is not an hour of the day, 0 to 23",
                "hours[3]": "-1 is not an hour of the day, 0 to 23",
            },
        ),
        (
            Timing(hours=(3,), minutes=(0, 60)),
            {"minutes[1]": "60 is not a minute of an hour, 0 to 59"},
        ),
        (Timing(hours=(3,), minutes=()), {"minutes": "must name a minute; 0 is the full hour"}),
        (Timing(cron="@daily", minutes=(5,)), {"minutes": "has no meaning without hours"}),
        (Timing(every_seconds=59), {"every_seconds": "59 is too short; the least is 60"}),
        (Timing(every_seconds=-60), {"every_seconds": "-60 is too short; the least is 60"}),
        (
            Timing(every_seconds=LONGEST_SECONDS + 1),
            {"every_seconds": "31622401 is too long; the most is 31622400, a year"},
        ),
        (
            Timing(hours=(3,), anchor=START),
            {"anchor": "has no meaning without every_seconds"},
        ),
        (
            Timing(every_seconds=60, anchor=START.replace(tzinfo=None)),
            {"anchor": "must have a zone, as 2026-01-31T03:00:00+01:00 has"},
        ),
        *(
            (
                Timing(hours=(3,), zone=zone),
                {"zone": f"'{zone}' is not a known time zone; did you mean {near}?"},
            )
            for zone, near in [
                ("Europe/Belrin", "Europe/Berlin"),
                ("europe/berlin", "Europe/Berlin"),
                ("berlin", "Europe/Berlin"),
                ("tucuman", "America/Argentina/Tucuman"),
                ("America/NewYork", "America/New_York"),
            ]
        ),
        *(
            (Timing(hours=(3,), zone=zone), {"zone": f"{zone!r} is not a known time zone"})
            for zone in ["", "../etc", "12345/67890", "a\0b"]
        ),
    ],
)
def test_a_fault_has_its_field_and_a_sentence(timing, told):
    """Every fault says where it is and what may be done."""
    assert {one.field: one.message for one in faults(timing)} == told


def test_all_faults_are_told_at_once():
    """Each part of a timing is looked at, whatever is wrong with the others."""
    timing = Timing(
        cron="60 x 0 13 8", hours=(24,), minutes=(60,), every_seconds=1, zone="Nowhere/Land"
    )
    assert [one.field for one in faults(timing)] == [
        "",
        "cron.minute",
        "cron.hour",
        "cron.day of month",
        "cron.month",
        "cron.day of week",
        "hours[0]",
        "minutes[0]",
        "every_seconds",
        "zone",
    ]
    never = Timing(cron="0 0 30 2 *", zone="Nowhere/Land")
    assert [one.field for one in faults(never)] == ["zone", "cron.day of month"]


@pytest.mark.parametrize(
    "timing",
    [
        Timing(cron="0 3 * * 1-5", zone=BERLIN),
        Timing(cron="0 0 29 2 *"),
        Timing(cron="0 0 30 2 mon"),
        Timing(hours=tuple(range(24)), minutes=(0, 59), zone=LORD_HOWE),
        Timing(every_seconds=60, anchor=START),
        Timing(every_seconds=LONGEST_SECONDS),
    ],
)
def test_a_good_timing_has_no_faults(timing):
    """What is right is not complained of, and is due some day."""
    assert faults(timing) == ()
    assert next_due(timing, START) > START


def test_a_timing_with_faults_has_no_due_moments():
    """Asking anyway is refused with the same complaints, never answered by a guess."""
    timing = Timing(cron="60 * * * *", zone="Nowhere/Land")
    for ask in (
        lambda: next_due(timing, START),
        lambda: latest_due(timing, LONG_AGO, START),
        lambda: count_due(timing, LONG_AGO, START),
    ):
        with pytest.raises(Invalid) as caught:
            ask()
        assert caught.value.complaints == faults(timing)


def test_utc_needs_no_database_of_zones():
    """A machine without time zone data still keeps schedules in UTC."""
    program = (
        "from datetime import UTC, datetime\n"
        "from ciserver.model.schedule import Timing, faults, next_due\n"
        "print(faults(Timing(hours=(3,))), next_due(Timing(hours=(3,)), "
        "datetime(2026, 3, 1, tzinfo=UTC)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONTZPATH": ""},
    )
    assert done.stdout == "() 2026-03-01 03:00:00+00:00\n"


# -- for people -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timing", "text"),
    [
        (Timing(hours=(3,), zone=BERLIN), "at 03:00 Europe/Berlin"),
        (Timing(hours=(15, 3), minutes=(30,)), "at 03:30, 15:30 UTC"),
        (
            Timing(hours=tuple(range(24))),
            "at 00:00, 01:00, 02:00, 03:00, 04:00, 05:00 and 18 more times UTC",
        ),
        (Timing(every_seconds=6 * 3600), "every 6 hours"),
        (Timing(every_seconds=3600), "every hour"),
        (Timing(every_seconds=90 * 60), "every 90 minutes"),
        (Timing(every_seconds=61), "every 61 seconds"),
        (Timing(every_seconds=7 * 86400), "every 7 days"),
        (Timing(cron="0 3 * * 1-5", zone=BERLIN), "cron 0 3 * * 1-5, Europe/Berlin"),
        (Timing(cron=" 0  3 * * *"), "cron 0 3 * * *, UTC"),
        (Timing(), "never"),
    ],
)
def test_a_timing_describes_itself(timing, text):
    """One line that a person understands."""
    assert timing.describe() == text


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("nightly", True), ("pgo", True), ("periodic", False)],
)
def test_which_kinds_build_only_what_changed(kind, expected):
    """Nightly and PGO schedules wait for a change unless told otherwise; periodic ones do not."""
    assert ScheduleKind(kind).only_if_changed is expected
