"""Pushes become requested evaluations once, or are ignored for a reason."""

import threading
from dataclasses import replace

import pytest
from support.factories import ALL, MAIN, NEW, OLD, make_push
from support.postgresql import on_both

from ciserver.model.errors import Forbidden, NotFound
from ciserver.model.evaluation import Kind
from ciserver.model.push import ZERO, RefChange
from ciserver.model.status import EvaluationStatus

TAG = RefChange("refs/tags/v1", ZERO, NEW)


@pytest.fixture
def pushes(make, services):
    make.jobset("project")
    return services.pushes


@pytest.fixture
def count(store):
    def count(table):
        return store.database.sql(f"SELECT count(*) FROM {table}").fetchone()[0]

    return count


def test_a_push_requests_an_evaluation(pushes, make, store):
    """The evaluation is of the pushed revision, and names who pushed."""
    outcome = pushes.accept_push(make.received(), make_push(pusher="ada", options=("debug",)))
    (one,) = outcome.evaluations
    assert (one.jobset, one.ref, outcome.ignored) == ("main", MAIN, "")
    made = store.evaluations.get(one.id)
    assert made.status is EvaluationStatus.REQUESTED
    assert (made.kind, made.revision, made.requested_by) == (Kind.PUSH, NEW, "ada")
    assert (made.number, made.options) == (1, ("debug",))


def test_the_same_delivery_has_the_same_outcome(pushes, make, count, clock):
    """A delivery that comes again, even a day later, changes nothing and gets the same answer."""
    received = make.received()
    first = pushes.accept_push(received, make_push())
    clock.forward(days=1)
    again = replace(received, received_at=clock.now(), body_sha256="other")
    assert pushes.accept_push(again, make_push()) == first
    assert (count("pushes"), count("evaluations")) == (1, 1)


def test_an_ignored_push_is_remembered_too(pushes, make, count):
    """The reason is the same when it comes again."""
    received, push = make.received(), make_push(RefChange(MAIN, OLD, ZERO))
    first = pushes.accept_push(received, push)
    assert first.ignored
    assert pushes.accept_push(received, push) == first
    assert count("pushes") == 1


@pytest.mark.parametrize(("minutes", "rows"), [(4, 1), (6, 2)])
def test_the_same_body(pushes, make, count, clock, minutes, rows):
    """The same bytes under another id are the same push for five minutes."""
    first = pushes.accept_push(make.received(body_sha256="same"), make_push())
    clock.forward(minutes=minutes)
    second = pushes.accept_push(make.received(body_sha256="same"), make_push())
    assert (second == first) == (rows == 1)
    assert count("pushes") == rows


def test_ids_of_other_doors_and_projects_are_others(pushes, make, count):
    """A delivery id means nothing elsewhere."""
    make.jobset("second")
    for project, door in (("project", "generic"), ("project", "github"), ("second", "generic")):
        made = pushes.accept_push(make.received(project, door=door, delivery_id="1"), make_push())
        assert made.evaluations
    assert count("pushes") == 3


