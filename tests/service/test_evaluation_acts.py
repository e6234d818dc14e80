"""What people do with whole evaluations."""

import pytest
from support.factories import ADMIN, OFFER, done, make_job

from ciserver.model.account import Actor, Right
from ciserver.model.build import BuildResult, Offer
from ciserver.model.errors import Complaint, Conflict, Forbidden, Invalid, NotFound, NotSignedIn
from ciserver.model.project import Input, InputType, JobsetSettings
from ciserver.model.status import BuildStatus, EvaluationStatus, Reason

B = BuildStatus
REVISION = "3" * 40


class Yard:
    """Evaluations with builds in any state, and what becomes of them."""

    def __init__(self, make):
        self.make, self.store = make, make.store
        self.services, self.acts = make.services, make.services.evaluation_acts
        self.jobset = make.jobset("yard")

    def evaluation(self, *names):
        jobs = [make_job(name=one, image=f"image-{one}") for one in names]
        return self.make.evaluated(self.jobset, *jobs).id

    def end(self, evaluation_id, name, status, reason=Reason.NONE):
        lease = self.start(evaluation_id, name)
        self.make.reporter.finish(lease, BuildResult(status, reason), ())

    def start(self, evaluation_id, name):
        lease = self.make.claim(Offer("local-0", OFFER.systems, (f"image-{name}",))).lease
        assert lease.build_id == self.id(evaluation_id, name)
        self.make.reporter.advance(lease, done(0), 1, sandbox="plain")
        return lease

    def need(self, evaluation_id, name, needed):
        with self.store.transaction():
            pair = (self.id(evaluation_id, name), self.id(evaluation_id, needed))
            self.store.gates.add_needs([pair])

    def id(self, evaluation_id, name):
        return next(
            one.id for one in self.store.builds.list_of_evaluation(evaluation_id) if one.job == name
        )

    def names(self, evaluation_id, ids):
        jobs = {one.id: one.job for one in self.store.builds.list_of_evaluation(evaluation_id)}
        return sorted(jobs[one] for one in ids)

    def statuses(self, evaluation_id):
        builds = self.store.builds.list_of_evaluation(evaluation_id)
        return {one.job: one.status for one in builds}

    def counts(self, evaluation_id):
        one = self.store.evaluations.get(evaluation_id)
        return one.builds_total, one.builds_finished, one.builds_good


@pytest.fixture
def yard(make):
    return Yard(make)


@pytest.fixture
def mixed(yard):
    """One build in each state that tells the acts apart."""
    names = ("good", "partial", "failed", "late", "broken", "stopped", "waits")
    made = yard.evaluation(*names)
    for name, status in (
        ("good", B.SUCCEEDED),
        ("partial", B.PARTIAL),
        ("failed", B.FAILED),
        ("late", B.TIMED_OUT),
        ("broken", B.ERRORED),
    ):
        yard.end(made, name, status)
    yard.services.builds.cancel(ADMIN, yard.id(made, "stopped"))
    return made


# -- stopped --------------------------------------------------------------------------------------


def test_cancel_stops_what_has_not_ended(yard):
    """What waits ends at once, what runs is asked to; the rest stays; again it changes nothing."""
    made, other = yard.evaluation("good", "runs", "waits"), yard.evaluation("elsewhere")
    yard.end(made, "good", B.SUCCEEDED)
    lease = yard.start(made, "runs")
    stopped = yard.acts.cancel(ADMIN, made)
    assert yard.names(made, stopped) == ["runs", "waits"]
    expected = {"good": B.SUCCEEDED, "runs": B.CANCELING, "waits": B.CANCELED}
    assert yard.statuses(made) == expected
    assert yard.statuses(other) == {"elsewhere": B.QUEUED}
    yard.make.reporter.finish(lease, BuildResult(B.CANCELED, Reason.CANCELED_BY), ())
    assert yard.acts.cancel(ADMIN, made) == []
    assert yard.counts(made) == (3, 3, 1)


def test_what_needed_a_canceled_build_is_canceled_too(yard):
    """It did not fail because of it: whoever runs aborted builds again gets both."""
    made = yard.evaluation("compile", "test")
    yard.need(made, "test", "compile")
    yard.acts.cancel(ADMIN, made)
    assert yard.statuses(made) == {"compile": B.CANCELED, "test": B.CANCELED}
    assert yard.names(made, yard.acts.restart_aborted(ADMIN, made)) == ["compile", "test"]
    assert yard.statuses(made) == {"compile": B.QUEUED, "test": B.QUEUED}
    assert yard.store.builds.get(yard.id(made, "test")).waiting == "needs"


