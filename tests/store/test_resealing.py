"""Another key for all that is sealed: nothing is lost, whenever it is killed."""

import os
import signal
import subprocess
import sys

import peewee
import pytest
from cryptography.fernet import Fernet
from support.factories import ADMIN, Factory

from ciserver.model.errors import BadConfiguration
from ciserver.model.project import Credential
from ciserver.model.secret import Holder
from ciserver.service.secrets import GivenSecret
from ciserver.store import resealing
from ciserver.store import tables as t
from ciserver.store.store import Store

CREDENTIAL = Credential("ada", "pass-word", "a key", "pass-phrase")
# Sealed columns have these names; whatever else holds bytes is told here.
NOT_SEALED = set()


@pytest.fixture
def sealed(parts, clock):
    """A store with something in every sealed column; answers what it holds."""
    make, services = Factory(parts, clock), parts.services
    jobset = make.jobset("one")
    with parts.store.transaction():
        parts.store.jobsets.set_credential(jobset.id, "example.org/one", CREDENTIAL)
    services.projects.add_hook_secret(ADMIN, "one", "whsec_0123456789abcdef")
    for number in range(3):
        file = GivenSecret("plaintext_file", b"hunter%d" % number, f"name-{number}", "~/x")
        services.secrets.add_to_project(ADMIN, "one", file)
    return contents(parts.store)


def contents(store):
    jobset = store.jobsets.get_by_name("one", "main")
    holder = Holder(project_id=jobset.project_id)
    names = [one.name for one in store.secrets.list_of(holder)]
    return (
        store.projects.signing_secret("one"),
        store.projects.hook_secrets("one"),
        store.jobsets.list_credentials(jobset.id),
        {name: one.value for name, one in store.secrets.open(holder, names).items()},
    )


@pytest.fixture
def reopen(parts):
    """The store as another process has it."""
    opened = []

    def one():
        opened.append(Store(parts.data.root, parts.settings.database.url))
        return opened[-1]

    yield one
    for store in opened:
        store.database.close()


def keys_of(root):
    return (root / "secret.key").read_bytes().split()


def blobs():
    """Every column that holds bytes."""
    return {
        column
        for table in t.ALL
        for column in table._meta.sorted_fields
        if isinstance(column, peewee.BlobField)
    }


def test_every_sealed_column_is_sealed_anew():
    """A new one cannot be forgotten."""
    assert blobs() == set(resealing.SEALED) | NOT_SEALED


def test_everything_is_sealed_with_a_new_key(parts, sealed, reopen):
    """The old key is gone, and opens nothing any more."""
    (old,) = keys_of(parts.data.root)
    list(parts.store.resealing.run())
    (new,) = keys_of(parts.data.root)
    assert new != old
    assert (parts.data.root / "secret.key").stat().st_mode & 0o777 == 0o600
    assert contents(reopen()) == sealed
    for column in resealing.SEALED:
        table = column.model
        for row in parts.store.database.rows(table.select(column.alias("sealed"))):
            assert row["sealed"] is None or Fernet(new).decrypt(bytes(row["sealed"]))


def test_a_server_that_runs_notices(parts, sealed, clock, reopen):
    """What it opens and what it seals goes on, before, within and after."""
    beside = reopen()
    project_id = beside.projects.get("one").id
    assert contents(beside) == sealed
    for _ in parts.store.resealing.run():
        assert contents(beside) == sealed
        with beside.transaction():
            beside.projects.add_hook_secret(project_id, "more", clock.now())
        sealed = contents(beside)
    assert contents(beside) == contents(reopen()) == sealed
    assert len(sealed[1]) > 3


def test_what_was_begun_is_ended(parts, sealed, reopen):
    """Stopped after any step, everything opens, and the next run brings no third key."""
    steps = len(list(parts.store.resealing.run(at_once=2)))
    assert steps > 4
    for stop_after in range(1, steps):
        running = parts.store.resealing.run(at_once=2)
        for _ in range(stop_after):
            next(running)
        running.close()
        assert len(keys_of(parts.data.root)) == 2
        assert contents(reopen()) == sealed
        list(reopen().resealing.run())
        assert len(keys_of(parts.data.root)) == 1
        assert contents(parts.store) == sealed


def test_a_killed_run_loses_nothing(parts, sealed, reopen):
    """Killed for real, wherever it was."""
    program = (
        "import sys, pathlib; from ciserver.store.store import Store\n"
        "store = Store(pathlib.Path(sys.argv[1]), sys.argv[2])\n"
        "while True:\n"
        "    for _ in store.resealing.run(at_once=1): print('.', flush=True)\n"
    )
    for wanted in (1, 3, 6, 10):
        url = parts.settings.database.url
        command = [sys.executable, "-c", program, str(parts.data.root), url]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
            for _ in range(wanted):
                running.stdout.readline()
            os.kill(running.pid, signal.SIGKILL)
        assert contents(reopen()) == sealed
    list(parts.store.resealing.run())
    assert len(keys_of(parts.data.root)) == 1
    assert contents(parts.store) == sealed


def test_what_no_key_opens_stops_it(parts, sealed, reopen):
    """Both keys stay, so that nothing is lost by it."""
    with parts.store.transaction():
        parts.store.database.sql("UPDATE hook_secrets SET sealed = ? WHERE id = 1", (b"ab",))
    with pytest.raises(BadConfiguration, match="cannot be opened"):
        list(parts.store.resealing.run())
    assert len(keys_of(parts.data.root)) == 2
    assert reopen().projects.signing_secret("one") == sealed[0]
