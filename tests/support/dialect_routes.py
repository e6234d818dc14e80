"""Every route of the dialects with who may use it: one row each."""

from dataclasses import replace

from support.routes import (
    ACCOUNT,
    BUILD_READ,
    BUMP,
    CANCEL,
    EDIT,
    EVALUATE,
    MAKER,
    NOTHING,
    RESTART,
    SIGNED,
    STAR,
    Need,
    Row,
)

_AS_JSON, _AS_FORM = "application/json", "application/x-www-form-urlencoded"
_FORBIDDEN = {401: 403}

# -- Hydra: who is not known is forbidden ---------------------------------------------------------

_PUSH = replace(EVALUATE, after=True)
_SAVE = replace(EDIT, unseen=(400, 403))  # as a name that is free, or that is taken
_INPUT = '{"src": {"type": "git", "value": "https://git.example.org/$fresh.git"}}'
_JOBSET = f'{{"nixexprinput": "src", "nixexprpath": ".build.yml", "inputs": {_INPUT}}}'

HYDRA_JOBS = (
    Row("GET", "/jobset/{project}/{jobset}/shield", NOTHING, "/jobset/$project/main/shield"),
    *(
        Row(
            *("GET", f"/job/{{project}}/{{jobset}}/{{job}}/{template}", NOTHING),
            f"/job/$project/main/build/{name}",
        )
        for template, name in (
            ("shield", "shield"),
            ("build-times", "build-times"),
            ("closure-sizes", "closure-sizes"),
            ("output-sizes", "output-sizes"),
            ("metric/{name}", "metric/size"),
            ("prometheus", "prometheus"),
        )
    ),
    Row(
        *("POST", "/job/{project}/{jobset}/{job}/star", STAR, "/job/$project/main/build/star"),
        *("star=1", _AS_FORM, _FORBIDDEN),
    ),
)
HYDRA = tuple(
    Row(method, template, need, path, body, _AS_JSON, words=_FORBIDDEN)
    for method, template, need, path, body in (
        ("PUT", "/project/{project}", _SAVE, "/project/$project", '{"displayname": "Roses"}'),
        ("DELETE", "/project/{project}", EDIT, "/project/$spare", ""),
        ("PUT", "/jobset/{project}/{jobset}", EDIT, "/jobset/$project/$fresh", _JOBSET),
        ("DELETE", "/jobset/{project}/{jobset}", EDIT, "/jobset/$spare/main", ""),
        ("GET", "/jobset/{project}/{jobset}/evals", NOTHING, "/jobset/$project/main/evals", ""),
        ("POST", "/jobset/{project}/{jobset}/evals", EVALUATE, "/jobset/$project/main/evals", "{}"),
        ("GET", "/eval/{evaluation_id}/builds", NOTHING, "/eval/$evaluation/builds", ""),
        ("GET", "/eval/{evaluation_id}/store-paths", NOTHING, "/eval/$evaluation/store-paths", ""),
        ("PUT", "/eval/{evaluation_id}/cancel", CANCEL, "/eval/$evaluation/cancel", ""),
        (
            "PUT",
            "/eval/{evaluation_id}/restart-aborted",
            RESTART,
            "/eval/$evaluation/restart-aborted",
            "",
        ),
        (
            "PUT",
            "/eval/{evaluation_id}/restart-failed",
            RESTART,
            "/eval/$evaluation/restart-failed",
            "",
        ),
        ("PUT", "/eval/{evaluation_id}/bump", BUMP, "/eval/$evaluation/bump", ""),
        ("GET", "/build/{build_id}/api/get-info", NOTHING, "/build/$built/api/get-info", ""),
        *(
            (method, f"/build/{{build_id}}/{template}", need, f"/build/${thing}/{path}", "")
            for method, template, need, thing, path in (
                ("POST", "restart", RESTART, "finished", "restart"),
                ("PUT", "restart", RESTART, "finished", "restart"),
                ("PUT", "cancel", CANCEL, "queued", "cancel"),
                ("PUT", "bump", BUMP, "queued", "bump"),
                ("PUT", "keep/{kept}", EDIT, "built", "keep/0"),
            )
        ),
        ("GET", "/current-user", Need(is_account=True), "/current-user", ""),
        ("GET", "/api/latestbuilds", NOTHING, "/api/latestbuilds?nr=100", ""),
        ("GET", "/api/queue", NOTHING, "/api/queue?nr=100", ""),
        ("GET", "/api/nrqueue", NOTHING, "/api/nrqueue", ""),
        ("GET", "/api/nrbuilds", NOTHING, "/api/nrbuilds?nr=100&period=day", ""),
        ("GET", "/api/jobsets", NOTHING, "/api/jobsets?project=$project", ""),
        ("GET", "/queue-runner-status", NOTHING, "/queue-runner-status", ""),
        ("GET", "/prometheus", NOTHING, "/prometheus", ""),
        ("POST", "/api/push", _PUSH, "/api/push?jobsets=$project:main", ""),
        ("PUT", "/api/push", _PUSH, "/api/push?jobsets=$project:main", ""),
    )
)

