"""Projects and jobsets made and changed in a browser."""

import pytest
from support.factories import ADMIN
from support.prepared import add_account

from ciserver.model.account import Right, Visibility
from ciserver.model.project import (
    Credential,
    Declaration,
    Input,
    InputType,
    JobsetMode,
    JobsetSettings,
    ProjectSettings,
    ScriptDefaults,
)

LIB = "https://git.example.org/lib.git"
EDIT = "/project/hello/edit"
JOBSET = "/jobset/hello/main/edit"


@pytest.fixture
def olga(parts, services, browser):
    """Signed in, may make projects, and owns `hello`, which has a jobset `main`."""
    add_account(parts, "olga", browser_password())
    services.access.change_user(ADMIN, "olga", roles=("create-projects",))
    services.projects.watch(ADMIN, "hello", LIB, owner="olga")
    return browser.sign_in("olga")


def browser_password():
    return "correct horse battery"


def fields_of(page):
    """What a browser would send of the form of a page: boxes that are ticked, and what is chosen
    or written.
    """
    fields, choice = {}, ""
    for tag, attributes in page.tags:
        if tag == "select":
            choice = attributes["name"]
        elif tag == "option" and "selected" in attributes:
            fields[choice] = None
        elif tag == "input" and attributes.get("type") == "checkbox":
            if "checked" in attributes:
                fields[attributes["name"]] = "on"
        elif tag == "input" and "name" in attributes:
            fields[attributes["name"]] = attributes.get("value", "")
    return fields


def form(page, **changes):
    """The fields of a page's form with some written anew; a box that is None is not ticked."""
    chosen = {"visibility": "public", "declaration.type": "git", "mode": "on"}
    fields = fields_of(page)
    types = {name: "git" for name in fields if name.endswith(".type") and name.startswith("input")}
    known = {name: value for name, value in (types | chosen).items() if name in fields}
    told = {**fields, **known, **{name.replace("__", "."): one for name, one in changes.items()}}
    return {name: value for name, value in told.items() if value is not None}


def save(browser, path, **changes):
    return browser.post(path, **form(browser.page(path), **changes))


def marked(page):
    """The names of the fields that are wrong."""
    return {one["name"] for _, one in page.tags if one.get("aria-invalid")}


# -- projects -------------------------------------------------------------------------------------


def test_a_project_is_made(olga, services):
    """Who makes it owns it."""
    written = {"name": "new", "display_name": "New!", "homepage": "https://example.org"}
    answer = save(olga, "/create-project", **written, hidden="on")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/project/new#tabs-configuration",
    )
    made = services.rights.project(ADMIN, "new")
    assert (made.owner, made.settings) == (
        "olga",
        ProjectSettings("New!", "", "https://example.org", hidden=True),
    )


def test_no_project_is_made_over_another(olga, services):
    """A name that is taken is told beside it, with whatever else is wrong."""
    for more, wrong in (
        ({}, {"name"}),
        ({"declaration__file": "/x"}, {"name", "declaration.file"}),
    ):
        answer = save(olga, "/create-project", name="hello", description="Mine now", **more)
        assert answer.status_code == 400
        page = olga.parse(answer.text)
        assert marked(page) >= wrong
        assert fields_of(page)["description"] == "Mine now"
    assert services.rights.project(ADMIN, "hello").settings.description == ""


def test_a_project_is_changed(olga, services):
    """Everything on the form, a new name too; what is not on it stays."""
    changes = {
        "name": "hallo",
        "display_name": "Hello",
        "description": "D",
        "homepage": "https://example.org/",
        "visibility": "private",
        "enabled": None,
        "hidden": "on",
        "declaration__file": "spec.json",
        "declaration__value": f"{LIB} main",
    }
    answer = save(olga, EDIT, **changes)
    assert answer.headers["location"] == "/project/hallo#tabs-configuration"
    changed = services.rights.project(ADMIN, "hallo")
    assert changed.settings == ProjectSettings(
        "Hello",
        "D",
        "https://example.org/",
        enabled=False,
        hidden=True,
        visibility=Visibility.PRIVATE,
        declaration=Declaration("spec.json", InputType.GIT, f"{LIB} main"),
    )
    assert changed.owner == "olga"
    text = olga.page("/project/hallo").text
    assert "spec.json" in text
    assert "New jobset" not in text
    save(olga, "/project/hallo/edit", visibility="private", declaration__file="")
    assert not services.rights.project(ADMIN, "hallo").is_declarative


def test_a_saved_form_changes_nothing(olga, services):
    """What is shown is what is."""
    before = services.rights.project(ADMIN, "hello")
    jobset = services.rights.jobset(ADMIN, "hello", "main")
    assert save(olga, EDIT).status_code == 303
    assert save(olga, JOBSET).status_code == 303
    assert services.rights.project(ADMIN, "hello") == before
    assert services.rights.jobset(ADMIN, "hello", "main") == jobset