def test_a_flood_of_one_delivery(pushes, make, count, store):
    """Fifty threads with the same delivery make one evaluation and get one answer."""
    received, outcomes, start = make.received(), [], threading.Barrier(50)

    def accept():
        start.wait()
        outcomes.append(pushes.accept_push(received, make_push()))
        store.database.close()

    threads = [threading.Thread(target=accept) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 50
    assert len(set(outcomes)) == 1
    assert (count("pushes"), count("evaluations")) == (1, 1)


def test_an_unknown_project(pushes, make):
    """A push for a project that is not there is refused, naming it."""
    with pytest.raises(NotFound, match="no project stranger"):
        pushes.accept_push(make.received("stranger"), make_push())


def test_a_foreign_repository(pushes, make, count):
    """A push of a repository that the project does not watch is refused and leaves no row."""
    push = make_push(repositories=("https://example.org/other.git",))
    with pytest.raises(Forbidden, match="does not watch"):
        pushes.accept_push(make.received(), push)
    assert count("pushes") == 0


@pytest.mark.parametrize(
    "uri",
    ["git@example.org:project.git", "ssh://git@example.org/project", "https://EXAMPLE.org/project"],
)
def test_a_repository_by_another_address(pushes, make, uri):
    """The watched repository is known by each of its addresses."""
    push = make_push(repositories=("https://elsewhere.example/x", uri))
    assert pushes.accept_push(make.received(), push).evaluations


@on_both
@pytest.mark.parametrize("what", ["remove", "remove_inputs"])
def test_a_project_that_watches_nothing(pushes, make, store, what):
    """Without jobsets, or with one that has no inputs, a push is ignored, and one of a repository
    is foreign.
    """
    getattr(store.jobsets, what)(store.jobsets.get_by_name("project", "main").id)
    ignored = pushes.accept_push(make.received(), make_push()).ignored
    assert ignored == f"no jobset watches {MAIN}"
    with pytest.raises(Forbidden, match="does not watch"):
        pushes.accept_push(make.received(), make_push(repositories=("/srv/git/other.git",)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (RefChange(MAIN, OLD, ZERO), "refs/heads/main was deleted"),
        (RefChange("refs/notes/x", OLD, NEW), "no jobset watches refs/notes/x"),
    ],
)
def test_ignored_refs(pushes, make, count, services, admin, change, reason):
    """A push that asks for nothing says why, and the reason can be read later."""
    outcome = pushes.accept_push(make.received(), make_push(change))
    assert (outcome.ignored, outcome.evaluations) == (reason, ())
    assert count("evaluations") == 0
    (shown,) = services.queries.jobset(admin, "project", "main").ignored
    assert (shown.reason, shown.refs) == (reason, (change.ref,))


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("project", "project project is disabled"),
        ("jobset", "every jobset that watches refs/heads/main is disabled"),
    ],
)
def test_disabled(pushes, make, store, what, reason):
    """A disabled project or jobset builds nothing and says so."""
    make.disable(store.jobsets.get_by_name("project", "main"), what)
    assert pushes.accept_push(make.received(), make_push()).ignored == reason


def test_a_push_of_nothing(pushes, make):
    """A push without a change is ignored for that."""
    nothing = replace(make_push(), changes=())
    assert pushes.accept_push(make.received(), nothing).ignored == "the push changes no ref"


def test_several_refs(pushes, make, store):
    """Each watched ref gets its evaluation; the others are noted."""
    push = make_push(RefChange(MAIN, OLD, NEW), TAG, RefChange("refs/heads/gone", OLD, ZERO))
    outcome = pushes.accept_push(make.received(), push)
    made = [store.evaluations.get(one.id) for one in outcome.evaluations]
    assert [(one.ref, one.kind) for one in made] == [(MAIN, Kind.PUSH), (TAG.ref, Kind.TAG)]
    assert outcome.ignored == ""
    assert outcome.notes == ("refs/heads/gone was deleted",)


def test_several_jobsets(pushes, make):
    """Each jobset that watches the ref gets its own evaluation."""
    make.jobset("project", "nightly")
    outcome = pushes.accept_push(make.received(), make_push())
    assert sorted(one.jobset for one in outcome.evaluations) == ["main", "nightly"]


def test_two_requests_while_one_waits_are_one(pushes, make, count, clock, services):
    """The same revision of the same ref is not evaluated twice while the first request waits."""
    first = pushes.accept_push(make.received(), make_push())
    second = pushes.accept_push(make.received(), make_push())
    assert first.evaluations == second.evaluations
    assert (count("pushes"), count("evaluations")) == (2, 1)
    make.store.evaluations.claim(clock.now(), clock.forward(minutes=1))
    third = pushes.accept_push(make.received(), make_push())
    assert third.evaluations != first.evaluations


def test_options_make_a_request_another_one(pushes, make, count):
    """What is asked for differently is asked for twice."""
    pushes.accept_push(make.received(), make_push())
    pushes.accept_push(make.received(), make_push(options=("submit=.ci/*.yml",)))
    assert count("evaluations") == 2


def test_the_evaluation_loop_is_rung(parts, pushes, make):
    """Whoever evaluates is woken once the rows are there, and only when there is work."""
    rung = []
    parts.bells.evaluations.on_ring(
        lambda: rung.append(len(make.store.evaluations.list_open(ALL, 9)))
    )
    pushes.accept_push(make.received(), make_push(RefChange(MAIN, OLD, ZERO)))
    assert rung == []
    pushes.accept_push(make.received(), make_push())
    assert rung == [1]
