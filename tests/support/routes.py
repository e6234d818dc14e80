"""Every route of the application with who may use it: one row each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template

from ciserver.model.account import CREATE_PROJECTS, Right

BUILD_READ, BUILD_WRITE = "builds:read", "builds:write"


@dataclass(frozen=True)
class Need:
    """What a caller must have, beside seeing the thing: a scope, which only somebody known has,
    and a standing. `after` says that the scope is asked for before the thing is looked for;
    `unseen` are the answers where the thing is not there for the caller, `lacking` is the one to
    whom has the scope and not the standing.
    """

    scope: str = ""
    right: Right | None = None
    is_member: bool = False  # with any right in the project beyond reading
    is_admin: bool = False
    role: str = ""
    is_account: bool = False  # any, with any token
    is_signature: bool = False
    after: bool = False
    unseen: tuple[int, ...] = (404,)
    lacking: int = 403


NOTHING = Need()
SIGNED = Need(is_signature=True)
ACCOUNT = Need(BUILD_WRITE)
ADMIN = Need("users:write", is_admin=True)
PAUSE = Need(BUILD_WRITE, is_admin=True)
QUOTA = Need("projects:write", is_admin=True)
MAKER = Need("projects:write", role=CREATE_PROJECTS)
OWN_DELIVERIES = Need(BUILD_READ)
DELIVERY = Need(BUILD_READ, is_member=True, after=True)
RESEND = Need("deliveries:write", is_member=True, after=True)
EVALUATE, RESTART, CANCEL, BUMP, EDIT = (
    Need(one.scope, one)
    for one in (Right.EVALUATE, Right.RESTART, Right.CANCEL, Right.BUMP, Right.EDIT)
)
STAR = Need(BUILD_WRITE, after=True)
PLAN = Need(Right.EDIT.scope, Right.EDIT, after=True)
PLAN_BY_NAME = Need(Right.EDIT.scope, Right.EDIT, after=True, unseen=(400,))


_OF_NO_PROJECT = {
    *("fresh", "link", "spare_system", "spare_worker", "system", "user", "webhook_key"),
    *("own_secret", "user_secret"),
}


@dataclass(frozen=True)
class Row:
    """A route, what it needs, and a request that succeeds for whoever has that. In path and body
    `$name` stands for a thing that the test makes: things of the project, if `is_inside`. A
    dialect may say refusals in other `words`.
    """

    method: str
    template: str
    need: Need
    path: str
    body: str = ""
    content_type: str = ""
    words: Mapping[int, int] = field(default_factory=dict)  # other statuses for what is refused
    success: tuple[int, ...] = (200, 201, 202, 302, 303)

    @property
    def key(self) -> tuple[str, str]:
        return self.method, self.template

    @property
    def is_inside(self) -> bool:
        names = {*Template(self.path).get_identifiers(), *Template(self.body).get_identifiers()}
        return bool(names - _OF_NO_PROJECT)


# No account's token, and no session, opens the door of workers.
_ATTEMPT, _THIS_ATTEMPT = (
    "/worker/v1/builds/{build_id}/attempts/{attempt}",
    "/worker/v1/builds/1/attempts/1",
)
WORKERS = (
    *(
        Row(method, f"/worker/v1/{name}", SIGNED, f"/worker/v1/{name}", words={403: 401})
        for method, name in (("GET", "hello"), ("POST", "bell"), ("POST", "claim"))
    ),
    *(
        Row(
            method,
            f"{_ATTEMPT}/{template}",
            SIGNED,
            f"{_THIS_ATTEMPT}/{path or template}",
            words={403: 401},
        )
        for method, template, path in (
            *(
                ("POST", name, "")
                for name in (
                    *("renew", "advance", "output", "finish", "give-back"),
                    *("products", "reports", "caches"),
                )
            ),
            ("GET", "caches", ""),
            ("PUT", "log/{step}", "log/1"),
            ("GET", "uploads/{sha256}", f"uploads/{'0' * 64}"),
            ("PUT", "uploads/{sha256}", f"uploads/{'0' * 64}"),
            ("GET", "sources/{source}", "sources/0"),
            ("POST", "sources/{source}/pack", "sources/0/pack"),
            ("GET", "sources/{source}/content", "sources/0/content"),
        )
    ),
)

_JOB, _THIS_JOB = "/job/{project}/{jobset}/{job}", "/job/$project/main/build"
JOBS = (
    Row("GET", _JOB, NOTHING, _THIS_JOB),
    Row("GET", f"{_JOB}/badge.svg", NOTHING, f"{_THIS_JOB}/badge.svg"),
    Row("GET", "/jobset/{project}/{jobset}/badge.svg", NOTHING, "/jobset/$project/main/badge.svg"),
    Row("POST", f"{_JOB}/starred", STAR, f"{_THIS_JOB}/starred", "star=1"),
    *(
        Row("GET", f"{template}/{name}", NOTHING, f"{path}/{ending}")
        for template, path in (
            ("", ""),
            ("/project/{project}", "/project/$project"),
            ("/jobset/{project}/{jobset}", "/jobset/$project/main"),
            (_JOB, _THIS_JOB),
        )
        for name, ending in (
            ("all", "all"),
            ("latest", "latest"),
            ("latest/{rest:path}", "latest/log/compile"),
            ("latest-for/{system}", "latest-for/x86_64-linux"),
            ("latest-for/{system}/{rest:path}", "latest-for/x86_64-linux/log/compile"),
            ("latest-finished", "latest-finished"),
            ("latest-finished/{rest:path}", "latest-finished/log/compile"),
        )
    ),
)

_EVALUATION, _THIS_EVALUATION = "/eval/{evaluation_id}", "/eval/$evaluation"
_ACTS = (
    ("cancel", CANCEL),
    ("restart-aborted", RESTART),
    ("restart-failed", RESTART),
    ("bump", BUMP),
)
EVALUATIONS = (
    Row("GET", "/evals", NOTHING, "/evals"),
    Row("GET", _EVALUATION, NOTHING, f"{_THIS_EVALUATION}?compare=main"),
    Row("GET", f"{_EVALUATION}/errors", NOTHING, f"{_THIS_EVALUATION}/errors"),
    Row("GET", "/build/{build_id}/evals", NOTHING, "/build/$built/evals"),
    *(
        Row("GET", f"{template}{rest}", NOTHING, f"{path}{ending}")
        for template, path in (
            (f"{_EVALUATION}/job/{{job}}", f"{_THIS_EVALUATION}/job/build"),
            ("/build/{build_id}/eval", "/build/$built/eval"),
            ("/jobset/{project}/{jobset}/latest-eval", "/jobset/$project/main/latest-eval"),
        )
        for rest, ending in (("", ""), ("/{rest:path}", "/log/compile"))
    ),
    *(
        Row("POST", f"{_EVALUATION}/{act}", need, f"{_THIS_EVALUATION}/{act}")
        for act, need in _ACTS
    ),
    Row("GET", "/ci/v1/evaluations/{evaluation_id}", NOTHING, "/ci/v1/evaluations/$evaluation"),
    Row(
        *("GET", "/ci/v1/evaluations/{evaluation_id}/comparison", NOTHING),
        "/ci/v1/evaluations/$evaluation/comparison",
    ),
    *(
        Row(
            *("POST", f"/ci/v1/evaluations/{{evaluation_id}}/{act}", need),
            f"/ci/v1/evaluations/$evaluation/{act}",
        )
        for act, need in _ACTS
    ),
)

_BUILD, _THIS_BUILD = "/build/{build_id}", "/build/$built"
_MANIFEST_IN_FORM = "visibility=public&manifest=image:+host%0Atasks:%0A+-+a:+echo%0A"
BUILDS = (
    *(
        Row("GET", f"{_BUILD}{template}", NOTHING, f"{_THIS_BUILD}{path}", success=success)
        for template, path, success in (
            ("", "", (200,)),
            ("/constituents", "/constituents", (302,)),
            ("/build-deps", "/build-deps", (200,)),
            ("/runtime-deps", "/runtime-deps", (200,)),
            ("/reproduce", "/reproduce", (200,)),
            ("/step/{step}", "/step/1", (200,)),
            ("/step/{step}/lines", "/step/1/lines", (200,)),
            ("/step/{step}/log", "/step/1/log", (200,)),
            ("/step/{step}/log/{mode}", "/step/1/log/tail", (200,)),
            ("/log", "/log", (200,)),
            ("/log/{name}", "/log/compile", (200,)),
            ("/nixlog/{step}", "/nixlog/1", (301,)),
            ("/nixlog/{step}/{mode}", "/nixlog/1/raw", (301,)),
            ("/download", "/download", (302,)),
            ("/download/{word}", "/download/1", (302,)),
            ("/download/{word}/{rest:path}", "/download/1/a.txt", (200,)),
            ("/download-by-type/{kind}/{subtype}", "/download-by-type/doc/manual", (302,)),
            (
                "/download-by-type/{kind}/{subtype}/{rest:path}",
                "/download-by-type/doc/manual/x",
                (302,),
            ),
            ("/contents/{word}", "/contents/2", (200,)),
            ("/output/{name}", "/output/out", (302,)),
        )
    ),
    Row("GET", "/log/{name}", NOTHING, "/log/build-$built"),
    *(
        Row("POST", f"{_BUILD}/{template}", need, f"/build/${thing}/{path}")
        for template, need, thing, path in (
            ("cancel", CANCEL, "queued", "cancel"),
            ("rerun", RESTART, "finished", "rerun"),
            ("rebuild", EVALUATE, "built", "rebuild"),
            ("start", EVALUATE, "held", "start"),
            ("bump", BUMP, "queued", "bump"),
            ("keep/{kept}", EDIT, "built", "keep/1"),
        )
    ),
    Row("GET", "/submit", ACCOUNT, "/submit"),
    Row("POST", "/submit", ACCOUNT, "/submit", _MANIFEST_IN_FORM),
    # Nobody's own, so it is to be read first.
    Row(
        *("POST", f"{_BUILD}/resubmit", ACCOUNT, "/build/$submitted/resubmit"),
        success=(409,),
    ),
)

_PROJECT, _JOBSET = "/project/{project}", "/jobset/{project}/{jobset}"
_IN_FORM = "visibility=public&declaration.type=git&enabled=on"
_OF_JOBSET = "mode=on&check_interval_seconds=0&shares=100&keep_evaluations=3"
PROJECT_FORMS = (
    Row("GET", "/create-project", MAKER, "/create-project"),
    Row("POST", "/create-project", MAKER, "/create-project", f"name=$fresh&{_IN_FORM}"),
    Row("GET", f"{_PROJECT}/edit", EDIT, "/project/$project/edit"),
    Row("POST", f"{_PROJECT}/edit", EDIT, "/project/$spare/edit", f"name=$fresh&{_IN_FORM}"),
    Row("POST", f"{_PROJECT}/members", EDIT, "/project/$project/members", "user=$user"),
    Row("GET", f"{_PROJECT}/create-jobset", EDIT, "/project/$project/create-jobset"),
    Row(
        *("POST", f"{_PROJECT}/create-jobset", EDIT, "/project/$project/create-jobset"),
        f"name=$fresh&{_OF_JOBSET}",
    ),
    Row("GET", f"{_JOBSET}/errors", NOTHING, "/jobset/$project/main/errors"),
    Row("GET", f"{_JOBSET}/edit", EDIT, "/jobset/$project/main/edit"),
    Row("POST", f"{_JOBSET}/edit", EDIT, "/jobset/$spare/main/edit", f"name=main&{_OF_JOBSET}"),
)

OWN_SECRETS, CHANGE_SECRETS = Need("secrets:read"), Need("secrets:write")
_SECRET = '{"type": "plaintext_file", "path": "~/.netrc", "value": "hunter22"}'
_SECRET_FORM = "type=plaintext_file&path=~/.netrc&value=hunter22"
SECRETS = (
    *(
        row
        for template, path, read, write, thing in (
            ("", "", OWN_SECRETS, CHANGE_SECRETS, "own_secret"),
            ("/users/{name}", "/users/$user", ADMIN, ADMIN, "user_secret"),
            ("/projects/{name}", "/projects/$project", EDIT, EDIT, "project_secret"),
        )
        for row in (
            Row("GET", f"/ci/v1{template}/secrets", read, f"/ci/v1{path}/secrets"),
            Row("POST", f"/ci/v1{template}/secrets", write, f"/ci/v1{path}/secrets", _SECRET),
            Row(
                *("DELETE", f"/ci/v1{template}/secrets/{{uuid}}", write),
                f"/ci/v1{path}/secrets/${thing}",
            ),
        )
    ),
    *(
        row
        for template, path, read, write, thing in (
            ("", "", OWN_SECRETS, CHANGE_SECRETS, "own_secret"),
            ("/project/{project}", "/project/$project", EDIT, EDIT, "project_secret"),
        )
        for row in (
            Row("GET", f"{template}/secrets", read, f"{path}/secrets"),
            Row("POST", f"{template}/secrets", write, f"{path}/secrets", _SECRET_FORM),
            Row(
                *("POST", f"{template}/secrets/{{uuid}}/remove", write),
                f"{path}/secrets/${thing}/remove",
            ),
        )
    ),
)

ROWS = (
    *JOBS,  # first: what they look at is all good and done
    *SECRETS,
    *PROJECT_FORMS,
    # -- pages
    Row("GET", "/", NOTHING, "/"),
    Row("GET", "/project/{project}", NOTHING, "/project/$project"),
    Row("GET", "/jobset/{project}/{jobset}", NOTHING, "/jobset/$project/main"),
    Row(
        "POST",
        "/jobset/{project}/{jobset}/schedules",
        PLAN,
        "/jobset/$project/main/schedules",
        "kind=nightly&cron=0+3+*+*+*&zone=UTC",
    ),
    Row("POST", "/jobset/{project}/{jobset}/pause", EDIT, "/jobset/$project/main/pause"),
    Row("POST", "/jobset/{project}/{jobset}/resume", EDIT, "/jobset/$project/main/resume"),
    Row("GET", "/schedule/{schedule_id}", NOTHING, "/schedule/$schedule"),
    Row("POST", "/schedule/{schedule_id}/{change}", EDIT, "/schedule/$schedule/pause"),
    *EVALUATIONS,
    *BUILDS,
    Row("GET", "/queue", NOTHING, "/queue"),
    Row("POST", "/queue/pause", PAUSE, "/queue/pause"),
    Row("POST", "/queue/resume", PAUSE, "/queue/resume"),
    Row("GET", "/search", NOTHING, "/search?query=rose"),
    *(
        Row("GET", path, NOTHING, path)
        for path in ("/queue-summary", "/status", "/steps", "/machines", "/metrics")
    ),
    Row("GET", "/requests", NOTHING, "/requests"),
    Row("GET", "/static/{name}", NOTHING, "/static/log.js"),
    Row(
        "GET",
        "/build/{build_id}/product/{product_id}/{name}",
        NOTHING,
        "/build/$built/product/$product/a.txt",
    ),
    Row("GET", "/build/{build_id}/results/", NOTHING, "/build/$built/results/"),
    Row("GET", "/build/{build_id}/results/{name}", NOTHING, "/build/$built/results/compile.log"),
    Row("GET", "/login", NOTHING, "/login"),
    Row("POST", "/login", NOTHING, "/login", "name=$user&password=correct+horse+battery"),
    Row("POST", "/logout", NOTHING, "/logout"),
    Row("GET", "/welcome/{token}", NOTHING, "/welcome/$link"),
    Row("POST", "/welcome/{token}", NOTHING, "/welcome/$link", "password=correct+horse+battery"),
    # -- projects, jobsets and members
    Row("GET", "/ci/v1/projects", NOTHING, "/ci/v1/projects"),
    Row(
        "POST",
        "/ci/v1/projects",
        MAKER,
        "/ci/v1/projects",
        '{"name": "$fresh", "uri": "https://git.example.org/$fresh.git"}',
    ),
    Row("GET", "/ci/v1/projects/{name}", NOTHING, "/ci/v1/projects/$project"),
    Row("PATCH", "/ci/v1/projects/{name}", EDIT, "/ci/v1/projects/$project", '{"hidden": false}'),
    Row("DELETE", "/ci/v1/projects/{name}", EDIT, "/ci/v1/projects/$spare"),
    Row(
        "POST",
        "/ci/v1/projects/{name}/hook-secrets",
        EDIT,
        "/ci/v1/projects/$project/hook-secrets",
    ),
    Row(
        "GET",
        "/ci/v1/projects/{name}/signing-secret",
        EDIT,
        "/ci/v1/projects/$project/signing-secret",
    ),
    Row("GET", "/ci/v1/projects/{name}/quota", NOTHING, "/ci/v1/projects/$project/quota"),
    Row(
        "PUT",
        "/ci/v1/projects/{name}/quota",
        QUOTA,
        "/ci/v1/projects/$project/quota",
        '{"quota_mb": 100}',
    ),
    Row("DELETE", "/ci/v1/projects/{name}/quota", QUOTA, "/ci/v1/projects/$project/quota"),
    Row("GET", "/ci/v1/projects/{name}/members", EDIT, "/ci/v1/projects/$project/members"),
    Row(
        "GET",
        "/ci/v1/projects/{name}/members/{user}",
        EDIT,
        "/ci/v1/projects/$project/members/somebody",
    ),
    Row(
        "PUT",
        "/ci/v1/projects/{name}/members/{user}",
        EDIT,
        "/ci/v1/projects/$project/members/$user",
        '{"rights": []}',
    ),
    Row(
        "GET",
        "/ci/v1/projects/{name}/jobsets/{jobset}",
        NOTHING,
        "/ci/v1/projects/$project/jobsets/main",
    ),
    Row(
        "PUT",
        "/ci/v1/projects/{name}/jobsets/{jobset}",
        EDIT,
        "/ci/v1/projects/$project/jobsets/$fresh",
        "{}",
    ),
    Row(
        "DELETE",
        "/ci/v1/projects/{name}/jobsets/{jobset}",
        EDIT,
        "/ci/v1/projects/$spare/jobsets/main",
    ),
    Row(
        "POST",
        "/ci/v1/jobsets/{project}/{jobset}/evaluate",
        EVALUATE,
        "/ci/v1/jobsets/$project/main/evaluate",
    ),
    Row(
        "POST",
        "/ci/v1/jobsets/{project}/{jobset}/pgo-strategy",
        EDIT,
        "/ci/v1/jobsets/$project/main/pgo-strategy",
        '{"strategy": "manual"}',
    ),
    *(
        Row(
            "POST",
            f"/ci/v1/jobsets/{{project}}/{{jobset}}/{verb}",
            EDIT,
            f"/ci/v1/jobsets/$project/main/{verb}",
        )
        for verb in ("pause", "resume")
    ),
    # -- builds
    Row("GET", "/ci/v1/builds", NOTHING, "/ci/v1/builds"),
    Row(
        "POST",
        "/ci/v1/builds",
        ACCOUNT,
        "/ci/v1/builds",
        '{"manifest": "image: host\\ntasks:\\n  - work: make\\n"}',
    ),
    Row("GET", "/ci/v1/builds/{build_id}", NOTHING, "/ci/v1/builds/$built"),
    *(
        Row("POST", f"/ci/v1/builds/{{build_id}}/{verb}", need, f"/ci/v1/builds/{thing}/{verb}")
        for verb, need, thing in (
            ("cancel", CANCEL, "$queued"),
            ("rerun", RESTART, "$finished"),
            ("rebuild", EVALUATE, "$built"),
            ("start", EVALUATE, "$held"),
            ("bump", BUMP, "$queued"),
            ("keep", EDIT, "$built"),
            ("unkeep", EDIT, "$built"),
            ("delete", EDIT, "$finished"),
        )
    ),
    Row(
        "POST",
        "/ci/v1/builds/{build_id}/priority",
        BUMP,
        "/ci/v1/builds/$queued/priority",
        '{"priority": 5}',
    ),
    Row(
        "GET",
        "/ci/v1/builds/{build_id}/steps/{step}/log",
        NOTHING,
        "/ci/v1/builds/$built/steps/1/log",
    ),
    Row("GET", "/ci/v1/queue", NOTHING, "/ci/v1/queue"),
    Row("POST", "/ci/v1/queue/pause", PAUSE, "/ci/v1/queue/pause"),
    Row("POST", "/ci/v1/queue/resume", PAUSE, "/ci/v1/queue/resume"),
    # -- systems
    Row("POST", "/machines", ADMIN, "/machines", "system=$system&active=1"),
    Row("GET", "/ci/v1/systems", NOTHING, "/ci/v1/systems"),
    Row("POST", "/ci/v1/systems", ADMIN, "/ci/v1/systems", '{"name": "linux-$fresh"}'),
    Row("GET", "/ci/v1/systems/{name}", NOTHING, "/ci/v1/systems/$system"),
    Row("PATCH", "/ci/v1/systems/{name}", ADMIN, "/ci/v1/systems/$system", '{"active": true}'),
    Row("DELETE", "/ci/v1/systems/{name}", ADMIN, "/ci/v1/systems/$spare_system"),
    # -- workers
    Row("GET", "/ci/v1/workers", ADMIN, "/ci/v1/workers"),
    Row(
        "POST",
        "/ci/v1/workers",
        ADMIN,
        "/ci/v1/workers",
        '{"name": "worker-$fresh", "queues": ["riscv64-linux/trusted"]}',
    ),
    Row("PATCH", "/ci/v1/workers/{name}", ADMIN, "/ci/v1/workers/$spare_worker", '{"labels": []}'),
    Row(
        "POST",
        "/ci/v1/workers/{name}/credential",
        ADMIN,
        "/ci/v1/workers/$spare_worker/credential",
        "{}",
    ),
    Row("DELETE", "/ci/v1/workers/{name}", ADMIN, "/ci/v1/workers/$spare_worker"),
    *WORKERS,
    # -- schedules
    Row("GET", "/ci/v1/schedules", NOTHING, "/ci/v1/schedules"),
    Row(
        "POST",
        "/ci/v1/schedules",
        PLAN_BY_NAME,
        "/ci/v1/schedules",
        '{"jobset": "$project:main", "cron": "0 3 * * *"}',
    ),
    Row("GET", "/ci/v1/schedules/{schedule_id}", NOTHING, "/ci/v1/schedules/$schedule"),
    Row("POST", "/ci/v1/schedules/{schedule_id}/fire", EVALUATE, "/ci/v1/schedules/$schedule/fire"),
    *(
        Row(
            "POST",
            f"/ci/v1/schedules/{{schedule_id}}/{verb}",
            EDIT,
            f"/ci/v1/schedules/$schedule/{verb}",
        )
        for verb in ("remove", "pause", "resume")
    ),
    # -- deliveries, requests, users
    Row("GET", "/ci/v1/deliveries", OWN_DELIVERIES, "/ci/v1/deliveries"),
    Row("GET", "/ci/v1/deliveries/{delivery_id}", DELIVERY, "/ci/v1/deliveries/$delivery"),
    Row(
        "POST",
        "/ci/v1/deliveries/{delivery_id}/resend",
        RESEND,
        "/ci/v1/deliveries/$delivery/resend",
    ),
    Row("GET", "/ci/v1/webhook-keys", NOTHING, "/ci/v1/webhook-keys"),
    Row("POST", "/ci/v1/webhook-keys", ADMIN, "/ci/v1/webhook-keys"),
    Row("POST", "/ci/v1/webhook-keys/{key_id}/use", ADMIN, "/ci/v1/webhook-keys/$webhook_key/use"),
    Row("DELETE", "/ci/v1/webhook-keys/{key_id}", ADMIN, "/ci/v1/webhook-keys/$webhook_key"),
    Row("GET", "/ci/v1/requests", NOTHING, "/ci/v1/requests"),
    Row("GET", "/ci/v1/requests/{request_id}", NOTHING, "/ci/v1/requests/$request"),
    Row("GET", "/ci/v1/users", ADMIN, "/ci/v1/users"),
    Row(
        "POST",
        "/ci/v1/users",
        ADMIN,
        "/ci/v1/users",
        '{"name": "$fresh", "password": "correct horse battery"}',
    ),
    Row("PATCH", "/ci/v1/users/{name}", ADMIN, "/ci/v1/users/$user", '{"full_name": "U. Ser"}'),
    Row("POST", "/ci/v1/users/{name}/links", ADMIN, "/ci/v1/users/$user/links"),
    Row(
        "POST",
        "/ci/v1/users/{name}/tokens",
        ADMIN,
        "/ci/v1/users/$user/tokens",
        '{"scopes": ["builds:read"]}',
    ),
    # -- how the server is, and hooks
    Row("GET", "/healthz", NOTHING, "/healthz"),
    Row("GET", "/readyz", NOTHING, "/readyz"),
    Row("GET", "/version", NOTHING, "/version"),
    Row("GET", "/recipe.schema.json", NOTHING, "/recipe.schema.json"),
    Row("POST", "/hooks/{door}/{project}", SIGNED, "/hooks/generic/$project"),
)
