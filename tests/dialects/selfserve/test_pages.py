"""Pages for people: titles, lists, and a form for each change, which does what it says."""

import re
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
from support.factories import ADMIN, done, make_job
from support.prepared import add_account

from ciserver.model.account import Right
from ciserver.model.build import BuildResult
from ciserver.model.status import BuildStatus

HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
HOST = "http://falconframework.org"
PASSWORD = "correct horse battery"


class Page(HTMLParser):
    """The title of a page, its links, and its forms: address, fields, button."""

    def __init__(self, text):
        super().__init__()
        self.text, self.title, self.links, self.forms, self.within = text, "", [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.within = tag
        if tag == "a":
            self.links.append(attrs["href"])
        if tag == "form" and attrs.get("action") != "/logout":
            self.forms.append({"action": attrs["action"], "fields": {}, "button": ""})
        if tag == "input" and attrs.get("type") == "hidden" and self.forms:
            self.forms[-1]["fields"][attrs["name"]] = attrs["value"]

    def handle_data(self, data):
        if self.within == "title" and not self.title.endswith("ciserver"):  # nor those of pictures
            self.title += data
        if self.within == "button" and self.forms:
            self.forms[-1]["button"] += data.strip()

    def handle_endtag(self, tag):
        self.within = ""

    @property
    def buttons(self):
        """Those of self-serve."""
        return [one["button"] for one in self.forms if one["action"].startswith("/self-serve")]


class Person:
    """Somebody with a browser, signed in or not."""

    def __init__(self, client, session=""):
        self.client = client
        self.cookies = {"ciserver_session": session} if session else {}

    def see(self, path):
        path, _, query = path.partition("?")
        answer = self.client.simulate_get(
            path, query_string=query, headers=HTML, cookies=self.cookies
        )
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        return Page(answer.text)

    def press(self, page, button):
        """Send the first form with this button; answers where it leads."""
        form = next(one for one in page.forms if one["button"] == button)
        answer = self.client.simulate_post(
            form["action"],
            headers={
                **HTML,
                "Origin": HOST,
                "Content-Type": "application/x-www-form-urlencoded",
            },
            cookies=self.cookies,
            body=urlencode(form["fields"]),
        )
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]


@pytest.fixture
def person(stranger, parts, services):
    """Eve, who may do everything."""
    add_account(parts, "eve", PASSWORD, admin=True)
    return Person(stranger.client, services.access.sign_in("eve", PASSWORD))


@pytest.fixture
def nobody(stranger):
    return Person(stranger.client)


@pytest.fixture
def build(factory, main):
    """Build 1, which has ended."""
    return factory.build(BuildStatus.SUCCEEDED, jobset=main, name="linux64")


def test_titles(nobody, factory, ada, main, build, clock):
    """Each page says what it is of."""
    made = ada.change("DELETE", f"/main/build/{build.id}")
    for path, title in (
        ("/self-serve", "self-serve"),
        ("/self-serve/branches", "Branches"),
        ("/self-serve/main", "Branch main"),
        (f"/self-serve/main/rev/{build.revision}", f"Revision {build.revision[:12]} of main"),
        ("/self-serve/main/user/ada", "What ada asked for on main"),
        ("/self-serve/jobs", "Job requests"),
        (f"/self-serve/jobs/{made}", f"Job request {made}"),
        (f"/self-serve/main/build/{build.id}", f"Build {build.id}"),
        (f"/self-serve/main/request/{build.id}", f"Request {build.id}"),
        ("/pending", "Pending"),
        ("/running/main", "Running on main"),
        ("/reports/waittimes/main", "Wait times on main"),
        ("/reports/endtoend/main", "From push to green on main"),
    ):
        assert nobody.see(path).title == f"{title} \u00b7 ciserver"


def test_names_stay_in_their_places(nobody, factory, main):
    """Whatever they are made of."""
    hostile = "<script>alert(1)</script>/../x?y#z"
    factory.build(BuildStatus.SUCCEEDED, jobset=main, name=hostile)
    factory.evaluated(main, make_job(name=hostile), requested_by=hostile)
    for path in ("/self-serve/main", "/pending", "/self-serve/main/builders"):
        page = nobody.see(path)
        assert "<script>alert" not in page.text
        assert all(re.match(r"[/?#]", one) for one in page.links)


