"""Jobs as Hydra's clients see them: shields, series, metrics, lists of builds, stars."""

import io

import pytest
from support.factories import done, make_job

from ciserver.model.build import BuildResult, Offer
from ciserver.model.push import Trust
from ciserver.model.report import Metric, Report, ReportKind
from ciserver.model.status import BuildStatus

B = BuildStatus
HTML = {"Accept": "text/html"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JOB = "/job/nix/trunk/tests.unit"


@pytest.fixture
def trunk(make):
    return make.jobset("nix", "trunk")


@pytest.fixture
def measured(parts, make, clock, trunk):
    """A good build that took so long, made products of this size and told numbers."""

    def measured(seconds, size=0, job="tests.unit", **metrics):
        clock.forward(minutes=1)
        build = make.build(B.RUNNING, jobset=trunk, name=job)
        lease = make.leases[build.id]
        clock.forward(seconds=seconds)
        if size:
            parts.reporter.add_product(lease, "a", io.BytesIO(b"." * (size - 1)))
            parts.reporter.add_product(lease, "b", io.BytesIO(b"."))
        report = Report(metrics=tuple(Metric(name, *one) for name, one in metrics.items()))
        with parts.store.transaction():
            parts.store.reports.add(build.id, 1, ReportKind.METRICS, "metrics", report)
        parts.reporter.finish(lease, BuildResult(B.SUCCEEDED), (done(1),))
        return build.id

    return measured


def test_a_job(make, trunk, anybody):
    """Its systems with what is newest there, and its newest builds."""
    good = make.build(B.SUCCEEDED, jobset=trunk, name="tests.unit")
    bad = make.build(B.FAILED, jobset=trunk, name="tests.unit")
    other = make.build(B.FAILED, jobset=trunk, name="tests.unit", system="aarch64-linux")
    make.build(B.SUCCEEDED, jobset=trunk, name="another")
    shown = anybody.get(JOB)
    assert (shown["project"], shown["jobset"], shown["job"]) == ("nix", "trunk", "tests.unit")
    assert [one["id"] for one in shown["builds"]] == [other.id, bad.id, good.id]
    systems = {
        name: (one["latest"]["id"], one["latest"]["buildstatus"], one["latestgood"])
        for name, one in shown["systems"].items()
    }
    assert systems == {
        "x86_64-linux": (bad.id, 1, good.id),
        "aarch64-linux": (other.id, 1, None),
    }
    assert (shown["metrics"], shown["starred"]) == ([], 0)


def test_all_builds_of_a_place(make, trunk, anybody):
    """Twenty a page, the newest first; the next page is found by the last build of this one."""
    beside, elsewhere = make.jobset("nix", "beside"), make.jobset("other")
    made = []
    for number in range(23):
        where = (trunk, trunk, beside, elsewhere)[number % 4]
        system = ("x86_64-linux", "aarch64-linux")[number % 2]
        made.append((make.build(jobset=where, system=system).id, where))
    for path, mine in (
        ("", {trunk.id, beside.id, elsewhere.id}),
        ("/project/nix", {trunk.id, beside.id}),
        ("/jobset/nix/trunk", {trunk.id}),
        ("/job/nix/trunk/build", {trunk.id}),
        ("/project/other", {elsewhere.id}),
    ):
        ids = [build for build, where in made[::-1] if where.id in mine]
        answer = anybody.ask("GET", f"{path}/all")
        assert [one["id"] for one in answer.json] == ids[:20], path
        assert answer.json[0].keys() >= {"project", "jobset", "job", "finished", "buildstatus"}
        link = f"<?before={ids[19]}>; rel=next" if len(ids) > 20 else None
        assert answer.headers.get("link") == link
        rest = anybody.get(f"{path}/all?before={ids[1]}")
        assert [one["id"] for one in rest] == ids[2:22]
    assert anybody.get(f"/all?before={made[3][0]}")[0]["id"] == made[2][0]


def test_an_empty_place(make, trunk, anybody):
    """A jobset without builds has an empty list; a job without builds is not there."""
    assert anybody.get("/jobset/nix/trunk/all") == []
    make.build(jobset=trunk, name="tests.unit")
    assert anybody.get(f"{JOB}/all?before=1") == []
    for path in ("", "/all", "/build-times", "/metric/size", "/closure-sizes"):
        assert anybody.refusal("GET", f"/job/nix/trunk/none{path}") == (
            404,
            "there is no job nix:trunk:none",
        )


@pytest.mark.parametrize("before", ["x", "-1", "9" * 30])
def test_there_is_no_such_build_to_go_on_from(anybody, before):
    assert anybody.refusal("GET", f"/all?before={before}")[0] == 400


# -- shields --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "color", "message"),
    [
        (B.SUCCEEDED, "green", "passing"),
        (B.CANCELED, "yellow", "cancelled"),
        (B.FAILED, "red", "failing"),
        (B.PARTIAL, "red", "failing"),
        (B.TIMED_OUT, "red", "failing"),
        (B.ERRORED, "red", "failing"),
    ],
)
def test_the_shield_of_a_job(make, trunk, anybody, status, color, message):
    """It tells of the build that ended last, whatever runs and whoever asks."""
    make.build(B.FAILED if status is B.SUCCEEDED else B.SUCCEEDED, jobset=trunk, name="tests.unit")
    make.build(status, jobset=trunk, name="tests.unit")
    make.build(B.RUNNING, jobset=trunk, name="tests.unit")
    make.build(jobset=trunk, name="tests.unit", system="aarch64-linux")
    shield = {"schemaVersion": 1, "label": "hydra build", "color": color, "message": message}
    assert anybody.get(f"{JOB}/shield") == shield
    assert anybody.ask("GET", f"{JOB}/shield", headers=HTML).json == shield
    assert anybody.ask("GET", f"{JOB}/shield", headers={}).json == shield


