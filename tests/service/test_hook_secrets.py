"""Hook secrets stay open in memory; what another server changes counts for the next push."""

import itertools

import pytest
from support.factories import ADMIN
from support.postgresql import on_both
from support.sender import Sender

from ciserver.datadir import DataDirectory
from ciserver.wiring import make_parts

pytestmark = on_both

OLDEST = "(SELECT min(id) FROM hook_secrets)"
NEWEST = "(SELECT max(id) FROM hook_secrets)"


@pytest.fixture
def secret(watched, taken):
    """That of the project, which this server has in memory."""
    assert taken(watched.hook_secret)
    return watched.hook_secret


@pytest.fixture
def other(parts, clock):
    """Another server over the same rows, with nothing in memory."""
    made = make_parts(parts.settings, DataDirectory(parts.data.root), clock=clock)
    yield made
    made.store.database.close()


@pytest.fixture
def taken(parts, clock, repository):
    """Whether this server takes a push that is signed so; each is a delivery of its own."""
    numbers = itertools.count()

    def taken(secret, project="project"):
        sender = Sender(parts.app, clock, secret, str(repository.bare), project=project)
        answer = sender.push(delivery=f"msg_{next(numbers)}")
        assert answer.status_code in {202, 403}
        return answer.status_code == 202

    return taken


def add(other):
    return other.services.projects.add_hook_secret(ADMIN, "project")


def add_and_remove(other):
    made = add(other)
    other.store.database.sql(f"DELETE FROM hook_secrets WHERE id = {OLDEST}")
    return made


def remove_and_add(other):
    """SQLite gives the new row the number of the old one."""
    other.store.database.sql("DELETE FROM hook_secrets")
    return add(other)


def write_over(other):
    """As many rows as before, with the same numbers."""
    made, sealed = add(other), f"SELECT sealed FROM hook_secrets WHERE id = {NEWEST}"
    other.store.database.sql(f"UPDATE hook_secrets SET sealed = ({sealed}) WHERE id = {OLDEST}")
    other.store.database.sql(f"DELETE FROM hook_secrets WHERE id = {NEWEST}")
    return made


@pytest.mark.parametrize("change", [add_and_remove, remove_and_add, write_over])
def test_a_secret_that_another_server_replaced(secret, other, taken, change):
    """The old one signs nothing any more, and the new one does at once."""
    new = change(other)
    assert [taken(secret), taken(new)] == [False, True]


def test_one_more_secret_by_another_server(secret, other, taken):
    """Both are in force, and each is gone by itself."""
    new = add(other)
    assert [taken(secret), taken(new)] == [True, True]
    other.store.database.sql(f"DELETE FROM hook_secrets WHERE id = {NEWEST}")
    assert [taken(secret), taken(new)] == [True, False]


def test_a_project_that_another_server_removed(secret, other, taken, repository):
    """Nor does its secret sign pushes to the next project of its name."""
    other.services.projects.remove_project(ADMIN, "project")
    assert not taken(secret)
    watched = other.services.projects.watch(ADMIN, "project", str(repository.bare), local=True)
    assert [taken(secret), taken(watched.hook_secret)] == [False, True]


def test_a_project_that_another_server_renamed(secret, other, taken, repository):
    """Its secret goes with it, by the old name until that is another project's."""
    settings = other.store.projects.get("project").settings
    other.services.projects.put_project(ADMIN, "project", settings, new_name="moved")
    assert [taken(secret), taken(secret, "moved")] == [True, True]
    new = other.services.projects.watch(ADMIN, "project", str(repository.bare), local=True)
    assert [taken(secret), taken(new.hook_secret)] == [False, True]
    assert [taken(secret, "moved"), taken(new.hook_secret, "moved")] == [True, False]


def test_another_key_changes_no_secret(secret, other, taken):
    """Whatever step of it pushes come in at; and what is changed after it counts at once."""
    steps = [taken(secret) for _ in other.store.resealing.run(at_once=1)]
    assert steps == [True] * len(steps)
    assert taken(secret)
    new = write_over(other)
    assert [taken(secret), taken(new)] == [False, True]
