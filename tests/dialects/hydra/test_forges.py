"""Pushes that GitHub and Gitea tell of at Hydra's addresses."""

import hashlib
import hmac
import json
from dataclasses import replace

import falcon.testing
import pytest
from support.factories import ADMIN, MAIN, NEW, OLD

from ciserver.model.evaluation import Kind
from ciserver.model.project import Input, JobsetMode, JobsetSettings, ProjectSettings

SECRET = "correct-horse-battery-staple"
HUB = "https://github.com/nixos/hydra.git"
TEA = "https://tea.example.org/nixos/hydra.git"


@pytest.fixture
def put(services, store):
    """A project with jobsets that are fed with a repository, and with secrets of its own."""

    def put(project, uri=HUB, *secrets, jobset="main", mode=JobsetMode.ON, ref="HEAD", **rest):
        if store.projects.find(project) is None:
            services.projects.watch(ADMIN, project, f"https://example.org/{project}.git")
            for one in secrets or (SECRET,):
                services.projects.add_hook_secret(ADMIN, project, one)
        settings = JobsetSettings(recipe_input="src", mode=mode)
        services.jobsets.put(ADMIN, project, jobset, settings, (Input("src", uri, ref, **rest),))

    return put


@pytest.fixture
def tell(parts):
    """A forge that tells of something; answers status and JSON."""

    def tell(body, secret=SECRET, forge="github", **headers):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if secret is not None:
            digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            name = "X-Hub-Signature-256" if forge == "github" else "X-Gitea-Signature"
            headers[name] = ("sha256=" if forge == "github" else "") + digest
        answer = falcon.testing.TestClient(parts.app).simulate_post(
            f"/api/push-{forge}", body=body, headers=headers
        )
        assert answer.headers["content-type"].partition(";")[0] == "application/json"
        return answer.status_code, answer.json

    return tell


def push(ref=MAIN, new=NEW, **repository):
    repository = repository or {"owner": {"login": "nixos"}, "name": "hydra"}
    return {"ref": ref, "before": OLD, "after": new, "repository": repository}


@pytest.fixture
def requested(services):
    def found():
        waiting = services.queries.queue(ADMIN).evaluations
        return {(f"{one.project}:{one.jobset}", one.kind, one.revision) for one in waiting}

    return found


def triggered(*names):
    return 200, {"jobsetsTriggered": list(names)}


def test_a_push_to_github(put, tell, requested):
    """What was pushed is evaluated, in each project that the secret is for."""
    put("nix")
    put("hydra")
    put("others", HUB, "another-secret-of-theirs")
    put("elsewhere", "https://github.com/nixos/other.git")
    assert tell(push()) == triggered("hydra:main", "nix:main")
    pushed = {("hydra:main", Kind.PUSH, NEW), ("nix:main", Kind.PUSH, NEW)}
    assert requested() == pushed


def test_a_push_to_gitea(put, tell, requested):
    """Without a prefix of the signature; the repository by its address."""
    put("nix", TEA)
    for uri in (TEA, TEA.removesuffix(".git")):
        body = push(clone_url=uri, new=hashlib.sha1(uri.encode()).hexdigest())
        assert tell(body, forge="gitea") == triggered("nix:main")
    assert len(requested()) == 2
    ssh = push(ssh_url="git@tea.example.org:nixos/hydra.git", new="3" * 40)
    assert tell(ssh, forge="gitea") == triggered("nix:main")


def test_the_branch_counts(put, tell):
    """A push that a jobset does not watch is none of its business."""
    put("nix", watch=("refs/heads/release",))
    put("nix", jobset="all", ref=MAIN)
    assert tell(push()) == triggered("nix:all")
    assert tell(push("refs/heads/release", "3" * 40)) == triggered("nix:all", "nix:main")
    assert tell(push("refs/heads/release", "0" * 40)) == triggered()


