"""What is asked for and performed later: rows first, in their order, exactly once."""

import subprocess
import sys

import pytest
from support.factories import ADMIN, ALL, MAIN
from support.postgresql import on_both

from ciserver.model.account import Right
from ciserver.model.build import Offer
from ciserver.model.errors import (
    BuildAlreadyFinished,
    BuildAlreadyStarted,
    Busy,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
)
from ciserver.model.evaluation import Kind, Wish
from ciserver.model.project import JobsetSettings
from ciserver.model.request import Action, RequestStatus
from ciserver.model.status import BuildStatus, EvaluationStatus
from ciserver.store.store import Store

B = BuildStatus
PENDING, DONE, FAILED = RequestStatus
TWO = {
    ".builds/a.yml": "image: host\ntasks:\n  - build: echo a\n",
    ".builds/b.yml": "image: host\ntasks:\n  - build: echo b\nwhen:\n  kinds: [nightly]\n",
}


@pytest.fixture
def requests(services):
    return services.requests


@pytest.fixture
def perform(requests):
    """Perform whatever waits; answers how many there were."""

    def perform():
        count = 0
        while requests.perform_next():
            count += 1
        return count

    return perform


@pytest.fixture
def mia(make):
    """Somebody with an account and no rights yet."""
    return make.user("mia")


def row(requests, request_id):
    return requests.get(ADMIN, request_id)


# -- asked ----------------------------------------------------------------------------------------


def test_asked_and_not_done_yet(requests, make, parts, clock):
    """The answer is the number of a row that waits; whoever performs is woken then."""
    rung = []
    parts.bells.requests.on_ring(lambda: rung.append(len(requests.list_newest(ADMIN, limit=99))))
    build, before = make.build(), len(requests.list_newest(ADMIN, limit=99))
    asked = requests.ask_cancel(ADMIN, build.id, asked_as="DELETE build")
    assert rung == [before + 1]
    told = row(requests, asked)
    assert (told.action, told.asked_as, told.who) == (Action.CANCEL_BUILD, "DELETE build", "root")
    assert (told.status, told.what, told.requested_at) == (PENDING, {"build": 1}, clock.now())
    assert (told.completed_at, told.message, told.created) == (None, "", ())
    assert make.store.builds.get(build.id).status is B.QUEUED


def test_listed_newest_first(requests, make):
    """In pages, and those of some kinds only where they are named."""
    build = make.build()
    asked = [requests.ask_reprioritize(ADMIN, build.id, one) for one in range(3)]
    canceled = requests.ask_cancel(ADMIN, build.id)
    newest = [one.id for one in requests.list_newest(ADMIN, limit=2)]
    assert newest == [canceled, asked[2]]
    assert [one.id for one in requests.list_newest(ADMIN, limit=2, offset=2)] == asked[1::-1]
    named = requests.list_newest(ADMIN, limit=9, actions=[Action.REPRIORITIZE])
    assert [one.id for one in named] == asked[::-1]


@pytest.mark.parametrize("count", [0, -1, 101])
def test_how_many_builds_may_be_asked_for(requests, make, count):
    """One to a hundred."""
    build = make.build(B.SUCCEEDED)
    with pytest.raises(Invalid) as refused:
        requests.ask_rebuild(ADMIN, build.id, priority=0, count=count)
    assert [one.field for one in refused.value.complaints] == ["count"]


def test_priorities_have_a_bound(requests, make, mia):
    """Only administrators go over ten, and nobody without end."""
    build = make.build()
    make.store.members.set(1, "mia", [Right.BUMP, Right.EVALUATE])
    assert requests.ask_reprioritize(mia, build.id, 10)
    assert requests.ask_reprioritize(mia, build.id, -1_000_000)
    assert requests.ask_reprioritize(ADMIN, build.id, 1_000_000)
    for actor, priority in ((mia, 11), (mia, -1_000_001), (ADMIN, 1_000_001)):
        with pytest.raises(Invalid, match="priority"):
            requests.ask_reprioritize(actor, build.id, priority)
        with pytest.raises(Invalid, match="priority"):
            requests.ask_rebuild(actor, build.id, priority=priority, count=1)


def test_what_is_under_way_cannot_be_put_elsewhere(requests, make):
    """It is said at once, before a row waits in vain."""
    with pytest.raises(BuildAlreadyStarted):
        requests.ask_reprioritize(ADMIN, make.build(B.RUNNING).id, 1)
    with pytest.raises(BuildAlreadyFinished):
        requests.ask_reprioritize(ADMIN, make.build(B.FAILED).id, 1)


