"""Who may do what: the words of the Authorization header, scopes, and who sees which job."""

import base64
import re
from datetime import timedelta

import falcon.inspect
import pytest

from ciserver.dialects.srht import Srht
from ciserver.edge.paths import is_under
from ciserver.model.account import ANONYMOUS, Visibility
from ciserver.model.project import ProjectSettings

NO_TOKEN = "No authorization supplied (expected an OAuth token)"
WRONG_TOKEN = "Invalid or expired OAuth token"
NOT_TWO_WORDS = "Invalid authorization supplied"
# Everything but manifests and logs, with what it needs.
ROUTES = {
    ("GET", "/api/jobs"): "jobs:read",
    ("POST", "/api/jobs"): "jobs:write",
    ("GET", "/api/jobs/{}"): "jobs:read",
    ("GET", "/api/jobs/{}/artifacts"): "jobs:read",
    ("POST", "/api/jobs/{}/start"): "jobs:write",
    ("POST", "/api/jobs/{}/cancel"): "jobs:write",
    ("POST", "/api/job-group"): "jobs:write",
    ("GET", "/api/job-group/{}"): "jobs:read",
    ("POST", "/api/job-group/{}/start"): "jobs:write",
    ("POST", "/api/job-group/{}/cancel"): "jobs:write",
}
OPEN = (
    "/api/jobs/{}/manifest",
    "/logs/{}/log",
    "/logs/{}/build/log",
    "/query/log/{}/log",
    "/query/log/{}/build/log",
)


def refused(answer, status, reason):
    assert (answer.status_code, answer.json) == (status, {"errors": [{"reason": reason}]})
    assert ("www-authenticate" in answer.headers) == (status == 401)
    return True


def allowed(answer):
    """Whatever the request itself may be worth."""
    return answer.status_code not in {401, 403, 404}


@pytest.fixture
def started(ada, worker):
    """Makes a job that runs, with a log of each step."""

    def make(**fields):
        job_id = ada.submit(**fields)
        lease = worker.start()
        worker.log(lease, b"set up\n", 0)
        worker.log(lease, b"built\n", 1)
        return job_id

    return make


def test_every_route_is_told_here(parts):
    """With what it needs."""
    there = {
        (method.method, re.sub("{(job|group)_id}", "{}", route.path).removesuffix("/"))
        for route in falcon.inspect.inspect_routes(parts.app)
        for method in route.methods
        if not method.internal and any(is_under(route.path, one) for one in Srht.prefixes)
    }
    told = {*ROUTES, *(("GET", one.replace("/build/", "/{task}/")) for one in OPEN)}
    assert there == told


# -- the header -----------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["token", "Bearer"])
def test_both_schemes_are_a_proof(scheme, stranger, add_token):
    """In exactly these letters."""
    header = {"Authorization": f"{scheme} {add_token('ada', 'jobs:read')}"}
    assert stranger.get("/api/jobs", headers=header).status_code == 200


WRONG_HEADERS = [
    ("Token {}", NO_TOKEN),
    ("bearer {}", NO_TOKEN),
    ("TOKEN {}", NO_TOKEN),
    ("{}", NO_TOKEN),
    ("token", NO_TOKEN),
    ("Bearer", NO_TOKEN),
    ("", NO_TOKEN),
    ("Digest {}", NO_TOKEN),
    ("token\t{}", NO_TOKEN),
    ("token  {}", NOT_TWO_WORDS),
    ("token {} more", NOT_TWO_WORDS),
    ("token {}x", WRONG_TOKEN),
    ("Bearer cis_unknown", WRONG_TOKEN),
]


def test_anything_else_is_none(stranger, add_token):
    """401 with the words that clients know, wherever it is sent."""
    token = add_token("ada", "*")
    for pattern, reason in WRONG_HEADERS:
        header = {"Authorization": pattern.format(token)}
        for method, path in (*ROUTES, *(("GET", one) for one in OPEN)):
            answer = stranger.request(method, path.format(1), headers=header)
            assert refused(answer, 401, reason), (pattern, path)


def test_basic_is_refused(stranger, add_token):
    """With a token in it as well as with the password, and the answer asks for no window."""
    token = add_token("ada", "*")
    for pair in (f"ada:{token}", f"{token}:", "ada:correct horse battery"):
        header = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        for path in ("/api/jobs", "/logs/1/log"):
            answer = stranger.get(path, headers=header)
            assert refused(answer, 401, NO_TOKEN)
            assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_expires(stranger, add_token, clock):
    """From then on it is as good as none."""
    token = add_token("ada", "*", expires_at=clock.now() + timedelta(days=1))
    header = {"Authorization": f"token {token}"}
    assert stranger.get("/api/jobs", headers=header).status_code == 200
    clock.forward(days=2)
    assert refused(stranger.get("/api/jobs", headers=header), 401, WRONG_TOKEN)


# -- scopes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_what_each_route_needs(route, ada, stranger, program):
    """A token that lacks the scope is told which, though the job is public and the group theirs."""
    job_id = ada.submit(execute=False)
    assert ada.join(job_id)["id"] == job_id
    method, path = route[0], route[1].format(job_id)
    needed = ROUTES[route]
    assert refused(stranger.request(method, path), 401, NO_TOKEN)
    for scopes in (("projects:write",), ("users:write", "deliveries:write"), ("jobs:read",)):
        if needed == "jobs:read" and scopes == ("jobs:read",):
            continue
        reason = f"Your OAuth token is not permitted to use this endpoint (needs {needed})"
        answer = program("ada", *scopes).request(method, path)
        assert refused(answer, 403, reason), scopes
    with_client = f"0123abcd/{needed}"
    for good in (needed, needed.replace("jobs", "builds"), with_client, "jobs:write", "*"):
        assert allowed(program("ada", good).request(method, path)), good