HYDRA_FORGES = tuple(
    Row("POST", f"/api/push-{one}", SIGNED, f"/api/push-{one}", "{}", words={403: 401})
    for one in ("github", "gitea")
)
_NO_DIFF = f"uri=https://git.example.org/none.git&type=git&rev1={'1' * 40}&rev2={'2' * 40}"
HYDRA_DIFF = Row(
    *("GET", "/api/scmdiff", NOTHING, f"/api/scmdiff?{_NO_DIFF}"),
    success=(404,),  # for everybody: no jobset has it
)

# -- builds.sr.ht: a token comes first, and who lacks a right is not authorized -------------------

_TOKEN, _OWN = Need(BUILD_READ, after=True), Need(BUILD_READ)
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
    # A group is there for who made it: for nobody here.
    *(
        Row(
            *(method, f"/api/job-group{template}{slash}", need, f"{path}{slash}", body, _AS_JSON),
            success=(status,),
        )
        for slash in ("", "/")
        for method, template, need, path, body, status in (
            ("POST", "", ACCOUNT, "/api/job-group", '{"jobs": []}', 400),
            ("GET", "/{group_id}", _OWN, "/api/job-group/1", "", 404),
            ("POST", "/{group_id}/start", ACCOUNT, "/api/job-group/1/start", "", 404),
            ("POST", "/{group_id}/cancel", ACCOUNT, "/api/job-group/1/cancel", "", 404),
        )
    ),
    *(
        Row("GET", f"{prefix}/{{job_id}}{task}/log", NOTHING, f"{prefix}/$built{name}/log")
        for prefix in ("/logs", "/query/log")
        for task, name in (("", ""), ("/{task}", "/compile"))
    ),
    *(
        Row("GET", f"/~{{user}}{template}", NOTHING, f"/~ada{path}")
        for template, path in (
            ("", ""),
            (".svg", ".svg"),
            ("/rss.xml", "/rss.xml"),
            ("/{rest:path}", "/tag"),
            ("/job/{job_id}", "/job/$built"),
            ("/job/{job_id}/manifest", "/job/$submitted/manifest"),
        )
    ),
)

# -- self-serve: whoever may ask for nothing at all is told so first ------------------------------

_MAKE, _CANCEL, _BUMP = (replace(one, after=True) for one in (EVALUATE, CANCEL, BUMP))

