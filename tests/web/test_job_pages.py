"""Pages of jobs, links to the newest good build, badges, stars on the first page."""

import io
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from support.factories import ADMIN, Factory, done, make_job

from ciserver.model.account import Visibility
from ciserver.model.build import BuildResult, Offer
from ciserver.model.job import Address, Health, Point, Series
from ciserver.model.report import Metric, Report, ReportKind
from ciserver.model.status import BuildStatus
from ciserver.web.badge import LOOKS, badge
from ciserver.web.charts import HEIGHT, WIDTH, chart

B = BuildStatus
OTHER = "aarch64-linux"
NOTHING = "There is no successful build to redirect to."


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


@pytest.fixture
def nix(make):
    return make.jobset("nix", "trunk")


@pytest.fixture
def lead(stranger):
    """Where a link leads; None where there is nothing."""

    def lead(path, script=stranger, **rest):
        answer = script.get(path, **rest)
        if answer.status_code == 404:
            return None
        assert (answer.status_code, answer.headers["vary"]) == (302, "Accept")
        return answer.headers["location"]

    return lead


# -- latest ---------------------------------------------------------------------------------------


def test_the_newest_good_build_of_each_place(make, nix, lead):
    """Of all, of a project, a jobset and a job; failed and unfinished ones are passed over."""
    beside, elsewhere = make.jobset("nix", "beside"), make.jobset("other")
    first = make.build(B.SUCCEEDED, jobset=nix, name="a").id
    second = make.build(B.SUCCEEDED, jobset=nix, name="b").id
    third = make.build(B.SUCCEEDED, jobset=beside, name="a").id
    fourth = make.build(B.SUCCEEDED, jobset=elsewhere, name="a").id
    for status in (B.FAILED, B.PARTIAL, B.CANCELED, B.RUNNING, B.QUEUED):
        make.build(status, jobset=nix, name="a")
    for name in ("latest", "latest-for/x86_64-linux", "latest-finished"):
        found = {
            place: lead(f"{place}/{name}")
            for place in ("", "/project/nix", "/jobset/nix/trunk", "/job/nix/trunk/a")
        }
        assert found == {
            "": f"/build/{fourth}",
            "/project/nix": f"/build/{third}",
            "/jobset/nix/trunk": f"/build/{second}",
            "/job/nix/trunk/a": f"/build/{first}",
        }, name


def test_the_newest_of_one_system(make, nix, lead):
    mine = make.build(B.SUCCEEDED, jobset=nix, name="a", system=OTHER).id
    newest = make.build(B.SUCCEEDED, jobset=nix, name="a").id
    for place in ("", "/project/nix", "/jobset/nix/trunk", "/job/nix/trunk/a"):
        assert lead(f"{place}/latest") == f"/build/{newest}"
        assert lead(f"{place}/latest-for/{OTHER}") == f"/build/{mine}"
        assert lead(f"{place}/latest-for/riscv64-linux") is None


def test_the_newest_of_an_evaluation_that_is_done(parts, make, nix, lead):
    """What is good while others of its evaluation run is not yet what one waits for; it is when
    they end, and when a later evaluation that is done found it again.
    """
    places = ("", "/project/nix", "/jobset/nix/trunk", "/job/nix/trunk/a")
    old = make.build(B.SUCCEEDED, jobset=nix, name="a").id
    evaluation = make.evaluated(nix, make_job(name="a", image="a"), make_job(name="b", image="b"))
    new, waits = (one.id for one in parts.store.builds.list_of_evaluation(evaluation.id))

    def end(image, status):
        lease = make.claim(Offer("local-0", ("x86_64-linux",), (image,))).lease
        parts.reporter.advance(lease, done(0), 1, sandbox="plain")
        parts.reporter.finish(lease, BuildResult(status), (done(1),))

    end("a", B.SUCCEEDED)
    for place in places:
        assert lead(f"{place}/latest") == f"/build/{new}"
        assert lead(f"{place}/latest-finished") == f"/build/{old}"
    again = make.evaluated(nix)
    with parts.store.transaction():
        parts.store.evaluations.add_reuses(again.id, [new])
    assert [lead(f"{place}/latest-finished") for place in places] == [f"/build/{new}"] * 4
    with parts.store.transaction():
        parts.store.database.sql("DELETE FROM reuses")
    assert lead("/latest-finished") == f"/build/{old}"
    end("b", B.FAILED)
    assert parts.store.builds.get(waits).status is B.FAILED
    assert [lead(f"{place}/latest-finished") for place in places] == [f"/build/{new}"] * 4


