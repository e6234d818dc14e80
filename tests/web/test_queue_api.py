"""/ci/v1 and pages: what waits, for what, who holds it back, and what stands for a job already."""

import json

import pytest
from jsonschema import Draft202012Validator

from ciserver.machine import native_system
from ciserver.model.build import Offer

BUILDS, QUEUE = "/ci/v1/builds", "/ci/v1/queue"
RECIPE = "image: host\ntasks:\n  - work: echo worked\n"
NEEDY = {
    ".builds/compile.yml": RECIPE,
    ".builds/test.yml": RECIPE + "needs: [compile]\n",
    ".builds/nightly.yml": RECIPE + "when:\n  kinds: [nightly]\n",
}


def code_of(answer):
    return answer.status_code, answer.json["error"]["code"]


def is_claimed(works):
    """Whether a worker finds something to do."""
    return works.parts.reporter.claim(Offer("local", (native_system(),))) is not None


def builds_of(client, evaluation_id):
    answer = client.get(f"/ci/v1/evaluations/{evaluation_id}").json
    return answer, {one["job"]: one for one in answer["builds"]}


# -- bumped ---------------------------------------------------------------------------------------


def test_a_bumped_build_goes_first(works, script):
    """Before older ones; not once it runs or has ended."""
    first, second = works.build(), works.build()
    answer = script.post(f"{BUILDS}/{second}/bump")
    assert (answer.status_code, answer.json["bumped"]) == (200, True)
    lease = works.claim()
    assert lease.build_id == second
    assert code_of(script.post(f"{BUILDS}/{second}/bump")) == (409, "build-already-started")
    works.finish(lease)
    assert code_of(script.post(f"{BUILDS}/{second}/bump")) == (409, "build-already-finished")
    assert script.get(f"{BUILDS}/{first}").json["bumped"] is False


@pytest.mark.parametrize(("build", "status"), [("x", 400), ("99", 404)])
def test_bumping_what_is_no_build_is_refused(build, status, script):
    assert script.post(f"{BUILDS}/{build}/bump").status_code == status


def test_a_build_is_bumped_on_its_page(works, person):
    """By a button, which is then gone."""
    path = f"/build/{works.build()}"
    page = person.page(path)
    answer = person.post(f"{path}/bump", csrf=page.csrf)
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert "Moved to the front" in person.page(path).text
    assert person.post(f"{path}/bump").status_code == 403


# -- paused ---------------------------------------------------------------------------------------


def test_a_paused_queue_says_so_to_everybody(works, script, stranger):
    """By whom is told to administrators; a build says that it waits for that."""
    build = works.build()
    answer = script.post(f"{QUEUE}/pause")
    assert (answer.status_code, answer.json) == (200, {"paused": [{"worker": "", "by": "user0"}]})
    assert script.get(QUEUE).json["paused"] == [{"worker": "", "by": "user0"}]
    assert stranger.get(QUEUE).json["paused"] == [{"worker": ""}]
    told = stranger.get(f"{BUILDS}/{build}").json["waiting_for"]
    assert told == "the queue is paused"
    assert not is_claimed(works)
    assert script.post(f"{QUEUE}/resume").json == {"paused": []}
    assert works.claim().build_id == build


def test_everybody_is_told_why_it_is_paused(works, script, stranger):
    """In one line, which is text and nothing else on the page."""
    build = works.build()
    why = "a <new> disk, until noon"
    assert script.post(f"{QUEUE}/pause", json={"reason": why}).json["paused"][0]["reason"] == why
    assert stranger.get(QUEUE).json["paused"] == [{"worker": "", "reason": why}]
    assert stranger.get(f"{BUILDS}/{build}").json["waiting_for"] == f"the queue is paused: {why}"
    assert '(<span class="breakable">a &lt;new&gt; disk' in stranger.get("/queue").text
    refused = script.post(f"{QUEUE}/pause", json={"worker": "far", "reason": "two\nlines"})
    assert (refused.status_code, "one line" in refused.text) == (400, True)


def test_one_worker_is_paused_by_name(works, script):
    """Whatever else is paused stays so when it is resumed."""
    works.build()
    script.post(f"{QUEUE}/pause", json={"worker": "elsewhere"})
    works.finish(works.claim())
    works.build()
    script.post(f"{QUEUE}/pause", json={"worker": "local"})
    assert not is_claimed(works)
    left = script.post(f"{QUEUE}/resume", json={"worker": "local"}).json["paused"]
    assert [one["worker"] for one in left] == ["elsewhere"]
    assert works.claim()


@pytest.mark.parametrize("body", [{"worker": 7}, {"workers": "local"}, []])
@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_bad_pauses_are_refused(verb, body, script):
    assert script.post(f"{QUEUE}/{verb}", json=body).status_code == 400
    assert script.get(QUEUE).json["paused"] == []


def test_a_paused_jobset_holds_its_builds_only(works, script):
    """Pushes are evaluated, its builds say why they wait."""
    path = "/ci/v1/jobsets/project/main"
    works.evaluation({"a.txt": "nothing to build\n"})
    assert script.post(f"{path}/pause").json["paused"] is True
    waiting = works.build()
    other = works.build(project="other")
    told = script.get(QUEUE).json["waiting"]
    reasons = {one["id"]: one["waiting_for"] for one in told}
    assert reasons[waiting] == "the jobset project:main is paused"
    assert works.claim().build_id == other
    assert script.get("/ci/v1/projects/project/jobsets/main").json["paused"] is True
    assert script.post(f"{path}/resume").json["paused"] is False
    assert works.claim().build_id == waiting
    assert script.post("/ci/v1/jobsets/project/cake/pause").status_code == 404


