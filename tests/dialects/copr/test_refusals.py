"""What /api_2 refuses, and that it always does so in Copr's shape."""

import string
from datetime import timedelta
from urllib.parse import quote

import pytest
from falcon.testing import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.factories import ADMIN

from ciserver.model.account import Right, Visibility
from ciserver.model.project import ProjectSettings
from ciserver.model.status import BuildStatus
from ciserver.shipped import shipped
from ciserver.web.app import create_app

LINUX = "x86_64-linux"
PRIVATE = ProjectSettings(visibility=Visibility.PRIVATE)
UNLISTED = ProjectSettings(visibility=Visibility.UNLISTED)
ROUTES = (
    "/api_2/",
    "/api_2/build_tasks",
    "/api_2/builds_tasks",
    f"/api_2/build_tasks/1/{LINUX}",
    "/api_2/builds",
    "/api_2/builds/1",
    "/api_2/projects",
    "/api_2/projects/1",
    "/api_2/projects/1/chroots",
    f"/api_2/projects/1/chroots/{LINUX}",
    "/api_2/mock_chroots",
    f"/api_2/mock_chroots/{LINUX}",
)

CHANGES = {
    "/api_2/builds": {"POST"},
    "/api_2/builds/1": {"PUT", "DELETE"},
    "/api_2/projects": {"POST"},
    "/api_2/projects/1": {"PUT", "DELETE"},
    "/api_2/projects/1/chroots": {"POST"},
    f"/api_2/projects/1/chroots/{LINUX}": {"PUT", "DELETE"},
}


