"""Every route of the application, with who may use it."""

import falcon.inspect
import pytest

from ciserver.model.schedule import ScheduleKind, Timing

ANYBODY, READ, BUILDS, PROJECTS, DELIVERIES, ADMIN, SIGNED = (
    "anybody",
    "builds:read",
    "builds:write",
    "projects:write",
    "deliveries:write",
    "administrator",
    "signature",
)
# What is needed, and a path that names things that exist.
TABLE = {
    ("GET", "/"): (ANYBODY, "/"),
    ("GET", "/project/{project}"): (ANYBODY, "/project/project"),
    ("GET", "/jobset/{project}/{jobset}"): (ANYBODY, "/jobset/project/main"),
    ("POST", "/jobset/{project}/{jobset}/schedules"): (PROJECTS, "/jobset/project/main/schedules"),
    ("GET", "/schedule/{schedule_id}"): (ANYBODY, "/schedule/{schedule}"),
    ("POST", "/schedule/{schedule_id}/{change}"): (PROJECTS, "/schedule/{schedule}/pause"),
    ("GET", "/eval/{evaluation_id}"): (ANYBODY, "/eval/1"),
    ("GET", "/build/{build_id}"): (ANYBODY, "/build/1"),
    ("POST", "/build/{build_id}/cancel"): (BUILDS, "/build/2/cancel"),
    ("POST", "/build/{build_id}/rerun"): (BUILDS, "/build/1/rerun"),
    ("GET", "/queue"): (ANYBODY, "/queue"),
    ("GET", "/static/{name}"): (ANYBODY, "/static/log.js"),
    ("GET", "/build/{build_id}/step/{step}"): (ANYBODY, "/build/1/step/1"),
    ("GET", "/build/{build_id}/step/{step}/lines"): (ANYBODY, "/build/1/step/1/lines"),
    ("GET", "/build/{build_id}/log/{name}"): (ANYBODY, "/build/1/log/build"),
    ("GET", "/build/{build_id}/product/{product_id}/{name}"): (
        ANYBODY,
        "/build/1/product/1/a.txt",
    ),
    ("GET", "/login"): (ANYBODY, "/login"),
    ("POST", "/login"): (ANYBODY, "/login"),
    ("POST", "/logout"): (ANYBODY, "/logout"),
    ("GET", "/welcome/{token}"): (ANYBODY, "/welcome/{link}"),
    ("POST", "/welcome/{token}"): (ANYBODY, "/welcome/{link}"),
    ("GET", "/ci/v1/projects"): (ANYBODY, "/ci/v1/projects"),
    ("POST", "/ci/v1/projects"): (ADMIN, "/ci/v1/projects"),
    ("POST", "/ci/v1/projects/{name}/hook-secrets"): (
        ADMIN,
        "/ci/v1/projects/project/hook-secrets",
    ),
    ("GET", "/ci/v1/projects/{name}/signing-secret"): (
        ADMIN,
        "/ci/v1/projects/project/signing-secret",
    ),
    ("GET", "/ci/v1/evaluations/{evaluation_id}"): (ANYBODY, "/ci/v1/evaluations/1"),
    ("GET", "/ci/v1/builds"): (ANYBODY, "/ci/v1/builds"),
    ("GET", "/ci/v1/builds/{build_id}"): (ANYBODY, "/ci/v1/builds/1"),
    ("POST", "/ci/v1/builds/{build_id}/cancel"): (BUILDS, "/ci/v1/builds/2/cancel"),
    ("POST", "/ci/v1/builds/{build_id}/rerun"): (BUILDS, "/ci/v1/builds/1/rerun"),
    ("GET", "/ci/v1/builds/{build_id}/steps/{step}/log"): (ANYBODY, "/ci/v1/builds/1/steps/1/log"),
    ("GET", "/ci/v1/queue"): (ANYBODY, "/ci/v1/queue"),
    ("GET", "/ci/v1/deliveries"): (READ, "/ci/v1/deliveries"),
    ("GET", "/ci/v1/deliveries/{delivery_id}"): (READ, "/ci/v1/deliveries/{delivery}"),
    ("POST", "/ci/v1/deliveries/{delivery_id}/resend"): (
        DELIVERIES,
        "/ci/v1/deliveries/{delivery}/resend",
    ),
    ("GET", "/ci/v1/users"): (ADMIN, "/ci/v1/users"),
    ("POST", "/ci/v1/users"): (ADMIN, "/ci/v1/users"),
    ("POST", "/ci/v1/users/{name}/links"): (ADMIN, "/ci/v1/users/{user}/links"),
    ("POST", "/ci/v1/users/{name}/tokens"): (ADMIN, "/ci/v1/users/{user}/tokens"),
    ("GET", "/ci/v1/schedules"): (ANYBODY, "/ci/v1/schedules"),
    ("POST", "/ci/v1/schedules"): (PROJECTS, "/ci/v1/schedules"),
    ("GET", "/ci/v1/schedules/{schedule_id}"): (ANYBODY, "/ci/v1/schedules/{schedule}"),
    ("POST", "/ci/v1/schedules/{schedule_id}/fire"): (BUILDS, "/ci/v1/schedules/{schedule}/fire"),
    ("POST", "/ci/v1/schedules/{schedule_id}/remove"): (
        PROJECTS,
        "/ci/v1/schedules/{schedule}/remove",
    ),
    ("POST", "/ci/v1/schedules/{schedule_id}/pause"): (
        PROJECTS,
        "/ci/v1/schedules/{schedule}/pause",
    ),
    ("POST", "/ci/v1/schedules/{schedule_id}/resume"): (
        PROJECTS,
        "/ci/v1/schedules/{schedule}/resume",
    ),
    ("POST", "/ci/v1/jobsets/{project}/{jobset}/pgo-strategy"): (
        PROJECTS,
        "/ci/v1/jobsets/project/main/pgo-strategy",
    ),
    ("GET", "/healthz"): (ANYBODY, "/healthz"),
    ("GET", "/readyz"): (ANYBODY, "/readyz"),
    ("GET", "/version"): (ANYBODY, "/version"),
    ("POST", "/hooks/{door}/{project}"): (SIGNED, "/hooks/generic/project"),
}
NOTIFYING = (
    "image: host\ntasks:\n  - build: echo built\n"
    "triggers:\n  - action: webhook\n    condition: always\n    url: https://hooks.example.org/ci\n"
)
BODIES = {
    "/login": "name=user0&password=correct+horse+battery",
    "/welcome/{token}": "password=correct+horse+battery",
    "/ci/v1/projects": '{"name": "other", "uri": "https://git.example.org/other.git"}',
    "/jobset/{project}/{jobset}/schedules": "kind=nightly&cron=0+3+*+*+*&zone=UTC",
    "/ci/v1/schedules": '{"jobset": "project:main", "cron": "0 3 * * *"}',
    "/ci/v1/jobsets/{project}/{jobset}/pgo-strategy": '{"strategy": "manual"}',
    "/ci/v1/users": '{"name": "grace", "password": "correct horse battery"}',
    "/ci/v1/users/{name}/tokens": '{"scopes": ["builds:read"]}',
}
# Whom the caller is, and what they may use beside what anybody may.
CALLERS = {
    "anonymous": (None, set()),
    "reader": (("builds:read",), {READ}),
    "writer": (("builds:write",), {READ, BUILDS}),
    "planner": (("projects:write",), {PROJECTS}),
    "sender": (("deliveries:write",), {DELIVERIES}),
    "administrator": (("*",), {READ, BUILDS, PROJECTS, DELIVERIES, ADMIN}),
}


