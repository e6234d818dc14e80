"""Evaluations in lists, single ones with their builds, what is done with them; latest builds."""

import pytest
from dialects.hydra.playing import JSON, PINNED, job
from support.factories import ADMIN, MAIN, OFFER, done, make_job, make_push

from ciserver.machine import native_system
from ciserver.model.account import Visibility
from ciserver.model.build import BuildResult, Offer, Output, ProductKind
from ciserver.model.evaluation import PinnedInput
from ciserver.model.project import InputType
from ciserver.model.push import ZERO, RefChange
from ciserver.model.status import BuildStatus


@pytest.fixture
def trunk(make):
    return make.jobset("nix", "trunk")


EVALS = "/jobset/nix/trunk/evals"


def ids(answer):
    return [one["id"] for one in answer["evals"]]


def test_pages_of_twenty(make, trunk, anybody):
    """The newest first; what follows and what came before are links."""
    made = [make.evaluated(trunk, make_job()).id for _ in range(41)][::-1]
    first = anybody.get(EVALS)
    assert ids(first) == made[:20]
    ends = {"first": "?page=1", "last": "?page=3"}
    assert first.items() >= {**ends, "next": "?page=2"}.items()
    assert "previous" not in first
    second = anybody.get(f"{EVALS}{first['next']}")
    assert ids(second) == made[20:40]
    assert second.items() >= {**ends, "next": "?page=3", "previous": "?page=1"}.items()
    last = anybody.get(f"{EVALS}{second['last']}")
    assert ids(last) == made[40:]
    assert last.keys() == {"evals", "first", "last", "previous"}
    assert ids(anybody.get(f"{EVALS}?page=2147483647")) == []


def test_an_empty_list(trunk, anybody):
    """As Hydra has it."""
    assert anybody.get(EVALS) == {"evals": [], "first": "?page=1", "last": "?page=0"}


def test_only_what_made_builds_is_listed_unless_all_is_wanted(make, trunk, anybody):
    """The links of the whole list lead on in it."""
    quiet = [make.evaluated(trunk).id for _ in range(20)]
    built = make.evaluated(trunk, make_job()).id
    assert ids(anybody.get(EVALS)) == ids(anybody.get(f"{EVALS}?all=0")) == [built]
    everything = anybody.get(f"{EVALS}?all=1")
    assert ids(everything) == [built, *quiet[:0:-1]]
    assert [one["hasnewbuilds"] for one in everything["evals"]] == [1, *[0] * 19]
    assert (everything["next"], everything["last"]) == ("?page=2&all=1", "?page=2&all=1")
    assert ids(anybody.get(f"{EVALS}{everything['next']}")) == quiet[:1]


@pytest.mark.parametrize("page", ["0", "-1", "x", "1.5", str(2**31), "9" * 30])
def test_there_is_no_such_page(trunk, anybody, page):
    status, message = anybody.refusal("GET", f"{EVALS}?page={page}")
    assert (status, message[:9]) == (400, "page: mus")


def test_how_long_an_evaluation_took(farm, anybody):
    """Fetching, then evaluating; nothing of one that waits."""
    jobset = farm.build_ng()
    found, _ = farm.evaluated(jobset)
    shown = anybody.get(f"/eval/{found}")
    assert (shown["checkouttime"], shown["evaltime"], shown["hasnewbuilds"]) == (302, 30, 0)
    waiting = anybody.get(f"/eval/{farm.factory.evaluation(jobset).id}")
    assert (waiting["checkouttime"], waiting["evaltime"], waiting["builds"]) == (None, None, [])
    assert waiting["jobsetevalinputs"] == {}


