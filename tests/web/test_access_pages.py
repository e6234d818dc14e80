"""What pages show to whom: the overview, a project with its members, builds, and the trail."""

import pytest
from support.factories import ADMIN, Factory
from support.prepared import add_account

from ciserver.model.account import Right, Visibility
from ciserver.model.project import ProjectSettings
from ciserver.service.submissions import ManifestSubmission

PASSWORD = "correct horse battery"
RECIPE = "image: host\ntasks:\n  - work: echo worked\n"


@pytest.fixture
def factory(parts, clock):
    return Factory(parts, clock)


@pytest.fixture
def signed_in(parts, services, make_browser):
    """The browser of somebody with an ordinary account, who may have rights in a project."""

    def make(name, project="", *rights):
        add_account(parts, name, PASSWORD)
        if rights:
            services.projects.set_member(ADMIN, project, name, frozenset(rights))
        return make_browser(parts.app).sign_in(name)

    return make


def submit(services, actor, **given):
    return services.submissions.submit(actor, ManifestSubmission(RECIPE, **given))


def test_the_overview_has_what_is_of_interest(services, factory, person, browser, signed_in):
    """Neither what is hidden, nor what other people submit; by its address each is there."""
    factory.project("shown")
    factory.project("secret", visibility=Visibility.PRIVATE)
    factory.project("hidden")
    services.projects.put_project(ADMIN, "hidden", ProjectSettings(hidden=True))
    submit(services, factory.user("bert"))
    grace = signed_in("grace", "secret", Right.READ)
    submit(services, services.access.signed_in(grace.cookies["ciserver_session"]).actor)
    told = {
        who: {one["href"] for one in reader.page("/").all("a") if "/project/" in one["href"]}
        for who, reader in (("admin", person), ("nobody", browser), ("member", grace))
    }
    assert told == {
        "admin": {"/project/shown", "/project/secret"},
        "nobody": {"/project/shown"},
        "member": {"/project/shown", "/project/secret", "/project/~grace"},
    }
    for name in ("hidden", "~bert"):
        assert browser.get(f"/project/{name}").status_code == 200


def test_a_project_says_who_has_rights_to_those_who_give_them(factory, person, browser, signed_in):
    """Others see no list; without members there is a form to add one."""
    factory.project("roses")
    assert "Give or take rights" in person.page("/project/roses").text
    editor = signed_in("editor", "roses", Right.EDIT)
    runner = signed_in("runner", "roses", Right.CANCEL, Right.RESTART)
    for reader, is_told in ((person, True), (editor, True), (runner, False), (browser, False)):
        text = reader.page("/project/roses").text
        assert ("cancel, restart" in text) is is_told


def test_buttons_of_a_build_are_for_those_who_may(works, factory, person, browser, signed_in):
    """Each member finds what their rights are for, and nobody else anything."""
    finished = works.finished(project="other").build_id
    held, queued = submit(works.services, factory.user("bert"), execute=False).id, works.build()
    readers = {
        "admin": person,
        "nobody": browser,
        "canceler": signed_in("canceler", "project", Right.CANCEL),
        "restarter": signed_in("restarter", "other", Right.RESTART),
        "asker": signed_in("asker", "other", Right.EVALUATE),
        "bumper": signed_in("bumper", "project", Right.BUMP),
    }

    def buttons(reader, build):
        forms = (one["action"] for one in reader.page(f"/build/{build}").all("form"))
        return {one.removeprefix(f"/build/{build}/") for one in forms} - {"/logout", "/search"}

    assert {who: buttons(one, queued) for who, one in readers.items() if buttons(one, queued)} == {
        "admin": {"bump", "cancel"},
        "canceler": {"cancel"},
        "bumper": {"bump"},
    }
    told = {who: buttons(one, finished) for who, one in readers.items()}
    assert told == {
        "nobody": set(),
        "canceler": set(),
        "bumper": set(),
        "admin": {"rerun", "rebuild", "keep/1"},
        "restarter": {"rerun"},
        "asker": {"rebuild"},
    }
    assert buttons(person, held) == {"cancel", "start"}
    assert buttons(browser, held) == set()


def test_a_build_says_what_it_was_submitted_with(services, factory, person):
    """Its note and tags, who asked, and that not everybody sees it."""
    given = {"note": "Does <it> work?\nTry.", "tags": ("try", "it"), "execute": False}
    made = submit(services, factory.user("bert"), visibility=Visibility.PRIVATE, **given)
    text = person.page(f"/build/{made.id}").text
    for told in ("Does <it> work?\nTry.", "try", "Private", "bert", "held until somebody starts"):
        assert told in text


def test_requests_are_shown_in_pages(services, factory, person, browser):
    """A hundred at once, newest first; each leads to its thing."""
    factory.project("roses")
    for _ in range(100):
        services.projects.put_project(ADMIN, "roses", ProjectSettings())
    first = browser.page("/requests")
    assert len([one for one in first.all("a") if one["href"] == "/project/roses"]) == 100
    (older,) = [one["href"] for one in first.all("a") if one["href"].startswith("?")]
    rest = browser.page(f"/requests{older}")
    assert "Add a project" in rest.text
    assert not [one for one in rest.all("a") if one["href"].startswith("?")]
    assert "There are no older requests" in browser.page("/requests?offset=1000").text
    assert browser.get("/requests?offset=x").status_code == 400
    assert "/requests" in {one["href"] for one in browser.page("/").all("a")}


def test_requests_about_what_is_private_are_for_few(factory, person, browser, signed_in):
    """Members and administrators read them; for others there is nothing."""
    factory.project("roses", visibility=Visibility.PRIVATE)
    member = signed_in("member", "roses", Right.READ)
    for reader, is_told in ((person, True), (member, True), (browser, False)):
        assert ("roses" in reader.page("/requests").text) is is_told
