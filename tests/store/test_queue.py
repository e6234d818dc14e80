"""The queue: which build is claimed, and that only its holder may write."""

import io
from dataclasses import replace

import pytest
from support.factories import ADMIN, MAIL, OFFER, SYSTEM, done, make_job
from support.statements import recorded

from ciserver.model.build import BuildResult, Lease, Loss, Offer, Output, Task
from ciserver.model.errors import LeaseLost
from ciserver.model.status import BuildStatus, StepStatus
from ciserver.store.arrivals import Texts

GOOD = BuildResult(BuildStatus.SUCCEEDED)


def claim_all(make, offer=OFFER):
    """The ids of all builds, in the order in which they are claimed."""
    return [work.lease.build_id for work in iter(lambda: make.claim(offer), None)]


def bump(store, build_id):
    with store.transaction():
        store.database.sql("UPDATE builds SET bumped = 1 WHERE id = ?", (build_id,))


def test_older_first(make):
    """Among equals the oldest build goes first."""
    jobset = make.jobset()
    builds = [make.build(jobset=jobset).id for _ in range(4)]
    assert claim_all(make) == builds


def test_priority_before_age(make):
    """A higher priority goes first, whatever came in before."""
    jobset = make.jobset()
    low, high, middle = (make.build(jobset=jobset, priority=one).id for one in (-1, 5, 0))
    assert claim_all(make) == [high, middle, low]


def test_bumped_before_priority(make, store):
    """What a person put in front goes before everything."""
    high, bumped = make.build(priority=9).id, make.build(priority=-9).id
    bump(store, bumped)
    assert claim_all(make) == [bumped, high]


def test_a_bump_is_used_up(make, store, clock):
    """A bumped build that was lost waits as an ordinary one."""
    bumped = make.build(priority=-9).id
    bump(store, bumped)
    make.claim()
    other = make.build().id
    clock.forward(minutes=5)
    make.services.builds.rescue_lost()
    assert claim_all(make) == [other, bumped]


def test_a_flood_of_one_jobset_does_not_starve_another(make):
    """Jobsets take turns: who used least goes first."""
    flood = make.jobset()
    first, second, third = (make.build(jobset=flood).id for _ in range(3))
    late = make.build().id
    assert claim_all(make) == [first, late, second, third]


def test_use_counts_by_time(make, clock):
    """A jobset that built for an hour waits behind one that built for a minute."""
    long, short = make.jobset(), make.jobset()
    for jobset, minutes in ((long, 60), (short, 1)):
        make.build(jobset=jobset)
        lease = make.claim().lease
        make.reporter.advance(lease, done(0), 1, sandbox="plain")
        clock.forward(minutes=minutes)
        make.reporter.finish(lease, GOOD, (done(1),))
    first, second = make.build(jobset=long).id, make.build(jobset=short).id
    assert claim_all(make) == [second, first]


def test_use_is_forgotten(make, clock):
    """After a month old use hardly counts, so a minute today weighs more than an hour then."""
    old, new = make.jobset(), make.jobset()
    for jobset, minutes in ((old, 60), (new, 1)):
        make.build(jobset=jobset)
        lease = make.claim().lease
        make.reporter.advance(lease, done(0), 1, sandbox="plain")
        clock.forward(minutes=minutes)
        make.reporter.finish(lease, GOOD, (done(1),))
        clock.forward(days=30)
    first, second = make.build(jobset=new).id, make.build(jobset=old).id
    assert claim_all(make) == [second, first]


def test_a_clock_set_back_by_years_does_not_stop_the_queue(make, clock):
    """A server that once ran with a wrong date still builds."""
    jobset = make.jobset()
    clock.forward(days=4000)
    make.build(BuildStatus.SUCCEEDED, jobset=jobset)
    clock.forward(days=-4000)
    build = make.build(jobset=jobset).id
    assert claim_all(make) == [build]


@pytest.mark.parametrize(
    ("offer", "claims"),
    [
        (Offer("w", (SYSTEM,)), True),
        (Offer("w", ("riscv64-linux", SYSTEM)), True),
        (Offer("w", ("riscv64-linux",)), False),
        (Offer("w", (SYSTEM,), ("debian",)), True),
        (Offer("w", (SYSTEM,), ("alpine", "debian")), True),
        (Offer("w", (SYSTEM,), ("alpine",)), False),
    ],
)
@pytest.mark.parametrize("bumped", [False, True])
def test_offers(make, store, offer, claims, bumped):
    """A worker gets what it can run, also when a person put something else in front."""
    build = make.build(image="debian").id
    if bumped:
        bump(store, build)
    assert claim_all(make, offer) == ([build] if claims else [])


