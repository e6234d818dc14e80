"""Builds that people submit in their browser: the form, its faults, and submitting again."""

from html.parser import HTMLParser

import pytest
from support.prepared import add_account

from ciserver.model.account import Visibility
from ciserver.model.status import BuildStatus

MANIFEST = "image: host\nsecrets: [deploy]\n\ntasks:\n  - build: echo '<b>'\n"
PASSWORD = "correct horse battery"


class Form(HTMLParser):
    """What a browser would send of the form that submits."""

    def __init__(self, html):
        super().__init__()
        self.fields, self.wrong, self._area, self._select, self._inside = {}, {}, "", "", False
        self._told = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        name = attrs.get("name", "")
        self._inside |= tag == "form" and attrs["action"] == "/submit"
        if tag == "textarea":
            self._area, self.fields[name] = name, ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in attrs:
            self.fields[self._select] = None
        elif tag == "input" and self._inside:
            if attrs.get("type") != "checkbox" or "checked" in attrs:
                self.fields[name] = attrs.get("value", "on")
        elif tag == "span" and attrs.get("class") == "wrong":
            self._told = attrs["id"].removesuffix("-wrong")

    def handle_data(self, data):
        if self._area:
            self.fields[self._area] += data
        elif self._told:
            self.wrong[self._told] = data
        elif self._select and self.fields.get(self._select, "") is None:
            self.fields[self._select] = data

    def handle_endtag(self, tag):
        if tag == "textarea":
            # Its first line end is none, and each is sent with a carriage return.
            text = self.fields[self._area].removeprefix("\n")
            self.fields[self._area], self._area = text.replace("\n", "\r\n"), ""
        self._told = "" if tag == "span" else self._told
        self._select = "" if tag == "select" else self._select


@pytest.fixture
def make_person(parts, make_browser):
    """A browser in which somebody without any role is signed in."""

    def make(name):
        add_account(parts, name, PASSWORD)
        return make_browser(parts.app).sign_in(name)

    return make


@pytest.fixture
def eve(make_person):
    return make_person("eve")


@pytest.fixture
def built(services, admin):
    """A submitted build as it is stored: its view and its recipe."""

    def look(build_id):
        view = services.queries.build(admin, build_id)
        return view, services.queries.recipe(admin, build_id)

    return look


def form_at(who, path="/submit", **query):
    answer = who.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return Form(answer.text).fields


def send(who, fields, **changes):
    """Send the form with changes; what is None is not in it."""
    changed = {**fields, **changes}
    given = {name: value for name, value in changed.items() if value is not None}
    return who.post("/submit", **given)


def submit(who, *, at="/submit", query=None, **changes):
    """The id of the build that comes of it."""
    answer = send(who, form_at(who, at, **(query or {})), **changes)
    assert answer.status_code == 303, answer.text
    return int(answer.headers["location"].removeprefix("/build/"))


def resubmit(who, build_id):
    page = who.page(f"/build/{build_id}")
    return who.post(f"/build/{build_id}/resubmit", csrf=page.csrf)


# -- submitting -----------------------------------------------------------------------------------


def test_a_build_is_submitted(eve, built):
    """The manifest exactly as written, with note, tags and visibility, and it is queued."""
    build_id = submit(
        eve,
        manifest=MANIFEST.replace("\n", "\r\n"),
        note="Try [it](https://e.org)\r\n",
        tags=" a / b //",
        visibility="unlisted",
    )
    view, recipe = built(build_id)
    assert recipe == MANIFEST
    assert (view.note, view.tags) == ("Try [it](https://e.org)", ("a", "b"))
    assert (view.build.status, view.build.visibility) == (BuildStatus.QUEUED, Visibility.UNLISTED)
    assert (view.build.project, view.build.requested_by) == ("~eve", "eve")
    assert view.job.secrets_off is False
    page = eve.page(f"/build/{build_id}")
    assert "https://e.org" in [one["href"] for one in page.all("a")]


def test_it_may_wait_and_go_without_secrets(eve, built):
    """Where the boxes are not ticked."""
    view, _ = built(submit(eve, manifest=MANIFEST, execute=None, secrets=None))
    assert (view.build.status, view.job.secrets_off) == (BuildStatus.HELD, True)


def test_every_fault_stands_beside_its_field(eve):
    """And what was written stays written."""
    fields = form_at(eve)
    wrong = {
        "manifest": "image: host\r\ntasks: <none>\r\n",
        "note": "n" * 4_097,
        "tags": "good/no tag",
    }
    answer = send(eve, fields, **wrong, execute=None)
    assert answer.status_code == 400
    form = Form(answer.text)
    assert form.fields == {
        **{name: one for name, one in fields.items() if name != "execute"},
        **wrong,
    }
    assert form.wrong.keys() == {"manifest", "note", "tags"}
    assert form.wrong["tags"].startswith("no tag: must be letters")
    assert "<none>" not in answer.text
    assert "3 things are wrong" in answer.text


@pytest.mark.parametrize(
    ("field", "value"), [("visibility", "secret"), ("manifest", "a\0"), ("note", "\0")]
)
def test_what_no_browser_sends_is_refused(eve, field, value):
    """In the same way."""
    answer = send(eve, form_at(eve), **{"manifest": MANIFEST, field: value})
    assert answer.status_code == 400
    assert Form(answer.text).wrong.keys() == {field}