def test_a_rerun_takes_the_link_away(make, nix, lead, services):
    """A build that runs again is not good now."""
    build = make.build(B.SUCCEEDED, jobset=nix)
    assert lead("/job/nix/trunk/build/latest") == f"/build/{build.id}"
    services.builds.rerun(ADMIN, build.id)
    assert lead("/job/nix/trunk/build/latest") is None


def test_only_what_one_may_see_is_found(make, nix, lead, acting):
    """The newest of those, for each who asks."""
    public = make.build(B.SUCCEEDED, jobset=nix).id
    make.user("owner")
    hidden = make.project("den", owner="owner", visibility=Visibility.PRIVATE)
    private = make.build(B.SUCCEEDED, jobset=hidden).id
    unlisted = make.project("by-address", visibility=Visibility.UNLISTED)
    quiet = make.build(B.SUCCEEDED, jobset=unlisted).id
    assert lead("/latest") == f"/build/{public}"
    assert lead("/latest", acting("owner")) == f"/build/{private}"
    for path in ("/project/den", "/jobset/den/main", "/job/den/main/build"):
        for name in ("latest", "latest-finished", "latest-for/x86_64-linux", "all", "badge.svg"):
            assert lead(f"{path}/{name}") is None
        assert lead(f"{path}/latest", acting("owner")) == f"/build/{private}"
    for path in ("/project/by-address", "/jobset/by-address/main", "/job/by-address/main/build"):
        assert lead(f"{path}/latest") == f"/build/{quiet}"


@pytest.mark.parametrize(
    ("rest", "beneath"),
    [
        ("log", "log"),
        ("download/1", "download/1"),
        ("download/1/a%20b/c%3Fd%23e", "download/1/a%20b/c%3Fd%23e"),
        ("results/", "results/"),
        ("/evil.example.org", "/evil.example.org"),
        ("%0d%0aSet-Cookie:%20a=b", "%0D%0ASet-Cookie%3A%20a%3Db"),
        ("%5C%5Cevil.example.org", "%5C%5Cevil.example.org"),
        ("@evil.example.org", "%40evil.example.org"),
        ("%C3%A9", "%C3%A9"),
        ("100%25", "100%25"),
        ("%252e%252e", "%252e%252e"),
    ],
)
def test_what_follows_is_handed_on(make, nix, lead, rest, beneath):
    """Encoded, beneath the build, for every kind of link; with the query."""
    build = make.build(B.SUCCEEDED, jobset=nix).id
    for name in ("latest", "latest-for/x86_64-linux", "latest-finished"):
        for place in ("", "/project/nix", "/jobset/nix/trunk", "/job/nix/trunk/build"):
            path = f"{place}/{name}/{rest}"
            assert lead(path) == f"/build/{build}/{beneath}"
            asked = {"query_string": "tail=5&x=%0d%0a"}
            assert lead(path, **asked) == f"/build/{build}/{beneath}?tail=5&x=%0d%0a"


def test_an_encoded_slash_stays_one(make, nix, lead):
    build = make.build(B.SUCCEEDED, jobset=nix).id
    path = "/job/nix/trunk/build/latest/download/1/a%2Fb"
    assert lead(path, extras={"RAW_URI": path}) == f"/build/{build}/download/1/a%2Fb"