def test_what_is_claimed(make, store, clock):
    """The claim says what to run; the attempt and its steps are there when it returns."""
    build = make.build(tasks=(Task("one", "make"), Task("two", "make test")))
    work = make.claim()
    assert work.job == make_job(tasks=(Task("one", "make"), Task("two", "make test")))
    after = store.builds.get(build.id)
    assert (after.status, after.attempt) == (BuildStatus.STARTING, 1)
    assert after.started_at == clock.now()
    (attempt,) = store.builds.list_attempts(build.id)
    assert (attempt.number, attempt.worker) == (1, "local-0")
    steps = [(one.number, one.name, one.status) for one in store.builds.list_steps(build.id)]
    assert steps == [
        (0, "setup", StepStatus.RUNNING),
        (1, "one", StepStatus.PENDING),
        (2, "two", StepStatus.PENDING),
    ]


def test_builds_of_a_job_are_numbered(make):
    """Each job of a jobset counts its own builds from one."""
    jobset = make.jobset()
    numbers = [make.build(jobset=jobset, name=name).number for name in ("a", "b", "a")]
    assert numbers == [1, 1, 2]


def test_a_rolled_back_lane_is_not_believed_in(make, store):
    """An evaluation that failed half-way does not spoil the next one of its kind."""
    jobset = make.jobset()
    evaluation = make.evaluation(jobset)
    with pytest.raises(LookupError), store.transaction():
        add_and_break(store, evaluation, make.clock)
    build = make.build(jobset=jobset, system="new-linux").id
    assert claim_all(make, Offer("w", ("new-linux",))) == [build]


def add_and_break(store, evaluation, clock):
    texts = Texts(store.queue.add_text("{}"))
    store.queue.add(evaluation, make_job(system="new-linux"), texts, clock.now())
    raise LookupError


class TestArrivals:
    """Builds of one evaluation that come in together."""

    def bring(self, make, store, jobs, *, jobset=None, **terms):
        evaluation = make.evaluation(jobset)
        with store.transaction():
            texts = Texts(store.queue.add_text("{}"))
            with store.queue.arrivals(evaluation, make.clock.now(), len(jobs)) as arrivals:
                return [arrivals.add(job, texts, **terms) for job in jobs]

    def test_they_are_as_if_each_had_come_alone(self, make, store):
        jobs = [make_job(name="a"), make_job(name="b", priority=3), make_job(name="a", system="s")]
        together = self.bring(make, store, jobs)
        alone = [one for job in jobs for one in self.bring(make, store, [job])]
        pairs = zip(together, alone, strict=True)
        for one, other in (map(store.builds.get, pair) for pair in pairs):
            assert (one.group_id, other.group_id) == (one.id, other.id)
            assert (one.job, one.system, one.priority) == (other.job, other.system, other.priority)
        ready = store.database.sql("SELECT priority, builds FROM ready ORDER BY lane_id, priority")
        counted = ready.fetchall()
        assert counted[:3] == [(0, 1), (3, 1), (0, 1)]
        assert sum(builds for _, builds in counted) == 6
        (asked,) = store.database.sql("SELECT builds FROM requesters WHERE name = 'ada'").fetchone()
        assert asked == 6

    def test_a_named_group_stays(self, make, store):
        first, second = self.bring(make, store, [make_job()] * 2, group_id=77)
        assert store.builds.get(first).group_id == store.builds.get(second).group_id == 77

    def test_what_waits_is_not_counted(self, make, store):
        self.bring(make, store, [make_job()], waiting="needs")
        self.bring(make, store, [make_job()], held=True)
        assert make.claim() is None
        assert store.database.sql("SELECT count(*) FROM ready").fetchone() == (0,)

    def test_those_of_one_job_are_counted_on(self, make, store):
        jobset = make.jobset()
        self.bring(make, store, [make_job()] * 3, jobset=jobset)
        jobs = [make_job(name=name) for name in ("build", "other") * 60]
        made = map(store.builds.get, self.bring(make, store, jobs, jobset=jobset))
        numbers = {name: [] for name in ("build", "other")}
        for one in made:
            numbers[one.job].append(one.number)
        assert numbers == {"build": [*range(4, 64)], "other": [*range(1, 61)]}

    def test_fifty_cost_two_statements(self, make, store):
        def statements(jobs):
            some = [make_job(name=f"job-{n}") for n in range(jobs)]
            return len(recorded(lambda: self.bring(make, store, some)))

        assert statements(510) - statements(10) == 2 * 10