def test_a_delivery_counts_once(put, tell, requested):
    """The same answer, and no second evaluation."""
    put("nix")
    number = {"X-GitHub-Delivery": "72d3162e"}
    for _ in range(2):
        assert tell(push(), **number) == triggered("nix:main")
    assert len(requested()) == 1
    assert tell(push(new="3" * 40), **number) == triggered("nix:main")
    assert len(requested()) == 1


@pytest.mark.parametrize("secret", ["old-secret-of-it", "new-secret-of-it"])
def test_secrets_change_one_after_the_other(put, tell, secret):
    """Each of them signs while it is there."""
    put("nix", HUB, "old-secret-of-it", "new-secret-of-it")
    assert tell(push(), secret) == triggered("nix:main")


def test_what_tells_no_ref(put, tell, requested):
    """As little as Hydra needs: every jobset that is plainly on is looked at anew."""
    put("nix")
    put("nix", jobset="off", mode=JobsetMode.OFF)
    put("nix", jobset="one-shot", mode=JobsetMode.ONE_SHOT)
    for owner in ({"login": "nixos"}, {"name": "nixos"}):
        body = {"repository": {"owner": owner, "name": "hydra"}}
        assert tell(body) == triggered("nix:main")
    assert requested() == {("nix:main", Kind.API, "")}


def test_what_is_no_push(put, tell, requested):
    """A ping is answered, and nothing else happens."""
    put("nix")
    for event in ("ping", "issues", "create"):
        assert tell(push(), **{"X-GitHub-Event": event}) == triggered()
    assert requested() == set()
    assert tell(push(), **{"X-GitHub-Event": "push"}) == triggered("nix:main")


@pytest.mark.parametrize("forge", ["github", "gitea"])
def test_who_is_refused(put, tell, requested, forge):
    """In Hydra's words; who has no secret is refused whatever they send."""
    put("nix", HUB)
    put("tea", TEA)
    body = push(clone_url=HUB if forge == "github" else TEA)
    bad = 401, {"error": "Invalid webhook signature"}
    assert tell(body, None, forge) == (401, {"error": "Missing webhook signature"})
    assert tell(b"", SECRET, forge) == (400, {"error": "Empty request body"})
    assert tell(b"", None, forge) == (401, {"error": "Missing webhook signature"})
    for secret in ("wrong", ""):
        assert tell(body, secret, forge) == bad
    assert tell(push(clone_url="https://example.org/none.git"), SECRET, forge) == bad
    for odd in (b"{", b"[]", b"{}", b'{"repository": []}', b'{"repository": {"name": 5}}', b"\xff"):
        assert tell(odd, SECRET, forge) == bad
    assert requested() == set()


def test_a_project_without_a_secret(services, tell):
    """Nobody can sign for it, with an empty secret neither."""
    settings = JobsetSettings(recipe_input="src")
    services.projects.put_project(ADMIN, "nix", ProjectSettings())
    services.jobsets.put(ADMIN, "nix", "main", settings, (Input("src", HUB),))
    assert tell(push(), "")[0] == 401


def test_a_push_that_is_signed_well_and_cannot_be_used(put, tell, requested):
    """Everything that is wrong with it is told."""
    put("nix")
    status, told = tell({**push("main", "x"), "before": OLD})
    assert (status, told["jobsetsTriggered"]) == (400, [])
    assert {one["field"] for one in told["errors"]} == {"ref", "after"}
    assert requested() == set()


def test_only_posts(anybody):
    for forge in ("github", "gitea"):
        answer = anybody.ask("GET", f"/api/push-{forge}")
        assert (answer.status_code, "POST" in answer.headers["allow"]) == (405, True)


def test_a_project_that_is_off(put, tell, store, requested):
    put("nix")
    found = store.projects.get("nix")
    with store.transaction():
        settings = replace(found.settings, enabled=False)
        store.projects.change(found.id, found.name, found.owner, settings)
    assert tell(push()) == triggered()
    assert tell({"repository": {"owner": {"login": "nixos"}, "name": "hydra"}}) == triggered()
    assert requested() == set()
