"""Files that are made from the database once in a while, and kept."""

import threading
from datetime import timedelta

import pytest
from support.factories import ALL

from ciserver.model.account import Visibility
from ciserver.model.errors import Busy
from ciserver.model.status import BuildStatus

HOUR = timedelta(hours=1)
NAME = "builds.js.gz"


@pytest.fixture
def dumps(services):
    return services.dumps


def read(dump):
    with dump.file as file:
        return file.read()


def writer(*contents):
    """Writes each of these, one at a time; how often it was asked is told by what is left."""
    left = list(contents)

    def write(file):
        file.write(left.pop(0))

    write.left = left
    return write


def test_a_file_lasts_a_while(dumps, clock):
    """Then it is made again."""
    write = writer(b"first", b"second")
    made = clock.now()
    for _ in range(3):
        dump = dumps.file(NAME, lasts=HOUR, write=write)
        assert (read(dump), dump.size, dump.made_at) == (b"first", 5, made)
    clock.forward(minutes=59)
    assert read(dumps.file(NAME, lasts=HOUR, write=write)) == b"first"
    clock.forward(minutes=1)
    dump = dumps.file(NAME, lasts=HOUR, write=write)
    assert (read(dump), dump.made_at) == (b"second", clock.now())


def test_the_same_content_keeps_its_age(dumps, clock):
    """So that who has it need not have it again."""
    made = clock.now()
    write = writer(b"same", b"same")
    read(dumps.file(NAME, lasts=HOUR, write=write))
    clock.forward(hours=2)
    dump = dumps.file(NAME, lasts=HOUR, write=write)
    assert (read(dump), dump.made_at, write.left) == (b"same", made, [])


def test_a_clock_that_was_set_back(dumps, clock):
    """Does not keep a file for ever."""
    write = writer(b"first", b"second")
    read(dumps.file(NAME, lasts=HOUR, write=write))
    clock.forward(days=-3)
    assert read(dumps.file(NAME, lasts=HOUR, write=write)) == b"second"


def test_what_cannot_be_written_leaves_the_old_one(dumps, clock, store):
    """It is said, nothing half made is kept, and the next try makes it."""
    read(dumps.file(NAME, lasts=HOUR, write=writer(b"first")))
    clock.forward(hours=2)

    def full(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(Busy, match="No space left"):
        dumps.file(NAME, lasts=HOUR, write=full)
    assert [one.name for one in store.dumps.iterdir()] == [NAME]
    assert (store.dumps / NAME).read_bytes() == b"first"
    assert read(dumps.file(NAME, lasts=HOUR, write=writer(b"second"))) == b"second"


def test_one_makes_it_and_the_others_have_the_old_one(dumps, clock):
    """Nobody waits while there is one."""
    read(dumps.file(NAME, lasts=HOUR, write=writer(b"first")))
    clock.forward(hours=2)
    begun, go_on = threading.Event(), threading.Event()

    def slow(file):
        begun.set()
        assert go_on.wait(30)
        file.write(b"second")

    made = []
    maker = threading.Thread(
        target=lambda: made.append(read(dumps.file(NAME, lasts=HOUR, write=slow)))
    )
    maker.start()
    assert begun.wait(30)
    assert read(dumps.file(NAME, lasts=HOUR, write=writer())) == b"first"
    go_on.set()
    maker.join(30)
    assert made == [b"second"]
    assert read(dumps.file(NAME, lasts=HOUR, write=writer())) == b"second"


def test_what_nobody_asks_for_is_forgotten(dumps, clock, store):
    """After a day; and what a killed server left."""
    (store.dumps / "other.new").write_bytes(b"half")
    (store.dumps / "of-another-start").write_bytes(b"old")
    read(dumps.file("a", lasts=HOUR, write=writer(b"a")))
    assert [one.name for one in store.dumps.iterdir()] == ["a"]
    clock.forward(hours=25)
    read(dumps.file("b", lasts=HOUR, write=writer(b"b")))
    assert [one.name for one in store.dumps.iterdir()] == ["b"]


def test_what_ended_in_a_time(dumps, make, clock):
    """The earliest first, also of many that ended at the same moment; what is private is not."""
    jobset = make.jobset()
    since = clock.now()
    made = [make.build(BuildStatus.SUCCEEDED, jobset=jobset).id for _ in range(3)]
    clock.forward(minutes=1)
    made.append(make.build(BuildStatus.FAILED, jobset=jobset).id)
    make.build(BuildStatus.RUNNING, jobset=jobset)
    make.submitted(jobset, Visibility.PRIVATE)
    clock.forward(minutes=1)
    later = make.build(BuildStatus.SUCCEEDED, jobset=jobset).id
    assert [one.build.id for one in dumps.ended(since, clock.now())] == made
    assert [one.build.id for one in dumps.ended(clock.now(), clock.now() + HOUR)] == [later]
    assert {one.branch for one in dumps.ended(since, clock.now())} == {"main"}
    assert dumps.first_end() == since


def test_pages_of_what_ended(make, clock, store):
    """Each goes on where the one before it ended."""
    since = clock.now()
    jobset = make.jobset()
    for _ in range(3):
        for _ in range(2):
            make.build(BuildStatus.SUCCEEDED, jobset=jobset)
        clock.forward(seconds=1)
    seen, after = [], None
    while True:
        page = store.listings.ended(ALL, since, clock.now(), after=after, limit=4)
        seen += [one.id for one in page]
        if len(page) < 4:
            break
        after = (page[-1].finished_at, page[-1].id)
    assert seen == [1, 2, 3, 4, 5, 6]