def test_each_needs_its_right(requests, make, mia):
    """The right to do it is the right to ask for it."""
    build = make.build()
    jobset = make.store.jobsets.get(build.jobset_id)
    asks = {
        Right.CANCEL: [
            lambda: requests.ask_cancel(mia, build.id),
            lambda: requests.ask_cancel_revision(mia, jobset, "2222"),
        ],
        Right.BUMP: [lambda: requests.ask_reprioritize(mia, build.id, 1)],
        Right.EVALUATE: [
            lambda: requests.ask_rebuild(mia, build.id, priority=0, count=1),
            lambda: requests.ask_evaluation(mia, jobset, "2" * 40),
        ],
    }
    for right, mine in asks.items():
        make.store.members.set(jobset.project_id, "mia", set(Right) - {right})
        for ask in mine:
            with pytest.raises(Forbidden, match=f"the right to {right}"):
                ask()
        make.store.members.set(jobset.project_id, "mia", [right])
        for ask in mine:
            assert ask()


# -- performed ------------------------------------------------------------------------------------


def test_cancel(requests, perform, make, clock):
    """The build is canceled by who asked, and the row says so."""
    build = make.build()
    asked = requests.ask_cancel(ADMIN, build.id)
    clock.forward(seconds=5)
    assert perform() == 1
    told = make.store.builds.get(build.id)
    assert (told.status, told.canceled_by) == (B.CANCELED, "root")
    done = row(requests, asked)
    assert (done.status, done.message) == (DONE, f"{build.id}: Ok")
    assert done.completed_at == clock.now()


def test_cancel_of_what_has_ended(requests, perform, make):
    """It is done already: no failure, and the build stays what it is."""
    build = make.build(B.SUCCEEDED)
    asked = requests.ask_cancel(ADMIN, build.id)
    perform()
    told = row(requests, asked)
    assert (told.status, told.message) == (DONE, f"build {build.id} is complete, nothing to do")
    assert make.store.builds.get(build.id) == build


def test_cancel_a_revision(requests, perform, make):
    """Whatever of it has not ended, by its first digits; nothing of others."""
    jobset = make.jobset()
    ended = make.build(B.SUCCEEDED, jobset=jobset)
    mine = [make.submitted(jobset).id, make.submitted(jobset).id]
    other = make.build(jobset=jobset).id
    elsewhere = make.submitted(make.jobset()).id
    asked = requests.ask_cancel_revision(ADMIN, jobset, "2222")
    perform()
    statuses = {one.id: one.status for one in make.services.queries.builds(ADMIN).builds}
    assert {one for one, status in statuses.items() if status is B.CANCELED} == set(mine)
    assert (statuses[ended.id], statuses[other]) == (B.SUCCEEDED, B.QUEUED)
    assert statuses[elsewhere] is B.QUEUED
    assert sorted(row(requests, asked).message.splitlines()) == [f"{one}: Ok" for one in mine]


def test_rebuild(requests, perform, make):
    """New builds of the same job and revision, at the priority that was asked for."""
    build = make.build(B.FAILED, name="tool")
    asked = requests.ask_rebuild(ADMIN, build.id, priority=4, count=3)
    perform()
    made = [make.store.builds.get(one) for one in row(requests, asked).created]
    assert len(made) == 3
    for one in made:
        assert (one.job, one.revision, one.ref) == ("tool", build.revision, MAIN)
        assert (one.status, one.priority, one.requested_by) == (B.QUEUED, 4, "root")
        assert (one.rebuild_of, one.group_id) == (build.id, one.id)
    assert make.store.builds.get(build.id) == build
    assert make.store.evaluations.get(build.evaluation_id).builds_total == 4


def test_reprioritize(requests, perform, make):
    """The build goes before those of less priority."""
    jobset = make.jobset()
    first, second = make.build(jobset=jobset), make.build(jobset=jobset)
    requests.ask_reprioritize(ADMIN, second.id, 3)
    perform()
    assert make.claim().lease.build_id == second.id
    assert make.claim().lease.build_id == first.id


def test_in_their_order(requests, perform, make):
    """What was asked last is performed last."""
    build, other = make.build(), make.build()
    asked = [requests.ask_reprioritize(ADMIN, build.id, one) for one in (5, 9, 7)]
    rebuilt = [requests.ask_rebuild(ADMIN, one.id, priority=0, count=1) for one in (other, build)]
    assert perform() == 5
    assert make.store.builds.get(build.id).priority == 7
    assert {row(requests, one).status for one in asked} == {DONE}
    first, second = (row(requests, one).created for one in rebuilt)
    assert first < second