def routes_of(app):
    return {
        (method.method, route.path)
        for route in falcon.inspect.inspect_routes(app)
        for method in route.methods
        if not method.internal
    }


def test_every_route_is_in_the_table(parts):
    """A new route cannot be added without saying here who may use it."""
    assert routes_of(parts.app) == set(TABLE)


@pytest.mark.parametrize("caller", CALLERS)
def test_each_route_lets_in_whom_it_should(caller, works, services, admin, make_script, stranger):
    """Anonymous readers, tokens of each scope and administrators get what the table promises."""
    names = things(works, services, admin)
    scopes, rights = CALLERS[caller]
    client = stranger
    if scopes is not None:
        client = make_script(*scopes, admin_user=caller == "administrator")
    wrong = {}
    for (method, template), (need, pattern) in TABLE.items():
        path = pattern.format(**names, **made_for_once(services, admin))
        answer = client.request(method, path, body=BODIES.get(template, ""))
        expected = expected_statuses(need, caller, rights)
        if answer.status_code not in expected:
            wrong[method, template] = (answer.status_code, expected)
    assert not wrong


def made_for_once(services, admin):
    """What a request may use up."""
    nightly = Timing(cron="0 3 * * *")
    made = services.schedules.add(admin, "project", "main", ScheduleKind.NIGHTLY, nightly)
    return {"link": services.access.make_sign_in_link("user0"), "schedule": made.id}


def expected_statuses(need, caller, rights):
    if need == SIGNED:
        return {403}
    if need == ANYBODY or need in rights:
        # 409: the page and the API ask for the same change, and the second one comes too late.
        return {200, 201, 202, 303, 409}
    return {401} if caller == "anonymous" else {403}


def things(works, services, admin):
    """A finished build 1, a queued build 2, a delivery and a user, as the table names them."""
    assert works.finished(recipe=NOTIFYING).build_id == 1
    assert works.build() == 2
    services.access.add_user(admin, "user0", email="", password="correct horse battery", admin=True)
    (delivery,) = services.queries.deliveries(admin)
    return {"delivery": delivery.id, "user": "user0"}