def test_the_address_may_bring_what_is_in_the_form(eve, built):
    """Nothing is submitted by that, and it gets no secrets unless the box is ticked."""
    brought = {"manifest": MANIFEST, "note": "</textarea><script>", "tags": "a/b"}
    answer = eve.get("/submit", params=brought)
    assert "Somebody else wrote this manifest" in answer.text
    assert "<script>" not in answer.text
    view, recipe = built(submit(eve, query=brought))
    assert (recipe, view.note, view.tags) == (MANIFEST, "</textarea><script>", ("a", "b"))
    assert (view.build.id, view.job.secrets_off) == (1, True)


def test_nobody_submits_nothing(browser):
    """Whoever is not signed in is asked to be."""
    assert browser.get("/submit").status_code == 401
    answer = browser.post("/submit", manifest=MANIFEST, visibility="public")
    assert answer.status_code == 401


def test_a_form_without_the_token_of_its_session_is_refused(eve, services, admin):
    """Nor one from the page of another site."""
    build_id = submit(eve, manifest=MANIFEST)
    fields = {**form_at(eve), "manifest": MANIFEST}
    elsewhere = {"Origin": "https://evil.example.org"}
    for path in ("/submit", f"/build/{build_id}/resubmit"):
        assert eve.post(path, **{**fields, "csrf": "wrong"}).status_code == 403
        assert eve.post(path, headers=elsewhere, **fields).status_code == 403
    assert len(services.queries.builds(admin).builds) == 1


# -- submitting again -----------------------------------------------------------------------------


def test_resubmitting_is_one_button(eve, built):
    """A new build of the same manifest; its note says which it repeats, once."""
    first = submit(
        eve, manifest=MANIFEST, note="One\r\nTwo", tags="a/b", visibility="private", secrets=None
    )
    second = int(resubmit(eve, first).headers["location"].removeprefix("/build/"))
    view, recipe = built(second)
    assert (recipe, view.tags) == (MANIFEST, ("a", "b"))
    assert (view.build.visibility, view.job.secrets_off) == (Visibility.PRIVATE, True)
    told = f"Resubmission of build [#{first}](/build/{first})"
    assert view.note == f"{told}\n\nOne\nTwo"
    third = int(resubmit(eve, second).headers["location"].removeprefix("/build/"))
    assert built(third)[0].note == told.replace(str(first), str(second))


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("One line", "One line (resubmitted)"),
        ("One line (resubmitted)", "One line (resubmitted)"),
        ("n" * 4_096, "n" * 4_082 + " (resubmitted)"),
        ("", "Resubmission of build [#1](/build/1)"),
        ("a\r\nb", "Resubmission of build [#1](/build/1)\n\na\nb"),
    ],
)
def test_editing_begins_with_what_was_there(eve, built, note, expected):
    """The manifest, tags and visibility as they were; the note says that it is another."""
    submit(eve, manifest=MANIFEST, note=note, tags="a/b", visibility="unlisted", secrets=None)
    changed = MANIFEST + "shell: false\n"
    again = submit(eve, query={"build": "1"}, manifest=changed.replace("\n", "\r\n"))
    view, recipe = built(again)
    assert (recipe, view.note, view.tags) == (changed, expected, ("a", "b"))
    assert (view.build.visibility, view.job.secrets_off) == (Visibility.UNLISTED, True)


def test_what_others_wrote_is_read_before_it_runs(eve, make_person, built):
    """It is not resubmitted with one button; edited, it runs in one's own name, without secrets."""
    build_id, bob = submit(eve, manifest=MANIFEST), make_person("bob")
    actions = {one["action"] for one in bob.page(f"/build/{build_id}").all("form")}
    assert f"/build/{build_id}/resubmit" not in actions
    assert resubmit(bob, build_id).status_code == 409
    assert "Somebody else wrote" in bob.get("/submit", params={"build": build_id}).text
    view, recipe = built(submit(bob, query={"build": build_id}))
    assert (recipe, view.build.project) == (MANIFEST, "~bob")
    assert view.job.secrets_off is True


def test_buttons_are_for_submissions(works, eve, browser):
    """And for those who may press them."""
    pushed, submitted = works.build(), submit(eve, manifest=MANIFEST)
    for who, build_id, texts in (
        (eve, pushed, set()),
        (browser, submitted, set()),
        (eve, submitted, {"Resubmit", "Edit and resubmit"}),
    ):
        page = who.page(f"/build/{build_id}")
        assert {one for one in ("Resubmit", "Edit and resubmit") if one in page.text} == texts
    assert eve.get("/submit", params={"build": pushed}).status_code == 409


def test_what_is_private_is_not_there(eve, make_person):
    """Neither to repeat nor to edit."""
    build_id, bob = submit(eve, manifest=MANIFEST, visibility="private"), make_person("bob")
    assert bob.get("/submit", params={"build": build_id}).status_code == 404
    csrf = form_at(bob)["csrf"]
    assert bob.post(f"/build/{build_id}/resubmit", csrf=csrf).status_code == 404