SELFSERVE = (
    Row("GET", "/self-serve", NOTHING, "/self-serve"),
    Row("GET", "/self-serve/branches", NOTHING, "/self-serve/branches"),
    Row("GET", "/self-serve/jobs", NOTHING, "/self-serve/jobs"),
    Row("GET", "/self-serve/jobs/{job_id}", NOTHING, "/self-serve/jobs/$asked"),
    Row("GET", "/pending", NOTHING, "/pending"),
    Row("GET", "/running", NOTHING, "/running"),
    *(
        Row("GET", f"{path}/{{branch}}", NOTHING, f"{path}/$project:main")
        for path in ("/pending", "/running", "/reports/waittimes", "/reports/endtoend")
    ),
    Row(
        *("GET", "/builddata/buildjson/{name}", NOTHING),
        "/builddata/buildjson/builds-4hr.js.gz",
    ),
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
        *(
            "POST",
            "/api/v1/products",
            replace(EDIT, after=True, unseen=(422,)),
            "/api/v1/products.json",
        ),
        *('{"product": {"project_id": $number, "name": "$fresh"}}', _AS_JSON),
    ),
    Row(
        *("PUT", "/api/v1/products/{number}", EDIT, "/api/v1/products/$jobset.json"),
        *('{"product": {"description": "Roses"}}', _AS_JSON),
    ),
    Row("DELETE", "/api/v1/products/{number}", EDIT, "/api/v1/products/$spare_jobset.json"),
    Row(
        *("GET", "/api/v1/products/{number}/product_build_lists", NOTHING),
        "/api/v1/products/$jobset/product_build_lists.json",
    ),
    Row("GET", "/api/v1/projects/{number}", NOTHING, "/api/v1/projects/$number.json"),
    Row("GET", "/api/v1/projects/get_id", NOTHING, "/api/v1/projects/get_id.json?name=$project"),
    Row(
        *("GET", "/api/v1/projects/{number}/refs_list", NOTHING),
        "/api/v1/projects/$number/refs_list.json",
    ),
    Row("GET", "/api/v1/platforms", NOTHING, "/api/v1/platforms.json"),
    Row(
        *("GET", "/api/v1/platforms/platforms_for_build", NOTHING),
        "/api/v1/platforms/platforms_for_build.json",
    ),
    Row("GET", "/api/v1/platforms/{number}", NOTHING, "/api/v1/platforms/$number.json"),
    Row("GET", "/api/v1/search", NOTHING, "/api/v1/search.json?query=rose"),
    Row("GET", "/api/v1/arches", NOTHING, "/api/v1/arches.json"),
)

# -- Copr: a build of one system has the number of its group --------------------------------------

_SOURCE = '{"project_id": $jobset, "srpm_url": "https://example.org/rose.src.rpm"}'
_COPR_PROJECT, _SPARE = "/api_2/projects/{project_id}", "/api_2/projects/$spare_jobset"
_CANCELED = '{"state": "canceled"}'

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
    Row(
        *("POST", "/api_2/projects", MAKER, "/api_2/projects", '{"name": "$fresh"}', _AS_JSON),
        success=(201,),
    ),
    Row("PUT", _COPR_PROJECT, EDIT, _SPARE, '{"description": ""}', _AS_JSON, success=(204,)),
    Row("DELETE", _COPR_PROJECT, EDIT, _SPARE, success=(204,)),
    Row(
        *("POST", f"{_COPR_PROJECT}/chroots", EDIT, "/api_2/projects/$jobset/chroots"),
        *('{"name": "$spare_system"}', _AS_JSON),
        success=(409,),  # it has all that there are
    ),
    *(
        Row(
            *(method, f"{_COPR_PROJECT}/chroots/{{name}}", EDIT),
            *("/api_2/projects/$jobset/chroots/$system", "{}", _AS_JSON),
            success=(status,),
        )
        for method, status in (("PUT", 200), ("DELETE", 204))
    ),
    Row(
        *("POST", "/api_2/builds", replace(EVALUATE, after=True), "/api_2/builds"),
        *(_SOURCE, _AS_JSON),
        success=(201,),
    ),
    Row(
        *("PUT", "/api_2/builds/{build_id}", CANCEL, "/api_2/builds/$queued", _CANCELED, _AS_JSON),
        success=(201,),
    ),
    Row(
        *("DELETE", "/api_2/builds/{build_id}", EDIT, "/api_2/builds/$finished"),
        success=(204,),
    ),
)

DIALECT_ROWS = (*HYDRA_JOBS, *HYDRA, *HYDRA_FORGES, HYDRA_DIFF, *SRHT, *SELFSERVE, *ABF, *COPR)
