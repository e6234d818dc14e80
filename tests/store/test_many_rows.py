"""Many rows that are written some dozens a statement: exactly these, in their order."""

import pytest
from support.factories import make_job
from support.statements import recorded

from ciserver.store.arrivals import Texts

# How many rows, and how many statements write them.
SHARED = pytest.mark.parametrize(
    ("many", "statements"), [(0, 0), (1, 1), (50, 1), (51, 2), (120, 3)]
)
INSERT = "INSERT INTO texts (sha256, text)"


def written(question, table):
    """How many statements put rows into the table."""
    start = f"INSERT INTO {table} "
    return sum(one[0].strip().startswith(start) for one in recorded(question))


@SHARED
def test_each_row_is_written_once(store, many, statements):
    """With its own values, and what each of them returns is answered."""
    rows = [(f"name-{number}", f"text {number}") for number in range(many)]
    returned = []

    def write():
        ending = "RETURNING text, sha256"
        returned.extend(store.database.sql_of_rows(INSERT, "(?, ?)", iter(rows), ending))

    assert written(write, "texts") == statements
    found = store.database.sql("SELECT sha256, text FROM texts").fetchall()
    assert sorted(found) == sorted(rows)
    assert sorted(returned) == sorted((text, name) for name, text in rows)


@SHARED
def test_what_is_there_already_is_passed_over(store, many, statements):
    """The others of its statement are written."""
    texts = [f"text {number}" for number in range(many)]
    half = store.queue.add_texts(texts[::2])
    hashes = []
    assert written(lambda: hashes.extend(store.queue.add_texts(texts)), "texts") == statements
    assert hashes[::2] == half
    found = store.database.sql("SELECT sha256, text FROM texts").fetchall()
    assert sorted(found) == sorted(zip(hashes, texts, strict=True))


@SHARED
def test_builds_that_come_in_together(make, store, many, statements):
    """Each is of its own job, with the next id and the next number of that, and is counted."""
    jobset = make.jobset()
    before = make.build(jobset=jobset, name="job-0")
    evaluation = make.evaluation(jobset)
    jobs = [make_job(name=f"job-{number % 70}", priority=number) for number in range(many)]
    ids = []

    def bring():
        with store.transaction():
            texts = Texts(store.queue.add_text("{}"))
            with store.queue.arrivals(evaluation, make.clock.now(), many) as arrivals:
                ids.extend(arrivals.add(job, texts) for job in jobs)

    assert written(bring, "builds") == statements
    assert ids == list(range(before.id + 1, before.id + 1 + many))
    found = {one.id: one for one in store.builds.list_of_evaluation(evaluation.id)}
    assert sorted(found) == ids
    told = [(found[one].job, found[one].priority) for one in ids]
    assert told == [(one.name, one.priority) for one in jobs]
    # Of the first job there was a build already.
    numbers = [1 + number // 70 + (number % 70 == 0) for number in range(many)]
    assert [found[one].number for one in ids] == numbers
    (counted,) = store.database.sql("SELECT builds FROM requesters").fetchone()
    assert counted == 1 + many
    after = make.build(jobset=jobset, name="job-0")
    assert after.id == before.id + 1 + many
    assert after.number == 2 + sum(one.name == "job-0" for one in jobs)


@SHARED
def test_needs_of_many_builds(make, store, many, statements):
    """Each pair once, also one that is told twice."""
    jobs = [make_job(name=f"job-{number}") for number in range(many + 1)]
    made = make.evaluated(None, *jobs)
    first, *others = sorted(one.id for one in store.builds.list_of_evaluation(made.id))

    def add():
        with store.transaction():
            store.gates.add_needs((one, first) for one in others)

    for _ in range(2):
        assert written(add, "needs") == statements
        assert sorted(store.gates.dependents(first)) == others
        assert store.gates.needs_of_evaluation(made.id) == dict.fromkeys(others, (first,))