def check_refused(answer, status):
    """A message, perhaps data, and nothing else, as JSON; there is no challenge."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json) <= {"message", "data"}
    assert isinstance(answer.json["message"], str)
    assert answer.json["message"]
    assert "www-authenticate" not in answer.headers
    return answer.json


# -- input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("build_tasks?build_id=x", ["build_id"]),
        ("build_tasks?build_id=", ["build_id"]),
        ("build_tasks?build_id=1.0", ["build_id"]),
        ("build_tasks?build_id=%D9%A1", ["build_id"]),
        ("build_tasks?project_id=null", ["project_id"]),
        ("build_tasks?state=Succeeded", ["state"]),
        ("build_tasks?state=", ["state"]),
        ("build_tasks?limit=ten", ["limit"]),
        ("build_tasks?offset=%00", ["offset"]),
        ("build_tasks?build_id=1&state=done&limit=%F0", ["state", "limit"]),
        ("builds_tasks?state=queued", ["state"]),
        ("builds?is_finished=maybe", ["is_finished"]),
        ("builds?is_finished=", ["is_finished"]),
        ("builds?project_id=1_0", ["project_id"]),
        ("builds/1?show_build_tasks=2", ["show_build_tasks"]),
        ("projects?limit=x&offset=y", ["limit", "offset"]),
        ("projects/1?show_builds=x&show_chroots=y", ["show_builds", "show_chroots"]),
        ("mock_chroots?active_only=x", ["active_only"]),
    ],
)
def test_every_wrong_parameter_is_named(client, path, names):
    """All of them at once, with what they must be."""
    told = check_refused(client.simulate_get(f"/api_2/{path}"), 400)
    assert told["message"] == f"Failed to validate query parameter: {', '.join(names)}"
    assert all(f"{name}: must be" in told["data"]["error"] for name in names)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("none", 404),
        ("build_tasks/", 404),
        ("build_tasks/1", 404),
        ("build_tasks/x/x86_64-linux", 404),
        ("build_tasks/-1/x86_64-linux", 404),
        (f"build_tasks/{2**63}/x86_64-linux", 404),
        (f"build_tasks/{'9' * 5000}/x86_64-linux", 404),
        (f"build_tasks/{2**63 - 1}/x86_64-linux", 404),
        ("build_tasks/1/sparc-solaris", 404),
        ("build_tasks/1/linux", 400),
        ("build_tasks/1/", 400),
        ("build_tasks/1/x86_64-linux%00", 400),
        ("build_tasks/1/x86_64-linux%0A", 400),
        ("build_tasks/1/x86_64%20-linux", 400),
        ("build_tasks/1/x86_64%2F-linux", 400),
        ("build_tasks/1/%ED%A0%80-linux", 400),
        ("builds/x", 404),
        ("builds/2", 404),
        (f"build_tasks?build_id={'9' * 5000}", 404),
        (f"builds?project_id={10**30}", 404),
        ("projects/x", 404),
        ("projects/99", 404),
        (f"projects/{2**63}", 404),
        ("projects/99/chroots", 404),
        ("projects/99/chroots/x86_64-linux", 404),
        ("projects/1/chroots/linux", 400),
        ("projects/1/chroots/sparc-solaris", 404),
        ("mock_chroots/linux", 400),
        ("mock_chroots/sparc-solaris", 404),
        ("mock_chroots/", 400),
    ],
)
def test_what_names_nothing(client, make, path, status):
    """Unknown, out of any range, or no name at all."""
    assert make.build().id == 1
    check_refused(client.simulate_get(f"/api_2/{path}"), status)


def test_the_data_of_a_404_tells_what_is_missing(client):
    """For programs."""
    for path, data in (
        ("builds/7", {"build_id": 7}),
        (f"build_tasks/7/{LINUX}", {"build_id": 7}),
        ("build_tasks?build_id=7", {"build_id": 7}),
        ("projects/7", {"project_id": 7}),
        ("builds?project_id=7", {"project_id": 7}),
    ):
        assert check_refused(client.simulate_get(f"/api_2/{path}"), 404)["data"] == data


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_else_is_changed_here(client, make, services, method):
    """Whatever the body: what may be done instead is told, and nothing happens."""
    queued = make.build()
    before = services.requests.list_newest(ADMIN, limit=100)
    for path in ROUTES:
        if method in CHANGES.get(path, ()):
            continue
        for body in ("", "{", "null", '{"state": "canceled"}', "\0", '"\\ud800"'):
            answer = client.simulate_request(method, path, body=body)
            check_refused(answer, 405)
            allowed = answer.headers["allow"].split(", ")
            assert "GET" in allowed
            assert method not in allowed
    assert services.requests.list_newest(ADMIN, limit=100) == before
    assert services.queries.builds(ADMIN).builds == (queued,)


def test_head_is_get_without_a_body(client, make):
    """For whoever only looks."""
    make.build()
    for path in ROUTES:
        answer = client.simulate_head(path)
        assert (answer.status_code, answer.content) == (200, b""), path


# -- who asks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "Basic",
        "Basic ===",
        "Basic YWRhOndyb25n",
        "Basic YWRhOmNpc193cm9uZw==",
        "Bearer cis_wrong",
        "token cis_wrong",
    ],
)
def test_a_wrong_proof_is_refused(client, add_user, value):
    """It tells how to come by a right one, and asks for no password."""
    add_user("ada")
    for path in ("/api_2/", "/api_2/build_tasks", "/api_2/none"):
        told = check_refused(client.simulate_get(path, headers={"Authorization": value}), 401)
        assert set(told) == {"message"}
    unknown = {"Authorization": "Bearer cis_wrong"}
    told = client.simulate_get("/api_2/", headers=unknown).json["message"]
    assert "ciserver token add" in told
    told = check_refused(client.simulate_post("/api_2/builds"), 401)["message"]
    assert "ciserver token add" in told


def test_an_expired_token_is_refused(client, clock, add_user):
    """As one that never was."""
    headers = add_user("ada", expires_at=clock.now() + timedelta(days=180))
    assert client.simulate_get("/api_2/", headers=headers).status_code == 200
    clock.forward(days=181)
    check_refused(client.simulate_get("/api_2/", headers=headers), 401)


@pytest.fixture
def hidden(make_jobset, make_group, add_user):
    """A private project of ada's, with a build; the path of its task, and who may see it."""
    callers = {"ada": add_user("ada"), "grace": add_user("grace")}
    callers["grace by another token"] = add_user("tokens", "users:write")
    jobset = make_jobset("secret", "ada", PRIVATE)
    (task,) = make_group(LINUX, jobset=jobset)
    return jobset, task, callers


def paths_of(jobset, task):
    return (
        f"/api_2/build_tasks?build_id={task.id}",
        f"/api_2/build_tasks/{task.id}/{LINUX}",
        f"/api_2/builds/{task.id}",
        f"/api_2/builds?project_id={jobset.id}",
        f"/api_2/projects/{jobset.id}",
        f"/api_2/projects/{jobset.id}/chroots",
        f"/api_2/projects/{jobset.id}/chroots/{LINUX}",
    )


def lists_of(jobset):
    return (
        ("build_tasks", "/api_2/build_tasks"),
        ("build_tasks", "/api_2/build_tasks?state=pending"),
        ("build_tasks", f"/api_2/build_tasks?project_id={jobset.id}"),
        ("build_tasks", "/api_2/build_tasks?owner=ada"),
        ("builds", "/api_2/builds"),
        ("projects", "/api_2/projects"),
        ("projects", "/api_2/projects?owner=ada&name=secret"),
    )


