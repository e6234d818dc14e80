"""Watching repositories, and the secrets of their hooks."""

import pytest
from support.factories import ADMIN

from ciserver.model.errors import AlreadyExists, BadAddress, Invalid, NotFound
from ciserver.model.project import Credential

URI = "https://example.org/project.git"


@pytest.fixture
def projects(services):
    return services.projects


def test_watch(projects, services):
    """A project with one jobset, one input and a secret for the hook."""
    watched = projects.watch(ADMIN, "project", URI)
    jobset = watched.jobset
    assert (jobset.project, jobset.name, jobset.enabled) == ("project", "main", True)
    assert (jobset.source.uri, jobset.source.local) == (URI, False)
    assert services.queries.hook_secrets("project") == (watched.hook_secret,)
    assert [one.project.name for one in services.queries.list_projects(ADMIN)] == ["project"]


def test_watching_again(projects, services):
    """The same repository by another address is no change, but gives a second secret."""
    first = projects.watch(ADMIN, "project", URI)
    second = projects.watch(ADMIN, "project", "git@example.org:project")
    assert second.jobset == first.jobset
    secrets = services.queries.hook_secrets("project")
    assert secrets == (first.hook_secret, second.hook_secret)
    assert len(set(secrets)) == 2


def test_a_name_stands_for_one_repository(projects):
    """Another repository under the same name is refused with the way out."""
    projects.watch(ADMIN, "project", URI)
    with pytest.raises(AlreadyExists, match="another repository") as raised:
        projects.watch(ADMIN, "project", "https://example.org/other.git")
    assert "--name" in raised.value.hint


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "ä", "x" * 101, ".hidden"])
@pytest.mark.parametrize("refs", [("heads/*",), ("refs/heads/a b",), ()])
def test_every_fault_is_named(projects, services, name, refs):
    """Name and refs are judged together, and nothing is made."""
    with pytest.raises(Invalid) as raised:
        projects.watch(ADMIN, name, URI, refs=refs)
    assert [one.field for one in raised.value.complaints] == ["name", "refs[0]" if refs else "refs"]
    assert services.queries.list_projects(ADMIN) == ()


@pytest.mark.parametrize(
    "uri", ["file:///srv/x.git", "/srv/x.git", "http://example.org/x", "-x", "https://u:p@h/x"]
)
def test_bad_addresses(projects, services, uri):
    """An address that this server does not fetch from is refused, and nothing is made."""
    with pytest.raises(BadAddress):
        projects.watch(ADMIN, "project", uri)
    assert services.queries.list_projects(ADMIN) == ()


def test_our_own_data_cannot_be_watched(projects, parts):
    """Not even by an administrator."""
    with pytest.raises(BadAddress, match="of the server itself"):
        projects.watch(ADMIN, "project", str(parts.data.root / "x.git"), local=True)


def test_secrets_are_sealed(projects, store, parts):
    """Neither hook secrets nor credentials are in the database in the clear."""
    credential = Credential("ada", "hunter2-password")
    watched = projects.watch(ADMIN, "project", URI, credential=credential)
    signing = projects.signing_secret(ADMIN, "project")
    raw = b"".join(one.read_bytes() for one in parts.data.root.glob("ciserver.db*"))
    for secret in (watched.hook_secret, signing, "hunter2-password"):
        assert secret.encode() not in raw
    assert store.projects.credential(watched.jobset.id, URI) == (credential, False)
    assert store.projects.list_credentials(watched.jobset.id) == (credential,)


def test_what_is_hidden_in_logs(projects, make):
    """A worker is told the secrets that its log must not show."""
    watched = projects.watch(ADMIN, "project", URI, credential=Credential("ada", "hunter2"))
    make.build(jobset=watched.jobset)
    work = make.claim()
    assert work.secrets == ("hunter2",)
    assert "hunter2" not in repr(work)


def test_own_hook_secrets(projects, services):
    """A forge's own secret can be added, when it is long enough; an unknown project cannot."""
    projects.watch(ADMIN, "project", URI)
    assert projects.add_hook_secret(ADMIN, "project", "x" * 16) == "x" * 16
    assert "x" * 16 in services.queries.hook_secrets("project")
    with pytest.raises(Invalid):
        projects.add_hook_secret(ADMIN, "project", "x" * 15)
    with pytest.raises(NotFound, match="no project other"):
        projects.add_hook_secret(ADMIN, "other")
    assert services.queries.hook_secrets("other") == ()


def test_watching_again_renews_the_credential(services, admin, store):
    """A key or token that has changed is given with the same command."""
    for password in ("old-password", "new-password"):
        services.projects.watch(
            admin,
            "private",
            "https://git.example.org/team/private.git",
            credential=Credential(username="ci", password=password),
        )
    jobset = store.projects.find_jobset("private", "main")
    credential, _ = store.projects.credential(jobset.id, jobset.source.uri)
    assert credential.password == "new-password"