def test_what_is_open_needs_none(started, stranger, program):
    """Manifests and logs of public jobs, with a token for other things or with none."""
    job_id = started()
    for path in OPEN:
        assert stranger.get(path.format(job_id)).status_code == 200
        assert program("ada", "projects:write").get(path.format(job_id)).status_code == 200


def test_a_session_is_no_proof_for_jobs(started, session, stranger):
    """A foreign page could make a browser ask; our own page gets no further."""
    started(visibility="private")
    cookies = session("ada")
    for ours in ({}, {"Origin": "http://falconframework.org"}):
        for method, path in ROUTES:
            answer = stranger.request(method, path.format(1), cookies=cookies, headers=ours)
            assert refused(answer, 401, NO_TOKEN), path
    assert stranger.get("/api/jobs/1/manifest", cookies=cookies).status_code == 404


def test_a_session_reads_logs(started, session, stranger):
    """A link on a page may lead there."""
    started(visibility="private")
    ada, grace = session("ada"), session("grace")
    for path in OPEN[1:]:
        assert stranger.get(path.format(1), cookies=ada).status_code == 200
        assert stranger.get(path.format(1), cookies=grace).status_code == 404


# -- who sees what --------------------------------------------------------------------------------


def everywhere(program, job_id):
    """The status of each thing that can be asked of a job."""
    paths = [path for method, path in ROUTES if path.startswith("/api/jobs/{}") and method == "GET"]
    return {path: program.get(path.format(job_id)).status_code for path in (*paths, *OPEN)}


def test_a_private_job_is_not_there_for_others(started, ada, program, stranger):
    """404 in our words for everything about it, and in no list."""
    job_id = started(visibility="private")
    grace = program("grace")
    assert set(everywhere(ada, job_id).values()) == {200}
    assert set(everywhere(grace, job_id).values()) == {404}
    for path in OPEN:
        assert refused(stranger.get(path.format(job_id)), 404, "404 not found")
    for action in ("start", "cancel"):
        assert refused(grace.post(f"/api/jobs/{job_id}/{action}"), 404, "404 not found")
    assert ada.job(job_id)["status"] == "running"
    assert grace.get("/api/jobs").json["results"] == []
    assert [one["id"] for one in ada.get("/api/jobs").json["results"]] == [job_id]


def test_an_unlisted_job_is_there_by_its_address(started, program, stranger, services):
    """And in no list of the server."""
    job_id = started(visibility="unlisted")
    assert set(everywhere(program("grace"), job_id).values()) == {200}
    assert stranger.get(f"/logs/{job_id}/log").status_code == 200
    assert services.queries.builds(ANONYMOUS).builds == ()


@pytest.mark.parametrize(
    ("fields", "everybody"),
    [
        ({}, True),
        ({"access:read": ["*"]}, True),
        ({"access:read": ["grace", "*"]}, True),
        ({"access:read": ["*"], "visibility": "PUBLIC"}, True),
        ({"visibility": "Unlisted"}, True),
        ({"visibility": "PRIVATE"}, False),
        ({"access:read": []}, False),
        ({"access:read": ["grace"]}, False),
        ({"access:read": [], "access:write": ["grace"]}, False),
        ({"access:read": ["*"], "visibility": "pRiVaTe"}, False),
        ({"access:read": ["grace"], "visibility": "PUBLIC"}, False),
        ({"access:read": [], "visibility": "UNLISTED"}, False),
    ],
    ids=str,
)
def test_who_may_read(fields, everybody, ada, program):
    """Of `visibility` and `access:read` the one that shows it to fewer; owner and named always."""
    others = {"grace": program("grace"), "joan": program("joan")}
    job_id = ada.submit(**fields)
    named = fields.get("access:read", []) + fields.get("access:write", [])
    assert ada.get(f"/api/jobs/{job_id}").status_code == 200
    for name, other in others.items():
        expected = 200 if everybody or name in named else 404
        assert other.get(f"/api/jobs/{job_id}").status_code == expected, name


@pytest.mark.parametrize("action", ["start", "cancel"])
@pytest.mark.parametrize("visibility", ["PUBLIC", "PRIVATE"])
def test_who_may_write(action, visibility, ada, program):
    """The owner and the writers. Who only reads gets 401, as from the server of old."""
    reader, writer = program("grace"), program("joan")
    job_id = ada.submit(
        execute=False,
        visibility=visibility,
        **{"access:read": ["*", "~grace"], "access:write": ["~joan"]},
    )
    assert refused(reader.post(f"/api/jobs/{job_id}/{action}"), 401, "401 unauthorized")
    assert ada.job(job_id)["status"] == "pending"
    assert writer.post(f"/api/jobs/{job_id}/{action}").json == {}
    assert ada.job(job_id)["status"] == {"start": "queued", "cancel": "cancelled"}[action]


def test_a_name_that_looks_like_everybody_opens_nothing(ada):
    """Only the star itself is everybody."""
    for name in ("~*", " *", "**"):
        answer = ada.post("/api/jobs", json={"manifest": "", "access:read": [name]})
        assert answer.status_code == 400
        assert "access:read" in [one.get("field") for one in answer.json["errors"]]


def test_builds_of_a_private_project_stay_there(make, services, admin, program):
    """Who has left sees no more of what they once pushed, not even in their own list."""
    build = make.build()
    ada = program("ada")
    assert [one["id"] for one in ada.get("/api/jobs").json["results"]] == [build.id]
    private = ProjectSettings(visibility=Visibility.PRIVATE)
    services.projects.put_project(admin, build.project, private)
    assert ada.get(f"/api/jobs/{build.id}").status_code == 404
    assert ada.get("/api/jobs").json["results"] == []