def test_the_queue_is_paused_on_its_page(works, person, browser):
    """Administrators have the buttons; everybody reads that it is paused, they also by whom."""
    works.build()
    page = person.page("/queue")
    assert person.post("/queue/pause").status_code == 403
    assert person.post("/queue/pause", csrf=page.csrf).headers["location"] == "/queue"
    assert "The queue is paused by ada" in " ".join(person.page("/queue").text.split())
    seen = " ".join(browser.page("/queue").text.split())
    assert "The queue is paused: what runs goes on" in seen
    assert "ada" not in seen
    person.post("/queue/resume", csrf=page.csrf, worker="")
    assert "is paused" not in browser.page("/queue").text


def test_a_jobset_is_paused_on_its_page(works, person, browser):
    works.build()
    path = "/jobset/project/main"
    page = person.page(path)
    assert person.post(f"{path}/pause").status_code == 403
    assert person.post(f"{path}/pause", csrf=page.csrf).headers["location"] == path
    for text in (browser.page(path).text, browser.page("/").text):
        assert "Paused" in text
    person.post(f"{path}/resume", csrf=page.csrf)
    assert "Paused" not in browser.page(path).text


# -- needed, reused, left out ---------------------------------------------------------------------


def test_an_evaluation_tells_what_became_of_each_job(works, script):
    """What waits and for what, what each needs, what was left out and by which filter."""
    answer, builds = builds_of(script, works.evaluation(NEEDY))
    compiled, test = builds["compile"], builds["test"]
    assert (test["needs"], compiled["needs"]) == ([compiled["id"]], [])
    assert test["waiting_for"] == f"it needs compile (build {compiled['id']}, queued)"
    assert answer["reused"] == []
    (skipped,) = answer["skipped"]
    assert (skipped["job"], "when.kinds" in skipped["reason"]) == ("nightly", True)
    one, other = (script.get(f"{BUILDS}/{each['id']}").json for each in (compiled, test))
    assert (one["needs"], one["needed_by"]) == ([], [test["id"]])
    assert (other["needs"], other["needed_by"]) == ([compiled["id"]], [])
    assert other["waiting_for"] == test["waiting_for"]


def test_a_reused_build_is_named_with_its_evaluation(works, script, browser):
    """In the answer and on the page, which links to it."""
    first = works.evaluation({".build.yml": RECIPE, "a.txt": "one\n"})
    lease = works.claim()
    works.finish(lease)
    works.evaluation({"a.txt": "two\n"})
    again = works.evaluation({"a.txt": "one\n"}, message="Go back")
    answer, builds = builds_of(script, again)
    (reused,) = answer["reused"]
    assert (builds, reused["id"], reused["evaluation"]) == ({}, lease.build_id, first)
    page = browser.page(f"/eval/{again}")
    assert f"Nothing changed for it since build {lease.build_id}" in page.text
    assert {"href": f"/build/{lease.build_id}"} in page.all("a")


def test_a_jobset_that_reuses_nothing_builds_again(works, script):
    """`reuse_results` false: equal content is another build."""
    path = "/ci/v1/projects/project/jobsets/main"
    works.evaluation({".build.yml": RECIPE, "a.txt": "one\n"})
    works.finish(works.claim())
    found = script.get(path).json
    told = {"project", "name", "enabled", "paused", "pgo_strategy", "url"}
    body = {name: value for name, value in found.items() if name not in told}
    assert body["reuse_results"] is True
    changed = script.request("PUT", path, json=body | {"reuse_results": False})
    assert changed.json["reuse_results"] is False
    works.evaluation({"a.txt": "two\n"})
    again, builds = builds_of(script, works.evaluation({"a.txt": "one\n"}, message="Go back"))
    assert (again["reused"], list(builds)) == ([], ["build"])


def test_a_build_names_its_group(works, script):
    """As the recipe does; the second one waits for the first."""
    recipe = RECIPE + "concurrency:\n  group: deploys\n"
    builds = [works.build(recipe=recipe) for _ in range(2)]
    told = [script.get(f"{BUILDS}/{one}").json for one in builds]
    assert [one["concurrency"] for one in told] == ["deploys", "deploys"]
    assert told[1]["waiting_for"] == "one build of the group deploys runs at a time"
    assert script.get(f"{BUILDS}/{works.build()}").json["concurrency"] == ""


def test_pages_tell_what_a_build_needs(works, browser):
    """And what needs it, each with a link."""
    evaluation = works.evaluation(NEEDY)
    compiled, test = sorted(
        works.services.queries.evaluation(works.admin, evaluation).builds, key=lambda one: one.job
    )
    text = browser.page(f"/eval/{evaluation}").text
    assert f"Waiting: it needs compile (build {compiled.id}, queued)" in text
    for one, other in ((compiled, test), (test, compiled)):
        assert f"/build/{other.id}" in {
            link["href"] for link in browser.page(f"/build/{one.id}").all("a")
        }


# -- the schema -----------------------------------------------------------------------------------


def test_the_schema_of_recipes_is_for_everybody(stranger):
    """A valid JSON Schema that may be cached, and that knows a recipe from another thing."""
    answer = stranger.get("/recipe.schema.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/schema+json"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    schema = json.loads(answer.content)
    Draft202012Validator.check_schema(schema)
    good = {"image": "host", "tasks": [{"work": "make"}], "needs": ["compile"]}
    validator = Draft202012Validator(schema)
    assert validator.is_valid(good)
    assert not validator.is_valid(good | {"task": 1})
