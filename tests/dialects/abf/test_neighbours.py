"""What clients ask for beside lists and products: platforms, refs, and what is looked for."""

import pytest
from dialects.abf.playing import NOT_FOUND
from support.repositories import git


@pytest.fixture
def platform():
    """As it stands in a list."""
    return {
        "id": 1,
        "name": "evil_tools",
        "visibility": "open",
        "platform_type": "main",
        "url": "/api/v1/platforms/1.json",
    }


def test_platforms_are_projects(anybody, ivan, product, hidden, platform):
    """Those that may be seen, in pages; there is one type of them."""
    listed = anybody.get("/api/v1/platforms.json")
    assert listed.json == {
        "platforms": [{**platform, "distrib_type": "", "repositories": []}],
        "url": "/api/v1/platforms.json",
    }
    assert anybody.get("/api/v1/platforms/platforms_for_build.json").json == listed.json
    names = [one["name"] for one in ivan.get("/api/v1/platforms.json").json["platforms"]]
    assert names == ["evil_tools", "secrets"]
    for query, count in {"type=main": 2, "type=personal": 0, "type=": 2}.items():
        found = ivan.get("/api/v1/platforms.json", query_string=query)
        assert len(found.json["platforms"]) == count, query
    second = ivan.get("/api/v1/platforms.json", query_string="per_page=1&page=2")
    assert [one["name"] for one in second.json["platforms"]] == ["secrets"]
    assert 'rel="prev"' in second.headers["link"]
    assert ivan.get("/api/v1/platforms.json", query_string="page=9").json["platforms"] == []


def test_a_platform(anybody, product, hidden, platform):
    """By its number."""
    answer = anybody.get("/api/v1/platforms/1.json")
    shown = answer.json["platform"]
    assert {key: shown[key] for key in platform} == platform
    assert answer.json["url"] == platform["url"]
    assert (shown["owner"]["uname"], shown["description"]) == ("ivan", "Tools")
    assert (shown["created_at"], shown["released"]) == (1772366400, False)
    for number in (hidden.project_id, 0, 99, "abc"):
        answer = anybody.get(f"/api/v1/platforms/{number}.json")
        assert (answer.status_code, answer.json) == (404, NOT_FOUND)


def test_refs_are_those_that_were_built(ivan, anybody, product, create, repository, commit, hidden):
    """Branches and tags by their short names, at their commits; annotated tags, too."""
    path = f"/api/v1/projects/{product.project_id}/refs_list.json"
    assert anybody.get(path).json == {"refs_list": [], "url": path}
    git(repository.tree, "tag", "-a", "v1", "-m", "One")
    repository.push("v1")
    create(commit_hash=None, project_version="main")
    create(commit_hash=None, project_version="v1")
    assert anybody.get(path).json["refs_list"] == [
        {"ref": "main", "object": {"type": "commit", "sha": commit}},
        {"ref": "v1", "object": {"type": "tag", "sha": commit}},
    ]
    for number in (hidden.project_id, 99):
        answer = anybody.get(f"/api/v1/projects/{number}/refs_list.json")
        assert (answer.status_code, answer.json) == (404, NOT_FOUND)


def test_search(anybody, ivan, product, hidden):
    """Projects and platforms with the text in their name; of what may be seen."""

    def names(client, **query):
        found = client.get("/api/v1/search.json", params=query).json
        assert found["url"] == "/api/v1/search.json"
        return {kind: [one["name"] for one in list_] for kind, list_ in found["results"].items()}

    every = {"projects": ["evil_tools"], "platforms": ["evil_tools"], "users": [], "groups": []}
    assert names(anybody, query="tool") == names(anybody, query="tool", type="all") == every
    assert names(anybody, query="EVIL", type="projects") == {"projects": ["evil_tools"]}
    assert names(anybody, query="secret", type="platforms") == {"platforms": []}
    assert names(ivan, query="secret", type="platforms") == {"platforms": ["secrets"]}
    assert names(anybody, query="evil", type="nonsense") == {}
    for nothing in ("", "none", "%", "'; --", "x" * 300):
        assert names(anybody, query=nothing, type="projects") == {"projects": []}, nothing
    (found,) = anybody.get("/api/v1/search.json", params={"query": "evil"}).json["results"][
        "projects"
    ]
    assert (found["id"], found["fullname"]) == (product.project_id, "ivan/evil_tools")


def test_each_of_them_has_a_tag(anybody, product):
    """Clients keep what they read, and rely on it."""
    for path in ("platforms", "platforms/1", "projects/1/refs_list", "search?query=evil"):
        address, _, query = path.partition("?")
        url = f"/api/v1/{address}.json"
        tag = anybody.get(url, query_string=query).headers["etag"]
        again = anybody.get(url, query_string=query, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
