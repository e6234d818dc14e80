"""Schedules on pages: shown with zone and history, and changed by forms of those who may."""

from datetime import timedelta

import pytest

from ciserver.model.schedule import ScheduleKind, Timing

NIGHTLY = "image: host\ntasks:\n  - test: echo tested\nwhen:\n  kinds: [nightly]\n"
JOBSET = "/jobset/project/main"


@pytest.fixture
def add_schedule(services, works, admin):
    """Adds a schedule to a jobset with a nightly job; answers its id."""
    works.evaluation({".build.yml": NIGHTLY})

    def add(kind=ScheduleKind.NIGHTLY, **timing):
        timing = Timing(**(timing or {"hours": (3,), "zone": "Europe/Berlin"}))
        return services.schedules.add(admin, "project", "main", kind, timing).id

    return add


@pytest.fixture
def schedule(add_schedule):
    return add_schedule()


def words_of(page):
    return " ".join(page.text.split())


def test_the_page_of_a_schedule_tells_when_it_is_due_by_its_own_clock(schedule, browser):
    """Date, time and zone in the text, with what is built and who declared it."""
    text = words_of(browser.page(f"/schedule/{schedule}"))
    assert "Nightly schedule 1" in text
    assert "at 03:00 Europe/Berlin" in text
    assert "Mon 2026-03-02 03:00 Europe/Berlin in 14 hours" in text
    assert "the default branch, only if changed" in text
    assert "It has not fired yet" in text


def test_the_page_of_a_jobset_lists_its_schedules(add_schedule, services, admin, browser):
    """Each with its timing and next due moment; a paused one is marked and not due."""
    add_schedule()
    services.schedules.pause(admin, add_schedule(cron="30 4 * * *"), paused=True)
    text = words_of(browser.page(JOBSET))
    assert "Nightly at 03:00 Europe/Berlin Mon 2026-03-02 03:00 Europe/Berlin in 14 hours" in text
    assert "Nightly Paused cron 30 4 * * *, UTC \N{EN DASH} not fired yet" in text


def test_a_zone_that_is_known_no_more_breaks_no_page(store, works, clock, browser):
    """After an upgrade without it the moments are told in UTC, and the zone is still named."""
    works.evaluation({".build.yml": NIGHTLY})
    jobset = store.jobsets.get_by_name("project", "main")
    with store.transaction():
        gone = store.schedules.add(
            jobset.id,
            ScheduleKind.NIGHTLY,
            Timing(hours=(3,), zone="Europe/Atlantis"),
            ref="HEAD",
            only_if_changed=True,
            last_good=False,
            declared_by="command",
            now=clock.now(),
            next_due_at=clock.now() + timedelta(hours=1),
        )
    for path in (f"/schedule/{gone}", JOBSET):
        text = words_of(browser.page(path))
        assert "at 03:00 Europe/Atlantis" in text
        assert "Sun 2026-03-01 13:00 UTC in 1 hour" in text


def test_the_history_tells_what_came_of_each_firing(schedule, clock, services, browser):
    """Missed moments are counted, and the evaluation is linked with its outcome."""
    clock.forward(days=3)
    services.schedules.fire_due()
    services.evaluations.evaluate_next()
    page = browser.page(f"/schedule/{schedule}")
    assert "Wed 2026-03-04 03:00 Europe/Berlin 10 hours ago #2" in words_of(page)
    assert "0 of 1 builds good 2" in words_of(page)
    assert {"href": "/eval/2"} in page.all("a")


def test_a_warning_stands_on_both_pages(add_schedule, services, admin, browser):
    """A schedule whose kind no job is built for says so."""
    pgo = add_schedule(ScheduleKind.PGO)
    services.schedules.fire(admin, pgo)
    services.evaluations.evaluate_next()
    for path in (f"/schedule/{pgo}", JOBSET):
        text = words_of(browser.page(path))
        assert "Warning: no job of the recipe is built for kind pgo" in text


def test_nobody_sees_forms_without_signing_in(schedule, browser):
    """Reading needs no account; changing does, and the pages do not offer it."""
    for path in (f"/schedule/{schedule}", JOBSET):
        page = browser.page(path)
        assert [one for one in page.all("form") if "schedule" in one["action"]] == []
        assert "add one here" not in page.text


