"""Which evaluation another is compared with, and what is told of the two."""

import pytest
from support.factories import ADMIN, MAIN, make_job

from ciserver.model.account import Actor, Visibility
from ciserver.model.comparison import Change
from ciserver.model.errors import NotFound
from ciserver.model.evaluation import Kind
from ciserver.model.project import Input, JobsetSettings
from ciserver.model.status import BuildStatus

ANYBODY = Actor("")
TAG = "refs/tags/v1"


class Past:
    """A jobset that is evaluated once an hour."""

    def __init__(self, make, clock):
        self.make, self.clock = make, clock
        self.compare = make.services.comparisons.compare
        self.jobset = make.jobset("project")

    def evaluated(self, *jobs, jobset=None, ref=MAIN, hours=1):
        self.clock.forward(hours=hours)
        names = jobs or ("build",)
        made = [make_job(name=one) for one in names]
        return self.make.evaluated(jobset or self.jobset, *made, ref=ref).id

    def other(self, evaluation_id, against="", actor=ADMIN):
        found = self.compare(actor, evaluation_id, against)
        return None if found is None else found.other.id

    def end(self, evaluation_id):
        """All its builds."""
        for one in self.make.store.builds.list_of_evaluation(evaluation_id):
            if not one.status.is_final:
                self.make.services.builds.cancel(ADMIN, one.id)


@pytest.fixture
def past(make, clock):
    return Past(make, clock)


def test_the_one_before_it(past):
    """Of the same ref that made builds, whatever else was evaluated in between."""
    first, aside = past.evaluated(), past.evaluated(ref="refs/heads/aside")
    past.make.evaluation(past.jobset)
    past.evaluated(jobset=past.make.jobset("elsewhere"))
    second = past.evaluated()
    assert past.other(second) == first
    assert past.other(past.evaluated()) == second
    assert past.other(past.evaluated(ref="refs/heads/aside")) == aside
    assert past.other(first) is None


def test_a_ref_without_a_past_is_compared_with_another(past):
    """The first of a branch or tag, with the newest of any other before it."""
    past.evaluated()
    newest = past.evaluated()
    tag = past.evaluated(ref=TAG)
    past.evaluated()
    assert past.other(tag) == newest
    assert past.other(tag, "-3600") is None


def test_two_of_the_same_moment(past):
    """The lower number came first."""
    first = past.evaluated(hours=0)
    second = past.evaluated(hours=0)
    assert (past.other(second), past.other(first)) == (first, None)


def test_so_long_before(past):
    """The newest that was asked for then, or the nearest before that."""
    made = [past.evaluated() for _ in range(4)]
    assert past.other(made[3], "-1") == made[2]
    assert past.other(made[3], "-3600") == made[2]
    assert past.other(made[3], "-3601") == made[1]
    assert past.other(made[3], "-7200") == made[1]
    assert past.other(made[3], "-10800") == made[0]
    assert past.other(made[3], "-10801") is None
    assert past.other(made[3], "-9999999999") is None
    assert past.other(made[3], "-0") == made[2]


def test_one_by_its_number(past):
    """Also a later one, itself, and one of another project."""
    first, second = past.evaluated(), past.evaluated()
    elsewhere = past.evaluated(jobset=past.make.jobset("elsewhere"))
    for against in (first, second, elsewhere):
        assert past.other(first, str(against)) == against


def test_the_newest_finished_one_of_a_jobset(past):
    """By name in the same project, or with another project's; None has ended yet, there is none."""
    mine, stable = past.evaluated(), past.make.jobset("project", "stable")
    assert past.other(mine, "stable") is None
    done = past.evaluated(jobset=stable)
    past.end(done)
    past.evaluated(jobset=stable)
    assert past.other(mine, "stable") == past.other(mine, "project:stable") == done
    elsewhere = past.evaluated(jobset=past.make.jobset("elsewhere"))
    past.end(elsewhere)
    assert past.other(mine, "elsewhere:main") == elsewhere
    assert past.make.services.comparisons.others(ADMIN, past.make.store.evaluations.get(mine)) == (
        "stable",
    )


@pytest.mark.parametrize(
    "against",
    ["99999", "none", "none:main", ":", "-", "-x", "--1", "-99999999999", "9" * 19, "\u0663"],
)
def test_there_is_no_such_thing_to_compare_with(past, against):
    mine = past.evaluated()
    with pytest.raises(NotFound):
        past.compare(ADMIN, mine, against)


def test_what_is_not_to_be_seen_is_not_compared_with(past, make):
    """Neither by number nor by name, and it is not the one before."""
    mine = past.evaluated()
    hidden = make.project("hidden", visibility=Visibility.PRIVATE)
    secret = past.evaluated(jobset=hidden)
    past.end(secret)
    assert past.other(mine, str(secret)) == past.other(mine, "hidden:main") == secret
    for against in (str(secret), "hidden:main"):
        with pytest.raises(NotFound):
            past.compare(ANYBODY, mine, against)
    with pytest.raises(NotFound):
        past.compare(ANYBODY, secret)
    private = make.submitted(past.jobset, Visibility.PRIVATE).evaluation_id
    public = make.submitted(past.jobset).evaluation_id
    assert (past.other(public), past.other(public, actor=ANYBODY)) == (private, mine)


