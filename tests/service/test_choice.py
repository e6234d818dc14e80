"""What a schedule builds: which revision, which jobs, and why sometimes nothing."""

import itertools
from datetime import timedelta

import pytest
from support.factories import ADMIN, ALL, MAIN, OFFER, done, make_push
from support.repositories import git
from support.server import free_port

from ciserver.config import Git, Settings
from ciserver.datadir import DataDirectory
from ciserver.model.build import BuildResult
from ciserver.model.errors import Conflict
from ciserver.model.evaluation import Kind
from ciserver.model.push import RefChange
from ciserver.model.schedule import PgoStrategy, ScheduleKind, Timing
from ciserver.model.status import BuildStatus, EvaluationStatus
from ciserver.wiring import make_parts

NIGHTLY, PGO, PERIODIC = ScheduleKind.NIGHTLY, ScheduleKind.PGO, ScheduleKind.PERIODIC
GOOD, BAD = BuildStatus.SUCCEEDED, BuildStatus.FAILED
HOURLY = Timing(every_seconds=3600)
EVERY = (
    "image: host\ntasks:\n  - build: echo built\nwhen:\n  kinds: [push, nightly, pgo, periodic]\n"
)


def only(*kinds):
    return f"image: host\ntasks:\n  - build: echo built\nwhen:\n  kinds: [{', '.join(kinds)}]\n"


class Ground:
    """A watched repository whose commits are made at the time of the clock."""

    def __init__(self, parts, repository, make, clock):
        self._services, self._store, self._make = parts.services, parts.store, make
        self._reporter, self._repository, self._clock = parts.reporter, repository, clock

    def watch(self):
        self._services.projects.watch(ADMIN, "project", str(self._repository.bare), local=True)
        return self

    def commit(self, message="Change", **files):
        """A commit on the main branch, not told to anybody; answers its revision."""
        for name, text in files.items():
            (self._repository.tree / name).write_text(text)
        now = self._clock.forward(seconds=1).isoformat()
        # No two commits have the same content: nothing built stands for another.
        (self._repository.tree / "content").write_text(now)
        git(self._repository.tree, "add", "-A")
        dates = {"GIT_AUTHOR_DATE": now, "GIT_COMMITTER_DATE": now}
        git(self._repository.tree, "commit", "-q", "--allow-empty", "-m", message, **dates)
        self._repository.push()
        return git(self._repository.tree, "rev-parse", "HEAD")

    def recipe(self, text, name=".build.yml"):
        path = self._repository.tree / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return self.commit("A recipe")

    def push(self, revision, *statuses, ref=MAIN, options=()):
        """Tell of a push and evaluate it; its builds end so where that is given."""
        change = make_push(RefChange(ref, "0" * 40, revision), options=options)
        (one,) = self._services.pushes.accept_push(self._make.received(), change).evaluations
        assert self._services.evaluations.evaluate_next()
        if statuses:
            self.end(*statuses)
        return self._store.evaluations.get(one.id)

    def end(self, *statuses):
        """The builds that wait are run and end so, one after the other; the last one counts on."""
        ends = itertools.chain(statuses, itertools.repeat((statuses or [GOOD])[-1]))
        while (work := self._reporter.claim(OFFER)) is not None:
            self._reporter.advance(work.lease, done(0), 1, sandbox="plain")
            self._reporter.finish(work.lease, BuildResult(next(ends)), ())

    def add(self, kind=NIGHTLY, **rest):
        made = self._services.schedules.add(ADMIN, "project", "main", kind, HOURLY, **rest)
        return made.id

    def due(self):
        """An hour later: fire what is due, evaluate it and end the builds; answers the evaluation
        of the newest request.
        """
        self._clock.forward(hours=1)
        self._services.schedules.fire_due()
        return self.evaluate()

    def fire(self, schedule_id):
        self._clock.forward(seconds=1)
        self._services.schedules.fire(ADMIN, schedule_id)
        return self.evaluate()

    def evaluate(self):
        (waiting,) = self._store.evaluations.list_open(ALL, 10)
        assert self._services.evaluations.evaluate_next()
        self.end()
        return self._store.evaluations.get(waiting.id)

    def jobs(self, evaluation):
        return {one.job for one in self._store.builds.list_of_evaluation(evaluation.id)}


