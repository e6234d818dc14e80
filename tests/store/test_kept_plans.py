"""PostgreSQL keeps the plans of what is asked often in the same words, and of nothing else."""

import psycopg
import pytest
from support.factories import ALL, Factory, done, make_job
from support.postgresql import database as on
from support.postgresql import drop_database, make_database

from ciserver.config import Database as DatabaseSettings
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.model.build import BuildResult
from ciserver.model.status import BuildStatus
from ciserver.store import tables
from ciserver.store.database import Database
from ciserver.wiring import make_parts

OFTEN = 14  # times after which whatever may keep its plan does
TEXT = "SELECT text FROM texts WHERE sha256 = ?"


@pytest.fixture
def database():
    with on("postgresql") as url:
        made = Database(url)
        yield made
        made.close()


@pytest.fixture
def desk(tmp_path, clock):
    """The services over a database that the test may alter, of which it has one connection."""
    url = make_database()
    settings = Settings(database=DatabaseSettings(url))
    parts = make_parts(settings, DataDirectory(tmp_path / "data"), clock=clock)
    yield Factory(parts, clock)
    parts.store.database.close()
    drop_database(url)


def kept(database):
    """The statements whose plans the connection of this thread keeps, each as often as it does."""
    asked = "SELECT statement FROM pg_prepared_statements"
    return sorted(row[0] for row in database.connection().execute(asked, prepare=False))


def ask(database, times=OFTEN):
    for number in range(times):
        database.sql(TEXT, (f"{number}",)).fetchall()


def build(make, jobset, times=OFTEN):
    """From what is asked for to the end, as a worker tells it."""
    for _ in range(times):
        make.evaluated(jobset, make_job())
        lease = make.claim().lease
        make.reporter.advance(lease, done(0), 1, sandbox="plain")
        make.reporter.finish(lease, BuildResult(BuildStatus.SUCCEEDED), (done(1),))


def test_what_is_asked_often_keeps_its_plan(database):
    """One for all values, and none before it is asked often."""
    ask(database, 2)
    assert kept(database) == []
    ask(database)
    assert kept(database) == [TEXT.replace("?", "$1")]
    ask(database, 100)
    assert len(kept(database)) == 1


def test_a_kept_plan_is_for_any_values(database):
    """The server plans it once, too, not each time for the values that it is asked for."""
    ask(database)
    connection = database.connection()
    names = connection.execute("SELECT name FROM pg_prepared_statements", prepare=False)
    (name,) = names.fetchone()
    plan = connection.execute(f"EXPLAIN EXECUTE {name} ('one')", prepare=False).fetchall()
    assert "$1" in str(plan)
    assert "one" not in str(plan)


def test_what_is_asked_once_in_its_words_keeps_none(database):
    """Or there would be a plan for each number of values."""
    for many in range(1, OFTEN):
        marks = ", ".join("?" * many)
        names = [f"{number}" for number in range(many)]
        database.sql(f"SELECT text FROM texts WHERE sha256 IN ({marks})", names).fetchall()
    assert kept(database) == []


def by_name(name):
    return tables.Text.select().where(tables.Text.sha256 == name)


def test_lists_keep_no_plan(database):
    """How they are best read depends on their values, also where their words are kept."""
    for number in range(OFTEN):
        database.rows(by_name(f"{number}"))
        database.usual(by_name, f"{number}")
    assert kept(database) == []


def test_what_has_one_row_keeps_its_plan(database):
    """There is one way to look it up, whatever it is about."""
    for number in range(OFTEN):
        assert database.usual_row(by_name, f"{number}") is None
    (statement,) = kept(database)
    assert statement.endswith('WHERE ("t1"."sha256" = $1)')


def test_many_builds_keep_no_more_plans_than_some(desk):
    """One for each statement of their way, such as the claim; the lists beside them keep none."""
    jobset, database = desk.jobset(), desk.store.database
    build(desk, jobset)
    before = kept(database)
    assert [one for one in before if "SET status = 'starting'" in one]
    assert len(before) == len(set(before))
    build(desk, jobset)
    for _ in range(OFTEN):
        assert desk.store.builds.list_newest(ALL, before=None, limit=50).builds
        assert desk.store.builds.list_of_evaluation(1)
    assert kept(database) == before


def test_a_table_is_altered_while_its_plans_are_kept(desk):
    """A later migration may give every table a column and another index beside a server."""
    jobset, database = desk.jobset(), desk.store.database
    build(desk, jobset)
    before = kept(database)
    with psycopg.connect(database.place, autocommit=True) as other:
        for table in tables.ALL:
            name = table._meta.table_name
            other.execute(f"ALTER TABLE {name} ADD COLUMN later BIGINT NOT NULL DEFAULT 0")
            other.execute(f"CREATE INDEX {name}_later ON {name} (later)")
        other.execute("DROP INDEX builds_claimable")
    build(desk, jobset)
    assert kept(database) == before
    newest = desk.store.builds.list_newest(ALL, before=None, limit=1).builds
    assert (newest[0].status, newest[0].number) == (BuildStatus.SUCCEEDED, 2 * OFTEN)
