"""What the bench makes of its samples; measuring itself is no test."""

from xml.etree import ElementTree as ET

import pytest

from bench.buildbot import Buildbot
from bench.figures import Goal, Measured, Row, faults, is_steady, judged, percentile, table
from bench.laminar import Laminar
from bench.metrics import METRICS
from bench.plot import plot

SVG = "http://www.w3.org/2000/svg"
SPEED = Row("speed", "builds", "/s", (Goal(2, against="other"),))


def measured(row, **samples):
    return {row.key: Measured(row, samples)}


@pytest.mark.parametrize(
    ("samples", "percent", "found"),
    [
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([1.0], 99, 1.0),
        ([float(n) for n in range(1, 101)], 95, 95.0),
        ([float(n) for n in range(1, 31)], 95, 29.0),
    ],
)
def test_a_percentile_is_a_sample_that_so_many_are_not_above(samples, percent, found):
    """The nearest rank, whatever the order."""
    assert percentile(samples, percent) == found


def test_a_goal_compares_medians_of_two_systems():
    """An outlier of either decides nothing."""
    rows = measured(SPEED, ciserver=[10.0, 9.0, 99.0], other=[5.0, 4.0, 0.1])
    assert judged(SPEED.goals[0], SPEED, rows) == (2.5, True)


def test_a_goal_may_be_a_most():
    """Of what costs, less is better."""
    row = Row("lag", "lag", "ms", (Goal(0.5, at_least=False, against="other"),))
    assert judged(row.goals[0], row, measured(row, ciserver=[3.0], other=[5.0])) == (0.6, False)


def test_a_goal_may_compare_with_another_row_of_ours():
    """Such as a speed with more at once, beside the one with less."""
    more = Row("more", "8 at once", "/s", (Goal(0.8, of="speed"),))
    rows = measured(SPEED, ciserver=[100.0]) | measured(more, ciserver=[70.0])
    assert judged(more.goals[0], more, rows) == (0.7, False)


def test_a_goal_may_be_a_figure():
    """Without somebody to compare with the figure itself is judged, zero too."""
    row = Row("size", "size", "MB", (Goal(70, at_least=False),))
    assert judged(row.goals[0], row, measured(row, ciserver=[0.0])) == (0.0, True)


def test_what_was_not_measured_meets_no_goal():
    """A missing system, and a row that was left out, are unknown."""
    row = Row("lag", "lag", "ms", (Goal(2, of="left-out"),))
    assert judged(SPEED.goals[0], SPEED, measured(SPEED, ciserver=[10.0])) is None
    assert judged(SPEED.goals[0], SPEED, measured(SPEED, other=[10.0])) is None
    assert "unknown" in table(measured(row, ciserver=[1.0]), ["ciserver"])


@pytest.mark.parametrize(("after", "steady"), [(109.0, True), (91.0, True), (89.0, False)])
def test_a_machine_that_became_slower_or_faster_is_not_steady(after, steady):
    """Ten percent either way."""
    assert is_steady(100.0, after) is steady


def test_the_table_marks_what_is_not_to_be_believed():
    """A wavering machine, a measurement that failed, one that was not had, and a goal missed."""
    rows = measured(SPEED, ciserver=[10.0], other=[8.0])
    rows["speed"].is_steady = False
    rows["speed"].faults["broken"] = "it did not start"
    (_, line) = table(rows, ["ciserver", "other", "broken", "absent"]).splitlines()
    assert line.split() == [
        *("builds", "~", "/s", "10", "8", "-", "!", "-"),
        *(">=", "2x", "other:", "NO", "(1.25)"),
    ]


def test_a_fault_is_told_once_with_its_rows():
    """One failed measurement leaves several rows empty."""
    rows = measured(SPEED) | measured(Row("more", "more", "/s"))
    for one in rows.values():
        one.faults["other"] = "it did not start"
    assert faults(rows.values()) == ["! other, speed, more: it did not start"]


def test_a_plot_shows_each_system_from_its_lowest_to_its_highest():
    """More is above less, later is right of earlier, and text is escaped."""
    drawn = plot("A & B", "clients", "a second", {"ours": [(1, 10), (8, 1000)], "<other>": []})
    tree = ET.fromstring(drawn)
    (line,) = tree.iter(f"{{{SVG}}}polyline")
    (x0, y0), (x1, y1) = (map(float, point.split(",")) for point in line.get("points").split())
    assert x0 < x1
    assert y0 > y1
    assert "A &amp; B" in drawn


def test_a_plot_of_one_point_is_drawn():
    """There is no span to scale by then."""
    assert "polyline" in plot("One", "clients", "a second", {"ours": [(8, 5)]})


def heights(drawn, name):
    tree = ET.fromstring(drawn)
    return [float(one.get("y")) for one in tree.iter(f"{{{SVG}}}text") if one.text == name]


def test_names_of_lines_that_end_together_do_not_lie_upon_each_other():
    """Both can be read."""
    drawn = plot("Two", "clients", "a second", {"ours": [(1, 5), (8, 7)], "theirs": [(8, 7)]})
    (ours,), (theirs,) = heights(drawn, "ours"), heights(drawn, "theirs")
    assert theirs - ours >= 11


def test_a_course_over_time_is_drawn_from_zero():
    """So that a small change looks small."""
    drawn = plot("Time", "minutes", "MB", {"ours": [(1, 120), (30, 121)]}, by_powers=False)
    (line,) = ET.fromstring(drawn).iter(f"{{{SVG}}}polyline")
    (_, first), (_, last) = (map(float, point.split(",")) for point in line.get("points").split())
    assert 0 < first - last < 5
    assert "circle" not in drawn


def test_every_goal_names_what_is_measured():
    """A misspelt system or row would be unknown for ever."""
    rows = [row for metric in METRICS for row in metric.rows]
    keys = [row.key for row in rows]
    goals = [goal for row in rows for goal in row.goals]
    assert len(set(keys)) == len(keys)
    assert {goal.of for goal in goals} <= {"", *keys}
    assert {goal.against for goal in goals} <= {"", Buildbot.name, Laminar.name}