@pytest.fixture
def ground(parts, repository, make, clock):
    made = Ground(parts, repository, make, clock)
    made.recipe(EVERY)
    return made.watch()


# -- only if changed ------------------------------------------------------------------------------


def test_the_newest_revision_of_the_default_branch(ground):
    """The default branch is told by its name, not as HEAD; the builds know the kind."""
    ground.add()
    newest = ground.commit()
    made = ground.due()
    assert (made.status, made.kind) == (EvaluationStatus.SUCCEEDED, Kind.NIGHTLY)
    assert (made.ref, made.revision, made.inputs[0].ref) == (MAIN, newest, MAIN)
    assert ground.jobs(made) == {"build"}


def test_a_default_branch_of_another_name(ground, repository):
    """What the repository calls its default branch now is what is built."""
    ground.add()
    git(repository.tree, "checkout", "-q", "-b", "trunk")
    trunk = ground.commit()
    repository.push("trunk")
    git(repository.bare, "symbolic-ref", "HEAD", "refs/heads/trunk")
    made = ground.due()
    assert (made.ref, made.revision) == ("refs/heads/trunk", trunk)


def test_a_branch_of_its_own(ground, repository):
    """A schedule with a ref builds that branch."""
    ground.add(ref="refs/heads/stable")
    git(repository.tree, "checkout", "-q", "-b", "stable")
    stable = ground.commit()
    repository.push("stable")
    git(repository.tree, "checkout", "-q", "main")
    ground.commit()
    made = ground.due()
    assert (made.ref, made.revision) == ("refs/heads/stable", stable)


def test_nothing_new_is_not_built_again(ground):
    """The second due moment says which revision was built; a commit later it is built again."""
    ground.add()
    first = ground.due()
    second = ground.due()
    assert (second.status, second.builds_total) == (EvaluationStatus.SKIPPED, 0)
    assert second.note == f"no new revision since {first.revision[:10]} was built"
    newest = ground.commit()
    assert ground.due().revision == newest


def test_always(ground):
    """A periodic schedule builds the same revision again."""
    ground.add(PERIODIC)
    made = [ground.due() for _ in range(2)]
    assert [one.builds_total for one in made] == [1, 1]
    assert len({one.revision for one in made}) == 1


def test_what_another_kind_built_is_new(ground):
    """A push or another kind of schedule that built the revision does not count."""
    ground.push(ground.commit(), GOOD)
    ground.fire(ground.add(PGO))
    nightly = ground.add()
    assert ground.fire(nightly).builds_total == 1


def test_what_was_built_by_hand_counts(ground):
    """A forced build is a build: the due moment after it finds nothing new."""
    one = ground.add()
    forced = ground.fire(one)
    assert ground.due().note == f"no new revision since {forced.revision[:10]} was built"
    assert ground.fire(one).builds_total == 1


@pytest.mark.parametrize("message", ["Typo DONTBUILD", "Typo [skip ci]", "x\n\nskip-checks: true"])
def test_who_asks_for_no_builds_is_walked_past(ground, message):
    """The newest change that does not ask so is built; nothing when that one was built already."""
    ground.add()
    wanted = ground.commit("Wanted")
    for _ in range(3):
        ground.commit(message)
    assert ground.due().revision == wanted
    ground.commit(message)
    assert ground.due().note == f"no new revision since {wanted[:10]} was built"


def test_by_hand_the_newest_is_built_whatever_it_says(ground):
    """Who fires asks for a build, though the newest commit does not."""
    one = ground.add()
    newest = ground.commit("Typo DONTBUILD")
    assert (ground.fire(one).revision, ground.fire(one).builds_total) == (newest, 1)