@pytest.mark.parametrize("rest", ["..", "../../login", "a/../../b", ".", "%2e%2e/x", "a%2F..%2Fb"])
def test_what_follows_cannot_climb(make, nix, lead, rest):
    """Nothing is there."""
    make.build(B.SUCCEEDED, jobset=nix)
    path = f"/jobset/nix/trunk/latest/{rest}"
    assert lead(path, extras={"RAW_URI": path}) is None


def test_nothing_to_lead_to(make, nix, stranger, browser):
    """A page for people, Hydra's words for its clients."""
    make.build(B.FAILED, jobset=nix)
    for place in ("", "/project/nix", "/jobset/nix/trunk", "/job/nix/trunk/build"):
        for name in ("latest", "latest-for/x", "latest-finished"):
            told = stranger.get(f"{place}/{name}", headers={"Accept": "application/json"})
            assert (told.status_code, told.json) == (404, {"error": NOTHING})
            page = browser.get(f"{place}/{name}")
            assert page.status_code == 404
            assert NOTHING in page.text
            refused = stranger.post(f"{place}/{name}")
            assert (refused.status_code, refused.headers["allow"]) == (405, "GET, OPTIONS")
    make.build(B.SUCCEEDED, jobset=nix)
    assert stranger.request("HEAD", "/latest").status_code == 302


# -- the page of a job ----------------------------------------------------------------------------


@pytest.fixture
def measured(parts, make, clock, nix):
    """A good build that took so long, made a product of this size and measured numbers."""

    def measured(seconds, size=0, **metrics):
        build = make.build(B.RUNNING, jobset=nix, name="tests.unit")
        lease = make.leases[build.id]
        clock.forward(seconds=seconds)
        if size:
            parts.reporter.add_product(lease, "a", io.BytesIO(b"." * size))
        report = Report(metrics=tuple(Metric(name, one, "ms") for name, one in metrics.items()))
        with parts.store.transaction():
            parts.store.reports.add(build.id, 1, ReportKind.METRICS, "metrics", report)
        parts.reporter.finish(lease, BuildResult(B.SUCCEEDED), (done(1),))
        return build.id

    return measured


def test_the_page_of_a_job(measured, make, nix, browser):
    """Systems, builds, charts with the same as tables, links, and the badge to be copied."""
    builds = [measured(10, 2000, speed=3.5), measured(20, 4000), measured(30)]
    failed = make.build(B.FAILED, jobset=nix, name="tests.unit").id
    page = browser.page("/job/nix/trunk/tests.unit")
    links = [one.get("href") for one in page.all("a")]
    for one in (*builds, failed):
        assert f"/build/{one}" in links
    place = "/job/nix/trunk/tests.unit"
    assert {f"{place}/{name}" for name in ("latest", "latest-finished", "all")} <= set(links)
    assert f"{place}/latest-for/x86_64-linux" in links
    drawn = [one["aria-label"] for one in page.all("svg") if "aria-label" in one]
    assert drawn == [
        "Build time of 3 good builds, oldest first",
        "Size of the products of 2 good builds, oldest first",
        "speed of 1 good build, oldest first",
    ]
    assert len(page.all("circle")) >= 6
    for text in ("10 s", "4.0 kB", "3.5 ms"):
        assert text in page.text
    ours = "http://falconframework.org/job/nix/trunk/tests.unit"
    assert f"[![Build status]({ours}/badge.svg)]({ours})" in page.text
    assert f"{place}/badge.svg" in [one["src"] for one in page.all("img")]
    assert page.all("button") == []


def test_the_page_goes_on_before_a_build(make, nix, browser):
    made = [make.build(jobset=nix).id for _ in range(21)]
    first = browser.page("/job/nix/trunk/build")
    assert f"?before={made[1]}" in [one.get("href") for one in first.all("a")]
    second = browser.page(f"/job/nix/trunk/build?before={made[1]}")
    assert f"/build/{made[0]}" in [one.get("href") for one in second.all("a")]
    assert "No build is older" in browser.page("/job/nix/trunk/build?before=1").text
    assert "nothing to draw" in first.text


