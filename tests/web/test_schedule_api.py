"""/ci/v1/schedules and the form of a jobset's page: what is made, changed, shown and refused."""

from dataclasses import replace

import pytest

from ciserver.model.project import ScriptDefaults

JOBSET = "/jobset/project/main"
PLACE = "/ci/v1/schedules"
NIGHTLY = {"jobset": "project:main", "cron": "0 3 * * *", "zone": "Europe/Berlin"}
TEN_FAULTS = "60,61 24,25 0,32 0,13 8,9"


def complaints_of(answer):
    assert answer.status_code == 400, answer.text
    return [(one["field"], one["message"]) for one in answer.json["error"]["complaints"]]


@pytest.fixture
def made(script, watched):
    """The id of a nightly schedule."""
    return script.post(PLACE, json=NIGHTLY).json["id"]


def test_made_and_shown(script, stranger, watched):
    """POST answers what GET shows to everybody: when it is due, and what it does."""
    answer = script.post(PLACE, json=NIGHTLY)
    assert answer.status_code == 201
    assert answer.json == {
        "id": 1,
        "jobset": "project:main",
        "kind": "nightly",
        "when": "cron 0 3 * * *, Europe/Berlin",
        "zone": "Europe/Berlin",
        "ref": "HEAD",
        "only_if_changed": True,
        "last_good": False,
        "script": False,
        "paused": False,
        "declared_by": "command",
        "next_due_at": answer.json["next_due_at"],
        "warnings": [],
        "firings": [],
    }
    assert answer.json["next_due_at"].startswith("2026-03-02T02:00:00")
    assert stranger.get(f"{PLACE}/1").json == answer.json
    assert stranger.get(PLACE).json == [answer.json]


@pytest.mark.parametrize(
    ("fields", "when"),
    [
        ({"hours": [1, 7]}, "at 01:00, 07:00 UTC"),
        ({"hours": [1], "minutes": [15, 45]}, "at 01:15, 01:45 UTC"),
        ({"every_seconds": 5400}, "every 90 minutes"),
        ({"cron": "@weekly"}, "cron @weekly, UTC"),
    ],
)
def test_every_way_to_say_when(script, watched, fields, when):
    """Cron lines, hours with minutes, and intervals."""
    made = script.post(PLACE, json={"jobset": "project", "kind": "periodic", **fields})
    assert (made.status_code, made.json["when"]) == (201, when)
    assert (made.json["jobset"], made.json["only_if_changed"]) == ("project:main", False)


def test_of_a_script(script, watched, person, services, admin):
    """Where the jobset has one; also by the form of its page."""
    daily = {"jobset": "project", "kind": "periodic", "hours": [4], "script": True}
    ((field, said),) = complaints_of(script.post(PLACE, json=daily))
    assert (field, said) == ("script", "project:main has no script to run")
    assert "in place of the recipe" not in person.page(JOBSET).text
    known = services.queries.jobset(admin, "project", "main").jobset
    settings = replace(known.settings, script=ScriptDefaults("make.sh"))
    services.jobsets.put(admin, "project", "main", settings, known.inputs)
    assert script.post(PLACE, json=daily).json["script"]
    written = {"kind": "periodic", "cron": "0 4 * * *", "zone": "UTC", "script": "on"}
    csrf = person.page(JOBSET).csrf
    answer = person.post(f"{JOBSET}/schedules", csrf=csrf, **written)
    assert answer.status_code == 303
    page = person.page(answer.headers["location"]).text
    assert "the script of the jobset" in page
    assert services.schedules.show(admin, 2).schedule.runs_script
    assert person.page(JOBSET).text.count("runs the script") == 2
    services.jobsets.put(admin, "project", "main", known.settings, known.inputs)
    services.schedules.fire(admin, 2)
    services.evaluations.evaluate_next()
    shown = " ".join(person.page(JOBSET).text.split())
    assert "Failed: script: must be a path inside the repository" in shown


def test_an_interval_begins_when_it_is_made(script, watched, clock):
    """It is due one interval later, not at some round time."""
    clock.forward(minutes=7)
    made = script.post(PLACE, json={"jobset": "project", "every_seconds": 3600}).json
    assert made["next_due_at"].startswith("2026-03-01T13:07:00")