def test_every_link_leads_somewhere(person, ada, main, build, factory, perform):
    """From each page of self-serve to each other."""
    factory.build(jobset=main)
    made = ada.change("POST", "/main/request", request_id=build.id)
    perform()
    seen, new = set(), {"/self-serve", f"/self-serve/jobs/{made}"}
    while new:
        path = new.pop()
        seen.add(path)
        base = path.partition("?")[0]
        answer = person.client.simulate_get(
            base, query_string=path.partition("?")[2], headers=HTML, cookies=person.cookies
        )
        assert answer.status_code == 200, path
        if "json" in path or not base.startswith(("/self-serve", "/pending", "/running", "/rep")):
            continue
        links = [base + one if one[0] == "?" else one for one in Page(answer.text).links]
        new |= {one for one in links if one[0] == "/" and "date=" not in one} - seen
    assert {f"/self-serve/main/rev/{build.revision}", "/self-serve/jobs", "/pending/main"} <= seen


# -- forms ----------------------------------------------------------------------------------------


def test_nobody_sees_buttons(nobody, factory, main, build):
    """Only lists."""
    factory.build(jobset=main)
    for path in ("/self-serve/main", f"/self-serve/main/rev/{build.revision}"):
        assert nobody.see(path).buttons == []


@pytest.mark.parametrize(
    ("right", "buttons"),
    [
        (Right.BUMP, {"Sooner", "Later"}),
        (Right.CANCEL, {"Cancel", "Cancel all"}),
        (Right.EVALUATE, {"Rebuild", "New build", "New nightly", "New PGO", "Build build"}),
    ],
)
def test_buttons_are_for_those_who_may(stranger, services, parts, factory, main, right, buttons):
    """Each right has its own."""
    add_account(parts, "grace", PASSWORD)
    services.projects.set_member(ADMIN, main.project, "grace", frozenset({right}))
    grace = Person(stranger.client, services.access.sign_in("grace", PASSWORD))
    waiting = factory.build(jobset=main)
    page = grace.see(f"/self-serve/main/rev/{waiting.revision}")
    assert set(page.buttons) == buttons


def outcome_of(person, services, perform, page, button):
    """Press it, look at the page that it leads to before and after it was performed."""
    where = person.press(page, button)
    request_id = int(where.rsplit("/", 1)[1])
    before = person.see(where)
    assert "not performed yet" in before.text
    assert 'data-refresh="30"' in before.text
    perform()
    after = person.see(where)
    assert 'data-refresh=""' in after.text
    return services.requests.get(ADMIN, request_id)


def test_sooner_and_later(person, services, factory, main, perform):
    """One up, and one down."""
    build = factory.build(jobset=main, priority=4)
    page = person.see("/self-serve/main")
    for button, priority in (("Sooner", 5), ("Later", 3)):
        outcome_of(person, services, perform, page, button)
        assert services.queries.build(ADMIN, build.id).build.priority == priority


def test_cancel(person, services, factory, main, perform):
    """What waits, and what runs."""
    for status, then in (
        (BuildStatus.QUEUED, BuildStatus.CANCELED),
        (BuildStatus.RUNNING, BuildStatus.CANCELING),
    ):
        build = factory.build(status, jobset=main)
        page = person.see(f"/self-serve/main/rev/{build.revision}")
        outcome_of(person, services, perform, page, "Cancel")
        assert services.queries.build(ADMIN, build.id).build.status is then


def test_cancel_all_of_a_revision(person, services, store, factory, main, perform):
    """Whatever of it has not ended."""
    evaluation = factory.evaluated(main, make_job(name="a"), make_job(name="b"))
    page = person.see(f"/self-serve/main/rev/{evaluation.revision}")
    outcome_of(person, services, perform, page, "Cancel all")
    builds = store.builds.list_of_evaluation(evaluation.id)
    assert {one.status for one in builds} == {BuildStatus.CANCELED}


def test_rebuild(person, services, build, perform):
    """Its page leads to what was made."""
    page = person.see("/self-serve/main")
    request = outcome_of(person, services, perform, page, "Rebuild")
    (made,) = request.created
    assert services.queries.build(ADMIN, made).build.rebuild_of == build.id
    assert f"/build/{made}" in person.see(f"/self-serve/jobs/{request.id}").links


