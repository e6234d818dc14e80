"""The database: its schema, its transactions, and what happens when it cannot be written."""

import contextlib
import errno
import gc
import os
import sqlite3
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from support.clock import StillClock
from support.factories import Factory
from support.postgresql import BOTH
from support.postgresql import database as on
from support.waiting import until

from ciserver.config import Database as DatabaseSettings
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.model.errors import Busy, Invalid
from ciserver.model.status import BuildStatus
from ciserver.store import tables
from ciserver.store.database import Database
from ciserver.store.store import Store
from ciserver.wiring import make_parts

HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


class Broken(Exception):
    """What a transaction is broken by."""


def break_after(work):
    work()
    raise Broken


@pytest.fixture
def database(tmp_path):
    made = Database(tmp_path / "one.db")
    made.migrate()
    yield made
    made.close()


def add_text(database, name):
    database.sql("INSERT INTO texts (sha256, text) VALUES (?, 'x')", (name,))


def texts(database):
    found = database.sql("SELECT sha256 FROM texts ORDER BY sha256").fetchall()
    return [row[0] for row in found]


def test_migrations_make_the_tables(database, tmp_path):
    """A migrated database and one made from the classes have the same schema."""
    straight = Database(tmp_path / "other.db")
    straight.create(tables.ALL)
    migrated = {
        name: text for name, text in database.tables().items() if "schema_migration" not in name
    }
    assert migrated == straight.tables()
    assert "builds_claimable" in migrated
    straight.close()


def test_migrating_again_changes_nothing(database):
    """A second run applies nothing and nothing is pending."""
    before = database.tables()
    assert database.migrate() == []
    assert database.pending_migrations() == []
    assert database.tables() == before


def test_pending_migrations_are_named(tmp_path):
    """A fresh database says what it lacks."""
    fresh = Database(tmp_path / "fresh.db")
    assert fresh.pending_migrations() == ["0001_initial"]
    assert fresh.migrate() == ["0001_initial"]
    fresh.close()


def test_a_transaction_is_all_or_nothing(database):
    """What was written before a failure is gone, and later writes work."""
    with pytest.raises(Broken), database.transaction():
        break_after(lambda: add_text(database, "a"))
    with database.transaction():
        add_text(database, "b")
    assert texts(database) == ["b"]


def test_the_outermost_transaction_commits(database):
    """A nested one that succeeded goes with the outer one that failed."""

    def inner():
        with database.transaction():
            add_text(database, "a")

    with pytest.raises(Broken), database.transaction():
        break_after(inner)
    assert texts(database) == []


def test_after_commit(database):
    """Rung once it is durable, at once without a transaction, never for what was rolled back."""
    rung = []
    database.after_commit(lambda: rung.append("none"))
    with database.transaction():
        with database.transaction():
            database.after_commit(lambda: rung.append("committed"))
        assert rung == ["none"]
    with pytest.raises(Broken), database.transaction():
        break_after(lambda: database.after_commit(lambda: rung.append("rolled back")))
    add_text(database, "a")
    assert rung == ["none", "committed"]


