"""Everything moved from one database to another: nothing is lost, and it goes on there."""

import pytest
from support.factories import ALL, Factory, make_job
from support.postgresql import empty_database, make_database

from ciserver.config import Database as Where
from ciserver.config import Settings
from ciserver.model.errors import CiError, Conflict
from ciserver.model.status import BuildStatus
from ciserver.store.database import Database
from ciserver.store.moving import move
from ciserver.wiring import make_parts


@pytest.fixture
def filled(make):
    """Rows of the usual kinds: builds that have ended, one that runs, some that wait."""
    for status in (BuildStatus.SUCCEEDED, BuildStatus.FAILED, BuildStatus.RUNNING):
        make.build(status)
    make.evaluated(make.jobset("project"), *(make_job(name=f"job-{n}") for n in range(5)))
    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request, tmp_path):
    """Of a database that has nothing."""
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path / 'target.db'}"
        return
    url = make_database()
    yield url
    empty_database(url)


@pytest.fixture
def target(address):
    made = Database(address)
    yield made
    made.close()


@pytest.fixture
def open_target(parts, address, clock):
    """Opens a server over the target, with the files and keys of the one that was moved."""
    opened = []

    def open_it():
        opened.append(make_parts(Settings(database=Where(address)), parts.data, clock=clock))
        return opened[-1]

    yield open_it
    for one in opened:
        one.store.database.close()


def builds_of(store):
    return store.builds.list_newest(ALL, before=None, limit=50).builds


def is_empty(database):
    return database.sql("SELECT count(*) FROM projects").fetchone() == (0,)


def test_everything_arrives(filled, store, target, open_target):
    told = []
    rows = move(store.database, target, lambda table, rows: told.append((table, rows)))
    assert ("builds", 8) in told
    assert rows == sum(dict(told).values())
    moved = open_target().store
    assert builds_of(moved) == builds_of(store)
    assert moved.projects.get("project") == store.projects.get("project")


def test_it_goes_on_there(filled, store, target, open_target, clock):
    """What waited is claimed, and what is made anew gets numbers after those that came along."""
    move(store.database, target, lambda *_: None)
    there = Factory(open_target(), clock)
    newest, *_, oldest = builds_of(store)[:5]
    assert there.claim().lease.build_id == oldest.id
    assert there.build(jobset=there.jobset("other")).id == newest.id + 1


def test_what_has_rows_is_not_moved_over(filled, store, target, open_target, clock):
    mine = open_target()
    Factory(mine, clock).jobset("mine")
    with pytest.raises(Conflict, match="is not empty"):
        move(store.database, target, lambda *_: None)
    assert mine.store.projects.get("mine").name == "mine"


def test_a_move_that_breaks_off_leaves_nothing(filled, store, target):
    def tell(table, rows):
        if table == "builds" and rows:
            raise OSError("broken off")

    with pytest.raises(OSError, match="broken off"):
        move(store.database, target, tell)
    assert is_empty(target)
    assert move(store.database, target, lambda *_: None)


def test_what_arrives_otherwise_is_not_kept(filled, store, target):
    """A target that changes what it is given, by a rule that somebody put there, is found out."""

    def tell(table, rows):
        if table == "builds" and rows:
            target.sql("UPDATE builds SET job = 'another' WHERE id = 1")

    with pytest.raises(CiError, match="rows of builds"):
        move(store.database, target, tell)
    assert is_empty(target)


def test_an_earlier_version_is_not_moved(tmp_path, target):
    with pytest.raises(Conflict, match="earlier version"):
        move(Database(tmp_path / "fresh.db"), target, lambda *_: None)