@pytest.mark.parametrize(
    ("button", "kind"), [("New build", "api"), ("New nightly", "nightly"), ("New PGO", "pgo")]
)
def test_new_builds_of_a_revision(person, services, pushed, perform, button, kind):
    """Those of a push, of nightlies, of PGO."""
    page = person.see(f"/self-serve/main/rev/{pushed}")
    request = outcome_of(person, services, perform, page, button)
    (made,) = request.created
    assert services.queries.build(ADMIN, made).build.kind == kind


def test_one_builder_at_a_revision(person, services, pushed, perform):
    """With its own priority and variables."""
    page = person.see(f"/self-serve/main/rev/{pushed}")
    form = next(
        one
        for one in page.forms
        if one["action"].endswith(f"/{pushed}") and "builders" in one["action"]
    )
    form["fields"].update(priority="3", properties='{"FLAVOR": "sweet"}')
    request = outcome_of(person, services, perform, page, form["button"])
    (made,) = request.created
    view = services.queries.build(ADMIN, made)
    assert view.build.priority == 3
    assert view.job.environment["FLAVOR"] == "sweet"


def test_a_form_without_the_token_of_the_session(person, services, build):
    """Is none of ours."""
    page = person.see("/self-serve/main")
    form = next(one for one in page.forms if one["button"] == "Rebuild")
    assert form["fields"].pop("csrf")
    answer = person.client.simulate_post(
        form["action"],
        headers={**HTML, "Origin": HOST, "Content-Type": "application/x-www-form-urlencoded"},
        cookies=person.cookies,
        body=urlencode(form["fields"]),
    )
    assert answer.status_code == 403
    assert Page(answer.text).title == "You may not do that \u00b7 ciserver"


# -- lists and pictures ---------------------------------------------------------------------------


def test_the_day_before_and_the_day_after(nobody, build):
    """As far as the calendar goes."""
    links = nobody.see("/self-serve/main").links
    assert {"?date=2026-02-28", "?date=2026-03-02"} <= set(links)
    assert nobody.see("/self-serve/main?date=2026-03-02").links
    assert "?date=0001-01-02" in nobody.see("/self-serve/main?date=0001-01-01").links


def test_older_job_requests(person, ada, build):
    """Are a link away, while there may be some."""
    for _ in range(3):
        ada.change("DELETE", "/main/build/1")
    page = person.see("/self-serve/jobs?num=2")
    assert "?num=2&offset=2" in page.links
    assert "?num=2&offset=4" not in person.see("/self-serve/jobs?num=2&offset=2").links


def test_a_long_list_ends(nobody, factory, main):
    """The rest of it is in the JSON."""
    factory.evaluated(main, *(make_job(name=f"job-{n}") for n in range(503)))
    page = nobody.see("/self-serve/main")
    assert page.text.count("<tr>") == 501
    assert "3 more are in the list as JSON" in page.text
    assert "?format=json" in page.links


def test_wait_times_are_drawn(nobody, factory, main, clock):
    """A bar for each quarter of an hour, and the same as a table."""
    assert "No build started" in nobody.see("/reports/waittimes/main").text
    factory.build(BuildStatus.RUNNING, jobset=main)
    text = nobody.see("/reports/waittimes/main").text
    assert text.count('<rect class="bar"') == text.count('<tr><th scope="row">') == 9
    assert "0\u201315 minutes: 1" in text
    assert "120+ minutes: 0" in text


def test_pushes_are_drawn(nobody, factory, main):
    """A mark for each, and the same as a table."""
    assert "No push has" in nobody.see("/reports/endtoend/main").text
    for status in (BuildStatus.SUCCEEDED, BuildStatus.FAILED):
        build = factory.build(BuildStatus.RUNNING, jobset=main)
        factory.reporter.finish(factory.leases[build.id], BuildResult(status), (done(1),))
    text = nobody.see("/reports/endtoend/main").text
    assert text.count("<circle") == 2
    assert text.count('<circle class="bad"') == 1
    assert text.count("Not green") == 1
