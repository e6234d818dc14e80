"""The `schedules:` of a recipe: read into values, or refused with every fault at its place."""

import pytest
import yaml

from ciserver.model.schedule import ScheduleKind, ScheduleSpec, Timing
from ciserver.recipe.manifest import read_manifest

HEAD = "image: host\ntasks:\n  - build: echo built\n"


def read(*schedules):
    text = HEAD + yaml.safe_dump({"schedules": list(schedules)})
    return read_manifest(".build.yml", text, default_system="x86_64-linux")


def faults(*schedules):
    """[(field, message)] of a recipe that is refused."""
    reading = read(*schedules)
    assert (reading.jobs, reading.schedules) == ((), ())
    assert {one.file for one in reading.complaints} == {".build.yml"}
    return [(one.field, one.message) for one in reading.complaints]


def fields(*schedules):
    return [field for field, _ in faults(*schedules)]


@pytest.mark.parametrize(
    ("written", "timing"),
    [
        ({"cron": "0 3 * * 1-5"}, Timing(cron="0 3 * * 1-5")),
        ({"cron": "@daily", "zone": "Asia/Kolkata"}, Timing(cron="@daily", zone="Asia/Kolkata")),
        ({"hours": [1, 13]}, Timing(hours=(1, 13))),
        ({"hours": [4], "minutes": [0, 30]}, Timing(hours=(4,), minutes=(0, 30))),
        ({"every": 90}, Timing(every_seconds=5400)),
        ({"every": 1}, Timing(every_seconds=60)),
        ({"every": 1.5}, Timing(every_seconds=90)),
        ({"every": 4.35}, Timing(every_seconds=261)),
    ],
)
def test_every_way_to_say_when(written, timing):
    """Cron lines, hours with minutes, and intervals in minutes, to the second."""
    reading = read(written)
    assert reading.complaints == ()
    (one,) = reading.schedules
    assert one == ScheduleSpec(ScheduleKind.NIGHTLY, timing, True, False, ".build.yml")


@pytest.mark.parametrize("kind", ScheduleKind)
def test_what_a_kind_does_by_itself(kind):
    """Only periodic builds do not wait for a change; what is said counts more."""
    silent, changed, always = read(
        {"kind": kind.value, "every": 60},
        {"kind": kind.value, "every": 60, "only_if_changed": True},
        {"kind": kind.value, "every": 60, "only_if_changed": False, "last_good": True},
    ).schedules
    assert silent.only_if_changed is (kind is not ScheduleKind.PERIODIC)
    assert (changed.only_if_changed, always.only_if_changed) == (True, False)
    assert (silent.last_good, always.last_good) == (False, True)


def test_without_schedules():
    """A recipe need not have any; an empty list is none."""
    assert read().schedules == ()
    assert [job.name for job in read().jobs] == ["build"]


def test_ten_faults_at_once():
    """Each at its place, in one go, whichever part of the recipe's reader finds it."""
    found = faults(
        {"cron": "61 24 0 13 8"},
        {"every": 0.5, "zone": "Europe/Berlim"},
        {"hours": [3, 24], "minutes": [60]},
        {"kind": "hourly", "cron": "0 3 30 2 *"},
        {},
    )
    assert {field for field, _ in found} == {
        "schedules[0].cron.minute",
        "schedules[0].cron.hour",
        "schedules[0].cron.day of month",
        "schedules[0].cron.month",
        "schedules[0].cron.day of week",
        "schedules[1].every",
        "schedules[1].zone",
        "schedules[2].hours[1]",
        "schedules[2].minutes[0]",
        "schedules[3].kind",
        "schedules[3].cron.day of month",
        "schedules[4]",
    }
    told = dict(found)
    assert told["schedules[1].zone"].endswith("did you mean Europe/Berlin?")
    assert "never due" in told["schedules[3].cron.day of month"]


def test_an_interval_is_told_in_minutes():
    """As it is written, not in the seconds that are kept."""
    for minutes in (0.5, 0.99):
        assert faults({"every": minutes}) == [("schedules[0].every", "must be at least 1 minute")]
    for minutes in (0, -5, 366 * 24 * 60 + 1):
        ((field, message),) = faults({"every": minutes})
        assert field == "schedules[0].every"
        assert "minutes" in message
    ((_, missing),) = faults({"kind": "pgo"})
    assert missing == "does not say when: give cron, hours or every"
    ((_, twice),) = faults({"every": 5, "hours": [3]})
    assert "every_seconds" not in twice


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"cron": 5}, "cron"),
        ({"cron": ""}, "cron"),
        ({"hours": 3}, "hours"),
        ({"hours": ["3"]}, "hours[0]"),
        ({"hours": [3], "minutes": [True]}, "minutes[0]"),
        ({"every": "90m"}, "every"),
        ({"every": True}, "every"),
        ({"every": 5, "zone": 1}, "zone"),
        ({"every": 5, "only_if_changed": "yes"}, "only_if_changed"),
        ({"every": 5, "last_good": 1}, "last_good"),
        ({"every": 5, "color": "red"}, "color"),
    ],
)
def test_a_wrong_type_is_one_fault(entry, field):
    """It is told once, and nothing follows from what could not be read."""
    assert fields(entry) == [f"schedules[0].{field}"]


def test_a_wrong_type_hides_no_other_fault():
    """What is wrong with the rest of the schedule is told too."""
    assert sorted(fields({"cron": "0 25 * * *", "zone": "Mars", "last_good": 1})) == [
        "schedules[0].cron.hour",
        "schedules[0].last_good",
        "schedules[0].zone",
    ]


@pytest.mark.parametrize("schedules", ["3", "nightly", "{cron: '0 3 * * *'}", "[3]", "[[]]"])
def test_what_is_no_list_of_maps(schedules):
    """It is a fault of `schedules`."""
    text = f"{HEAD}schedules: {schedules}\n"
    reading = read_manifest(".build.yml", text, default_system="x86_64-linux")
    assert [one.field.partition("[")[0] for one in reading.complaints] == ["schedules"]


def test_their_number_is_bounded():
    """Each costs time for as long as it is there."""
    assert len(read(*[{"every": 60 + number} for number in range(100)]).schedules) == 100
    ((field, message),) = faults(*[{"every": 60 + number} for number in range(101)])
    assert (field, message) == ("schedules", "must have at most 100 schedules")