def test_a_cron_line_with_ten_faults(script, watched):
    """All ten are told, each at the part of the line that it is in."""
    told = complaints_of(script.post(PLACE, json={**NIGHTLY, "cron": TEN_FAULTS}))
    parts = ["minute", "hour", "day of month", "month", "day of week"]
    assert [field for field, _ in told] == [f"cron.{part}" for part in parts for _ in range(2)]


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"cron": "0 3 30 2 *"}, "cron.day of month", "never due"),
        ({"cron": "0 3 31 4,6 *"}, "cron.day of month", "never due"),
        ({"cron": "0 3 * *"}, "cron", "has 4 fields and must have 5"),
        ({"cron": "@dayly"}, "cron", "did you mean @daily?"),
        ({"cron": ""}, "", "does not say when"),
        ({"every_seconds": 60}, "", "says when in 2 ways"),
        ({"zone": "Europe/Berlim"}, "zone", "did you mean Europe/Berlin?"),
        ({"zone": "berlin"}, "zone", "did you mean Europe/Berlin?"),
        ({"zone": ""}, "zone", "is not a known time zone"),
        ({"zone": "../../../etc/passwd"}, "zone", "is not a known time zone"),
        ({"cron": "", "every_seconds": 59}, "every_seconds", "59 is too short"),
        ({"cron": "", "every_seconds": -1}, "every_seconds", "-1 is too short"),
        ({"cron": "", "every_seconds": 2**70}, "every_seconds", "is too long"),
        ({"cron": "", "hours": [24]}, "hours[0]", "24 is not an hour of the day"),
        ({"cron": "", "hours": [3], "minutes": [60]}, "minutes[0]", "60 is not a minute"),
        ({"minutes": [5]}, "minutes", "has no meaning without hours"),
        ({"jobset": "project:other"}, "jobset", "there is no jobset project:other"),
        ({"jobset": "nobody"}, "jobset", "there is no project nobody"),
        ({"jobset": ""}, "jobset", "there is no project"),
        ({"ref": "refs/heads/../x"}, "ref", ""),
        ({"kind": "hourly"}, "kind", "one of nightly, pgo, periodic"),
        ({"hours": ["3"]}, "hours", "must be a list of whole numbers"),
        ({"cron": 3}, "cron", "must be text"),
        ({"last_good": "yes"}, "last_good", "must be true or false"),
        ({"only_if_changed": 1}, "only_if_changed", "must be true or false"),
        ({"color": "red"}, "color", "unknown field"),
    ],
)
def test_bad_input_is_refused_with_its_field(script, watched, fields, field, said):
    """A bad request, with what is wrong where; nothing is made."""
    told = complaints_of(script.post(PLACE, json={**NIGHTLY, **fields}))
    assert field in dict(told)
    assert said in dict(told)[field]
    assert script.get(PLACE).json == []


def test_faults_of_jobset_kind_and_timing_are_told_together(script, watched):
    """One answer is enough to mend them all."""
    wrong = {"jobset": "nobody", "cron": "0 25 * * *", "zone": "Mars", "ref": "refs//x"}
    told = complaints_of(script.post(PLACE, json=wrong))
    assert [field for field, _ in told] == ["jobset", "cron.hour", "zone", "ref"]


def test_the_jobset_must_be_named(script, watched):
    """Without it nothing can be made."""
    assert complaints_of(script.post(PLACE, json={"cron": "@daily"})) == [
        ("jobset", "must be text")
    ]


def test_fired_by_hand(script, made, services):
    """202 with the evaluation and its page; the history tells it."""
    answer = script.post(f"{PLACE}/{made}/fire")
    assert (answer.status_code, answer.json["evaluation"]) == (202, 1)
    assert answer.json["url"].endswith("/eval/1")
    services.evaluations.evaluate_next()
    (firing,) = script.get(f"{PLACE}/{made}").json["firings"]
    assert (firing["evaluation"], firing["missed"]) == (1, 0)


def test_the_history(script, made, clock, services):
    """Newest first, each with what was missed before it and what came of it."""
    for days in (3, 1):
        clock.forward(days=days)
        services.schedules.fire_due()
    newest, oldest = script.get(f"{PLACE}/{made}").json["firings"]
    assert (oldest["missed"], oldest["evaluation"], oldest["result"]) == (2, 1, "requested")
    assert oldest["due_at"].startswith("2026-03-04T02:00:00")
    assert (newest["missed"], newest["evaluation"]) == (0, None)
    assert newest["result"] == "the firing before it still runs (evaluation 1)"
    assert [len(one["firings"]) for one in script.get(PLACE).json] == [1]


def test_paused_and_resumed(script, made, clock):
    """A paused one is due at no time; a resumed one at the next."""
    paused = script.post(f"{PLACE}/{made}/pause").json
    assert (paused["paused"], paused["next_due_at"], paused["warnings"]) == (True, None, [])
    clock.forward(days=2)
    resumed = script.post(f"{PLACE}/{made}/resume").json
    assert resumed["paused"] is False
    assert resumed["next_due_at"].startswith("2026-03-04T02:00:00")