def test_nothing_but_such_commits(parts, repository, make, clock):
    """A branch whose every commit asks for no builds is not built, with the reason."""
    ground = Ground(parts, repository, make, clock)
    ground.commit("First DONTBUILD", README="hello\n")
    ground.watch().add()
    made = ground.due()
    assert (made.status, made.note) == (
        EvaluationStatus.SKIPPED,
        "every change asks for no builds",
    )


# -- the last good revision -----------------------------------------------------------------------


def test_the_last_good_one_is_preferred(ground):
    """The newest whose push builds are all good, though newer ones are there."""
    ground.add(last_good=True)
    good = ground.commit()
    ground.push(good, GOOD)
    ground.push(ground.commit(), BAD)
    ground.commit()  # built by nobody yet
    assert ground.due().revision == good


def test_one_bad_build_is_not_good(ground):
    """All builds of the push must be good, and have ended."""
    ground.add(last_good=True)
    ground.recipe(EVERY, ".builds/more.yml")
    ground.push(ground.commit(), GOOD, BAD)
    newest = ground.commit()
    assert ground.due().revision == newest


def test_where_none_is_good_the_newest_is_built(ground):
    """Also when the builds of its push failed."""
    ground.add(last_good=True)
    ground.push(ground.commit(), BAD)
    newest = ground.commit()
    ground.push(newest, BAD)
    assert ground.due().revision == newest


@pytest.mark.parametrize(("minutes", "is_chosen"), [(22 * 60 + 58, True), (23 * 60 + 1, False)])
def test_a_good_one_of_yesterday_is_too_old(ground, clock, minutes, is_chosen):
    """It is taken for 24 hours; then the newest is built in its place."""
    ground.add(last_good=True)
    good = ground.commit()
    ground.push(good, GOOD)
    clock.forward(minutes=minutes)
    newest = ground.commit()
    assert ground.due().revision == (good if is_chosen else newest)


def test_never_older_than_what_was_built(ground):
    """A good revision that is older than a built one is not built; a newer one that is bad is."""
    one = ground.add(last_good=True)
    ground.push(ground.commit(), GOOD)
    ground.commit()
    forced = ground.fire(one)
    assert ground.due().note == f"no new revision since {forced.revision[:10]} was built"
    newest = ground.commit()
    ground.push(newest, BAD)
    assert ground.due().revision == newest


def test_never_older_though_nothing_need_have_changed(ground):
    """What was built last is built again before an older one is, good or not."""
    one = ground.add(PERIODIC, last_good=True)
    ground.push(ground.commit(), GOOD)
    newest = ground.commit()
    assert ground.fire(one).revision == newest
    assert ground.due().revision == newest


def test_the_last_good_one_again_and_again(ground):
    """Where it need not have changed, the good one is built until a newer one is good."""
    ground.add(PERIODIC, last_good=True)
    good = ground.commit()
    ground.push(good, GOOD)
    ground.push(ground.commit(), BAD)
    assert [ground.due().revision for _ in range(2)] == [good, good]


# -- which jobs -----------------------------------------------------------------------------------


def test_only_the_jobs_of_the_kind(ground):
    """Each kind builds the jobs whose `when.kinds` name it."""
    ground.recipe(only("nightly"), ".builds/night.yml")
    ground.recipe(only("pgo"), ".builds/profiled.yml")
    ground.recipe(only("push"), ".builds/pushed.yml")
    wanted = {NIGHTLY: "night", PGO: "profiled", PERIODIC: None}
    for kind, job in wanted.items():
        assert ground.jobs(ground.fire(ground.add(kind))) == {"build", job} - {None}


def test_no_job_of_the_kind(ground, services):
    """The evaluation names each job that was left out, and the schedule warns."""
    ground.recipe(only("push"))
    one = ground.add()
    made = ground.due()
    assert (made.status, made.builds_total) == (EvaluationStatus.SKIPPED, 0)
    assert [skipped.job for skipped in made.skipped] == ["build"]
    (warning,) = services.schedules.show(ADMIN, one).warnings
    assert warning.startswith("no job of the recipe is built for kind nightly")