def test_a_job_with_a_slash_and_worse(make, nix, browser):
    """Its links stay links to it."""
    name = 'a/b"><script>'
    build = make.build(B.SUCCEEDED, jobset=nix, name=name).id
    path = "/job/nix/trunk/a%2Fb%22%3E%3Cscript%3E"
    page = browser.get(path, extras={"RAW_URI": path})
    assert page.status_code == 200
    assert "<script>" not in page.text
    assert f"{path}/latest" in page.text
    latest = browser.get(f"{path}/latest", extras={"RAW_URI": f"{path}/latest"})
    assert latest.headers["location"] == f"/build/{build}"


@pytest.mark.parametrize("path", ["/job/nix/trunk/none", "/job/nix/none/build", "/job/none/a/b"])
def test_no_such_job(nix, browser, path):
    assert browser.get(path).status_code == 404
    assert browser.get(f"{path}/all").status_code == 404
    assert browser.get(f"{path}/badge.svg").status_code == 404


def test_all_builds_of_a_place_as_a_page(make, nix, browser):
    """With the way up, and on to older ones."""
    made = [make.build(jobset=nix).id for _ in range(21)]
    for place in ("", "/project/nix", "/jobset/nix/trunk", "/job/nix/trunk/build"):
        page = browser.page(f"{place}/all")
        links = [one.get("href") for one in page.all("a")]
        assert f"?before={made[1]}" in links
        assert f"/build/{made[0]}" not in links
        assert not place or place in links
        rest = browser.page(f"{place}/all?before={made[1]}")
        assert f"/build/{made[0]}" in [one.get("href") for one in rest.all("a")]
    assert "There is no build here" in browser.page("/all?before=1").text


# -- stars ----------------------------------------------------------------------------------------


def test_stars_are_on_the_first_page_of_who_put_them(make, nix, person, browser):
    """By button, for that person alone; the newest build of each is shown."""
    make.build(B.FAILED, jobset=nix, name="tests.unit")
    newest = make.build(B.SUCCEEDED, jobset=nix, name="tests.unit", system=OTHER).id
    place = "/job/nix/trunk/tests.unit"
    page = person.page(place)
    answer = person.post(f"{place}/starred", csrf=page.csrf, star="1")
    assert (answer.status_code, answer.headers["location"]) == (303, place)
    assert "Remove star" in person.page(place).text
    home = person.page("/")
    links = [one.get("href") for one in home.all("a")]
    assert (place in links, f"/build/{newest}" in links) == (True, True)
    assert "Starred jobs" not in browser.page("/").text
    person.post(f"{place}/starred", csrf=page.csrf, star="0")
    assert "Starred jobs" not in person.page("/").text


def test_a_foreign_form_puts_no_star(make, nix, person, browser):
    """It lacks the token of the session; and who has no session has no stars."""
    make.build(jobset=nix)
    place = "/job/nix/trunk/build"
    assert person.post(f"{place}/starred", star="1").status_code == 403
    csrf = person.page(place).csrf
    assert person.post(f"{place}/starred", csrf=csrf, star="2").status_code == 400
    assert browser.post(f"{place}/starred", star="1").status_code == 401
    # At Hydra's address there is no form, so the page that asks must be named.
    assert person.post(f"{place}/star", star="1").status_code == 403
    ours = {"Origin": "http://falconframework.org"}
    assert person.post(f"{place}/star", headers=ours, star="1").json == {"success": 1}