@pytest.mark.parametrize("name", ["", "a/b", "-x"])
def test_a_name_that_cannot_be(olga, name):
    """It is marked, and shown as it was written."""
    answer = save(olga, EDIT, name=name)
    page = olga.parse(answer.text)
    assert (answer.status_code, marked(page)) == (400, {"name"})
    assert fields_of(page)["name"] == name


def test_only_administrators_give_a_project_away(olga, services, parts):
    """Others have no such field, and what they send in it is not read."""
    assert "owner" not in fields_of(olga.page(EDIT))
    assert save(olga, EDIT, owner="rob").status_code == 303
    assert services.rights.project(ADMIN, "hello").owner == "olga"
    add_account(parts, "adam", browser_password(), admin=True)
    adam = olga.sign_in("adam")
    assert marked(adam.parse(save(adam, EDIT, owner="rob").text)) == {"owner"}
    assert save(adam, EDIT, owner="adam").status_code == 303
    assert services.rights.project(ADMIN, "hello").owner == "adam"


def test_forms_are_for_those_who_may(olga, parts, browser, services):
    """Others are not shown them, nor the way there; and a form needs the token of its session."""
    paths = ("/create-project", EDIT, "/project/hello/create-jobset", JOBSET)
    for path in paths:
        written = form(olga.page(path), name="other", csrf="stolen")
        assert olga.post(path, **written).status_code == 403, path
    add_account(parts, "rob", browser_password())
    rob = browser.sign_in("rob")
    assert [rob.get(path).status_code for path in paths] == [403] * 4
    for path in ("/", "/project/hello", "/jobset/hello/main"):
        links = {one["href"] for one in rob.page(path).all("a")}
        assert not links & set(paths), path


def test_the_pages_lead_to_the_forms(olga):
    """From the overview, the project and the jobset."""
    for path, link in (
        ("/", "/create-project"),
        ("/project/hello", EDIT),
        ("/project/hello", "/project/hello/create-jobset"),
        ("/jobset/hello/main", JOBSET),
    ):
        assert link in {one.get("href") for one in olga.page(path).all("a")}


def test_members_are_set(olga, services, parts):
    """Exactly the rights that are ticked; none ends it."""
    add_account(parts, "mia", browser_password())
    csrf = olga.page("/project/hello").csrf

    def post(**fields):
        return olga.post("/project/hello/members", csrf=csrf, **fields)

    assert post(user="mia", **{"right.cancel": "on", "right.bump": "on"}).status_code == 303
    (member,) = services.projects.members(ADMIN, "hello")
    assert (member.user, member.rights) == ("mia", {Right.CANCEL, Right.BUMP})
    refused = post(user="nobody", **{"right.read": "on"})
    assert refused.status_code == 400
    assert "there is no user nobody" in refused.text
    assert post(user="mia").status_code == 303
    assert services.projects.members(ADMIN, "hello") == ()


# -- jobsets --------------------------------------------------------------------------------------


def inputs(*rows):
    """Fields of rows of inputs."""
    words = ("name", "type", "value", "watch")
    return {
        f"input.{number}.{word}": text
        for number, row in enumerate(rows)
        for word, text in zip(words, (*row, ""), strict=False)
    }


EVERY = (
    ("src", "git", f"{LIB} main"),
    ("other", "git", LIB, "refs/heads/a refs/tags/*"),
    ("page", "path", "https://example.org/list.txt 60"),
    ("word", "string", "a  b"),
    ("fast", "boolean", "true"),
    ("pkgs", "nix", "{ a = 1; }"),
    ("made", "build", "hello:main:build"),
    ("each", "sysbuild", "build"),
    ("past", "eval", "main"),
)


def test_a_jobset_is_made_with_every_type_of_input(olga, services):
    """All of them can be chosen, and come back as they were written."""
    page = olga.page("/project/hello/create-jobset")
    assert "".join(InputType) in page.text
    written = form(page, name="new", recipe_input="src", **inputs(*EVERY))
    answer = olga.post("/project/hello/create-jobset", **written)
    assert answer.headers["location"] == "/jobset/hello/new#tabs-configuration", answer.text
    made = services.rights.jobset(ADMIN, "hello", "new")
    assert made.inputs[:3] == (
        Input("src", LIB, "refs/heads/main", ("refs/heads/main",)),
        Input("other", LIB, watch=("refs/heads/a", "refs/tags/*")),
        Input("page", EVERY[2][2][:-3], "", (), type=InputType.PATH, refresh_seconds=60),
    )
    assert [(one.type, one.value) for one in made.inputs[3:]] == [row[1:] for row in EVERY[3:]]
    shown = fields_of(olga.page("/jobset/hello/new/edit"))
    for field, text in inputs(*EVERY).items():
        assert field.endswith(".type") or shown[field] == text, field