def test_people_see_evaluations_on_the_page_of_the_jobset(trunk, anybody):
    """The address is Hydra's alone."""
    answer = anybody.ask("GET", EVALS, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (302, "/jobset/nix/trunk")


def test_the_latest_builds(make, trunk, anybody, clock):
    """What ended last comes first; filtered by what is named."""
    other = make.jobset("other")
    made = []
    for jobset, name, system in (
        (trunk, "a", "x86_64-linux"),
        (trunk, "b", "aarch64-linux"),
        (other, "a", "x86_64-linux"),
    ):
        clock.forward(seconds=1)
        build = make.build(BuildStatus.SUCCEEDED, jobset=jobset, name=name, system=system)
        made.insert(0, build.id)
    make.build(jobset=trunk)

    def latest(query):
        return [one["id"] for one in anybody.get(f"/api/latestbuilds?{query}")]

    assert latest("nr=10") == made
    assert latest("nr=2") == made[:2]
    assert latest("nr=0") == []
    assert latest(f"nr={2**63 - 1}") == made
    assert latest("nr=10&project=nix") == made[1:]
    assert latest("nr=10&project=nix&jobset=trunk&job=a") == made[2:]
    assert latest("nr=10&jobset=main") == made[:1]
    assert latest("nr=10&system=aarch64-linux") == made[1:2]
    assert latest("nr=10&project=none") == []
    (one,) = anybody.get("/api/latestbuilds?nr=1")
    keys = ("id", "project", "jobset", "job", "system", "nixname", "finished", "buildstatus")
    assert one.keys() == {*keys, "timestamp"}
    assert [one[key] for key in keys[1:]] == [*("other", "main", "a", "x86_64-linux", "a", 1, 0)]


@pytest.mark.parametrize(
    ("query", "message"),
    [("", "not defined"), ("nr=", "not defined"), ("nr=x", "number"), ("nr=-1", "number")],
)
def test_the_number_of_latest_builds_must_be_said(anybody, query, message):
    status, said = anybody.refusal("GET", f"/api/latestbuilds?{query}")
    assert (status, message in said) == (400, True)


# -- one evaluation -------------------------------------------------------------------------------

KEYS = {
    *("id", "timestamp", "checkouttime", "evaltime", "hasnewbuilds", "flake", "builds"),
    "jobsetevalinputs",
}


def reuse(make, evaluation_id, *builds):
    """Builds of earlier stand for jobs of the evaluation."""
    with make.store.transaction():
        make.store.evaluations.add_reuses(evaluation_id, builds)
        count = len(builds)
        make.store.evaluations.count_builds(evaluation_id, total=count, finished=count, good=count)


def test_an_evaluation_has_all_keys_at_both_addresses(farm, anybody):
    """Its errors are told at the jobset; the address is there for Hydra's clients."""
    found, builds = farm.evaluated(farm.build_ng(), job("one"), job("two"))
    shown = anybody.get(f"/eval/{found}")
    assert shown.keys() == KEYS
    assert (shown["id"], shown["builds"], shown["flake"]) == (found, builds, None)
    assert shown["jobsetevalinputs"]["nixpkgs"] == {
        "type": "git",
        "uri": PINNED[0].uri,
        "revision": PINNED[0].revision,
        "value": None,
        "dependency": None,
    }
    assert anybody.get(f"/eval/{found}/errors") == shown


def test_a_build_of_earlier_is_what_an_evaluation_depends_on(make, trunk, anybody):
    made = make.evaluated(trunk, make_job())
    inputs = (
        PinnedInput("old", "/build/7", "", "1" * 40, InputType.BUILD, "7"),
        PinnedInput("last", "/eval/3", "", "1" * 40, InputType.EVAL, "3"),
    )
    with make.store.transaction():
        for one in inputs:
            make.store.evaluations.add_input(made.id, one)
    found = anybody.get(f"/eval/{made.id}")["jobsetevalinputs"]
    told = {name: (one["value"], one["dependency"]) for name, one in found.items()}
    assert told == {"old": (None, 7), "last": ("3", None)}


def test_what_was_found_there_counts_as_a_build(make, trunk, anybody):
    """An evaluation that made nothing has builds, and is listed; only it made none."""
    first = make.evaluated(trunk, make_job(name="a"), make_job(name="b"))
    builds = [one.id for one in make.store.builds.list_of_evaluation(first.id)]
    second, third = make.evaluated(trunk), make.evaluated(trunk, make_job(name="b"))
    reuse(make, second.id, *builds)
    reuse(make, third.id, builds[0])
    (newest,) = make.store.builds.list_of_evaluation(third.id)
    shown = {one["id"]: (one["hasnewbuilds"], one["builds"]) for one in anybody.get(EVALS)["evals"]}
    assert shown == {
        third.id: (1, [builds[0], newest.id]),
        second.id: (0, builds),
        first.id: (1, builds),
    }
    assert anybody.get(f"/eval/{second.id}")["builds"] == builds
    assert [one["id"] for one in anybody.get(f"/eval/{second.id}/builds")] == builds


def test_a_push_that_changes_nothing_has_a_result(make, services, repository, watched, anybody):
    """Of its own revision, at once, in the list that Hydra's clients read."""
    old = ZERO
    for message in ("A commit", "Another of the same"):
        new = repository.commit({}, message)
        repository.push()
        push = make_push(RefChange(MAIN, old, new))
        services.pushes.accept_push(make.received("project"), push)
        assert services.evaluations.evaluate_next()
        if work := make.claim(Offer("local-0", (native_system(),))):
            make.reporter.advance(work.lease, done(0), 1, sandbox="plain")
            make.reporter.finish(work.lease, BuildResult(BuildStatus.SUCCEEDED), ())
        old = new
    second, first = anybody.get("/jobset/project/main/evals")["evals"]
    assert second["jobsetevalinputs"]["source"]["revision"] == new
    assert (first["hasnewbuilds"], second["hasnewbuilds"]) == (1, 0)
    assert second["builds"] == first["builds"] != []
    found = anybody.ask("GET", "/jobset/project/main/latest-eval").headers["location"]
    assert found == f"/eval/{second['id']}"


@pytest.mark.parametrize("wanted", ["999", "x", "-1", "9" * 30])
@pytest.mark.parametrize("rest", ["", "/errors", "/builds", "/store-paths"])
def test_there_is_no_such_evaluation(anybody, wanted, rest):
    answer = anybody.refusal("GET", f"/eval/{wanted}{rest}")
    assert answer == (404, f"Evaluation {wanted} doesn't exist.")


def test_the_builds_of_an_evaluation_in_full(make, parts, trunk, anybody):
    """Each exactly as at its own address; in as many statements for thirty as for three."""
    running = make.build(BuildStatus.RUNNING, jobset=trunk, name="runs", system="x86_64-linux")
    made = running.evaluation_id
    few = make.evaluated(trunk, *(make_job(name=f"job-{one}") for one in range(3))).id
    many = make.evaluated(trunk, *(make_job(name=f"job-{one}") for one in range(30))).id
    with make.store.transaction():
        make.store.products.set_output(
            running.id, 1, Output("hello-1", "/nix/store/x.drv", {"out": "/nix/store/x"})
        )
        kind = ProductKind("report", "testlog", "log.html")
        make.store.products.add(running.id, 1, path="o", size=3, sha256="0" * 64, kind=kind)
    for evaluation_id in (made, few):
        for one in anybody.get(f"/eval/{evaluation_id}/builds"):
            assert one == anybody.get(f"/build/{one['id']}")
    assert statements(make.store, lambda: anybody.get(f"/eval/{few}/builds")) == statements(
        make.store, lambda: anybody.get(f"/eval/{many}/builds")
    )


def statements(store, act):
    """How many statements it takes."""
    seen, connection = [], store.database.connection()
    connection.set_trace_callback(seen.append)
    try:
        act()
    finally:
        connection.set_trace_callback(None)
    return len(seen)


def test_the_store_paths_of_an_evaluation(make, trunk, anybody):
    """Of builds that succeeded and have a product of Nix; each once, sorted, of all outputs."""
    kinds = {"a": "nix-build", "b": "nix-build", "c": "report", "d": "nix-build"}
    jobs = [make_job(name=one, image=f"image-{one}") for one in kinds]
    made = make.evaluated(trunk, *jobs).id
    for build in make.store.builds.list_of_evaluation(made):
        lease = make.claim(Offer("local-0", OFFER.systems, (build.image,))).lease
        make.reporter.advance(lease, done(0), 1, sandbox="plain")
        with make.store.transaction():
            paths = {"out": f"/nix/store/z-{build.job}", "dev": "/nix/store/shared"}
            make.store.products.set_output(build.id, 1, Output("", "", paths))
            kind = ProductKind(kinds[build.job], "", "")
            make.store.products.add(build.id, 1, path="o", size=3, sha256="0" * 64, kind=kind)
        status = BuildStatus.FAILED if build.job == "d" else BuildStatus.SUCCEEDED
        make.reporter.finish(lease, BuildResult(status), ())
    expected = ["/nix/store/shared", "/nix/store/z-a", "/nix/store/z-b"]
    assert anybody.get(f"/eval/{made}/store-paths") == expected
    later = make.evaluated(trunk).id
    assert anybody.get(f"/eval/{later}/store-paths") == []
    reuse(make, later, make.store.builds.list_of_evaluation(made)[0].id)
    assert anybody.get(f"/eval/{later}/store-paths") == ["/nix/store/shared", "/nix/store/z-a"]


# -- compared -------------------------------------------------------------------------------------

CLASSES = [
    *("aborted", "now-fail", "now-succeed", "new", "removed", "still-fail", "still-succeed"),
    "unfinished",
]


def test_what_changed_since_another(make, trunk, anybody):
    """Under a key of our own, with every class; only where it is asked for."""
    first = make.evaluated(trunk, make_job(name="stays"), make_job(name="goes"))
    second = make.evaluated(trunk, make_job(name="stays"), make_job(name="comes"))
    ids = {one.job: one.id for one in make.store.builds.list_of_evaluation(second.id)}
    before = {one.job: one.id for one in make.store.builds.list_of_evaluation(first.id)}
    plain = anybody.get(f"/eval/{second.id}")
    assert plain == anybody.get(f"/eval/{second.id}?compare=")
    shown = anybody.get(f"/eval/{second.id}?compare={first.id}")
    compared = shown.pop("ciserver_compare")
    assert shown == plain
    assert (compared["eval"], list(compared["changes"])) == (first.id, CLASSES)
    system = "x86_64-linux"
    assert {name: jobs for name, jobs in compared["changes"].items() if jobs} == {
        "new": [{"job": "comes", "system": system, "build": ids["comes"], "before": None}],
        "removed": [{"job": "goes", "system": system, "build": None, "before": before["goes"]}],
        "unfinished": [
            {"job": "stays", "system": system, "build": ids["stays"], "before": before["stays"]}
        ],
    }
    assert compared["inputs"] == []


def test_compared_with_a_jobset_or_an_age(make, trunk, anybody, clock):
    """Null where there is none; what is not known is not there."""
    first = make.evaluated(trunk, make_job())
    clock.forward(hours=1)
    second = make.evaluated(trunk, make_job())

    def other(against):
        found = anybody.get(f"/eval/{second.id}?compare={against}")["ciserver_compare"]
        return found and found["eval"]

    assert other("-3600") == first.id
    assert other("-3601") is None
    assert other("trunk") is None
    (build,) = make.store.builds.list_of_evaluation(first.id)
    make.services.builds.cancel(ADMIN, build.id)
    assert other("trunk") == first.id
    for against in ("none", "99999"):
        status, message = anybody.refusal("GET", f"/eval/{second.id}?compare={against}")
        assert (status, against in message) == (404, True)


def test_which_inputs_changed(farm, anybody):
    """As they were and as they are."""
    jobset = farm.build_ng()
    first, _ = farm.evaluated(jobset, job("one"))
    farm.clock.forward(hours=1)
    second = farm.factory.evaluated(jobset, job("one")).id
    (gone, *_) = anybody.get(f"/eval/{second}?compare={first}")["ciserver_compare"]["inputs"]
    assert (gone["name"], gone["old"]["revision"], gone["new"]) == (
        "nixpkgs",
        PINNED[0].revision,
        None,
    )


# -- of all jobsets -------------------------------------------------------------------------------


def test_evaluations_of_all_jobsets(make, trunk, anybody, clock):
    """Those with builds, newest first, with how they fare and what changed since the last one."""
    first = make.evaluated(trunk, make_job(name="a"), make_job(name="b"))
    make.evaluated(trunk)
    clock.forward(hours=1)
    make.evaluated(make.jobset("elsewhere"), make_job())
    second = make.evaluated(trunk, make_job(name="a"), make_job(name="b"))
    with make.store.transaction():
        make.store.evaluations.count_builds(second.id, finished=2, good=1)
        for made, revision in ((first.id, "1" * 40), (second.id, "2" * 40)):
            make.store.evaluations.add_input(made, PinnedInput("src", "https://a", "", revision))
            make.store.evaluations.add_input(made, PinnedInput("lib", "https://b", "", "3" * 40))
    newest, elsewhere, oldest = anybody.get("/evals")
    assert newest.keys() == {
        *("eval", "nrScheduled", "nrSucceeded", "nrFailed", "diff", "changedInputs"),
    }
    assert newest["eval"] == anybody.get(f"/eval/{second.id}")
    assert [newest[one] for one in ("nrScheduled", "nrSucceeded", "nrFailed", "diff")] == [
        *(0, 1, 1, 1),
    ]
    (changed,) = newest["changedInputs"]
    assert (changed["name"], changed["revision"]) == ("src", "2" * 40)
    assert (elsewhere["nrScheduled"], elsewhere["diff"], elsewhere["changedInputs"]) == (1, 0, [])
    assert (oldest["eval"]["id"], oldest["nrScheduled"], oldest["diff"]) == (first.id, 2, 0)
    assert [one["name"] for one in oldest["changedInputs"]] == ["src", "lib"]


def test_pages_of_all_jobsets(make, trunk, anybody):
    """By number as Hydra has it, or on from one; not without end by number."""
    made = [make.evaluated(trunk, make_job()).id for _ in range(41)][::-1]

    def shown(query=""):
        return [one["eval"]["id"] for one in anybody.get(f"/evals{query}")]

    assert shown() == shown("?page=1") == made[:20]
    assert shown("?page=2") == shown(f"?before={made[19]}") == made[20:40]
    assert shown("?page=3") == made[40:]
    assert shown("?page=500") == []
    answer = anybody.ask("GET", "/evals")
    assert answer.headers["link"] == f"<?before={made[19]}>; rel=next"
    assert "link" not in anybody.ask("GET", "/evals?page=3").headers
    for page in ("501", "0", "x"):
        assert anybody.refusal("GET", f"/evals?page={page}")[0] == 400


def test_evaluations_of_what_is_hidden_are_in_no_list(make, anybody, root):
    """Nor does a difference tell of them."""
    hidden = make.project("hidden", visibility=Visibility.PRIVATE)
    make.evaluated(hidden, make_job())
    assert anybody.get("/evals") == []
    assert len(root.get("/evals")) == 1


def test_evaluations_that_have_a_build(make, trunk, anybody):
    """Those that found it there, newest first, and in the end the one that made it."""
    build = make.build(BuildStatus.SUCCEEDED, jobset=trunk)
    made = [build.evaluation_id]
    for _ in range(25):
        later = make.evaluated(trunk)
        reuse(make, later.id, build.id)
        made.insert(0, later.id)
    pages = [
        [one["eval"]["id"] for one in anybody.get(f"/build/{build.id}/evals?page={page}")]
        for page in (1, 2, 3)
    ]
    assert pages == [made[:20], made[20:], []]
    answer = anybody.ask("GET", f"/build/{build.id}/evals")
    assert answer.headers["link"] == "<?page=2>; rel=next"
    assert anybody.refusal("GET", "/build/999/evals")[0] == 404


# -- links ----------------------------------------------------------------------------------------


def follow(caller, path, **rest):
    answer = caller.ask("GET", path, **rest)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def test_the_latest_finished_evaluation(make, trunk, anybody):
    """The newest of which every build has ended, whatever the request wants to read."""
    latest = "/jobset/nix/trunk/latest-eval"
    for headers in (JSON, {"Accept": "text/html"}, {}):
        answer = anybody.ask("GET", latest, headers=headers)
        assert (answer.status_code, "No evaluation found." in answer.text) == (404, True)
    good = make.build(BuildStatus.SUCCEEDED, jobset=trunk).evaluation_id
    failed = make.build(BuildStatus.FAILED, jobset=trunk).evaluation_id
    make.build(BuildStatus.RUNNING, jobset=trunk)
    make.evaluated(trunk)
    assert failed > good
    for headers in (JSON, {"Accept": "text/html"}, {}):
        assert follow(anybody, latest, headers=headers) == f"/eval/{failed}"
    assert follow(anybody, f"{latest}/job/a%20b/x?y=1&z=%2F") == (
        f"/eval/{failed}/job/a%20b/x?y=1&z=%2F"
    )
    assert anybody.ask("GET", "/jobset/nix/none/latest-eval").status_code == 404


@pytest.mark.parametrize("rest", ["../x", "x/../../y", ".", "a/.", "..%2fx", "a\\..\\b"])
def test_a_link_leads_nowhere_else(make, trunk, anybody, rest):
    """What climbs is not handed on."""
    make.build(BuildStatus.SUCCEEDED, jobset=trunk)
    answer = anybody.ask("GET", f"/jobset/nix/trunk/latest-eval/{rest}")
    assert answer.status_code == 404


def test_the_build_of_a_job_in_an_evaluation(make, trunk, anybody):
    """By name, with its system where there are several; also one found there; with what follows."""
    x86, arm = "x86_64-linux", "aarch64-linux"
    jobs = [make_job(name="test.a", system=one) for one in (x86, arm)]
    made = make.evaluated(trunk, *jobs, make_job(name="one/two"))
    ids = {(one.job, one.system): one.id for one in make.store.builds.list_of_evaluation(made.id)}
    earlier = make.build(BuildStatus.SUCCEEDED, jobset=trunk, name="found")
    reuse(make, made.id, earlier.id)
    place = f"/eval/{made.id}/job"
    assert follow(anybody, f"{place}/test.a") == f"/build/{ids['test.a', arm]}"
    assert follow(anybody, f"{place}/test.a.{x86}") == f"/build/{ids['test.a', x86]}"
    assert follow(anybody, f"{place}/found/log/x") == f"/build/{earlier.id}/log/x"
    assert follow(anybody, f"{place}/one%2Ftwo") == f"/build/{ids['one/two', x86]}"
    for name in ("none", "test", "test.a.none", "."):
        assert anybody.ask("GET", f"{place}/{name}").status_code == 404
    again = make.services.builds.rebuild(ADMIN, ids["test.a", arm])[0]
    assert follow(anybody, f"{place}/test.a") == f"/build/{again}"


def test_the_evaluation_of_a_build(make, trunk, anybody):
    """The newest that has it and of which every build has ended."""
    running = make.build(BuildStatus.RUNNING, jobset=trunk)
    answer = anybody.refusal("GET", f"/build/{running.id}/eval")
    assert answer == (404, "No evaluation found.")
    build = make.build(BuildStatus.SUCCEEDED, jobset=trunk)
    assert follow(anybody, f"/build/{build.id}/eval") == f"/eval/{build.evaluation_id}"
    found, unfinished = make.evaluated(trunk), make.evaluated(trunk, make_job())
    for one in (found, unfinished):
        reuse(make, one.id, build.id)
    assert follow(anybody, f"/build/{build.id}/eval/builds") == f"/eval/{found.id}/builds"


# -- acts -----------------------------------------------------------------------------------------

ACTS = {
    "cancel": (BuildStatus.QUEUED, BuildStatus.CANCELED),
    "restart-aborted": (BuildStatus.ERRORED, BuildStatus.QUEUED),
    "restart-failed": (BuildStatus.FAILED, BuildStatus.QUEUED),
    "bump": (BuildStatus.QUEUED, BuildStatus.QUEUED),
}


@pytest.mark.parametrize("headers", [JSON, {}], ids=["JSON", "nothing said"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("act", ACTS)
def test_an_act_leads_back_to_the_evaluation(make, trunk, root, act, method, headers):
    """It may be repeated; what a program sends says no more than that it wants it."""
    before, after = ACTS[act]
    build = make.build(before, jobset=trunk)
    place = f"/eval/{build.evaluation_id}"
    for _ in range(2):
        answer = root.ask(method, f"{place}/{act}", headers=headers)
        assert (answer.status_code, answer.headers["location"]) == (302, place), answer.text
        found = make.store.builds.get(build.id)
        assert (found.status, found.bumped) == (after, act == "bump")


@pytest.mark.parametrize("act", ACTS)
def test_an_act_is_no_reading(make, trunk, root, anybody, act):
    """GET changes nothing; who is not known may not, and what is not there is not."""
    build = make.build(ACTS[act][0], jobset=trunk)
    place = f"/eval/{build.evaluation_id}/{act}"
    answer = root.ask("GET", place)
    assert answer.status_code == 405
    assert {"POST", "PUT"} <= set(answer.headers["allow"].replace(" ", "").split(","))
    assert anybody.refusal("POST", place)[0] == 403
    assert make.store.builds.get(build.id).status is build.status
    for wanted in ("999", "x"):
        answer = root.refusal("POST", f"/eval/{wanted}/{act}")
        assert answer == (404, f"Evaluation {wanted} doesn't exist.")


# -- at given revisions ---------------------------------------------------------------------------

SRC, LIB = "1" * 40, "2" * 40


def test_an_evaluation_at_given_revisions(farm, root, services):
    """It waits to be made, at the address that is told."""
    farm.build_ng()
    body = {"inputs": {"hydraSrc": SRC, "nixpkgs": LIB}}
    answer = root.ask("POST", "/jobset/hydra/build-ng/evals", body)
    made = answer.json["id"]
    where = f"http://falconframework.org/eval/{made}"
    assert (answer.status_code, answer.headers["location"]) == (202, where)
    assert answer.json == {"id": made, "uri": where}
    evaluation = services.queries.evaluation(ADMIN, made).evaluation
    assert (evaluation.revision, evaluation.wish.revisions) == (SRC, body["inputs"])
    newest = root.ask("POST", "/jobset/hydra/build-ng/evals").json["id"]
    assert services.queries.evaluation(ADMIN, newest).evaluation.wish.revisions == {}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"inputs": {"none": SRC, "nixpkgs": "main"}}, ["inputs.none", "inputs.nixpkgs"]),
        ({"inputs": {"officialRelease": SRC}}, ["inputs.officialRelease"]),
        ({"inputs": {"nixpkgs": 7, "none": SRC}}, ["inputs"]),
        ({"inputs": [SRC]}, ["inputs"]),
        ({"inputs": {"nixpkgs": SRC.upper().replace("1", "A")}}, ["inputs.nixpkgs"]),
    ],
)
def test_every_fault_of_what_is_given(farm, root, body, fields):
    farm.build_ng()
    answer = root.ask("POST", "/jobset/hydra/build-ng/evals", body)
    assert (answer.status_code, [one["field"] for one in answer.json["errors"]]) == (400, fields)


def test_who_may_ask_for_revisions(farm, add_user, anybody):
    """Whoever may evaluate; a jobset that is not there is not."""
    farm.build_ng()
    place = "/jobset/hydra/build-ng/evals"
    for caller in (anybody, add_user("visitor")):
        assert caller.refusal("POST", place, {"inputs": {"none": "x"}})[0] == 403
    evaluator = add_user("evaluator", roles=("evaluate",))
    assert evaluator.ask("POST", place).status_code == 202
    assert evaluator.refusal("POST", "/jobset/hydra/none/evals", {})[0] == 404
