"""What was renamed is found by its old names, as far as who asks may see it."""

import pytest
from support.factories import ADMIN, make_push

from ciserver.model.account import ANONYMOUS, Visibility
from ciserver.model.project import JobsetSettings, ProjectSettings


@pytest.fixture
def rename(services):
    """Gives a project, or a jobset of one, another name."""

    def rename(old, new, jobset=""):
        if jobset:
            services.jobsets.put(ADMIN, jobset, old, JobsetSettings(), (), new_name=new)
        else:
            kept = services.rights.project(ADMIN, old).settings
            services.projects.put_project(ADMIN, old, kept, new_name=new)

    return rename


@pytest.fixture
def find(services):
    return lambda *names: services.renames.find(ADMIN, *names)


def test_a_chain_of_names(make, rename, find):
    """Each of them leads to the newest, and there and back again is no circle."""
    make.project("a")
    rename("a", "b")
    rename("b", "c")
    assert find("a") == find("b") == ("c", "")
    assert find("c") is None
    rename("c", "a")
    assert find("b") == find("c") == ("a", "")
    assert find("a") is None


def test_a_chain_of_jobsets(make, rename, find):
    """Also beneath an old name of their project."""
    make.project("p", jobset="a")
    rename("a", "b", "p")
    rename("b", "c", "p")
    rename("p", "q")
    assert find("p", "a") == find("q", "a") == find("p", "c") == ("q", "c")
    assert find("q", "c") is None
    assert find("q", "x") is None
    assert find("p", "x") == ("q", "x")


def test_what_has_the_name_now_wins(make, rename, find):
    """And when it goes, the name leads nowhere."""
    make.project("a")
    rename("a", "b")
    make.project("a")
    assert find("a") is None
    rename("a", "c")
    assert find("a") == ("c", "")
    make.project("p", jobset="x")
    rename("x", "y", "p")
    make.project("p", jobset="x")
    assert find("p", "x") is None


def test_a_name_that_was_taken_over_is_forgotten(make, services, rename, find):
    """Whoever knew it by that name knows another thing now."""
    make.project("a")
    rename("a", "b")
    make.project("a")
    services.projects.remove_project(ADMIN, "a")
    assert find("a") is None


def test_what_is_removed_is_not_found(make, services, rename, find):
    """Neither project nor jobset."""
    make.project("a", jobset="x")
    rename("a", "b")
    rename("x", "y", "b")
    services.jobsets.remove(ADMIN, "b", "y")
    assert find("b", "x") is None
    services.projects.remove_project(ADMIN, "b")
    assert find("a") is None


def test_only_who_sees_it_is_led_there(make, services, rename):
    """To others there is nothing by any name."""
    make.project("a", visibility=Visibility.PRIVATE)
    rename("a", "b")
    assert services.renames.find(ADMIN, "a") == ("b", "")
    assert services.renames.find(ANONYMOUS, "a") is None
    assert services.renames.find(make.user("rob"), "a") is None


def test_a_refused_new_name_changes_nothing(make, services, rename, find):
    """The old one is still the only one."""
    make.project("a")
    make.project("b")
    with pytest.raises(Exception, match="already a project b"):
        rename("a", "b")
    assert find("a") is None


def test_hooks_know_the_old_name(make, services, rename, store):
    """Whoever set one up need not know, and deliveries under way are signed as before."""
    secret = services.projects.watch(ADMIN, "old", "https://example.org/x.git").hook_secret
    signing = store.projects.signing_secret("old")
    rename("old", "new")
    assert services.renames.project("old") == "new"
    assert services.queries.hook_secrets(services.renames.project("old")) == (secret,)
    outcome = services.pushes.accept_push(make.received("new"), make_push())
    assert [one.jobset for one in outcome.evaluations] == ["main"]
    assert store.projects.signing_secret("old") == signing


def test_the_trail_of_a_renaming_is_the_projects(make, services, rename):
    """Its members see who gave it another name."""
    olga = make.user("olga")
    make.project("a", owner="olga", visibility=Visibility.PRIVATE)
    rename("a", "b")
    newest = services.requests.list_newest(olga, limit=1)[0]
    assert (newest.action, newest.what["project"]) == ("change-project", "a")


def test_declared_jobsets_go_with_their_project(services, make):
    """A declaration is no reason to be stuck with a name."""
    services.projects.put_project(ADMIN, "a", ProjectSettings())
    services.projects.put_project(ADMIN, "a", ProjectSettings(), new_name="b")
    assert services.queries.project(ADMIN, "b").project.name == "b"