def test_a_jobset_is_changed(olga, services, store):
    """Everything on the form; what is not on it, and the credential of its repository, stays."""
    known = services.rights.jobset(ADMIN, "hello", "main")
    script = ScriptDefaults("build.sh", "A=1", 7)
    services.jobsets.put(ADMIN, "hello", "main", JobsetSettings(script=script), known.inputs)
    with store.transaction():
        store.jobsets.set_credential(known.id, "git.example.org/lib", Credential(password="secret"))
    answer = save(
        olga,
        JOBSET,
        name="trunk",
        description="D",
        mode="one-at-a-time",
        hidden="on",
        recipe_path="a.yml, b/*.star",
        check_interval_seconds="60",
        shares="7",
        keep_evaluations="5",
        reuse_results=None,
        tell_by_mail=None,
        mail_to="ada@example.org, bob@example.org",
    )
    assert answer.headers["location"] == "/jobset/hello/trunk#tabs-configuration"
    changed = services.rights.jobset(ADMIN, "hello", "trunk")
    assert changed.inputs == known.inputs
    assert changed.settings == JobsetSettings(
        description="D",
        mode=JobsetMode.ONE_AT_A_TIME,
        hidden=True,
        recipe_path=("a.yml", "b/*.star"),
        check_interval_seconds=60,
        reuse_results=False,
        shares=7,
        keep_evaluations=5,
        tell_by_mail=False,
        mail_to="ada@example.org, bob@example.org",
        script=script,
    )
    assert store.jobsets.list_credentials(known.id) == (Credential(password="secret"),)
    (evaluation,) = services.queries.jobset(ADMIN, "hello", "trunk").evaluations.evaluations
    assert evaluation.requested_by == "olga"


def test_every_fault_stands_beside_its_field(olga, services):
    """All at once, and nothing that was written is lost."""
    rows = (
        ("1x", "git", LIB),
        ("path", "path", "/etc"),
        ("twice", "string", "a"),
        ("twice", "string", "b"),
        ("bad", "git", "a b c d"),
        ("fast", "boolean", "maybe"),
        ("ref", "git", LIB, "main"),
        ("", "string", "homeless"),
        ("kind", "hg", "x"),
    )
    written = {
        "name": "a b",
        "mode": "often",
        "recipe_path": "../x",
        "check_interval_seconds": "soon",
        "shares": "0",
        "keep_evaluations": "99999999999999",
        "mail_to": "nobody",
        **inputs(*rows),
    }
    page = olga.page(JOBSET)
    answer = olga.post(JOBSET, **{**form(page), **written})
    assert answer.status_code == 400
    told = olga.parse(answer.text)
    plain = {"name", "mode", "check_interval_seconds", "keep_evaluations", "recipe_path", "shares"}
    assert marked(told) >= plain | {"mail_to"}
    assert len(told.text.split("must be letters")) == 2  # the name of an input whose value is fine
    rows_told = {"input.0", "input.1", "input.2", "input.3", "input.4", "input.5", "input.6"}
    assert {one.rpartition(".")[0] for one in marked(told)} >= rows_told | {"input.8"}
    assert "homeless" in told.text
    shown = fields_of(told)
    kept = {name: one for name, one in written.items() if shown.get(name)}
    assert len(kept) > 20
    assert {name: shown[name] for name in kept} == kept
    assert fields_of(told)["check_interval_seconds"] == "soon"
    assert services.rights.jobset(ADMIN, "hello", "main").settings == JobsetSettings()


def test_no_jobset_is_made_over_another(olga, services):
    """Its name is taken."""
    answer = save(olga, "/project/hello/create-jobset", name="main", input__0__value=LIB)
    assert answer.status_code == 400
    assert marked(olga.parse(answer.text)) == {"name"}


def test_what_is_declared_is_no_form(olga, services):
    """The page says where it is declared instead."""
    declaration = Declaration("spec.json", InputType.GIT, LIB)
    services.projects.put_project(ADMIN, "hello", ProjectSettings(declaration=declaration))
    assert olga.get(JOBSET).status_code == 403
    assert olga.get("/project/hello/create-jobset").status_code == 403
    page = olga.page("/jobset/hello/main")
    assert JOBSET not in {one.get("href") for one in page.all("a")}
    assert "spec.json" in page.text
    assert "It declares the jobsets" in " ".join(olga.page("/jobset/hello/.jobsets").text.split())


def test_hostile_words_are_text(olga, services):
    """Nothing that is written becomes markup, on any page."""
    bad = '"><script>alert(1)</script>'
    for path in (EDIT, JOBSET):
        page = olga.parse(save(olga, path, name=bad, description=bad).text)
        assert fields_of(page)["name"] == bad
    assert save(olga, EDIT, description=bad, homepage="javascript:alert(1)").status_code == 303
    page = olga.page("/project/hello")
    assert "alert(1)" in page.text
    assert all("alert" not in one.get("href", "") for one in page.all("a"))