def test_threads_write_one_after_the_other(database):
    """Twenty threads that add to one counter lose nothing."""
    add_text(database, "counter")
    database.sql("UPDATE texts SET text = '0'")

    def add():
        for _ in range(10):
            with database.transaction():
                (value,) = database.sql("SELECT text FROM texts").fetchone()
                database.sql("UPDATE texts SET text = ?", (str(int(value) + 1),))
        database.close()

    threads = [threading.Thread(target=add) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.sql("SELECT text FROM texts").fetchone() == ("200",)


def test_other_errors_are_not_busy(database):
    """A fault of ours is not called a passing one."""
    with pytest.raises(Exception, match="no such table") as raised, database.transaction():
        database.sql("INSERT INTO missing VALUES (1)")
    assert not isinstance(raised.value, Busy)


def test_a_held_database_is_busy(tmp_path):
    """Locked by another process for longer than the timeout: Busy, and it works again after."""
    database = Database(tmp_path / "held.db", busy_seconds=0.2)
    database.migrate()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(database.place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Busy, match="held by another process"), database.transaction():
            add_text(database, "refused")
        assert texts(database) == []
        holder.stdin.close()
    with database.transaction():
        add_text(database, "accepted")
    assert texts(database) == ["accepted"]
    database.close()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of two megabytes."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("depth", [1, 2], ids=["outer", "inner"])
def test_a_full_disk_is_busy(small_disk, depth):
    """What was committed stays, what does not fit is refused as Busy, and room mends it."""
    store, rung = Store(small_disk), []
    store.database.migrate()
    with store.transaction():
        add_text(store.database, "kept")
    ballast = small_disk / "ballast"
    fill(ballast)
    with pytest.raises(Busy, match="cannot be written"):
        add_too_much(store, rung, depth)
    assert texts(store.database) == ["kept"]
    ballast.unlink()
    with store.transaction():
        add_text(store.database, "more")
    assert texts(store.database) == ["kept", "more"]
    assert rung == []
    assert store.database.sql("PRAGMA integrity_check").fetchone() == ("ok",)
    store.database.close()


def fill(ballast):
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass


def add_too_much(store, rung, depth):
    with store.transaction():
        store.after_commit(lambda: rung.append("committed"))
        if depth > 1:
            add_too_much(store, rung, depth - 1)
        for number in range(1000):
            add_text(store.database, f"{number} " * 1000)


def test_the_database_is_durable_and_keeps_references(database):
    """The pragmas that the promises rest on are in force: each checkpoint waits for the disk."""
    assert database.sql("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.sql("PRAGMA synchronous").fetchone() == (1,)
    assert database.sql("PRAGMA temp_store").fetchone() == (2,)  # in memory
    with pytest.raises(Exception, match="FOREIGN KEY"), database.transaction():
        database.sql("INSERT INTO hook_secrets (project_id, sealed, created_at) VALUES (9, '', 0)")


class Disk:
    """Makes files durable, and remembers what was."""

    def __init__(self):
        self.held = threading.Lock()
        self.waits = threading.Semaphore(0)
        self.synced = []

    def sync(self, file):
        found = os.fstat(file)
        self.waits.release()
        with self.held:
            os.fdatasync(file)
            self.synced.append((found.st_ino, found.st_size))


@pytest.fixture
def disk():
    return Disk()


@pytest.fixture
def synced(tmp_path, disk):
    made = Database(tmp_path / "synced.db")
    made.migrate()
    made.close()
    database = Database(tmp_path / "synced.db", sync=disk.sync)
    yield database
    database.close()


def written(database):
    """What the file that commits are written to is, and how large."""
    found = Path(f"{database.place}-wal").stat()
    return found.st_ino, found.st_size


def test_a_commit_is_durable_before_anybody_hears_of_it(synced, disk):
    """All of it was written when the disk was waited for."""
    heard = []
    with synced.transaction():
        with synced.transaction():
            add_text(synced, "a" * 10_000)
            synced.after_commit(lambda: heard.append(list(disk.synced)))
        assert not disk.synced
    assert heard == [[written(synced)]]


def test_who_does_not_ask_for_it_does_not_wait_for_the_disk(synced, disk):
    """What comes after it and is durable makes it durable too."""
    with synced.transaction(durable=False):
        add_text(synced, "a")
    assert not disk.synced
    with synced.transaction():
        add_text(synced, "b")
    assert disk.synced == [written(synced)]


def test_threads_wait_for_the_disk_together(synced, disk):
    """While one waits the others write, and the next wait is for all of them."""

    def add():
        with synced.transaction():
            add_text(synced, threading.current_thread().name)
        synced.close()

    threads = [threading.Thread(target=add) for _ in range(12)]
    with disk.held:
        threads[0].start()
        disk.waits.acquire()
        for thread in threads[1:]:
            thread.start()
        until(lambda: len(texts(synced)) == len(threads))
    for thread in threads:
        thread.join()
    assert 2 <= len(disk.synced) <= 3
    assert disk.synced[-1] == written(synced)


def test_a_disk_that_does_not_take_it_is_told(tmp_path):
    """Nobody hears of what may not be durable."""
    rung = []

    def fail(file):
        raise OSError(errno.EIO, "Input/output error")

    database = Database(tmp_path / "failing.db", sync=fail)

    def write():
        with database.transaction():
            database.sql("CREATE TABLE texts (sha256 TEXT)")
            database.after_commit(lambda: rung.append("committed"))

    with pytest.raises(Busy, match=r"cannot be written .*Input/output error"):
        write()
    assert not rung
    database.close()


def test_a_log_that_was_removed_is_not_the_one_that_is_waited_for(synced, disk):
    """SQLite removes it when the last connection goes, here with its thread, and makes another."""

    def add():
        with synced.transaction():
            add_text(synced, "a")

    thread = threading.Thread(target=add)
    thread.start()
    thread.join()
    gc.collect()
    assert not Path(f"{synced.place}-wal").exists()
    with synced.transaction():
        add_text(synced, "b")
    assert disk.synced[1:] == [written(synced)]
    assert texts(synced) == ["a", "b"]


def test_other_processes_read_while_one_writes(database):
    """A reader sees the last committed state and does not wait."""
    with database.transaction():
        add_text(database, "uncommitted")
        other = sqlite3.connect(database.place, timeout=0)
        assert other.execute("SELECT count(*) FROM texts").fetchone() == (0,)
        other.close()


def test_what_postgresql_cannot_hold_is_refused():
    """A text with the character NUL, which SQLite keeps, and a number that is too large."""
    with on("postgresql") as url:
        database = Database(url)
        for statement, value in (
            ("INSERT INTO texts (sha256, text) VALUES ('1', ?)", "a\0b"),
            ("INSERT INTO ready VALUES (1, ?, 1, 0, 1)", 2**40),
        ):
            with pytest.raises(Invalid, match="cannot be kept"), database.transaction():
                database.sql(statement, (value,))
        assert texts(database) == []
        database.close()


def test_more_threads_than_connections():
    """They wait for each other, and none is refused while they are quick."""
    with on("postgresql") as url:
        database = Database(url)
        start, seen = threading.Barrier(60), []

        def ask():
            start.wait()
            seen.append(database.sql("SELECT 1, pg_sleep(0.01)").fetchone()[0])

        threads = [threading.Thread(target=ask) for _ in range(60)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(30)
        assert seen == [1] * 60
        database.close()


def test_a_connection_that_was_cut_off_is_not_used():
    """Nobody who asks meets its end."""
    with on("postgresql") as url:
        database = Database(url)
        (first,) = database.sql("SELECT pg_backend_pid()").fetchone()
        assert database.sql("SELECT pg_backend_pid()").fetchone() == (first,)
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (first,))
        assert database.sql("SELECT pg_backend_pid()").fetchone() != (first,)
        database.close()


def test_only_what_need_not_be_durable_is_not_waited_for():
    """The next transaction of the connection waits for the disk again."""
    with on("postgresql") as url:
        database, seen = Database(url), []
        for durable in (True, False, True):
            with database.transaction(durable=durable):
                seen += database.sql("SHOW synchronous_commit").fetchone()
        assert seen == ["on", "off", "on"]
        database.close()


def test_a_password_is_not_shown():
    shown = Database("postgresql://ada:hunter22@db.example.org:5433/ci?sslmode=require").place
    assert shown == "postgresql://ada@db.example.org:5433/ci?sslmode=require"


def test_a_usual_question_is_put_into_words_once(parts, clock, store):
    """And answered as any other, each time about what it is asked for now."""
    make, asked = Factory(parts, clock), []
    ids = [make.jobset("project").id, make.jobset("other").id, 77]

    def named(jobset_id):
        asked.append(jobset_id)
        query = tables.Jobset.select(tables.Jobset, tables.Project.name.alias("of"))
        there = tables.Jobset.removed == False  # noqa: E712
        return query.join(tables.Project).where(tables.Jobset.id == jobset_id, there)

    usual = [store.database.usual(named, one) for one in ids]
    assert len(asked) == 1
    assert usual == [store.database.rows(named(one)) for one in ids]
    assert [[row["of"] for row in rows] for rows in usual] == [["project"], ["other"], []]


@pytest.mark.parametrize("kind", BOTH)
def test_a_usual_question_is_answered_as_any_other(kind, tmp_path):
    """With the same names and the same kinds of values, about any numbers, again and again."""

    def question(first, second):
        build = tables.Build
        mine = build.select(build, tables.Jobset.name.alias("called")).join(tables.Jobset)
        return mine.where(build.id << [first, second]).order_by(build.id)

    with on(kind) as url:
        parts = make_parts(
            Settings(database=DatabaseSettings(url)), DataDirectory(tmp_path / "data")
        )
        make, database = Factory(parts, StillClock()), parts.store.database
        make.build(BuildStatus.SUCCEEDED)
        ids = [make.build().id for _ in range(3)]
        for some in (ids[:2], ids[1:], [0, -1], [1, 2]):
            answer = database.usual(question, *some)
            assert answer == database.rows(question(*some))
            assert len(answer) == len([one for one in some if one > 0])
        assert isinstance(answer[0]["finished_at"], datetime)
        assert answer[0]["kept"] is False
        database.close()
