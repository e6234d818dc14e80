"""Schedules that a recipe declares: in force from the push to the default branch on."""

from datetime import timedelta

import pytest
import yaml
from support.factories import ADMIN, MAIN, make_push
from support.repositories import git
from support.statements import asked

from ciserver.model.errors import Invalid
from ciserver.model.push import RefChange
from ciserver.model.schedule import ScheduleKind, Timing
from ciserver.model.status import EvaluationStatus
from ciserver.service.declarations import declare_schedules

NIGHTLY = {"cron": "0 3 * * *", "zone": "Europe/Berlin"}
PGO = {"kind": "pgo", "hours": [1, 7, 13, 19], "minutes": [30]}
PERIODIC = {"kind": "periodic", "every": 90, "last_good": True}


def recipe(*schedules, **changes):
    keys = {"image": "host", "tasks": [{"build": "echo built"}], "schedules": list(schedules)}
    return yaml.safe_dump({**keys, **changes})


@pytest.fixture
def push(repository, services, make, store):
    """Commit a recipe, push it and evaluate the push; answers the evaluation."""
    repository.commit({"README": "hello\n"}, "First")
    repository.push()
    services.projects.watch(ADMIN, "project", str(repository.bare), local=True)

    def push(*schedules, ref=MAIN, options=(), message="Change", files=None, **changes):
        files = files or {".build.yml": recipe(*schedules, **changes)}
        revision = repository.commit(files, message)
        repository.push(f"HEAD:{ref}")
        change = make_push(RefChange(ref, "0" * 40, revision), options=options)
        outcome = services.pushes.accept_push(make.received(), change)
        while services.evaluations.evaluate_next():
            pass
        return store.evaluations.get(outcome.evaluations[0].id)

    return push


@pytest.fixture
def declared(services):
    """The schedules that are in force."""
    return lambda: [one.schedule for one in services.schedules.list_all(ADMIN)]


def test_a_push_puts_them_in_force(push, declared, clock):
    """With what they say, and what their kind does where they say nothing."""
    push(NIGHTLY, PGO, PERIODIC)
    nightly, pgo, periodic = declared()
    assert nightly.timing == Timing(cron="0 3 * * *", zone="Europe/Berlin")
    assert pgo.timing == Timing(hours=(1, 7, 13, 19), minutes=(30,))
    assert periodic.timing == Timing(every_seconds=90 * 60)
    kinds = [(one.kind.value, one.only_if_changed, one.last_good) for one in declared()]
    assert kinds == [
        ("nightly", True, False),
        ("pgo", True, False),
        ("periodic", False, True),
    ]
    assert {(one.declared_by, one.ref) for one in declared()} == {(".build.yml", "HEAD")}
    assert pgo.next_due_at == clock.now() + timedelta(hours=1, minutes=30)


def test_they_are_fired(push, declared, clock, services, store):
    """A declared schedule is one like any other."""
    pushed = push(PERIODIC)
    clock.forward(minutes=90)
    assert services.schedules.fire_due() == 1
    assert services.evaluations.evaluate_next()
    (firing,) = store.schedules.list_firings(declared()[0].id, 10)
    assert store.evaluations.get(firing.evaluation_id).revision == pushed.revision


def test_later_pushes_change_and_remove_them(push, declared, clock, services, store):
    """What stays keeps its number, its history, its pause and its next due moment."""
    push(NIGHTLY, PGO, PERIODIC)
    nightly, pgo, _ = declared()
    clock.forward(minutes=90)
    services.schedules.fire_due()
    services.schedules.pause(ADMIN, nightly.id, paused=True)
    push(NIGHTLY, {**PGO, "minutes": [45]})
    kept, changed = declared()
    assert (kept.id, kept.paused) == (nightly.id, True)
    assert changed.id != pgo.id
    assert changed.timing.minutes == (45,)
    assert len(store.schedules.list_firings(pgo.id, 10)) == 1
    push(NIGHTLY)
    assert [one.id for one in declared()] == [nightly.id]
    push()
    assert declared() == []


def test_an_overdue_one_that_stays_is_overdue(push, declared, clock, services):
    """A push between the due moment and its firing does not lose it."""
    push(PERIODIC)
    clock.forward(minutes=95)
    push(PERIODIC, NIGHTLY)
    assert services.schedules.fire_due() == 1


def test_a_recipe_that_is_removed(push, declared, repository):
    """It declares nothing any more."""
    push(NIGHTLY)
    git(repository.tree, "rm", "-q", ".build.yml")
    assert push(files={"README": "more\n"}).status is EvaluationStatus.SKIPPED
    assert declared() == []


def test_several_files_declare(push, declared):
    """The schedules of a jobset are those of all its recipe files."""
    push(files={".builds/a.yml": recipe(NIGHTLY), ".builds/b.yml": recipe(NIGHTLY, PGO)})
    assert [one.declared_by for one in declared()] == [
        ".builds/a.yml",
        ".builds/b.yml",
        ".builds/b.yml",
    ]


def test_the_same_twice_is_one(push, declared):
    """Or a due moment would be built twice."""
    push(NIGHTLY, NIGHTLY)
    (one,) = declared()
    push(NIGHTLY, NIGHTLY, PGO)
    assert [each.kind.value for each in declared()] == ["nightly", "pgo"]
    assert declared()[0].id == one.id


