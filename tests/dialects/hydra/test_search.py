"""Finding things by a piece of what they are known by."""

from dataclasses import replace

import pytest
from support.factories import ADMIN

from ciserver.model.account import Visibility
from ciserver.model.build import Output
from ciserver.model.project import JobsetSettings
from ciserver.model.status import BuildStatus
from ciserver.service.submissions import ManifestSubmission

DERIVATION = "/nix/store/4gk1zp6wl7b1vdxj3yy1r3qhhq9hvbvd-hello-2.12.drv"


@pytest.fixture
def find(anybody):
    """The names and numbers of what is found, by kind; empty kinds are left out."""

    def find(query, caller=anybody, **rest):
        params = {"query": query, **rest}
        found = caller.get("/search", params=params, query_string=None)
        assert found.keys() == {"projects", "jobsets", "builds", "buildsdrv"}
        return {
            kind: [one["id"] if kind.startswith("builds") else one["name"] for one in things]
            for kind, things in found.items()
            if things
        }

    return find


def test_projects(farm, find):
    """By name, title or description, in letters of either case; none that is hidden."""
    assert find("HYDR") == {
        "projects": ["hydra"],
        "jobsets": ["hydra-ant-logger-trunk", "hydra-master"],
    }
    assert find("continuous build")["projects"] == ["hydra"]
    assert find("nix-based")["projects"] == ["hydra"]
    assert find("cabal2NIX")["projects"] == ["cabal2nix"]
    assert "projects" not in find("acoda")
    assert find("2nix", limit=1)["projects"] == ["cabal2nix"]


def test_jobsets(farm, find, services):
    """By name or description; hidden ones, and those of hidden projects, are left out."""
    farm.build_ng(description="Next generation")
    assert find("generation") == {"jobsets": ["build-ng"]}
    assert find("build-NG") == {"jobsets": ["build-ng"]}
    services.jobsets.put(ADMIN, "hydra", "build-ng", JobsetSettings(hidden=True), ())
    assert find("build-ng") == {}
    assert find("trunk")["jobsets"] == ["hydra-ant-logger-trunk"]


def test_the_shapes_are_those_of_the_things(farm, anybody, make):
    """As each has at its own address."""
    build = make.build(jobset=farm.build_ng())
    found = anybody.get("/search?query=hydra&limit=50")
    assert found["projects"] == [anybody.get("/project/hydra")]
    shown = {one["name"]: one for one in found["jobsets"]}
    assert shown["hydra-master"] == anybody.get("/jobset/hydra/hydra-master")
    (found,) = anybody.get(f"/search?query={build.id}")["builds"]
    assert found.items() <= anybody.get(f"/build/{build.id}").items()


def test_a_wildcard_is_a_letter_like_others(make, find):
    """What SQL takes for one is only itself."""
    make.jobset("a_b")
    make.jobset("axb")
    assert find("a_b") == {"projects": ["a_b"]}
    assert find("_") == {"projects": ["a_b"]}


def test_builds(make, find):
    """By number, or by the beginning of the revision."""
    first, second = make.build(), make.build(BuildStatus.FAILED)
    assert find(f"{first.id}")["builds"] == [first.id]
    assert find(second.revision)["builds"] == [second.id]
    assert find(second.revision[:39])["builds"] == [second.id, first.id]
    assert find(second.revision[:39], limit=1)["builds"] == [second.id]
    assert find("0" * 12)["builds"] == [second.id, first.id]
    assert find("abcdef") == {}


def test_builds_of_a_derivation(make, find, store):
    """By its path or name, or the beginning of either."""
    build, other = make.build(), make.build()
    with store.transaction():
        store.products.set_output(build.id, 1, Output("", DERIVATION, {}))
        store.products.set_output(other.id, 1, Output("", "/other/store/zzz.drv", {}))
    name = DERIVATION.rpartition("/")[2]
    for query in (DERIVATION, DERIVATION[:30], name, name[:32]):
        assert find(query) == {"buildsdrv": [build.id]}, query
    assert find("zzz.") == {"buildsdrv": [other.id]}
    assert find("/other") == {"buildsdrv": [other.id]}
    assert find("zzz") == find("hello-2") == {}


def test_what_one_may_not_see_is_not_found(make, find, root, set_visibility, anybody):
    """Not even that there is something."""
    build = make.build(jobset=make.jobset("secret"), name="secret-job")
    for visibility in (Visibility.PRIVATE, Visibility.UNLISTED):
        set_visibility("secret", visibility)
        for query in ("secret", str(build.id), build.revision):
            assert find(query) == {}, query
            page = anybody.ask("GET", f"/search?query={query}", headers={"Accept": "text/html"})
            assert "secret-job" not in page.text
        assert find("secret", root)["projects"] == ["secret"]
        assert find(str(build.id), root)["builds"] == [build.id]


def test_jobs_are_on_the_page(make, anybody, root, services):
    """Those that are pushed for all, and names of what was submitted for those who see it."""
    make.build(jobset=make.jobset("roses"), name="red-job")
    make.submitted(make.project("plain"), name="my-job")
    given = ManifestSubmission("image: host\ntasks:\n  - job: make\n")
    own = services.submissions.submit(make.user("ada"), given).job

    def is_found(name, caller):
        page = caller.ask("GET", f"/search?query={name}", headers={"Accept": "text/html"}).text
        return f'/{name}" title=' in page

    for name, seen in (("red-job", True), ("my-job", False), (own, False)):
        assert is_found(name, anybody) is seen, name
        assert is_found(name, root), name


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "Query is empty."),
        ("  ", "Query is empty."),
        ("a%b", "Invalid character in query."),
        ("<b>", "Invalid character in query."),
        ("a'b", "Invalid character in query."),
        ("a\0b", "Invalid character in query."),
        ("a\nb", "Invalid character in query."),
        ("a" * 201, "Invalid character in query."),
    ],
)
def test_what_cannot_be_looked_for(anybody, query, message):
    """In Hydra's words, for people on the page."""
    rest = {"params": {"query": query}, "query_string": None}
    assert anybody.refusal("GET", "/search", **rest) == (400, message)
    page = anybody.ask("GET", "/search", headers={"Accept": "text/html"}, **rest)
    assert (page.status_code, page.headers["content-type"][:9]) == (400, "text/html")
    assert message in page.text
    assert "<b>" not in page.text


def test_no_query_at_all(anybody):
    assert anybody.refusal("GET", "/search") == (400, "Query is empty.")


@pytest.mark.parametrize(("limit", "count"), [("0", 10), ("1", 1), ("50", 50), ("1000", 50)])
def test_how_many(make, find, limit, count):
    for number in range(55):
        make.project(f"roses-{number}")
    assert len(find("roses", limit=limit)["projects"]) == count


def test_a_jobset_that_was_removed(make, find, services, store):
    build = make.build(jobset=make.jobset("roses"))
    services.jobsets.remove(ADMIN, "roses", "main")
    found = find("roses")
    assert found == {"projects": ["roses"]}
    assert find(str(build.id)) == {}
    settings = replace(store.projects.get("roses").settings, hidden=True)
    services.projects.put_project(ADMIN, "roses", settings)
    assert find("roses") == {}
