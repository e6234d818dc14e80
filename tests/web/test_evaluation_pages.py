"""Pages of evaluations: what changed, lists, and the forms for all builds of one."""

import pytest

from ciserver.model.account import Right
from ciserver.model.status import BuildStatus, EvaluationStatus

RECIPE = "image: host\ntasks:\n  - build: echo built\n"
OTHER = ".builds/other.yml"


@pytest.fixture
def two(works):
    """Two evaluations: a job stays, one goes, one comes. Answers their ids."""
    first = works.evaluation({".build.yml": RECIPE, OTHER: RECIPE}, message="Two jobs")
    lease = works.claim()
    works.finish(lease)
    (works.repository.tree / OTHER).unlink()
    second = works.evaluation(
        {".build.yml": RECIPE.replace("echo", "false"), ".builds/third.yml": RECIPE},
        message="Break it, add one",
    )
    return first, second


def test_an_evaluation_is_compared_with_the_one_before(browser, two):
    """By classes with counts, and the commits between."""
    first, second = two
    page = browser.page(f"/eval/{second}")
    text = " ".join(page.text.split())
    assert "Compared with evaluation #1" in text
    assert "Changed inputs 1" in text
    assert "Break it, add one Ada Author" in text
    headings = {one.get("id") for one in page.all("section")}
    assert {"new", "removed", "comparison"} <= headings
    assert "other x86_64-linux" in text
    links = {one["href"] for one in page.all("a") if "href" in one}
    assert {f"/eval/{first}", "#removed", f"/eval/{second}?compare=-86400"} <= links
    alone = " ".join(browser.page(f"/eval/{first}").text.split())
    assert "there is nothing to compare with" in alone


def test_the_selector_remembers_what_was_asked(browser, two):
    """By number, age and jobset; what is not there is said so."""
    first, second = two
    page = browser.page(f"/eval/{first}?compare={second}")
    (field,) = [one for one in page.all("input") if one.get("name") == "compare"]
    assert field["value"] == str(second)
    assert "Compared with evaluation #2" in " ".join(page.text.split())
    old = " ".join(browser.page(f"/eval/{second}?compare=-86400").text.split())
    assert "There is no such evaluation to compare with." in old
    answer = browser.get(f"/eval/{second}", query_string="compare=nowhere")
    assert (answer.status_code, "nowhere" in answer.text) == (404, True)


def test_the_list_of_evaluations(browser, two):
    """Of all jobsets, and of those that have a build."""
    first, second = two
    page = browser.page("/evals")
    links = [one["href"] for one in page.all("a") if one.get("href", "").startswith("/eval/")]
    assert links == [f"/eval/{second}", f"/eval/{first}"]
    (current,) = [one for one in page.all("a") if one.get("aria-current")]
    assert current["href"] == "/evals"
    older = browser.page(f"/evals?before={second}")
    assert [one["href"] for one in older.all("a") if one["href"].startswith("/eval/")] == links[1:]
    assert "There are no older evaluations" in browser.page(f"/evals?before={first}").text


def test_the_evaluations_of_a_build(browser, works, services, admin):
    """The one that made it, and those that found it there."""
    lease = works.finished()
    again = works.evaluation({"a.txt": "x"})
    build = services.queries.build(admin, lease.build_id).build
    text = " ".join(browser.page(f"/build/{build.id}/evals").text.split())
    assert f"Evaluations with build {build.id}" in text
    page = browser.page(f"/build/{build.id}/evals")
    links = {one["href"] for one in page.all("a")}
    assert f"/eval/{build.evaluation_id}" in links
    assert again
    assert browser.get("/build/999/evals").status_code == 404


def test_errors_lie_on_the_page(browser, works):
    broken = works.evaluation({".build.yml": "tasks: none\n"})
    answer = browser.get(f"/eval/{broken}/errors")
    assert (answer.status_code, answer.headers["location"]) == (302, f"/eval/{broken}#errors")
    assert "What is wrong" in browser.page(f"/eval/{broken}").text


# -- forms ----------------------------------------------------------------------------------------


def forms(page, evaluation_id):
    """The acts that a page offers."""
    place = f"/eval/{evaluation_id}/"
    actions = [one["action"] for one in page.all("form")]
    return {one.removeprefix(place) for one in actions if one.startswith(place)}


def test_a_page_offers_what_there_is_reason_for(person, browser, works, two):
    """To whom may: canceling what goes on, running again what went wrong."""
    _, second = two
    assert forms(browser.page(f"/eval/{second}"), second) == set()
    assert forms(person.page(f"/eval/{second}"), second) == {"cancel", "bump"}
    person.post(f"/eval/{second}/cancel", csrf=person.page("/").csrf)
    assert forms(person.page(f"/eval/{second}"), second) == {"restart-aborted", "restart-failed"}


