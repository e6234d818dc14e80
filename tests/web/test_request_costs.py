"""What requests and builds cost that are made all the time, in statements and memory that are
counted: time is for the bench.
"""

import gc
import sqlite3
import sys
from itertools import pairwise

import pytest
from support.factories import OFFER, Factory, done, make_job
from support.statements import calls, recorded

from ciserver.model.build import BuildResult
from ciserver.model.status import BuildStatus

FEW, MANY = 3, 60
MOST_CALLS = 130  # for one more row of a page: its build, and what is shown of that
# The most statements of a page for an administrator who is signed in, and of a call with a token.
PAGES = {
    "/": 6,
    "/all": 3,
    "/queue": 8,
    "/build/{build}": 13,
    "/project/{project}": 10,
    "/jobset/{project}/main": 11,
    "/job/{project}/main/job-1": 21,
    "/eval/{evaluation}": 18,
}
CALLS = {
    "/ci/v1/builds": 2,
    "/ci/v1/builds/{build}": 10,
    "/ci/v1/builds/{build}/steps/1/log": 5,
    "/ci/v1/evaluations/{evaluation}": 8,
    "/ci/v1/projects": 5,
    "/ci/v1/queue": 8,
    "/api/latestbuilds?nr=100": 3,
}
COMPILED = ("/ci/v1/builds/{build}", "/ci/v1/builds/{build}/steps/1/log")
PERIODS, ROUNDS = 3, 25
KEPT = 5  # objects a round that may stay: an allocator keeps some for the next time


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


@pytest.fixture
def ended(make):
    """Answers how to make an evaluation of so many builds that ended well, with its names."""

    def end_all(many):
        jobs = [make_job(name=f"job-{number}") for number in range(many)]
        made = make.evaluated(make.jobset(), *jobs)
        for _ in jobs:
            build(make)
        newest = make.store.builds.list_of_evaluation(made.id)[-1]
        return {"evaluation": made.id, "build": newest.id, "project": newest.project}

    return end_all


def build(make):
    lease = make.reporter.claim(OFFER).lease
    make.reporter.advance(lease, done(0), 1, sandbox="plain")
    make.reporter.append_log(lease, 1, 0, b"built\n")
    make.reporter.finish(lease, BuildResult(BuildStatus.SUCCEEDED), (done(1),))


def statements(client, paths, names):
    """How many each of these asks, once its usual texts are there."""
    counts = {}
    for path in paths:
        asked = path.format(**names)
        assert client.get(asked).status_code == 200
        counts[path] = len(recorded(lambda asked=asked: client.get(asked)))
    return counts


@pytest.mark.parametrize(("who", "most"), [("person", PAGES), ("script", CALLS)])
def test_a_request_asks_no_more_of_many_builds(request, ended, who, most):
    """Nothing is asked for each build, job or project that is shown."""
    client = request.getfixturevalue(who)
    few = statements(client, most, ended(FEW))
    assert {path: count for path, count in few.items() if count > most[path]} == {}
    assert statements(client, most, ended(MANY)) == few


def test_a_row_of_an_evaluation_is_shown_by_few_calls(ended, person):
    """The page has hundreds of rows, each with a status, links and times."""
    few, many = (f"/eval/{ended(many)['evaluation']}" for many in (FEW, MANY))
    for page in (few, many):
        person.get(page)  # what is done once
    costs = [calls(lambda page=page: person.get(page)) for page in (few, many)]
    assert (costs[1] - costs[0]) / (MANY - FEW) < MOST_CALLS


def compiled(store, act):
    """How often SQLite looks up what a statement is about, which it does to compile it."""
    looks = []
    database = store.database.connection()
    database.set_authorizer(lambda *about: looks.append(about) or sqlite3.SQLITE_OK)
    try:
        act()  # compiles what was compiled without being looked at
        looks.clear()
        act()
    finally:
        database.set_authorizer(None)
    return len(looks)


def test_what_is_asked_all_the_time_is_compiled_once(ended, make, script):
    """SQLite does so again where a value is given that an index of some of the rows has."""
    names = ended(FEW)
    for path in COMPILED:
        asked = path.format(**names)
        assert compiled(make.store, lambda asked=asked: script.get(asked)) == 0, path


def grown(act):
    """Objects that each round leaves. What is made once is not made in all of the periods."""
    counts = []
    for _ in range(PERIODS + 1):
        for _ in range(ROUNDS):
            act()
        gc.collect()
        counts.append(sys.getallocatedblocks())
    return min(later - earlier for earlier, later in pairwise(counts)) / ROUNDS


def test_a_request_leaves_nothing_in_memory(ended, script):
    """Whatever it took."""
    names = ended(FEW)
    for path in CALLS:
        assert grown(lambda path=path: script.get(path.format(**names))) < KEPT, path


def test_a_build_leaves_nothing_in_memory(make):
    """From its claim to its end."""
    make.evaluated(
        make.jobset(), *(make_job(name=f"job-{n}") for n in range((PERIODS + 1) * ROUNDS))
    )
    assert grown(lambda: build(make)) < KEPT
