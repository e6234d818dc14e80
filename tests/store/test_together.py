"""What several threads want written at the same moment is one transaction, and each its own act."""

import threading
from contextlib import contextmanager

import pytest
from support.postgresql import on_both

from ciserver.store.together import Together

THREADS = 12


class Counted:
    """Transactions of the store, of which the first is held up until it is let go."""

    def __init__(self, store):
        self.store, self.count = store, 0
        self.began, self.goes_on = threading.Event(), threading.Event()

    @contextmanager
    def transaction(self):
        self.count += 1
        with self.store.transaction():
            yield
            self.began.set()
            self.goes_on.wait()


class Refused(Exception):
    """What an act refuses with."""


@pytest.fixture
def counted(store):
    return Counted(store)


def perform_at_once(counted, acts):
    """The first begins, the others come meanwhile; answers what each got, by its place."""
    together, got = Together(counted.transaction), {}
    coming = threading.Semaphore(0)

    def run(place, act):
        coming.release()
        try:
            got[place] = together.perform(act)
        except Refused as refusal:
            got[place] = refusal
        counted.store.database.close()

    threads = [threading.Thread(target=run, args=one) for one in enumerate(acts)]
    threads[0].start()
    counted.began.wait()
    for thread in threads[1:]:
        thread.start()
    for _ in threads:
        coming.acquire()
    counted.goes_on.set()
    for thread in threads:
        thread.join()
    return [got[place] for place in range(len(acts))]


def write(store, name):
    store.database.sql("INSERT INTO texts (sha256, text) VALUES (?, 'x')", (name,))
    return name


def texts(store):
    found = store.database.sql("SELECT sha256 FROM texts ORDER BY sha256").fetchall()
    return [row[0] for row in found]


@on_both
def test_threads_share_a_transaction(store, counted):
    """Each gets its own answer, and all is written, by far fewer transactions."""
    names = [f"text-{number:02}" for number in range(THREADS)]
    acts = [lambda name=name: write(store, name) for name in names]
    assert perform_at_once(counted, acts) == names
    assert texts(store) == names
    assert counted.count < THREADS / 2


@on_both
def test_what_is_refused_is_no_fault_of_others(store, counted):
    """One of several is refused: nothing of it is written, and all of the others."""

    def refuse():
        write(store, "refused")
        raise Refused

    names = [f"text-{number:02}" for number in range(THREADS)]
    acts = [*(lambda name=name: write(store, name) for name in names), refuse]
    *answers, refusal = perform_at_once(counted, acts)
    assert isinstance(refusal, Refused)
    assert answers == names
    assert texts(store) == names


def test_one_alone_is_refused_at_once(store, counted):
    """What it did is not done a second time."""
    tried = []

    def refuse():
        tried.append("once")
        raise Refused

    with pytest.raises(Refused):
        Together(counted.transaction).perform(refuse)
    assert tried == ["once"]