def test_cancel_of_an_evaluation_that_waits_ends_it(yard):
    """It is never evaluated, says who wanted that, and a request that waits for it is answered."""
    requests = yard.services.requests
    asked = requests.ask_evaluation(ADMIN, yard.jobset, REVISION)
    requests.perform_next()
    (waiting,) = yard.store.evaluations.list_open(yard.services.rights.sight(ADMIN), 10)
    assert yard.acts.cancel(ADMIN, waiting.id) == []
    ended = yard.store.evaluations.get(waiting.id)
    assert (ended.status, ended.note) == (EvaluationStatus.SKIPPED, "canceled by root")
    assert not yard.services.evaluations.evaluate_next()
    assert requests.get(ADMIN, asked).message == "canceled by root"


@pytest.mark.parametrize(
    "recipe", ["image: host\ntasks:\n  - build: make\n", "tasks: none\n", None]
)
def test_an_evaluation_under_way_that_is_canceled_makes_nothing(
    yard, watched, repository, clock, recipe
):
    """Whoever evaluates it finds out at the end, however that is, and does not end it again."""
    if recipe is not None:
        repository.commit({".build.yml": recipe})
        repository.push()
    made = yard.services.evaluations.request(
        ADMIN, watched.jobset, revision="" if recipe else REVISION
    )
    with yard.store.transaction():
        yard.store.evaluations.claim(clock.now(), clock.now())
    under_way = yard.store.evaluations.get(made)
    yard.acts.cancel(ADMIN, made)
    ended = yard.store.evaluations.get(made)
    try:
        yard.services.evaluations._evaluate(under_way)
    except NotFound as error:
        yard.services.evaluations._fail(under_way, (Complaint("", error.message),))
    assert yard.store.evaluations.get(made) == ended
    assert (ended.status, ended.note) == (EvaluationStatus.SKIPPED, "canceled by root")


# -- run again ------------------------------------------------------------------------------------


def test_restart_of_what_was_aborted(yard, mixed):
    """Canceled, or our fault; nothing else, and nothing twice."""
    again = yard.acts.restart_aborted(ADMIN, mixed)
    assert yard.names(mixed, again) == ["broken", "stopped"]
    assert yard.counts(mixed) == (7, 4, 2)
    assert yard.acts.restart_aborted(ADMIN, mixed) == []
    assert yard.counts(mixed) == (7, 4, 2)


def test_restart_of_what_did_not_succeed(yard, mixed):
    """Whatever ended otherwise, a partial success too."""
    again = yard.acts.restart_failed(ADMIN, mixed)
    assert yard.names(mixed, again) == ["broken", "failed", "late", "partial", "stopped"]
    assert yard.counts(mixed) == (7, 1, 1)
    assert yard.acts.restart_failed(ADMIN, mixed) == []


def test_restart_brings_back_what_failed_because_of_a_build(yard):
    """In the order of their needs, and each once."""
    made = yard.evaluation("compile", "test")
    yard.need(made, "test", "compile")
    yard.end(made, "compile", B.FAILED)
    assert yard.statuses(made)["test"] is B.DEPENDENCY_FAILED
    assert yard.names(made, yard.acts.restart_failed(ADMIN, made)) == ["compile", "test"]
    assert yard.statuses(made) == {"compile": B.QUEUED, "test": B.QUEUED}
    assert yard.counts(made) == (2, 0, 0)


def test_restart_leaves_what_would_wait_for_ever(yard):
    """A build that needs one which failed, and which is not run again with it."""
    made = yard.evaluation("compile", "test")
    yard.need(made, "test", "compile")
    yard.services.builds.cancel(ADMIN, yard.id(made, "test"))
    yard.end(made, "compile", B.FAILED)
    assert yard.acts.restart_aborted(ADMIN, made) == []
    assert yard.statuses(made) == {"compile": B.FAILED, "test": B.CANCELED}


# -- bumped ---------------------------------------------------------------------------------------