def test_stars_show_only_what_may_be_seen(make, nix, parts, services):
    """A project that became private takes its stars off the page, also of who put them; an
    unlisted one does not; what was removed is gone.
    """
    make.build(jobset=nix)
    ada = make.user("ada")
    address = ("nix", "trunk", "build")
    services.jobs.star(ada, Address(*address), starred=True)
    project = parts.store.projects.get("nix")
    shown = {Visibility.PUBLIC: 1, Visibility.UNLISTED: 1, Visibility.PRIVATE: 0}
    for visibility, count in shown.items():
        settings = replace(project.settings, visibility=visibility)
        services.projects.put_project(ADMIN, "nix", settings)
        assert len(services.jobs.starred(ada)) == count, visibility
    services.projects.put_project(ADMIN, "nix", project.settings)
    assert len(services.jobs.starred(ada)) == 1
    services.jobsets.remove(ADMIN, "nix", "trunk")
    assert services.jobs.starred(ada) == ()


# -- badges ---------------------------------------------------------------------------------------


def test_a_badge(make, nix, stranger, script):
    """A picture that may be kept for a minute, and is asked for again by its tag."""
    make.build(B.SUCCEEDED, jobset=nix)
    for path in ("/job/nix/trunk/build/badge.svg", "/jobset/nix/trunk/badge.svg"):
        answer = stranger.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
        assert answer.headers["cache-control"] == "public, max-age=60"
        root = ET.fromstring(answer.text)
        assert root.find("{*}title").text == root.get("aria-label") == "build: passing"
        again = stranger.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.text) == (304, "")
        assert again.headers["etag"] == answer.headers["etag"]
        assert script.get(path).headers["cache-control"] == "private, max-age=60"
    make.build(B.FAILED, jobset=nix)
    for path in ("/job/nix/trunk/build/badge.svg", "/jobset/nix/trunk/badge.svg"):
        later = stranger.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (later.status_code, "build: failing" in later.text) == (200, True)


def test_no_badge_before_something_ended(make, nix, stranger):
    make.build(jobset=nix)
    for path in ("/job/nix/trunk/build", "/job/nix/trunk/none", "/jobset/nix/trunk"):
        assert stranger.get(f"{path}/badge.svg").status_code == 404


@pytest.mark.parametrize("health", Health)
def test_badges_differ(health):
    """Each is well-formed, and says in words what its color says."""
    root = ET.fromstring(badge(health))
    texts = [one.text for one in root.findall(".//{*}text")]
    assert texts == ["build", LOOKS[health].word]
    assert [badge(one) for one in Health].count(badge(health)) == 1


# -- charts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        [0.0],
        [5.0],
        [1.0, 2.0, 3.0],
        [-3.0, 7.0],
        [-5.0, -2.0],
        [1e308, -1e308],
        [5e-324],
        [5e-324, 1e308],
        [1e15, 1e15 + 1],
        [0.1] * 100,
    ],
)
def test_a_chart_stays_within_its_picture(clock, values):
    """Whatever was measured: every mark and line is in it, and the scale holds all values."""
    points = tuple(Point(number, clock.now(), one) for number, one in enumerate(values))
    drawn = chart(Series("speed", points))
    assert [one.build_id for one in drawn.marks] == list(range(len(values)))
    for one in (*drawn.marks, *drawn.ticks):
        assert 0 <= one.y <= HEIGHT
    assert all(0 <= one.x <= WIDTH for one in drawn.marks)
    scale = [one.value for one in drawn.ticks]
    assert scale == sorted(scale)
    assert 2 <= len(scale) <= 8
    assert scale[0] <= min(0, *values)
    assert scale[-1] >= max(values)


def test_higher_is_further_up(clock):
    """And a scale has round numbers."""
    points = tuple(Point(number, clock.now(), one) for number, one in enumerate((3.0, 17.0, 9.0)))
    drawn = chart(Series("speed", points))
    low, high, middle = (one.y for one in drawn.marks)
    assert high < middle < low
    assert [one.value for one in drawn.ticks] == [0, 5, 10, 15, 20]
    assert [one.x for one in drawn.marks] == sorted(one.x for one in drawn.marks)