def test_the_shield_of_a_jobset(make, trunk, anybody):
    """It tells of the newest evaluation of which every build has ended."""

    def shown():
        return anybody.get("/jobset/nix/trunk/shield")["message"]

    make.build(B.FAILED, jobset=trunk)
    assert shown() == "failing"
    good = make.build(B.SUCCEEDED, jobset=trunk)
    make.build(B.RUNNING, jobset=trunk)
    assert shown() == "passing"
    make.build(B.FAILED, jobset=trunk)
    assert shown() == "failing"
    again = make.evaluated(trunk)
    assert shown() == "failing"  # nothing was built, and nothing found again
    with make.store.transaction():
        make.store.evaluations.add_reuses(again.id, [good.id])
    assert shown() == "passing"


def test_there_is_no_shield_before_something_ended(make, trunk, anybody):
    """Also not for a jobset, and not of what anybody may propose."""
    make.build(B.RUNNING, jobset=trunk, name="tests.unit")
    make.build(B.SUCCEEDED, jobset=make.jobset("fork"), name="build")
    for path, name in (
        ("/job/nix/trunk/tests.unit", "nix:trunk:tests.unit"),
        ("/job/nix/trunk/none", "nix:trunk:none"),
        ("/jobset/nix/trunk", "nix:trunk"),
    ):
        message = f"nothing of {name} has been built to its end yet"
        assert anybody.refusal("GET", f"{path}/shield") == (404, message)
    assert anybody.refusal("GET", "/job/none/none/none/shield")[0] == 404


# -- series ---------------------------------------------------------------------------------------


def test_series(measured, make, trunk, anybody, clock):
    """Of good builds, oldest first; what a build does not tell is left out."""
    first = measured(12, size=5000, speed=(1.5, "kB/s"))
    at = int(clock.now().timestamp()) - 12
    make.build(B.FAILED, jobset=trunk, name="tests.unit")
    second = measured(0.25)
    third = measured(60, size=70, speed=(2.0, ""), **{"a/b": (3.0, "s")})
    measured(99, size=10, job="another", speed=(9.0, ""))
    times = anybody.get(f"{JOB}/build-times")
    assert [(one["id"], one["value"]) for one in times] == [
        (first, 12),
        (second, 0.25),
        (third, 60),
    ]
    assert times[0] == {"id": first, "timestamp": at, "value": 12}
    sizes = [(first, 5000), (third, 70)]
    for name in ("closure-sizes", "output-sizes"):
        found = anybody.get(f"{JOB}/{name}")
        assert [(one["id"], one["value"]) for one in found] == sizes
        assert found[0].keys() == {"id", "timestamp", "value"}
    assert [
        (one["id"], one["value"], one["unit"]) for one in anybody.get(f"{JOB}/metric/speed")
    ] == [(first, 1.5, "kB/s"), (third, 2, "")]
    assert anybody.get(f"{JOB}/metric/none") == []
    encoded = {"extras": {"RAW_URI": f"{JOB}/metric/a%2Fb"}}
    (one,) = anybody.get(f"{JOB}/metric/a%2Fb", **encoded)
    assert one["id"] == third
    assert anybody.get(JOB)["metrics"] == ["a/b", "speed"]


def test_a_series_is_of_the_newest_attempt(measured, make, services, anybody, admin, parts):
    """What an earlier attempt made and told is gone with it."""
    build_id = measured(1, size=5000, speed=(1.5, ""))
    services.builds.rerun(admin, build_id)
    build = parts.store.builds.get(build_id)
    lease = make.claim(Offer("local-0", (build.system,), (build.image,))).lease
    parts.reporter.add_product(lease, "a", io.BytesIO(b"."))
    parts.reporter.advance(lease, done(0), 1, sandbox="plain")
    parts.reporter.finish(lease, BuildResult(B.SUCCEEDED), (done(1),))
    assert [one["value"] for one in anybody.get(f"{JOB}/output-sizes")] == [1]
    assert anybody.get(f"{JOB}/metric/speed") == []


