"""Every route of the dialects with who may use it: one row each."""

from dataclasses import replace

from support.routes import (
    ACCOUNT,
    BUILD_READ,
    BUMP,
    CANCEL,
    EDIT,
    EVALUATE,
    NOTHING,
    Need,
    Row,
)

_AS_JSON, _AS_FORM = "application/json", "application/x-www-form-urlencoded"
_FORBIDDEN = {401: 403}

# -- Hydra: who is not known is forbidden ---------------------------------------------------------

_PUSH = replace(EVALUATE, after=True)
_INPUT = '{"src": {"type": "git", "value": "https://git.example.org/$fresh.git"}}'
_JOBSET = f'{{"nixexprinput": "src", "nixexprpath": ".build.yml", "inputs": {_INPUT}}}'

HYDRA = tuple(
    Row(method, template, need, path, body, _AS_JSON, words=_FORBIDDEN)
    for method, template, need, path, body in (
        ("PUT", "/project/{project}", EDIT, "/project/$project", '{"displayname": "Roses"}'),
        ("DELETE", "/project/{project}", EDIT, "/project/$spare", ""),
        ("PUT", "/jobset/{project}/{jobset}", EDIT, "/jobset/$project/$fresh", _JOBSET),
        ("DELETE", "/jobset/{project}/{jobset}", EDIT, "/jobset/$spare/main", ""),
        ("GET", "/jobset/{project}/{jobset}/evals", NOTHING, "/jobset/$project/main/evals", ""),
        ("GET", "/current-user", Need(is_account=True), "/current-user", ""),
        ("GET", "/api/latestbuilds", NOTHING, "/api/latestbuilds?nr=100", ""),
        ("POST", "/api/push", _PUSH, "/api/push?jobsets=$project:main", ""),
        ("PUT", "/api/push", _PUSH, "/api/push?jobsets=$project:main", ""),
    )
)

# -- builds.sr.ht: a token comes first, and who lacks a right is not authorized -------------------

_TOKEN = Need(BUILD_READ, after=True)
_START, _STOP = (replace(one, after=True, lacking=401) for one in (EVALUATE, CANCEL))
_MANIFEST = '{"manifest": "image: host\\ntasks:\\n  - work: make\\n"}'

SRHT = (
    *(
        Row(method, f"/api/jobs{template}{slash}", need, f"/api/jobs{path}{slash}", body, _AS_JSON)
        for slash in ("", "/")
        for method, template, need, path, body in (
            ("GET", "", _TOKEN, "", ""),
            ("POST", "", ACCOUNT, "", _MANIFEST),
            ("GET", "/{job_id}", _TOKEN, "/$built", ""),
            ("GET", "/{job_id}/manifest", NOTHING, "/$submitted/manifest", ""),
            ("GET", "/{job_id}/artifacts", _TOKEN, "/$built/artifacts", ""),
            ("POST", "/{job_id}/start", _START, "/$held/start", ""),
            ("POST", "/{job_id}/cancel", _STOP, "/$queued/cancel", ""),
        )
    ),
    *(
        Row("GET", f"{prefix}/{{job_id}}{task}/log", NOTHING, f"{prefix}/$built{name}/log")
        for prefix in ("/logs", "/query/log")
        for task, name in (("", ""), ("/{task}", "/compile"))
    ),
)

# -- self-serve: whoever may ask for nothing at all is told so first ------------------------------

_MAKE, _CANCEL, _BUMP = (replace(one, after=True) for one in (EVALUATE, CANCEL, BUMP))