def test_forms_act_and_lead_back(person, works, services, admin, two):
    """Each needs the token of its session, and leads back to the evaluation."""
    _, second = two
    place = f"/eval/{second}"

    def statuses():
        return {one.status for one in services.queries.evaluation(admin, second).builds}

    for act, expected in (
        ("bump", BuildStatus.QUEUED),
        ("cancel", BuildStatus.CANCELED),
        ("restart-aborted", BuildStatus.QUEUED),
        ("cancel", BuildStatus.CANCELED),
        ("restart-failed", BuildStatus.QUEUED),
    ):
        csrf = person.page(place).csrf
        refused = person.post(f"{place}/{act}", csrf="wrong")
        assert refused.status_code == 403
        answer = person.post(f"{place}/{act}", csrf=csrf)
        assert (answer.status_code, answer.headers["location"]) == (302, place)
        assert statuses() == {expected}


def test_a_session_without_a_form_must_name_its_page(person, works, two):
    """A program of Hydra's with a cookie sends no token; a page of another site is refused."""
    _, second = two
    path, client = f"/eval/{second}/cancel", person.client
    told = {"Content-Type": "application/json"}
    ours = {"Origin": "http://falconframework.org"}
    for headers, status in ((told, 403), ({**told, "Origin": "http://evil.example"}, 403)):
        answer = client.simulate_post(path, headers=headers, cookies=person.cookies)
        assert answer.status_code == status
    answer = client.simulate_post(path, headers={**told, **ours}, cookies=person.cookies)
    assert answer.status_code == 302
    answer = client.simulate_put(path, headers=ours, cookies=person.cookies)
    assert answer.status_code == 302


def test_a_member_is_offered_what_they_may(parts, make_browser, services, admin, works, two):
    _, second = two
    services.access.add_user(admin, "mara", email="", password="correct horse battery", admin=False)
    services.projects.set_member(admin, "project", "mara", frozenset({Right.BUMP}))
    mara = make_browser(parts.app).sign_in("mara")
    assert forms(mara.page(f"/eval/{second}"), second) == {"bump"}


# -- our own API ----------------------------------------------------------------------------------


def test_acts_for_programs(script, services, admin, two):
    """Each tells which builds it changed."""
    _, second = two
    ids = sorted(one.id for one in services.queries.evaluation(admin, second).builds)
    place = f"/ci/v1/evaluations/{second}"
    for act, changed in (
        ("bump", ids),
        ("cancel", ids),
        ("cancel", []),
        ("restart-aborted", ids),
        ("cancel", ids),
        ("restart-failed", ids),
    ):
        answer = script.post(f"{place}/{act}")
        assert (answer.status_code, answer.json["evaluation"]) == (202, second)
        assert sorted(answer.json["builds"]) == changed
        assert answer.json["url"].endswith(f"/eval/{second}")


def test_a_comparison_for_programs(script, two):
    """What changed of jobs and inputs, with the commits between."""
    first, second = two
    found = script.get(f"/ci/v1/evaluations/{second}/comparison").json
    assert found["other"]["id"] == first
    (gone,) = found["changes"]["removed"]
    assert (gone["job"], gone["now"]) == ("other", None)
    (source,) = found["inputs"]
    assert source["old"]["revision"] != source["new"]["revision"]
    assert [one["subject"] for one in source["log"]["commits"]] == ["Break it, add one"]
    nothing = script.get(f"/ci/v1/evaluations/{first}/comparison")
    assert nothing.json == {"other": None}
    answer = script.get(f"/ci/v1/evaluations/{second}/comparison", params={"with": "nowhere"})
    assert answer.status_code == 404


def test_an_evaluation_at_given_revisions(script, works, services, admin):
    """By the names of inputs; what is wrong is told."""
    works.evaluation({".build.yml": RECIPE})
    new = works.repository.commit({"a.txt": "new"})
    works.repository.push()
    place = "/ci/v1/jobsets/project/main/evaluate"
    answer = script.post(place, {"inputs": [{"name": "source", "revision": new}]})
    assert answer.status_code == 202
    assert services.evaluations.evaluate_next()
    made = services.queries.evaluation(admin, answer.json["evaluation"]).evaluation
    assert (made.status, made.revision) == (EvaluationStatus.SUCCEEDED, new)
    answer = script.post(place, {"inputs": [{"name": "none", "revision": "x"}], "revision": "y"})
    assert answer.status_code == 400
    fields = [one["field"] for one in answer.json["error"]["complaints"]]
    assert fields == ["inputs.none", "inputs.none", "revision"]