def test_a_wrong_count_holds_up_nothing(make, store):
    """A lane that is counted and empty is passed over, though it would be the best."""
    build = make.build()
    with store.transaction():
        store.database.sql("INSERT INTO ready SELECT lane_id, 9, 1, 0, head FROM ready")
    assert make.claim().lease.build_id == build.id


# -- fencing --------------------------------------------------------------------------------------


WRITES = {
    "renew": lambda reporter, lease: reporter.renew(lease),
    "advance": lambda reporter, lease: reporter.advance(lease, done(0), 1, sandbox="plain"),
    "append": lambda reporter, lease: reporter.append_log(lease, 1, 0, b"forged"),
    "product": lambda reporter, lease: reporter.add_product(lease, "a.txt", io.BytesIO(b"forged")),
    "output": lambda reporter, lease: reporter.set_output(lease, Output("forged")),
    "finish": lambda reporter, lease: reporter.finish(lease, GOOD, ()),
    "give back": lambda reporter, lease: reporter.give_back(lease, Loss("forged")),
}


def everything(store, build_id):
    return (
        store.builds.get(build_id),
        store.builds.list_attempts(build_id),
        store.builds.list_steps(build_id),
        store.products.list_of_build(build_id),
        [store.products.output(build_id, attempt) for attempt in (1, 2)],
        store.outbox.list_of_build(build_id),
        [store.files.log_size(build_id, attempt, 1) for attempt in (1, 2)],
    )


def lose(make, clock, build):
    """The worker is silent for too long and another one takes the build."""
    make.claim()
    lost = make.leases[build.id]
    clock.forward(minutes=5)
    make.services.builds.rescue_lost()
    make.claim()
    return lost


def end(make, clock, build):
    lease = make.claim().lease
    make.reporter.advance(lease, done(0), 1, sandbox="plain")
    make.reporter.finish(lease, GOOD, ())
    return lease


def forge(make, clock, build):
    lease = make.claim().lease
    return Lease(lease.build_id, lease.attempt, "0" * 32)


def never_hold(make, clock, build):
    return Lease(build.id, 0, "")


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("how", [lose, end, forge, never_hold])
def test_only_the_holder_writes(make, clock, store, how, write):
    """With an old, used, forged or empty token nothing is written, and the writer learns of it."""
    build = make.build(triggers=(MAIL,))
    lease = how(make, clock, build)
    before = everything(store, build.id)
    with pytest.raises(LeaseLost):
        WRITES[write](make.reporter, lease)
    assert everything(store, build.id) == before


@pytest.mark.parametrize("write", sorted(WRITES))
def test_the_holder_writes(make, store, write):
    """The same writes change something when the lease holds."""
    build = make.build(BuildStatus.RUNNING)
    before = everything(store, build.id)
    make.clock.forward(seconds=1)
    WRITES[write](make.reporter, make.leases[build.id])
    assert write == "renew" or everything(store, build.id) != before


def test_a_renewed_lease_holds(make, clock, store):
    """A worker that renews keeps its build for as long as it likes."""
    build = make.build(BuildStatus.RUNNING)
    for _ in range(10):
        clock.forward(seconds=20)
        assert make.reporter.renew(make.leases[build.id]) is False
        assert make.services.builds.rescue_lost() == 0
    assert store.builds.get(build.id).status is BuildStatus.RUNNING


def test_a_cancellation_is_told_with_the_lease(make):
    """The worker learns by renewing that it shall stop."""
    build = make.build(BuildStatus.RUNNING)
    make.services.builds.cancel(ADMIN, build.id)
    assert make.reporter.renew(make.leases[build.id]) is True


def test_labels_are_asked_for_and_offered(make):
    """A worker takes what asks for some of its labels or none, and nothing else."""
    for labels in ((), ("gpu",), ("big", "gpu"), ("kvm",)):
        make.build(runs_on=labels)
    offer = replace(OFFER, labels=("gpu", "big", "b"))
    taken = []
    while work := make.claim(offer):
        taken.append(work.job.runs_on)
    assert sorted(taken) == [(), ("big", "gpu"), ("gpu",)]
    assert make.claim() is None


def test_a_dedicated_worker_takes_builds_of_its_projects(make, store):
    """Whatever waits beside."""
    jobsets = [make.jobset(name) for name in ("a", "b", "c")]
    builds = [make.build(jobset=one) for one in jobsets]
    projects = tuple(store.projects.find(name).id for name in ("a", "c"))
    offer = replace(OFFER, projects=projects)
    taken = {make.claim(offer).lease.build_id for _ in range(2)}
    assert taken == {builds[0].id, builds[2].id}
    assert make.claim(offer) is None