def test_bump_puts_what_waits_before_all_others(yard):
    """Of the evaluation in its own order; what runs or has ended is left alone."""
    first = yard.evaluation("earlier")
    made = yard.evaluation("good", "one", "two")
    yard.end(made, "good", B.SUCCEEDED)
    assert yard.names(made, yard.acts.bump(ADMIN, made)) == ["one", "two"]
    claimed = [yard.make.claim(OFFER).lease.build_id for _ in range(3)]
    assert claimed == [yard.id(made, "one"), yard.id(made, "two"), yard.id(first, "earlier")]
    assert yard.acts.bump(ADMIN, made) == []


# -- who may --------------------------------------------------------------------------------------

ACTS = {
    "cancel": Right.CANCEL,
    "restart_aborted": Right.RESTART,
    "restart_failed": Right.RESTART,
    "bump": Right.BUMP,
}


@pytest.mark.parametrize(("act", "right"), ACTS.items())
def test_each_act_needs_its_right(yard, act, right):
    """A member with any other is refused, with that one let in; nobody must sign in."""
    made = yard.evaluation("one")
    member = yard.make.user("mara")
    do = getattr(yard.acts, act)
    yard.services.projects.set_member(
        ADMIN, "yard", "mara", frozenset(set(Right) - {right, Right.EDIT})
    )
    with pytest.raises(Forbidden):
        do(member, made)
    with pytest.raises(NotSignedIn):
        do(Actor(""), made)
    with pytest.raises(NotFound):
        do(ADMIN, 999)
    yard.services.projects.set_member(ADMIN, "yard", "mara", frozenset({right}))
    do(member, made)


# -- at given revisions ---------------------------------------------------------------------------


@pytest.fixture
def several(yard):
    """A jobset of two repositories and a value."""
    inputs = (
        Input("src", "https://example.org/src.git"),
        Input("lib", "https://example.org/lib.git"),
        Input("flag", type=InputType.BOOLEAN, value="true"),
    )
    settings = JobsetSettings(recipe_input="src")
    put = yard.services.jobsets.put
    return put(ADMIN, "yard", "several", settings, inputs)[0]


def request(yard, *pairs, name="several", **rest):
    return yard.acts.request(ADMIN, "yard", name, pairs, **rest)


def test_an_evaluation_remembers_what_it_was_asked_for(yard, several):
    """The revision of the recipe is that of the evaluation."""
    made = request(yard, ("src", REVISION), ("lib", "4" * 40))
    found = yard.store.evaluations.get(made)
    assert (found.revision, found.ref) == (REVISION, "HEAD")
    assert found.wish.revisions == {"src": REVISION, "lib": "4" * 40}
    (row,) = yard.services.requests.list_newest(ADMIN, limit=1)
    assert row.what["inputs"] == found.wish.revisions


def test_the_same_is_asked_for_once(yard, several):
    """While it waits; another revision of any input is something else."""
    first = request(yard, ("lib", REVISION))
    assert request(yard, ("lib", REVISION)) == first
    assert request(yard, ("lib", "4" * 40)) != first
    assert request(yard) != first


def test_every_fault_is_told(yard, several):
    """Unknown inputs, those without revisions, what is no revision, and what was known before."""
    with pytest.raises(Invalid) as refused:
        request(yard, ("none", "x"), ("flag", REVISION), ("src", "main"), revision="short")
    assert [str(one) for one in refused.value.complaints] == [
        "inputs.none: there is no such input; known are src, lib, flag",
        "inputs.none: must be a whole revision: 40 hexadecimal digits in lower case",
        "inputs.flag: a boolean has no revisions",
        "inputs.src: must be a whole revision: 40 hexadecimal digits in lower case",
        "revision: must be a whole revision: 40 hexadecimal digits in lower case",
        "revision: is given by inputs.src already",
    ]
    assert yard.store.evaluations.list_open(yard.services.rights.sight(ADMIN), 10) == ()


def test_an_input_is_named_once(yard, several):
    with pytest.raises(Invalid, match="evaluated so") as refused:
        request(yard, ("lib", REVISION), ("lib", "4" * 40))
    assert {one.message for one in refused.value.complaints} == {"is named twice"}


def test_who_may_not_evaluate_learns_nothing_of_faults(yard, several):
    with pytest.raises(Forbidden):
        yard.acts.request(yard.make.user("olga"), "yard", "several", [("none", "x")])
    with pytest.raises(NotFound):
        request(yard, name="none")


def test_a_jobset_without_a_repository_has_nothing_to_evaluate(yard):
    yard.make.project("manual")
    with pytest.raises(Conflict):
        yard.acts.request(ADMIN, "manual", "main", [])