def test_removed(script, made):
    """It is gone for good, and cannot be removed twice."""
    assert script.post(f"{PLACE}/{made}/remove").json == {"removed": made}
    assert script.get(PLACE).json == []
    for path in ("", "/fire", "/pause", "/resume", "/remove"):
        answer = script.request("POST" if path else "GET", f"{PLACE}/{made}{path}")
        assert (answer.status_code, answer.json["error"]["code"]) == (404, "not-found")


@pytest.mark.parametrize("strategy", ["periodic", "per-push", "manual", "none"])
def test_pgo_strategies(script, watched, strategy):
    """A schedule that the strategy idles warns."""
    pgo = script.post(PLACE, json={**NIGHTLY, "kind": "pgo"}).json["id"]
    place = "/ci/v1/jobsets/project/main/pgo-strategy"
    answer = script.post(place, json={"strategy": strategy})
    assert answer.json == {"jobset": "project:main", "pgo_strategy": strategy}
    warned = [] if strategy == "periodic" else [f"the PGO strategy of project:main is {strategy}"]
    assert script.get(f"{PLACE}/{pgo}").json["warnings"] == warned


def test_bad_pgo_strategies(script, watched):
    """An unknown strategy names the known ones; an unknown jobset is not found."""
    place = "/ci/v1/jobsets/project/{}/pgo-strategy"
    ((field, said),) = complaints_of(script.post(place.format("main"), json={"strategy": "x"}))
    assert (field, "per-push" in said) == ("strategy", True)
    answer = script.post(place.format("other"), json={"strategy": "none"})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("scope", "changes", "fires"),
    [("projects:write", True, False), ("builds:write", False, True), ("jobs:write", False, True)],
)
def test_what_a_token_may_do(make_script, made, scope, changes, fires):
    """projects:write changes schedules, builds:write fires them, by either of its names."""
    ours = make_script(scope, admin_user=True)
    place = f"{PLACE}/{made}"
    asked = [
        (ours.post(PLACE, json=NIGHTLY), changes),
        (ours.post(f"{place}/pause"), changes),
        (ours.post(f"{place}/resume"), changes),
        (ours.post(f"{place}/fire"), fires),
        (ours.post(f"{place}/remove"), changes),
    ]
    for answer, may in asked:
        assert answer.status_code in ({200, 201, 202} if may else {403})


def test_strangers_read_and_do_nothing_else(stranger, made):
    """401 for every change."""
    assert stranger.get(f"{PLACE}/{made}").status_code == 200
    for path in ("", f"/{made}/fire", f"/{made}/pause", f"/{made}/resume", f"/{made}/remove"):
        answer = stranger.post(f"{PLACE}{path}", json=NIGHTLY if not path else None)
        assert answer.status_code == 401


@pytest.mark.parametrize("number", ["0", "99", "x", "-1", str(2**63), "1.5"])
def test_numbers_that_are_no_schedule(script, made, number):
    """Not found, or no number at all; never a crash."""
    assert script.get(f"{PLACE}/{number}").status_code in {400, 404}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"cron": TEN_FAULTS}, "60"),
        ({"cron": "0 3 30 2 *"}, "never due"),
        ({"zone": "Europe/Berlim"}, "did you mean Europe/Berlin?"),
        ({"kind": "hourly"}, "unknown kind"),
        ({"cron": ""}, "does not say when"),
    ],
)
def test_a_refused_form_comes_back(person, watched, services, admin, written, said):
    """400 with what is wrong and what was written; nothing is made."""
    csrf = person.page(JOBSET).csrf
    fields = {"kind": "nightly", "cron": "0 4 * * *", "zone": "Asia/Kolkata", **written}
    answer = person.post(f"{JOBSET}/schedules", csrf=csrf, **fields)
    assert answer.status_code == 400
    page = person.parse(answer.text)
    assert said in page.text
    inputs = {one.get("name"): one.get("value") for one in page.all("input")}
    assert (inputs["cron"], inputs["zone"]) == (fields["cron"], fields["zone"])
    assert services.schedules.list_all(admin) == ()


def test_a_form_of_an_unknown_jobset(person, watched):
    """Its page is not there, so the form is not either."""
    csrf = person.page(JOBSET).csrf
    fields = {"kind": "nightly", "cron": "0 4 * * *", "zone": "UTC"}
    answer = person.post("/jobset/project/other/schedules", csrf=csrf, **fields)
    assert answer.status_code == 404


def test_an_evaluation_says_that_a_schedule_asked(script, made, clock, services):
    """Who looks at the evaluation finds the schedule."""
    clock.forward(days=1)
    services.schedules.fire_due()
    services.evaluations.evaluate_next()
    shown = script.get("/ci/v1/evaluations/1").json
    assert (shown["kind"], shown["requested_by"]) == ("nightly", f"schedule {made}")
