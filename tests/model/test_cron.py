"""Cron lines: what they mean, and what is said of those that mean nothing."""

from datetime import date, timedelta

import pytest

from ciserver.model.cron import LONGEST, MACROS, parse
from ciserver.model.errors import Invalid

DAY = timedelta(days=1)
EVERY = set(range(60)), set(range(24)), set(range(1, 32)), set(range(1, 13)), set(range(7))


def read(line):
    """The five fields as sets; hours and minutes are taken from the times."""
    calendar = parse(line)
    return (
        {second // 60 % 60 for second in calendar.seconds},
        {second // 3600 for second in calendar.seconds},
        set(calendar.month_days),
        set(calendar.months),
        set(calendar.weekdays),
    )


def complaints(line):
    with pytest.raises(Invalid) as caught:
        parse(line)
    return [(one.field.removeprefix("cron."), one.message) for one in caught.value.complaints]


@pytest.mark.parametrize(
    ("line", "field", "values"),
    [
        ("5 * * * *", 0, {5}),
        ("05 * * * *", 0, {5}),
        ("*/15 * * * *", 0, {0, 15, 30, 45}),
        ("5-20/5 * * * *", 0, {5, 10, 15, 20}),
        ("1,2,40-42 * * * *", 0, {1, 2, 40, 41, 42}),
        ("* 0-23/8 * * *", 1, {0, 8, 16}),
        ("* 22,23 * * *", 1, {22, 23}),
        ("* * 1,15,31 * *", 2, {1, 15, 31}),
        ("* * */10 * *", 2, {1, 11, 21, 31}),
        ("* * * jan *", 3, {1}),
        ("* * * Jan,JUL-sep *", 3, {1, 7, 8, 9}),
        ("* * * */4 *", 3, {1, 5, 9}),
        ("* * * * 0", 4, {0}),
        ("* * * * 7", 4, {0}),
        ("* * * * sun", 4, {0}),
        ("* * * * mon-fri", 4, {1, 2, 3, 4, 5}),
        ("* * * * 5-7", 4, {5, 6, 0}),
        ("* * * * fri-sun", 4, {5, 6, 0}),
        ("* * * * sun-tue", 4, {0, 1, 2}),
        ("* * * * */2", 4, {0, 2, 4, 6}),
        ("  *\t*  * * *  ", 0, set(range(60))),
    ],
)
def test_a_field_means_its_values(line, field, values):
    """The field written has its values, and the other four have all of theirs."""
    expected = list(EVERY)
    expected[field] = values
    assert read(line) == tuple(expected)


@pytest.mark.parametrize(
    ("macro", "line"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@Annually", "0 0 1 1 *"),
    ],
)
def test_a_macro_stands_for_its_line(macro, line):
    """Macros are short for lines, in any case of letters."""
    assert macro.lower() in MACROS
    assert parse(macro) == parse(line)


@pytest.mark.parametrize(
    ("line", "days"),
    [
        ("0 0 13 * *", [13]),
        ("0 0 * * fri", [6, 13, 20, 27]),
        ("0 0 10 * fri", [6, 10, 13, 20, 27]),  # either is enough
        ("0 0 1-31 * fri", list(range(1, 32))),
        ("0 0 */10 * sun", [1]),  # a field from `*` on restricts no day: both must be right
        ("0 0 8 * */7", [8]),
        ("0 0 10 4 fri", []),
    ],
)
def test_days_of_month_and_of_week(line, days):
    """Either field of days is enough when both are given; else a day is right in both."""
    calendar = parse(line)
    assert [day for day in range(1, 32) if calendar.has(date(2026, 3, day))] == days


@pytest.mark.parametrize(
    ("line", "every_hour"),
    [
        ("5 * * * *", True),
        ("@hourly", True),
        ("5 */1 * * *", False),
        ("5 0-23 * * *", False),
        ("5 3 * * *", False),
    ],
)
def test_only_a_plain_star_leaves_the_hour_open(line, every_hour):
    """Who writes down hours means hours of the local day, even all of them."""
    assert parse(line).every_hour is every_hour


def test_a_walk_meets_each_right_day_in_either_direction():
    """Forwards and back the same days, with months and years left behind on the way."""
    calendar = parse("0 0 30,31 jan,apr,dec *")
    expected = [date(2026, 12, 30), date(2026, 12, 31), date(2027, 1, 30), date(2027, 1, 31)]
    expected.append(date(2027, 4, 30))
    there = calendar.walk(date(2026, 5, 31), DAY)
    assert [next(there) for _ in expected] == expected
    back = calendar.walk(date(2027, 11, 30), -DAY)
    assert [next(back) for _ in expected] == expected[::-1]


@pytest.mark.parametrize(
    ("line", "is_empty"),
    [
        ("0 0 30 2 *", True),
        ("0 0 30,31 feb *", True),
        ("0 0 31 4,6,9,11 *", True),
        ("0 0 29 2 *", False),
        ("0 0 31 4,5 *", False),
        ("0 0 29-31 2 *", False),
        ("0 0 30 2 mon", False),  # the Mondays of February
        ("0 0 30 2 */2", True),  # both must be right, and one never is
    ],
)
def test_a_calendar_without_any_day_knows_it(line, is_empty):
    """Impossible dates are recognised, and rare ones are not taken for them."""
    calendar = parse(line)
    assert calendar.is_empty is is_empty
    found = next(calendar.walk(date(2026, 1, 1), DAY), None)
    assert (found is None) is is_empty


@pytest.mark.parametrize(
    ("line", "field", "fault"),
    [
        ("60 * * * *", "minute", "'60' is outside of 0 to 59"),
        ("* 24 * * *", "hour", "'24' is outside of 0 to 23"),
        ("* * 0 * *", "day of month", "'0' is outside of 1 to 31"),
        ("* * * 13 *", "month", "'13' is outside of 1 to 12"),
        ("* * * * 8", "day of week", "'8' is outside of 0 to 7"),
        ("x * * * *", "minute", "'x' cannot be the minute, 0 to 59"),
        ("mon * * * *", "minute", "'mon' cannot be the minute, 0 to 59"),
        ("* -5 * * *", "hour", "'-5' cannot be the hour, 0 to 23"),
        ("* 5- * * *", "hour", "'5-' cannot be the hour, 0 to 23"),
        ("٣ * * * *", "minute", "'٣' cannot be the minute, 0 to 59"),
        (
            "* * * september *",
            "month",
            "'september' cannot be the month, 1 to 12 or jan to dec; did you mean sep?",
        ),
        (
            "* * * * wendsday",
            "day of week",
            "'wendsday' cannot be the day of week, 0 to 7 or sun to sat; did you mean wed?",
        ),
        (
            "* 22-2 * * *",
            "hour",
            "the range '22-2' is reversed; to go on from the start write 22-23,0-2",
        ),
        (
            "* * * * sat-mon",
            "day of week",
            "the range 'sat-mon' is reversed; to go on from the start write 6-7,0-1",
        ),
        ("*/0 * * * *", "minute", "'*/0' has a step of zero; the smallest step is 1"),
        ("*/x * * * *", "minute", "'*/x' has no number after the slash"),
        ("*/ * * * *", "minute", "'*/' has no number after the slash"),
        ("*/90 * * * *", "minute", "the step of '*/90' is too long: only 0 would be left"),
        ("* 8-12/5 * * *", "hour", "the step of '8-12/5' is too long: only 8 would be left"),
        ("5/15 * * * *", "minute", "'5/15' has a step and no range; begin with 5-59"),
        ("1,,2 * * * *", "minute", "has a comma with nothing beside it"),
        ("1, * * * *", "minute", "has a comma with nothing beside it"),
    ],
)
def test_a_fault_is_told_once_with_its_field(line, field, fault):
    """The complaint names the field and what to write instead."""
    assert complaints(line) == [(field, fault)]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("* * * *", "has 4 fields and must have 5"),
        ("0 * * * * *", "has 6 fields and must have 5"),
        ("", "has 0 fields and must have 5"),
        ("@dayly", "'@dayly' is not a known macro; did you mean @daily?"),
        ("@reboot", "'@reboot' is not a known macro; known are @hourly"),
        ("1," * LONGEST + "1 * * * *", f"is longer than {LONGEST} characters"),
    ],
)
def test_a_line_that_is_not_five_fields(line, fault):
    """What is wrong with the whole line is told of the line."""
    ((field, message),) = complaints(line)
    assert field == "cron"
    assert message.startswith(fault)


def test_ten_faults_are_ten_complaints():
    """Every fault is told at once, in the order in which they stand."""
    found = complaints("60,x,*/0,9-5 24,25 0,32 13 8")
    assert [field for field, _ in found] == [
        *["minute"] * 4,
        *["hour"] * 2,
        *["day of month"] * 2,
        "month",
        "day of week",
    ]


def test_a_long_word_is_quoted_in_short():
    """Nobody can fill a page with a recipe's mistake."""
    ((_, message),) = complaints(f"{'x' * 900} * * * *")
    assert len(message) < 100