def test_a_failing_one_stops_no_other(requests, perform, make):
    """The reason is in its row, and the next one is performed."""
    build, other = make.build(image="a"), make.build(image="b")
    failing = requests.ask_reprioritize(ADMIN, build.id, 5)
    following = requests.ask_reprioritize(ADMIN, other.id, 5)
    make.claim(Offer("local-0", (build.system,), ("a",)))
    assert perform() == 2
    told = row(requests, failing)
    assert (told.status, told.message) == (FAILED, f"build {build.id} is starting")
    assert row(requests, following).status is DONE
    assert make.store.builds.get(other.id).priority == 5


def test_a_priority_for_what_has_ended_meanwhile(requests, perform, make):
    """It is of no use any more, which is no failure."""
    build = make.build()
    asked = requests.ask_reprioritize(ADMIN, build.id, 5)
    make.services.builds.cancel(ADMIN, build.id)
    perform()
    told = row(requests, asked)
    assert (told.status, told.message) == (DONE, f"build {build.id} is complete, nothing to do")


def test_what_is_gone_meanwhile(requests, perform, make):
    """A build that was deleted, a jobset that was removed: said, and no crash."""
    build, jobset = make.build(B.SUCCEEDED), make.jobset()
    asked = [
        requests.ask_rebuild(ADMIN, build.id, priority=0, count=1),
        requests.ask_cancel_revision(ADMIN, jobset, "2222"),
        requests.ask_evaluation(ADMIN, jobset, "2" * 40),
    ]
    make.services.builds.delete(ADMIN, build.id)
    make.services.jobsets.remove(ADMIN, jobset.project, jobset.name)
    perform()
    told = [row(requests, one) for one in asked]
    assert {one.status for one in told} == {FAILED}
    name = jobset.full_name
    assert [one.message for one in told] == [
        f"there is no build {build.id}",
        f"there is no jobset {name}",
        f"there is no jobset {name}",
    ]


# -- killed performers ----------------------------------------------------------------------------


PERFORMER = """
import sys
from pathlib import Path
from ciserver.config import Database, Settings
from ciserver.datadir import DataDirectory
from ciserver.wiring import make_parts

requests = make_parts(
    Settings(database=Database(sys.argv[2])), DataDirectory(Path(sys.argv[1]))
).services.requests
print("ready", flush=True)
sys.stdin.readline()
while requests.perform_next():
    print("performed", flush=True)
"""