def test_what_is_private_is_not_there(client, services, hidden):
    """For strangers, and for whose right or token does not reach it; for its owner it is."""
    jobset, task, callers = hidden
    services.projects.set_member(ADMIN, "secret", "tokens", frozenset({Right.READ}))
    for name, headers in {"nobody": {}, **callers}.items():
        for path in paths_of(jobset, task):
            answer = client.simulate_get(path, headers=headers)
            if name == "ada":
                assert answer.status_code == 200, path
            else:
                check_refused(answer, 404)
                assert "secret" not in answer.text
        for key, path in lists_of(jobset):
            found = client.simulate_get(path, headers=headers).json[key]
            assert len(found) == (name == "ada"), (name, path)
        owner = client.simulate_get("/api_2/builds?owner=ada", headers=headers)
        assert owner.status_code == (200 if name == "ada" else 404)


def test_a_refusal_does_not_tell_what_is_private_from_what_is_not_there(client, hidden):
    """Word for word, but for the number."""
    jobset, task, _ = hidden
    for path in paths_of(jobset, task):
        there = client.simulate_get(path)
        nowhere = path.replace(str(task.id), "77") if "build" in path.split("?")[0] else path
        nowhere = nowhere.replace(f"projects/{jobset.id}", "projects/77")
        nowhere = nowhere.replace(f"project_id={jobset.id}", "project_id=77")
        not_there = client.simulate_get(nowhere)
        assert not_there.status_code == there.status_code == 404
        assert not_there.text == there.text.replace(str(task.id), "77"), path


def test_an_unlisted_project_is_found_by_who_knows_its_number(get, make_jobset, make_group):
    """And by nobody else."""
    jobset = make_jobset("quiet", settings=UNLISTED)
    (task,) = make_group(LINUX, jobset=jobset)
    for path in paths_of(jobset, task):
        assert get(path)
    assert len(get(f"/api_2/build_tasks?project_id={jobset.id}")["build_tasks"]) == 1
    assert len(get(f"/api_2/builds?project_id={jobset.id}")["builds"]) == 1
    shown = get(f"/api_2/projects/{jobset.id}?show_builds")
    assert len(shown["project_builds"]) == 1
    for key in ("build_tasks", "builds", "projects"):
        assert get(f"/api_2/{key}")[key] == []


def test_behind_a_proxy_the_results_have_the_configured_address(services, make):
    """Paths stay paths."""
    app = create_app(
        services, shipped("templates"), server_name="ci", base_url="https://ci.example.org"
    )
    build = make.build(BuildStatus.RUNNING)
    item = TestClient(app).simulate_get(f"/api_2/build_tasks/{build.id}/{LINUX}").json
    results = f"https://ci.example.org/build/{build.id}/results/"
    assert item["build_task"]["result_dir_url"] == results
    assert item["_links"]["build"]["href"] == f"/api_2/builds/{build.id}"


# -- anything -------------------------------------------------------------------------------------

PARAMETERS = (
    *("owner", "project_id", "build_id", "group", "state", "limit", "offset", "is_finished"),
    *("name", "search_query", "show_builds", "show_build_tasks", "show_chroots", "active_only"),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUE = st.one_of(
    TEXT.map(lambda text: quote(text, safe="")),
    st.integers().map(str),
    st.integers(min_value=10**17, max_value=10**22).map(str),
    st.binary(max_size=6).map(lambda raw: quote(raw, safe="")),
    st.sampled_from(["succeeded", "pending", "true", "no", "1", "", "%", "&&", "a=b"]),
)
QUERY = st.lists(st.tuples(st.sampled_from(PARAMETERS), VALUE), max_size=5).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)
SEGMENT = st.one_of(
    st.sampled_from(["build_tasks", "builds", "projects", "chroots", "mock_chroots", "1", LINUX]),
    TEXT.map(lambda text: quote(text, safe="")),
    st.text(string.digits, min_size=1, max_size=30),
)
METHOD = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])


@pytest.fixture
def filled(parts, make):
    make.build(BuildStatus.SUCCEEDED)
    make.build()
    return TestClient(parts.app)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_anything_is_answered_in_the_shape_of_copr(filled, data):
    """Whatever the path, query, body, type and method: JSON, and never a crash."""
    path = data.draw(
        st.one_of(
            st.sampled_from(ROUTES),
            st.lists(SEGMENT, max_size=4).map(lambda parts: "/".join(["/api_2", *parts])),
        )
    )
    answer = filled.simulate_request(
        data.draw(METHOD),
        path,
        query_string=data.draw(QUERY),
        body=data.draw(st.binary(max_size=40)),
        headers={"Content-Type": data.draw(st.sampled_from(["application/json", "text/x", ""]))},
    )
    assert answer.status_code in {200, 308, 400, 401, 404, 405}
    if answer.content:
        assert answer.headers["content-type"] == "application/json"
        assert isinstance(answer.json, dict)
        assert ("message" in answer.json) is (answer.status_code >= 400)
