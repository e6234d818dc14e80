"""When a jobset is evaluated: on, off, once, one at a time, by the clock, or not at all."""

from dataclasses import replace

import pytest
from support.factories import ADMIN, MAIN, done, make_push
from support.repositories import Repository

from ciserver.model.build import BuildResult, Offer
from ciserver.model.evaluation import Kind
from ciserver.model.project import Input, JobsetMode
from ciserver.model.push import RefChange
from ciserver.model.schedule import ScheduleKind, Timing
from ciserver.model.status import BuildStatus, EvaluationStatus

S = EvaluationStatus


class Watched:
    """A jobset of a real repository, which is set up in one way or another."""

    def __init__(self, parts, make, repository):
        self.parts, self.services, self.store = parts, parts.services, parts.store
        self.make, self.repository = make, repository
        self.count = 0

    @property
    def jobset(self):
        return self.store.jobsets.get_by_name("project", "main")

    def set(self, mode=JobsetMode.ON, seconds=0, **changes):
        known = self.jobset
        settings = replace(known.settings, mode=mode, check_interval_seconds=seconds, **changes)
        self.services.jobsets.put(ADMIN, "project", "main", settings, known.inputs)

    def commit(self):
        self.count += 1
        revision = self.repository.commit({"count": f"{self.count}\n"})
        self.repository.push()
        return revision

    def push(self):
        change = RefChange(MAIN, "0" * 40, self.commit())
        return self.services.pushes.accept_push(self.make.received("project"), make_push(change))

    def evaluate(self):
        """Work off what waits; answers the states, oldest first."""
        while self.services.evaluations.evaluate_next():
            pass
        found = self.services.queries.jobset(ADMIN, "project", "main").evaluations.evaluations
        return [one.status for one in reversed(found)]

    def look(self):
        while self.services.polls.check_next():
            pass
        return self.evaluate()

    def build(self):
        """Whatever waits succeeds."""
        reporter = self.parts.reporter
        for one in self.services.queries.queue(ADMIN).waiting.builds:
            lease = reporter.claim(Offer("local-0", (one.system,))).lease
            reporter.advance(lease, done(0), 1, sandbox="plain")
            reporter.finish(lease, BuildResult(BuildStatus.SUCCEEDED), (done(1),))

    def newest_note(self):
        found = self.services.queries.jobset(ADMIN, "project", "main").evaluations.evaluations
        return found[0].note


@pytest.fixture
def main(watched, parts, make, repository):
    return Watched(parts, make, repository)


def test_once_and_then_off(main):
    """The first evaluation is the last, also of what was pushed before it ran."""
    main.set(JobsetMode.ONE_SHOT)
    main.push()
    main.push()
    assert main.evaluate() == [S.SUCCEEDED, S.SKIPPED]
    assert main.newest_note() == "the jobset project:main is switched off"
    assert main.jobset.settings.mode is JobsetMode.OFF
    assert main.push().evaluations == ()


def test_once_also_counts_when_it_fails(main):
    """It was evaluated; whoever wants it again says so."""
    main.set(JobsetMode.ONE_SHOT)
    main.repository.commit({".build.yml": "tasks: 3\n"})
    main.push()
    assert main.evaluate() == [S.FAILED]
    assert main.jobset.settings.mode is JobsetMode.OFF


def test_a_killed_server_goes_on_with_it(main, store, services, clock):
    """What was begun is begun again."""
    main.set(JobsetMode.ONE_SHOT)
    main.push()
    with store.transaction():
        store.evaluations.claim(clock.now(), clock.now())
    assert services.evaluations.recover() == 1
    assert main.evaluate() == [S.SUCCEEDED]
    assert main.jobset.settings.mode is JobsetMode.OFF


def test_what_was_switched_off_meanwhile_is_not_evaluated(main):
    """A push that waited is told why; a person may still ask."""
    main.push()
    main.set(JobsetMode.OFF)
    assert main.evaluate() == [S.SKIPPED]
    main.services.evaluations.request(ADMIN, main.jobset)
    assert main.evaluate() == [S.SKIPPED, S.SUCCEEDED]


def test_nothing_of_a_project_that_is_off(main, make, services, clock):
    """Not by a push, the clock, a schedule or a person; and all goes on when it is on again."""
    main.set(seconds=60)
    services.schedules.add(
        ADMIN, "project", "main", ScheduleKind.PERIODIC, Timing(every_seconds=60)
    )
    main.push()
    settings = services.rights.project(ADMIN, "project").settings
    make.disable(main.jobset, "project")
    assert main.push().evaluations == ()
    clock.forward(seconds=61)
    services.schedules.fire_due()
    services.evaluations.request(ADMIN, main.jobset, kind=Kind.MANUAL)
    assert set(main.look()) == {S.SKIPPED}
    assert main.newest_note() == "the project project is switched off"
    services.projects.put_project(ADMIN, "project", settings)
    clock.forward(seconds=61)
    assert main.look()[-1] is S.SUCCEEDED


def test_the_clock_looks(main, clock):
    """As often as it is said, and only new revisions are evaluated."""
    main.set(seconds=60)
    assert main.look() == [S.SUCCEEDED]
    main.commit()
    clock.forward(seconds=59)
    assert main.look() == [S.SUCCEEDED]
    clock.forward(seconds=2)
    assert main.look() == [S.SUCCEEDED] * 2
    clock.forward(seconds=61)
    assert main.look() == [S.SUCCEEDED] * 2
    main.set(seconds=0)
    main.commit()
    clock.forward(days=1)
    assert main.look() == [S.SUCCEEDED] * 2


def test_one_at_a_time_by_the_clock(main, clock, services):
    """Not while builds of the newest are unfinished; whoever asks does not wait for that."""
    main.set(JobsetMode.ONE_AT_A_TIME, seconds=60)
    assert main.look() == [S.SUCCEEDED]
    main.commit()
    clock.forward(seconds=61)
    assert main.look() == [S.SUCCEEDED]
    services.evaluations.request(ADMIN, main.jobset)
    assert len(main.evaluate()) == 2
    main.build()
    main.commit()
    clock.forward(seconds=61)
    assert len(main.look()) == 3


def test_a_push_to_another_input_is_evaluated(main, tmp_path, services, store):
    """With the recipe as it is now and that input as it was pushed, where the input watches it;
    what the pusher says of recipes is not of these.
    """
    lib = Repository(tmp_path / "lib", "lib")
    lib.commit({"a": "1"})
    lib.push()
    uri = str(lib.bare)
    inputs = (*main.jobset.inputs, Input("lib", uri, MAIN, (MAIN,)))
    services.jobsets.put(ADMIN, "project", "main", main.jobset.settings, inputs)
    main.commit()
    new = lib.commit({"a": "2"})
    lib.push()
    lib.commit({"a": "3"})
    lib.push()
    for ref, count in ((MAIN, 1), ("refs/heads/other", 0)):
        options = ("submit=a", "description=newer")
        push = make_push(RefChange(ref, "0" * 40, new), repositories=(uri,), options=options)
        outcome = services.pushes.accept_push(main.make.received("project"), push)
        assert len(outcome.evaluations) == count
    assert main.evaluate() == [S.SUCCEEDED]
    (found,) = services.queries.jobset(ADMIN, "project", "main").evaluations.evaluations
    pinned = services.queries.evaluation(ADMIN, found.id).evaluation.inputs
    assert {one.name: one.revision for one in pinned}["lib"] == new
    assert (found.options, found.note) == (("description=newer",), "newer")