def test_prometheus(measured, make, trunk, anybody, clock):
    """The newest build that ended, also to a browser, with labels that cannot break out."""
    odd = 'tests."unit"\\\n'
    measured(7, size=5000, job=odd)
    ended = int(clock.now().timestamp())
    path = "/job/nix/trunk/tests.%22unit%22%5C%0A/prometheus"
    answer = anybody.ask("GET", path, headers=HTML)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    labels = '{project="nix",jobset="trunk",job="tests.\\"unit\\"\\\\\\n"}'
    told = [line for line in answer.text.splitlines() if not line.startswith("#")]
    assert told == [
        f"hydra_job_completion_time{labels} {ended}",
        f"hydra_job_failed{labels} 0",
        f"hydra_build_closure_size{labels} 5000",
        f"hydra_build_output_size{labels} 5000",
    ]
    make.build(B.FAILED, jobset=trunk, name=odd)
    make.build(jobset=trunk, name=odd)
    assert f"hydra_job_failed{labels} 1" in anybody.ask("GET", path).text
    assert anybody.refusal("GET", "/job/nix/trunk/none/prometheus")[0] == 404


# -- what is relied on comes from who may push ----------------------------------------------------


def test_what_is_proposed_is_listed_and_nothing_else(make, trunk, anybody, services, parts):
    """A good build of a proposal is no latest one, no shield and no point of a series."""
    evaluation = make.evaluated(trunk, make_job(name="tests.unit"), trust=Trust.UNTRUSTED)
    lease = make.claim().lease
    parts.reporter.advance(lease, done(0), 1, sandbox="plain")
    parts.reporter.finish(lease, BuildResult(B.SUCCEEDED), (done(1),))
    (build,) = parts.store.builds.list_of_evaluation(evaluation.id)
    assert build.status is B.SUCCEEDED
    assert [one["id"] for one in anybody.get(f"{JOB}/all")] == [build.id]
    assert anybody.get(f"{JOB}/build-times") == []
    assert anybody.get(JOB)["systems"]["x86_64-linux"]["latestgood"] is None
    for path in ("", "/project/nix", "/jobset/nix/trunk", JOB):
        assert anybody.refusal("GET", f"{path}/latest")[0] == 404
    for path in (JOB, "/jobset/nix/trunk"):
        assert anybody.refusal("GET", f"{path}/shield")[0] == 404


# -- stars ----------------------------------------------------------------------------------------


@pytest.fixture
def starred(make, trunk, eelco):
    make.build(jobset=trunk, name="tests.unit")
    return lambda: eelco.get(JOB)["starred"]


def test_a_star_is_put_and_taken(starred, eelco, anybody):
    """As a form or as JSON, as often as one likes."""
    for body, headers, now in (
        ("star=1", FORM, 1),
        ("star=1", FORM, 1),
        ('{"star": 0}', {"Content-Type": "application/json"}, 0),
        ('{"star": "1"}', {"Content-Type": "application/json"}, 1),
        ("star=0", {**FORM, **HTML}, 0),
        ("star=0", FORM, 0),
    ):
        answer = eelco.ask("POST", f"{JOB}/star", body, headers=headers)
        assert (answer.status_code, answer.json) == (200, {"success": 1}), body
        assert starred() == now
    assert anybody.get(JOB)["starred"] == 0


def test_who_is_not_signed_in_has_no_stars(starred, anybody, add_user):
    """Nor has a token that may only read."""
    assert anybody.refusal("POST", f"{JOB}/star", "star=1", headers=FORM) == (
        403,
        "This page requires you to sign in.",
    )
    reader = add_user("reader", "builds:read")
    assert reader.refusal("POST", f"{JOB}/star", "star=1", headers=FORM)[0] == 403


@pytest.mark.parametrize("body", ["", "star=2", "star=", "star=yes", "moon=1"])
def test_a_star_is_one_or_zero(starred, eelco, body):
    status, message = eelco.refusal("POST", f"{JOB}/star", body, headers=FORM)
    assert (status, message[:5]) == (400, "star:")
    assert not starred()


def test_a_job_that_is_not_there_has_no_star(starred, eelco, set_visibility):
    """A hidden one neither."""
    for path in ("/job/nix/trunk/none", "/job/nix/none/build", "/job/none/trunk/build"):
        assert eelco.refusal("POST", f"{path}/star", "star=1", headers=FORM)[0] == 404
    set_visibility("nix")
    assert eelco.refusal("POST", f"{JOB}/star", "star=1", headers=FORM)[0] == 404
    assert eelco.refusal("GET", f"{JOB}/star")[0] == 405


def test_a_star_takes_a_post(starred, eelco):
    for method in ("GET", "PUT", "DELETE"):
        assert eelco.ask(method, f"{JOB}/star").status_code == 405