SELFSERVE = (
    Row("GET", "/self-serve", NOTHING, "/self-serve"),
    Row("GET", "/self-serve/branches", NOTHING, "/self-serve/branches"),
    Row("GET", "/self-serve/jobs", NOTHING, "/self-serve/jobs"),
    Row("GET", "/self-serve/jobs/{job_id}", NOTHING, "/self-serve/jobs/$asked"),
    *(
        Row(
            *(method, f"/self-serve/{{branch}}{template}", need),
            *(f"/self-serve/$project:main{path}", body, _AS_FORM),
        )
        for method, template, need, path, body in (
            ("GET", "", NOTHING, "", ""),
            ("GET", "/builders", NOTHING, "/builders", ""),
            ("GET", "/user/{user}", NOTHING, "/user/ada", ""),
            ("POST", "/build", _MAKE, "/build", "build_id=$built"),
            ("GET", "/build/{build_id}", NOTHING, "/build/$built", ""),
            ("DELETE", "/build/{build_id}", _CANCEL, "/build/$built", ""),
            ("POST", "/build/{build_id}", _CANCEL, "/build/$built", "_method=DELETE"),
            ("POST", "/request", _MAKE, "/request", "request_id=$queued"),
            ("GET", "/request/{request_id}", NOTHING, "/request/$queued", ""),
            ("PUT", "/request/{request_id}", _BUMP, "/request/$queued", "priority=5"),
            ("DELETE", "/request/{request_id}", _CANCEL, "/request/$queued", ""),
            ("POST", "/request/{request_id}", _CANCEL, "/request/$queued", "_method=DELETE"),
            (
                *("POST", "/builders/{builder_name}/{revision}", _MAKE),
                *("/builders/build/$revision", ""),
            ),
            ("GET", "/rev/{revision}", NOTHING, "/rev/$revision", ""),
            ("POST", "/rev/{revision}", _MAKE, "/rev/$revision", ""),
            ("DELETE", "/rev/{revision}", _CANCEL, "/rev/$revision", ""),
            ("GET", "/rev/{revision}/is_done", NOTHING, "/rev/$revision/is_done", ""),
            ("POST", "/rev/{revision}/nightly", _MAKE, "/rev/$revision/nightly", ""),
            ("POST", "/rev/{revision}/pgo", _MAKE, "/rev/$revision/pgo", ""),
        )
    ),
)

# -- ABF: who names a product that is not there is forbidden to build it --------------------------

_LISTS = "/api/v1/product_build_lists"
_CREATE = replace(EVALUATE, after=True, unseen=(403,))
_ASKED = '{"product_build_list": {"product_id": "$jobset"}}'
_KEEP = '{"product_build_list": {"not_delete": true}}'
_INCOMPLETE = (422,)  # for whoever may: the list says nothing of a commit

ABF = (
    Row("GET", _LISTS, NOTHING, f"{_LISTS}.json"),
    *(
        Row("POST", path, _CREATE, f"{path}.json", _ASKED, _AS_JSON, success=_INCOMPLETE)
        for path in (_LISTS, "/api/v1/product_build_list")
    ),
    Row("GET", f"{_LISTS}/{{number}}", NOTHING, f"{_LISTS}/$built.json"),
    Row("PUT", f"{_LISTS}/{{number}}", EDIT, f"{_LISTS}/$built.json", _KEEP, _AS_JSON),
    Row("DELETE", f"{_LISTS}/{{number}}", EDIT, f"{_LISTS}/$finished.json"),
    Row("PUT", f"{_LISTS}/{{number}}/cancel", CANCEL, f"{_LISTS}/$queued/cancel.json"),
    Row("GET", "/api/v1/products/{number}", NOTHING, "/api/v1/products/$jobset.json"),
    Row(
        *("GET", "/api/v1/products/{number}/product_build_lists", NOTHING),
        "/api/v1/products/$jobset/product_build_lists.json",
    ),
    Row("GET", "/api/v1/projects/{number}", NOTHING, "/api/v1/projects/$number.json"),
    Row("GET", "/api/v1/arches", NOTHING, "/api/v1/arches.json"),
)

# -- Copr: only read; a build of one system has the number of its group ---------------------------

COPR = (
    Row("GET", "/api_2", NOTHING, "/api_2", success=(308,)),
    *(
        Row("GET", f"/api_2{template}", NOTHING, f"/api_2{path}")
        for template, path in (
            ("/", "/"),
            ("/build_tasks", "/build_tasks"),
            ("/builds_tasks", "/builds_tasks"),
            ("/build_tasks/{build_id}/{name}", "/build_tasks/$built/$system"),
            ("/builds", "/builds"),
            ("/builds/{build_id}", "/builds/$built?show_build_tasks"),
            ("/projects", "/projects"),
            ("/projects/{project_id}", "/projects/$jobset?show_builds&show_chroots"),
            ("/projects/{project_id}/chroots", "/projects/$jobset/chroots"),
            ("/projects/{project_id}/chroots/{name}", "/projects/$jobset/chroots/$system"),
            ("/mock_chroots", "/mock_chroots"),
            ("/mock_chroots/{name}", "/mock_chroots/$system"),
        )
    ),
)

DIALECT_ROWS = (*HYDRA, *SRHT, *SELFSERVE, *ABF, *COPR)