def test_what_became_of_each_job(past, make, clock):
    """Every job of the two in its class, by name; the newest build of a job counts."""
    jobset = past.jobset
    before = past.evaluated("breaks", "stays", "goes", "stopped")
    after = past.evaluated("breaks", "stays", "comes", "stopped")
    results = {
        before: dict.fromkeys(("breaks", "stays", "goes", "stopped"), BuildStatus.SUCCEEDED),
        after: {
            "breaks": BuildStatus.FAILED,
            "stays": BuildStatus.SUCCEEDED,
            "comes": BuildStatus.FAILED,
            "stopped": BuildStatus.CANCELED,
        },
    }
    with make.store.transaction():
        for evaluation_id, statuses in results.items():
            for job, status in statuses.items():
                make.store.database.sql(
                    "UPDATE builds SET status = ?, finished_at = 1"
                    " WHERE evaluation_id = ? AND job = ?",
                    (status.value, evaluation_id, job),
                )
    found = past.compare(ADMIN, after)
    assert {change: [one.job for one in jobs] for change, jobs in found.changes.items()} == {
        Change.ABORTED: ["stopped"],
        Change.NOW_FAIL: ["breaks"],
        Change.NEW: ["comes"],
        Change.REMOVED: ["goes"],
        Change.STILL_SUCCEED: ["stays"],
    }
    (broken,) = found.changes[Change.NOW_FAIL]
    again = make.services.builds.rebuild(ADMIN, broken.now.build_id)
    (one,) = past.compare(ADMIN, after).changes[Change.UNFINISHED]
    assert ((one.now.build_id,), one.before) == (again, broken.before)
    assert jobset


# -- inputs ---------------------------------------------------------------------------------------


@pytest.fixture
def pushed(services, repository, watched):
    """Evaluate what is pushed now, with two inputs; answers the id."""
    address = str(repository.bare)
    inputs = (
        Input("src", address, local=True),
        Input("lib", address, "refs/heads/lib", local=True),
    )
    settings = JobsetSettings(recipe_input="src")
    services.jobsets.put(ADMIN, "project", "both", settings, inputs)
    repository.push("main:lib")

    def evaluate(*, lib=False):
        repository.push("main:lib" if lib else "main")
        jobset = services.rights.jobset(ADMIN, "project", "both")
        made = services.evaluations.request(ADMIN, jobset, kind=Kind.MANUAL)
        assert services.evaluations.evaluate_next()
        return made

    return evaluate


def test_changed_inputs_with_the_commits_between(pushed, services, repository):
    """Of each that moved within its repository, newest first; no log where none is wanted."""
    old = repository.commit({"a": "1"}, "First")
    pushed()
    repository.commit({"a": "2"}, "Second")
    new = repository.commit({"a": "3"}, "Third\n\nwith a body")
    second = pushed()
    compare = services.comparisons.compare
    (changed,) = compare(ADMIN, second, logs=True).inputs
    assert (changed.name, changed.old.revision, changed.new.revision) == ("src", old, new)
    assert [one.subject for one in changed.log.commits] == ["Third", "Second"]
    assert changed.log.commits[0].author == "Ada Author <ada@example.org>"
    assert (changed.log.more, changed.log.went_back) == (False, False)
    assert compare(ADMIN, second).inputs[0].log is None
    third = pushed(lib=True)
    (changed,) = compare(ADMIN, third, logs=True).inputs
    assert changed.name == "lib"


def test_an_input_that_went_back(pushed, services, repository):
    """What it lost is told as lost."""
    old = repository.commit({"a": "1"}, "First")
    pushed()
    repository.commit({"a": "2"}, "Second")
    pushed()
    jobset = services.rights.jobset(ADMIN, "project", "both")
    back = services.evaluations.request(ADMIN, jobset, revision=old)
    assert services.evaluations.evaluate_next()
    (changed,) = services.comparisons.compare(ADMIN, back, logs=True).inputs
    assert [one.subject for one in changed.log.commits] == ["Second"]
    assert changed.log.went_back


def test_an_input_that_cannot_be_read_any_more_is_told_without_commits(
    pushed, services, repository, parts, watched
):
    """The mirror is gone, or the jobset has another repository now."""
    repository.commit({"a": "1"}, "First")
    pushed()
    repository.commit({"a": "2"}, "Second")
    second = pushed()
    elsewhere = (Input("src", "https://example.org/other.git"),)
    settings = JobsetSettings(recipe_input="src")
    services.jobsets.put(ADMIN, "project", "both", settings, elsewhere)
    (changed,) = services.comparisons.compare(ADMIN, second, logs=True).inputs
    assert (changed.name, changed.log) == ("src", None)