@pytest.mark.parametrize("strategy", PgoStrategy)
def test_pgo_strategies_of_pushes(ground, services, strategy):
    """Per push, the builds of a push are the PGO builds too; otherwise they are not."""
    ground.recipe(only("push"))
    revision = ground.recipe(only("pgo"), ".builds/profiled.yml")
    services.schedules.set_pgo_strategy(ADMIN, "project", "main", strategy)
    extra = {"profiled"} if strategy is PgoStrategy.PER_PUSH else set()
    assert ground.jobs(ground.push(revision)) == {"build"} | extra


@pytest.mark.parametrize("strategy", [PgoStrategy.MANUAL, PgoStrategy.PER_PUSH])
def test_pgo_by_hand(ground, services, store, clock, strategy):
    """Who fires a PGO schedule by hand gets PGO builds, though nothing fires by itself."""
    ground.recipe(only("pgo"), ".builds/profiled.yml")
    one = ground.add(PGO)
    services.schedules.set_pgo_strategy(ADMIN, "project", "main", strategy)
    clock.forward(hours=1)
    services.schedules.fire_due()
    assert store.evaluations.list_open(ALL, 10) == ()
    assert "profiled" in ground.jobs(ground.fire(one))


def test_no_pgo_at_all(ground, services, store):
    """Where none are wanted none are made by hand either, and the way out is named."""
    ground.recipe(only("pgo"), ".builds/profiled.yml")
    one = ground.add(PGO)
    services.schedules.set_pgo_strategy(ADMIN, "project", "main", PgoStrategy.NONE)
    with pytest.raises(Conflict) as refusal:
        ground.fire(one)
    assert "pgo-strategy" in refusal.value.hint
    assert store.evaluations.list_open(ALL, 10) == ()


# -- what came of it ------------------------------------------------------------------------------


def results(services, schedule_id):
    return [one.result for one in services.schedules.show(ADMIN, schedule_id).firings]


def test_the_history_says_what_came_of_it(ground, services):
    """Good builds are counted, and a reason or a fault is told in words."""
    one = ground.add()
    ground.due()
    ground.due()
    ground.recipe("image: host\ntasks: 3\n")
    ground.due()
    faulty, unchanged, good = results(services, one)
    assert good == "1 of 1 builds good"
    assert unchanged.startswith("no new revision since")
    assert faulty.startswith("failed: .build.yml: tasks: must be a list")


def test_a_remote_that_is_away_is_tried_again(tmp_path, clock):
    """After 2, 10 and 60 seconds; then the firing shows that it failed, and why. The next due
    moment is fired all the same.
    """
    wide = make_parts(
        Settings(git=Git(allow_http=True)), DataDirectory(tmp_path / "wide"), clock=clock
    )
    services, store = wide.services, wide.store
    uri = f"http://127.0.0.1:{free_port()}/project.git"
    services.projects.watch(ADMIN, "project", uri)
    one = services.schedules.add(ADMIN, "project", "main", NIGHTLY, HOURLY).id
    clock.forward(hours=1)
    services.schedules.fire_due()
    for seconds in (2, 10, 60):
        assert services.evaluations.evaluate_next()
        assert results(services, one) == ["running"]
        assert not services.evaluations.evaluate_next()
        clock.forward(seconds=seconds, microseconds=1)
    assert services.evaluations.evaluate_next()
    (result,) = results(services, one)
    assert result.startswith("failed: ")
    assert uri in result
    clock.forward(hours=1)
    services.schedules.fire_due()
    assert results(services, one)[0] == "requested"
    store.database.close()


def test_a_day_of_an_hourly_schedule(ground, services, clock):
    """Each hour once: built when something changed, said so when not."""
    one = ground.add()
    for number in range(6):
        if number % 2 == 0:
            ground.commit()
        ground.due()
    built = ["no new" not in result for result in results(services, one)]
    assert built == [False, True] * 3
    assert clock.now() - services.schedules.show(ADMIN, one).firings[0].firing.due_at < timedelta(
        hours=1
    )