def test_a_schedule_is_added_by_form(add_schedule, services, admin, person):
    """It leads to the page of the new schedule, which the page declares and may remove."""
    token = person.page(JOBSET).csrf
    answer = person.post(
        f"{JOBSET}/schedules", csrf=token, kind="pgo", cron="15 2 * * mon-fri", zone="Asia/Tokyo"
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/schedule/1")
    made = services.schedules.show(admin, 1).schedule
    assert made.kind is ScheduleKind.PGO
    assert made.timing == Timing(cron="15 2 * * mon-fri", zone="Asia/Tokyo")
    assert made.declared_by == "page"


def test_a_bad_schedule_comes_back_with_every_fault_and_what_was_written(add_schedule, person):
    """Status 400; each fault is an entry of its own, and no field is lost."""
    token = person.page(JOBSET).csrf
    written = {"kind": "pgo", "cron": "61 25 * * frx", "zone": "Europe/Berln"}
    answer = person.post(f"{JOBSET}/schedules", csrf=token, **written)
    assert answer.status_code == 400
    page = person.parse(answer.text)
    faults = answer.text.partition('role="alert">')[2].partition("</ul>")[0]
    assert faults.count("<li>") == 4
    for fault in ("cron.minute", "cron.hour", "cron.day of week", "did you mean Europe/Berlin?"):
        assert fault in faults
    fields = {one.get("name"): one.get("value") for one in page.all("input")}
    assert (fields["cron"], fields["zone"]) == (written["cron"], written["zone"])
    assert "<option selected>pgo</option>" in answer.text
    assert page.all("details")[-1] == {"open": ""}


def test_an_unknown_kind_is_refused_by_form(add_schedule, person, services, admin):
    """A kind that the form does not offer makes nothing."""
    token = person.page(JOBSET).csrf
    answer = person.post(
        f"{JOBSET}/schedules", csrf=token, kind="hourly", cron="@hourly", zone="UTC"
    )
    assert answer.status_code == 400
    assert "unknown kind" in answer.text
    assert services.schedules.list_all(admin) == ()


def test_a_schedule_is_fired_paused_resumed_and_removed_by_form(schedule, person, browser):
    """Each button leads to where its effect is seen."""
    token = person.page(f"/schedule/{schedule}").csrf

    def press(change):
        answer = person.post(f"/schedule/{schedule}/{change}", csrf=token)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    assert press("fire") == "/eval/2"
    assert "fired by ada" in person.page(f"/schedule/{schedule}").text
    assert press("pause") == f"/schedule/{schedule}"
    page = person.page(f"/schedule/{schedule}")
    assert "Paused" in page.text
    assert any(one["action"].endswith("/resume") for one in page.all("form"))
    assert press("resume") == f"/schedule/{schedule}"
    assert "Mon 2026-03-02 03:00" in browser.page(f"/schedule/{schedule}").text
    assert press("remove") == JOBSET
    assert browser.get(f"/schedule/{schedule}").status_code == 404


def test_what_a_recipe_declares_is_not_removed_by_form(works, person):
    """There is no button, and a form that is sent all the same is refused with what to do."""
    works.evaluation({".build.yml": f"{NIGHTLY}schedules:\n  - hours: [3]\n"})
    page = person.page("/schedule/1")
    assert [one for one in page.all("form") if one["action"].endswith("/remove")] == []
    assert ".build.yml" in page.text
    answer = person.post("/schedule/1/remove", csrf=page.csrf)
    assert answer.status_code == 400
    assert "take it out of the recipe" in answer.text


@pytest.mark.parametrize("change", ["fire", "pause", "resume", "remove"])
def test_a_form_without_the_token_of_the_session_changes_nothing(change, schedule, person, browser):
    """Neither a signed-in person's browser led by another page, nor a stranger."""
    before = browser.page(f"/schedule/{schedule}").text
    assert person.post(f"/schedule/{schedule}/{change}", csrf="forged").status_code == 403
    assert browser.post(f"/schedule/{schedule}/{change}").status_code in {303, 401}
    assert browser.page(f"/schedule/{schedule}").text == before


def test_a_schedule_cannot_be_asked_for_anything_else(schedule, person):
    """An unknown change is not found, like any address that leads nowhere."""
    token = person.page(f"/schedule/{schedule}").csrf
    assert person.post(f"/schedule/{schedule}/repaint", csrf=token).status_code == 404