@pytest.mark.parametrize(
    "other",
    [
        {"ref": "refs/heads/topic"},
        {"ref": "refs/tags/v1"},
        {"options": ("submit=.build.yml",)},
        {"message": "Typo [skip ci]"},
        {"message": "Typo DONTBUILD"},
        {"image": 3},
    ],
    ids=str,
)
def test_what_does_not_touch_them(push, declared, other):
    """Other branches, tags, pushes that choose recipes, that ask for no builds, or whose recipe
    has faults.
    """
    push(NIGHTLY)
    before = declared()
    push(PGO, **other)
    assert declared() == before
    push(PGO)
    assert [one.kind.value for one in declared()] == ["pgo"]


def test_those_of_people_stay(push, declared, services):
    """A push neither removes nor changes what was made by command or on a page."""
    push(NIGHTLY)
    nightly = Timing(cron="0 3 * * *", zone="Europe/Berlin")
    for by in ("command", "page"):
        services.schedules.add(
            ADMIN, "project", "main", ScheduleKind.NIGHTLY, nightly, declared_by=by
        )
    push()
    assert [one.declared_by for one in declared()] == ["command", "page"]


def test_people_cannot_remove_what_is_declared(push, declared, services):
    """The next push would bring it back; they are told where it stands."""
    push(NIGHTLY)
    (one,) = declared()
    with pytest.raises(Invalid, match=r"is declared in \.build\.yml"):
        services.schedules.remove(ADMIN, one.id)
    assert declared() == [one]


def test_another_jobset_is_not_touched(push, declared, services, make, store):
    """What a jobset's recipes declare is that jobset's."""
    push(NIGHTLY)
    other = make.jobset("project", "other")
    assert declare_schedules(store, other, (), services.clock.now()) is False
    assert len(declared()) == 1


def test_whoever_sleeps_is_woken_when_they_change(push, parts):
    """Once for each push that changes them, not for one that does not."""
    rung = []
    parts.bells.schedules.on_ring(lambda: rung.append(1))
    counts = []
    for schedules in ((), (NIGHTLY,), (NIGHTLY,), ()):
        push(*schedules)
        counts.append(len(rung))
    assert counts == [0, 1, 1, 2]


@pytest.mark.usefixtures("sqlite_alone")
def test_they_are_in_force_when_the_evaluation_has_ended(push, declared, store):
    """Not before: a later push that ends meanwhile would be outdone by an older one."""
    store.database.sql(
        "CREATE TRIGGER fault BEFORE UPDATE OF status ON evaluations WHEN NEW.status = 'succeeded'"
        " BEGIN SELECT RAISE(ABORT, 'fault'); END"
    )
    made = push(NIGHTLY)
    assert made.status is EvaluationStatus.FAILED
    assert declared() == []


@pytest.mark.usefixtures("sqlite_alone")
def test_they_are_no_transaction_of_their_own(push, declared, store):
    """Whether there are any, or were until this push."""
    begun, left = [], []
    for number, schedules in enumerate(((), (NIGHTLY,), (NIGHTLY,), (), ())):
        with asked(store) as statements:
            push(*schedules, tasks=[{"build": f"echo {number}"}])
        begun.append(statements.count("BEGIN immediate"))
        left.append(len(declared()))
    assert {one - begun[0] for one in begun} == {0}
    assert left == [0, 1, 1, 0, 0]


def test_faults_are_complaints_of_the_evaluation(push, declared):
    """Each with its field; nothing is put in force."""
    made = push({"cron": "61 24 * * *", "zone": "Mars/Base"}, NIGHTLY)
    assert made.status is EvaluationStatus.FAILED
    assert [one.field for one in made.complaints] == [
        "schedules[0].cron.minute",
        "schedules[0].cron.hour",
        "schedules[0].zone",
    ]
    assert declared() == []


def test_an_older_push_that_is_evaluated_late(push, declared, repository, make, services, store):
    """A server was killed while it had taken it, and a later push was evaluated meanwhile: what
    the later one declares stays in force.
    """
    push()
    older = repository.commit({".build.yml": recipe(NIGHTLY)})
    repository.push()
    change = make_push(RefChange(MAIN, "0" * 40, older))
    (waits,) = services.pushes.accept_push(make.received(), change).evaluations
    with store.transaction():
        store.evaluations.claim(services.clock.now(), services.clock.now() + timedelta(minutes=1))
    push(PGO)
    services.evaluations.recover()
    assert services.evaluations.evaluate_next()
    assert store.evaluations.get(waits.id).status is EvaluationStatus.SUCCEEDED
    assert [one.kind.value for one in declared()] == ["pgo"]


def test_a_later_push_without_a_good_recipe_overtakes_nothing(
    push, declared, repository, make, services, store
):
    """What the older one declares is in force until somebody says otherwise."""
    push()
    older = repository.commit({".build.yml": recipe(NIGHTLY)})
    repository.push()
    change = make_push(RefChange(MAIN, "0" * 40, older))
    services.pushes.accept_push(make.received(), change)
    with store.transaction():
        store.evaluations.claim(services.clock.now(), services.clock.now() + timedelta(minutes=1))
    push(PGO, image=3)
    services.evaluations.recover()
    assert services.evaluations.evaluate_next()
    assert [one.kind.value for one in declared()] == ["nightly"]
