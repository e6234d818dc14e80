"""Products that start by themselves: set, shown, done and failed."""

import pytest
from dialects.abf.playing import LISTS
from support.factories import ADMIN

from ciserver.machine import native_system
from ciserver.model.build import BuildResult, Offer, StepResult
from ciserver.model.schedule import ScheduleKind, Timing
from ciserver.model.status import BuildStatus, StepStatus

DAYS = {0: Timing(hours=(4, 16)), 1: Timing(hours=(4,)), 2: Timing(cron="0 4 * * 0")}


@pytest.fixture
def path(product):
    return f"/api/v1/products/{product.id}.json"


@pytest.fixture
def put(ivan, path):
    """Changes the product as ivan; answers it as it is shown then."""

    def put(**fields):
        answer = ivan.ask("PUT", path, {"product": fields})
        assert answer.status_code == 200, answer.text
        return ivan.get(path).json["product"]

    return put


@pytest.fixture
def schedules(services, product):
    return lambda: [one.schedule for one in services.schedules.list_of_jobset(ADMIN, product)]


@pytest.fixture
def next_day(services, clock):
    """A day goes by, and what was due in it is done."""

    def next_day():
        clock.forward(days=1)
        services.schedules.fire_due()
        while services.evaluations.evaluate_next():
            pass

    return next_day


def end(parts, status):
    lease = parts.reporter.claim(Offer("local", (native_system(),))).lease
    parts.reporter.advance(lease, StepResult(0, StepStatus.SUCCEEDED, 0), 1, sandbox="plain")
    parts.reporter.finish(lease, BuildResult(status), ())


@pytest.mark.parametrize("code", [0, 1, 2, "1"])
def test_each_code_is_a_schedule(put, schedules, code):
    """At its hours in UTC, of the script; the product tells it, and when it is due."""
    shown = put(autostart_status=code)
    assert shown["autostart_status"] == int(code)
    assert shown["autostart"]["next_at"] > 1772366400
    (one,) = schedules()
    assert (one.timing, one.kind, one.runs_script) == (
        DAYS[int(code)],
        ScheduleKind.PERIODIC,
        True,
    )
    assert (one.only_if_changed, one.ref, one.declared_by) == (False, "HEAD", "api")


def test_another_code_takes_the_place(put, schedules):
    """The same again changes nothing; null ends it, and what is not said stays."""
    put(autostart_status=1)
    (first,) = schedules()
    assert put(autostart_status=1, description="x")["autostart_status"] == 1
    assert put(description="y")["autostart_status"] == 1
    assert schedules() == [first]
    assert put(autostart_status=2)["autostart_status"] == 2
    assert len(schedules()) == 1
    shown = put(autostart_status=None)
    assert (shown["autostart_status"], shown["autostart"], schedules()) == (None, None, [])


def test_only_if_changed(put, schedules):
    """An option beside the code; said alone it is of the autostart that there is."""
    assert put(autostart_status=0, autostart_only_if_changed=True)["autostart_only_if_changed"]
    (one,) = schedules()
    assert (one.only_if_changed, one.timing) == (True, DAYS[0])
    shown = put(autostart_only_if_changed="false")
    assert (shown["autostart_status"], shown["autostart_only_if_changed"]) == (0, False)
    assert put(autostart_only_if_changed=True, autostart_status=None)["autostart"] is None


def test_other_schedules_stay(put, schedules, services, admin, product):
    """Those of the recipe, and those of the script at other hours; a zone that was chosen, too."""
    where = (admin, product.project, product.name, ScheduleKind.PERIODIC)
    services.schedules.add(*where, Timing(hours=(4,)))
    services.schedules.add(*where, Timing(hours=(5,)), runs_script=True)
    chosen = Timing(hours=(4,), zone="Europe/Moscow")
    services.schedules.add(*where, chosen, runs_script=True)
    before = schedules()
    assert put(autostart_status=1)["autostart_status"] == 1
    assert schedules() == before
    put(autostart_status=None)
    assert schedules() == before[:2]


def test_a_product_is_made_with_it(make_client, make_token, add_user, product):
    """Or not at all, when it has no script to run."""
    root = make_client(make_token(add_user("root", admin=True), "*"))
    given = {"project_id": product.project_id, "name": "daily", "autostart_status": 1}
    answer = root.ask("POST", "/api/v1/products.json", {"product": given})
    assert answer.json["product"]["message"] == (
        "Product has not been created. Main script can't be blank"
    )
    assert root.get("/api/v1/products/2.json").status_code == 404
    answer = root.ask("POST", "/api/v1/products.json", {"product": given | {"main_script": "x"}})
    number = answer.json["product"]["id"]
    assert root.get(f"/api/v1/products/{number}.json").json["product"]["autostart_status"] == 1


def test_a_list_is_made_by_itself(ivan, put, next_day, parts, commit):
    """At the newest commit, and it says that it was."""
    put(autostart_status=1)
    next_day()
    (listed,) = ivan.get(f"{LISTS}.json").json["product_build_lists"]
    shown = ivan.show(listed["id"])
    assert (shown["status"], shown["autostarted"]) == (2, True)
    assert (shown["commit_hash"], shown["main_script"]) == (commit, "MATRIX")
    assert (shown["time_living"], shown["arch"]["name"]) == (
        60,
        native_system().removesuffix("-linux"),
    )
    end(parts, BuildStatus.SUCCEEDED)
    assert ivan.show(listed["id"])["status"] == 0


def test_how_it_went_is_told(ivan, put, next_day, parts, repository, path):
    """With the product: a list that failed, one that still runs, and one that could not be made."""

    def told():
        one = ivan.get(path).json["product"]["autostart"]
        return one["failed"], one["last_result"]

    shown = put(autostart_status=1)["autostart"]
    assert (shown["last_at"], shown["last_result"], shown["failed"]) == (None, None, False)
    next_day()
    assert told() == (False, "0 of 1 builds good")
    next_day()
    assert told() == (True, "the firing before it still runs (evaluation 1)")
    end(parts, BuildStatus.FAILED)
    next_day()
    end(parts, BuildStatus.FAILED)
    assert told() == (True, "0 of 1 builds good")
    put(project_version="gone")
    next_day()
    failed, result = told()
    assert failed
    assert result.startswith("failed: ")
    assert "gone" in result