def start_performer(parts):
    """A process that performs what waits once it is told to."""
    return subprocess.Popen(
        [sys.executable, "-c", PERFORMER, str(parts.data.root), parts.settings.database.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@on_both
def test_two_processes_perform_each_request_once_and_in_order(requests, make, parts):
    """Whichever of them does it."""
    build = make.build(B.SUCCEEDED)
    asked = [requests.ask_rebuild(ADMIN, build.id, priority=n, count=2) for n in range(12)]
    performers = [start_performer(parts) for _ in range(2)]
    for one in performers:
        assert one.stdout.readline() == "ready\n"
    for one in performers:
        one.stdin.write("\n")
        one.stdin.flush()
    performed = [one.communicate(timeout=60)[0].count("performed") for one in performers]
    assert sum(performed) == len(asked)
    created = [made for one in asked for made in row(requests, one).created]
    assert len(created) == 24
    assert created == sorted(created)
    assert [row(requests, one).status for one in asked] == [DONE] * 12
    assert make.store.evaluations.get(build.evaluation_id).builds_total == 25


@pytest.mark.usefixtures("sqlite_alone")
def test_a_slow_performer_is_waited_for(requests, perform, make, parts):
    """However long it takes: who comes meanwhile does not perform the same, nor what is newer."""
    build = make.build(B.SUCCEEDED)
    asked = [requests.ask_rebuild(ADMIN, build.id, priority=0, count=1) for _ in range(2)]
    impatient = Store(parts.data.root)
    impatient.database.sql("PRAGMA busy_timeout = 10")
    with make.store.transaction():
        assert requests.perform_next()
        with pytest.raises(Busy), impatient.transaction():
            impatient.requests.oldest()
    with impatient.transaction():
        assert impatient.requests.oldest().id == asked[1]
    impatient.database.close()
    assert perform() == 1
    assert [len(row(requests, one).created) for one in asked] == [1, 1]


@on_both
def test_a_performer_killed_at_its_work(requests, perform, make, parts):
    """By kill -9 before its transaction ends: nothing of it is there, and the request waits and is
    performed at once, before what is newer.
    """
    build = make.build(B.SUCCEEDED)
    asked = [requests.ask_rebuild(ADMIN, build.id, priority=0, count=3) for _ in range(2)]
    half = PERFORMER.replace(
        "while requests.perform_next():\n",
        "with requests._store.transaction():\n    requests.perform_next()\n",
    ).replace('print("performed", flush=True)', 'print("performed", flush=True); sys.stdin.read()')
    performer = subprocess.Popen(
        [sys.executable, "-c", half, str(parts.data.root), parts.settings.database.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert performer.stdout.readline() == "ready\n"
    performer.stdin.write("\n")
    performer.stdin.flush()
    assert performer.stdout.readline() == "performed\n"
    performer.kill()
    performer.communicate(timeout=30)
    assert row(requests, asked[0]).status is PENDING
    assert make.store.evaluations.get(build.evaluation_id).builds_total == 1
    assert perform() == 2
    first, second = (row(requests, one).created for one in asked)
    assert (len(first), len(second), first < second) == (3, 3, True)


@pytest.mark.usefixtures("sqlite_alone")
def test_broken_between_the_change_and_its_row(requests, perform, make):
    """The change and the outcome are one: neither is there, and later both are, once."""
    build = make.build(B.SUCCEEDED)
    asked = requests.ask_rebuild(ADMIN, build.id, priority=0, count=2)
    make.store.database.sql(
        "CREATE TRIGGER broken BEFORE UPDATE OF status ON job_requests"
        " BEGIN SELECT RAISE(ABORT, 'power cut'); END"
    )
    with pytest.raises(Exception, match="power cut"):
        requests.perform_next()
    assert row(requests, asked).status is PENDING
    assert make.store.evaluations.get(build.evaluation_id).builds_total == 1
    make.store.database.sql("DROP TRIGGER broken")
    assert perform() == 1
    assert len(row(requests, asked).created) == 2
    assert make.store.evaluations.get(build.evaluation_id).builds_total == 3


@pytest.mark.usefixtures("sqlite_alone")
def test_a_crash_is_on_record(requests, perform, make):
    """A fault of the server itself is told by an incident, half a change is none."""
    build = make.build(B.SUCCEEDED)
    asked = requests.ask_rebuild(ADMIN, build.id, priority=0, count=2)
    make.store.database.sql(
        "CREATE TRIGGER broken AFTER INSERT ON builds BEGIN SELECT RAISE(ABORT, 'odd'); END"
    )
    assert perform() == 1
    told = row(requests, asked)
    assert told.status is FAILED
    assert "crashed inside the server (incident " in told.message
    assert "odd" not in told.message
    assert make.store.evaluations.get(build.evaluation_id).builds_total == 1


# -- evaluations ----------------------------------------------------------------------------------


@pytest.fixture
def jobset(watched):
    return watched.jobset


@pytest.fixture
def evaluate(services, perform):
    """Perform, evaluate, and answer the newest evaluation."""

    def evaluate():
        perform()
        while services.evaluations.evaluate_next():
            pass
        view = services.queries.jobset(ADMIN, "project", "main")
        return view.evaluations.evaluations[0]

    return evaluate


def head(repository):
    return (repository.bare / "refs/heads/main").read_text().strip()


def test_complete_when_the_evaluation_is(requests, perform, services, jobset, repository, clock):
    """Only then is it known what was made; the row names the builds."""
    revision = head(repository)
    asked = requests.ask_evaluation(ADMIN, jobset, revision)
    assert perform() == 1
    assert (row(requests, asked).status, perform()) == (PENDING, 0)
    clock.forward(minutes=30)
    assert perform() == 0
    assert services.evaluations.evaluate_next()
    told = row(requests, asked)
    builds = services.lists.of_revision(ADMIN, jobset, revision)
    assert (told.status, told.message, told.completed_at) == (DONE, "Ok", clock.now())
    assert told.created == tuple(one.id for one in builds)
    assert len(builds) == 1
    assert (builds[0].requested_by, builds[0].kind) == ("root", Kind.API)


def test_what_is_wished(requests, evaluate, jobset, repository, store, services):
    """Only the jobs that are named, whatever their filters say, with more variables, at another
    priority.
    """
    revision = repository.commit(TWO)
    repository.push()
    wish = Wish(("b",), {"FLAVOR": "sweet"}, 6)
    asked = requests.ask_evaluation(ADMIN, jobset, revision, kind=Kind.PERIODIC, wish=wish)
    evaluation = evaluate()
    (build,) = store.builds.list_of_evaluation(evaluation.id)
    assert (build.job, build.priority, build.kind) == ("b", 6, Kind.PERIODIC)
    assert row(requests, asked).created == (build.id,)
    assert services.queries.build(ADMIN, build.id).job.environment == {"FLAVOR": "sweet"}


def test_a_job_that_is_not_there(requests, evaluate, jobset, repository, store):
    """The request fails, and says which."""
    wish = Wish(("build", "rocket"))
    asked = requests.ask_evaluation(ADMIN, jobset, head(repository), wish=wish)
    evaluation = evaluate()
    assert evaluation.status is EvaluationStatus.FAILED
    told = row(requests, asked)
    assert (told.status, told.created) == (FAILED, ())
    assert "no job rocket" in told.message
    assert store.builds.list_of_evaluation(evaluation.id) == ()


def test_a_recipe_with_faults(requests, evaluate, jobset, repository):
    """What is wrong with it is what the request failed of."""
    revision = repository.commit({".build.yml": "image: host\ntaks: []\n"})
    repository.push()
    asked = requests.ask_evaluation(ADMIN, jobset, revision)
    evaluate()
    told = row(requests, asked)
    assert told.status is FAILED
    assert ".build.yml: taks" in told.message


def test_nothing_to_build(requests, evaluate, jobset, repository):
    """That is no failure; the row says why nothing was made."""
    revision = repository.commit({".build.yml": TWO[".builds/b.yml"]})
    repository.push()
    asked = requests.ask_evaluation(ADMIN, jobset, revision)
    evaluate()
    told = row(requests, asked)
    assert (told.status, told.created) == (DONE, ())
    assert "left out by its filters" in told.message


def test_a_revision_that_is_nowhere(requests, evaluate, jobset):
    """It is known only when the repository was asked."""
    asked = requests.ask_evaluation(ADMIN, jobset, "f" * 40)
    evaluate()
    told = row(requests, asked)
    assert told.status is FAILED
    assert "f" * 40 in told.message


def test_two_who_ask_for_the_same(requests, evaluate, jobset, repository, store):
    """One evaluation answers both."""
    asked = [requests.ask_evaluation(ADMIN, jobset, head(repository)) for _ in range(2)]
    evaluation = evaluate()
    made = tuple(one.id for one in store.builds.list_of_evaluation(evaluation.id))
    assert evaluation.number == 1
    assert [row(requests, one).created for one in asked] == [made, made]


def test_a_jobset_that_is_removed_while_it_waits(requests, perform, services, jobset, repository):
    """The request does not wait for ever."""
    asked = requests.ask_evaluation(ADMIN, jobset, head(repository))
    perform()
    services.jobsets.remove(ADMIN, "project", "main")
    told = row(requests, asked)
    assert (told.status, told.message) == (FAILED, "its jobset was removed")
    assert not services.evaluations.evaluate_next()


def test_the_first_digits_of_a_revision(requests, make, evaluate, jobset, repository):
    """They are enough where the jobset knows it, and where only one begins so."""
    revision = head(repository)
    requests.ask_evaluation(ADMIN, jobset, revision)
    evaluate()
    asked = requests.ask_evaluation(ADMIN, jobset, revision[:7])
    assert row(requests, asked).what["revision"] == revision
    make.evaluation(jobset, revision="abcd" + "1" * 36)
    make.evaluation(jobset, revision="abcd" + "2" * 36)
    with pytest.raises(Invalid, match="not clear"):
        requests.ask_evaluation(ADMIN, jobset, "abcd")
    with pytest.raises(NotFound, match="no revision 12345"):
        requests.ask_evaluation(ADMIN, jobset, "12345")
    for text in ("", "abc", "HEAD", "ABCDEF", "../../x"):
        with pytest.raises(Invalid, match="cannot be used"):
            requests.ask_evaluation(ADMIN, jobset, text)


def test_a_jobset_without_a_repository(requests, make):
    """There is nothing to evaluate."""
    jobset = make.project("bare")
    with pytest.raises(Conflict, match="has no repository"):
        requests.ask_evaluation(ADMIN, jobset, "2" * 40)
    assert make.store.evaluations.list_open(ALL, 9) == ()


def test_a_jobset_with_another_name(requests, services, perform, jobset, repository):
    """A request names what it is about; where that has another name now, it fails."""
    asked = requests.ask_evaluation(ADMIN, jobset, head(repository))
    settings = JobsetSettings(recipe_input="source")
    services.jobsets.put(ADMIN, "project", "main", settings, jobset.inputs, new_name="trunk")
    perform()
    told = row(requests, asked)
    assert (told.status, told.message) == (FAILED, "there is no jobset project:main")
