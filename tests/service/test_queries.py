"""What pages and APIs show, and why a build waits."""

import io

import pytest
from support.factories import ADMIN, ALL, SYSTEM, make_job

from ciserver.model.account import ANONYMOUS, Visibility
from ciserver.model.errors import Invalid, NotFound
from ciserver.model.ports import EngineState, WorkerState
from ciserver.model.status import BuildStatus
from ciserver.service.queries import PAGE
from ciserver.service.waiting import waiting_reason

B = BuildStatus


@pytest.fixture
def queries(services):
    return services.queries


class StillEngine:
    """An engine that only has a state."""

    def __init__(self, *workers):
        usual = {"name": "local", "systems": (SYSTEM,), "slots": 2, "busy": 0}
        self._state = EngineState(tuple(WorkerState(**{**usual, **one}) for one in workers))

    def ring(self):
        pass

    def stop(self, build_id):
        pass

    def state(self):
        return self._state


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({}, "about to start"),
        ({"busy": 2}, "all 2 slots are busy"),
        ({"busy": 1, "slots": 1}, "the only slot is busy"),
        ({"systems": ("riscv64-linux",)}, f"no worker for system {SYSTEM} (there is: riscv64"),
        ({"paused": "the disk is full", "busy": 2}, "the disk is full"),
        (
            {"queues": (f"{SYSTEM}/untrusted",)},
            f"no worker for {SYSTEM} takes trusted builds",
        ),
        ({"queues": (f"{SYSTEM}/untrusted", f"{SYSTEM}/trusted")}, "about to start"),
        ({"projects": ("another",)}, f"the workers for {SYSTEM}/trusted are for other projects"),
        ({"projects": ("another", "project-1"), "labels": ("gpu",)}, "about to start"),
    ],
)
def test_why_a_build_waits(make, services, queries, state, reason):
    """Page and queue give the same reason."""
    services.run_on(StillEngine(state))
    build = make.build()
    assert queries.build(ADMIN, build.id).waiting_for.startswith(reason)
    assert queries.queue(ADMIN).reasons == {build.id: queries.build(ADMIN, build.id).waiting_for}


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ((), f"no worker for {SYSTEM}/trusted has the labels big, gpu (they have none)"),
        (("gpu",), f"no worker for {SYSTEM}/trusted has the labels big, gpu (they have: gpu)"),
        (("big", "gpu", "kvm"), "about to start"),
    ],
)
def test_why_a_build_waits_for_labels(make, services, queries, labels, reason):
    """The page says which the workers have."""
    services.run_on(StillEngine({"labels": labels}))
    build = make.build(runs_on=("big", "gpu"))
    assert queries.build(ADMIN, build.id).waiting_for == reason


@pytest.mark.parametrize(
    ("image", "state", "reason"),
    [
        ("no/such", {"images": ("debian/stable",)}, "about to start"),
        (
            "no/such",
            {"images": ("debian/stable", "a"), "takes_any_image": False},
            "no worker offers the image no/such (there is: a, debian/stable)",
        ),
        ("a", {"takes_any_image": False}, "no worker offers the image a (there is: none)"),
        ("a", {"images": ("a",), "takes_any_image": False}, "about to start"),
        ("host", {"takes_any_image": False}, "about to start"),
        ("nix", {"takes_any_image": False}, "about to start"),
    ],
)
def test_a_build_waits_for_its_image_where_others_are_refused(
    make, services, queries, image, state, reason
):
    """With the images that there are; the machine itself is always there."""
    services.run_on(StillEngine(state))
    build = make.build(image=image)
    assert queries.build(ADMIN, build.id).waiting_for == reason


NEAR, FAR = {"name": "near", "busy": 2}, {"name": "far", "busy": 2}
NO_WORKER = f"all workers for {SYSTEM} take no builds"
PAUSED = "the worker near is paused by root: a new disk"
OTHER = {"name": "other", "systems": ("riscv64-linux",)}


@pytest.mark.parametrize(
    ("workers", "paused", "reason"),
    [
        # Others may run it: what it waits for is them.
        ((NEAR, FAR), ("near",), "all 2 slots are busy"),
        ((NEAR, FAR), ("nobody",), "all 4 slots are busy"),
        (({**NEAR, "busy": 0}, FAR), ("far", "other"), "about to start"),
        (({**NEAR, "busy": 0}, FAR), ("near",), "all 2 slots are busy"),
        ((NEAR, {**FAR, "busy": 0, "paused": "the disk is full"}), (), "all 2 slots are busy"),
        # Nobody may.
        ((NEAR,), ("near",), PAUSED),
        ((NEAR, OTHER), ("near",), PAUSED),
        (
            (NEAR, FAR),
            ("near", "far"),
            f"{NO_WORKER}: {PAUSED}; {PAUSED.replace('near', 'far')}",
        ),
        (
            (NEAR, {**FAR, "paused": "the disk is full"}),
            ("near",),
            f"{NO_WORKER}: {PAUSED}; far: the disk is full",
        ),
        (({**NEAR, "name": "near-1"},), ("near",), PAUSED),
        ((OTHER,), ("other",), f"no worker for system {SYSTEM} (there is: riscv64-linux)"),
        ((NEAR,), ("near", ""), "the queue is paused by root: a new disk"),
    ],
)
def test_a_paused_worker_is_a_reason_where_no_other_is_left(
    make, services, queries, workers, paused, reason
):
    """What a paused one has free does not count; a pause of somebody else is no reason."""
    services.run_on(StillEngine(*workers))
    for one in paused:
        services.pauses.pause(ADMIN, worker=one, paused=True, reason="a new disk")
    build = make.build()
    told = queries.build(ADMIN, build.id).waiting_for
    assert told.startswith(reason)
    assert queries.queue(ADMIN).reasons == {build.id: told}
    assert queries.evaluation(ADMIN, build.evaluation_id).reasons == {build.id: told}


def test_who_paused_it_is_told_to_administrators(make, services, queries):
    """Why it was paused is told to everybody."""
    services.run_on(StillEngine(NEAR))
    services.pauses.pause(ADMIN, worker="near", paused=True, reason="a new disk")
    build = make.build()
    assert queries.build(ANONYMOUS, build.id).waiting_for == "the worker near is paused: a new disk"
    services.pauses.pause(ADMIN, worker="near", paused=False)
    assert "busy" in queries.build(ANONYMOUS, build.id).waiting_for


@pytest.mark.parametrize("name", ["local", "local-0", "local-7"])
def test_a_claim_and_the_reason_follow_one_rule(make, services, queries, store, name):
    """Whoever may not claim is paused to whoever asks."""
    services.run_on(StillEngine({"name": name}))
    build = make.build()
    for paused in ("local", "local-0", "other"):
        services.pauses.pause(ADMIN, worker=paused, paused=True)
        is_told = "is paused" in queries.build(ADMIN, build.id).waiting_for
        assert store.queue.is_paused(name, services.clock.now()) is is_told
        services.pauses.pause(ADMIN, worker=paused, paused=False)


@pytest.mark.parametrize("reason", ["x" * 201, "two\nlines", "\x1b[31m"])
def test_a_reason_is_one_line(services, reason):
    """It is shown to everybody who waits."""
    with pytest.raises(Invalid, match="cannot be paused"):
        services.pauses.pause(ADMIN, paused=True, reason=reason)
    assert services.pauses.list_all(ADMIN) == ()


def test_without_an_engine(make):
    """A server that runs no builds says so; what does not wait has no reason."""
    assert waiting_reason(make.build(), None) == "no engine runs builds right now"
    assert waiting_reason(make.build(B.RUNNING), None) == ""


def test_pages_of_builds(make, queries):
    """Newest first; the pages join without a gap or a double, and the last says that it is."""
    jobset = make.jobset()
    evaluation = make.evaluated(jobset, *(make_job(name=f"job-{n}") for n in range(7)))
    ids, before = [], None
    for size in (3, 3, 1):
        page = queries.builds(ADMIN, before=before, limit=3)
        assert len(page.builds) == size
        ids += [one.id for one in page.builds]
        before = page.next
    assert before is None
    assert ids == [one.id for one in queries.evaluation(ADMIN, evaluation.id).builds][::-1]


def test_builds_of_one_jobset(make, queries):
    """Only its own; an unknown jobset is said."""
    jobset = make.jobset("project")
    mine = make.build(jobset=jobset)
    make.build()
    assert queries.builds(ADMIN, project="project", jobset="main").builds == (mine,)
    with pytest.raises(NotFound, match="no jobset project:other"):
        queries.builds(ADMIN, project="project", jobset="other")


def test_the_queue_in_pages(make, store):
    """Waiting builds of every kind come newest first, in pages that join."""
    jobset = make.jobset()
    made = [make.build(jobset=jobset).id for _ in range(6)]
    make.build(B.SUCCEEDED)
    with store.transaction():
        for build_id, status in ((made[1], "held"), (made[4], "preparing")):
            store.database.sql("UPDATE builds SET status = ? WHERE id = ?", (status, build_id))
    first = store.builds.list_waiting(ALL, before=None, limit=4)
    second = store.builds.list_waiting(ALL, before=first.next, limit=4)
    assert [one.id for one in first.builds + second.builds] == made[::-1]
    assert (len(first.builds), second.next) == (4, None)


def test_the_queue(make, queries):
    """What runs, what waits and what is evaluated."""
    running, waiting, evaluation = make.build(B.RUNNING), make.build(), make.evaluation()
    make.build(B.FAILED)
    queue = queries.queue(ADMIN)
    assert queue.running == (running,)
    assert queue.waiting.builds == (waiting,)
    assert queue.waiting_total == 1
    assert queue.evaluations == (evaluation,)


def test_the_queue_counts_what_is_seen(make, queries):
    """What others have waiting does not show in the number, and where it is not known there is
    none.
    """
    secret = make.project("secret", visibility=Visibility.PRIVATE)
    make.submitted(secret, by="root")
    member = make.user("mia")
    shown = [make.build() for _ in range(PAGE)]
    assert queries.queue(ADMIN).waiting_total == PAGE + 1
    for actor in (ANONYMOUS, member):
        seen = queries.queue(actor)
        assert (len(seen.waiting.builds), seen.waiting_total) == (PAGE, PAGE)
        assert queries.queue(actor, before=shown[9].id).waiting_total is None
    make.build()
    assert queries.queue(ANONYMOUS).waiting_total is None
    assert queries.queue(ADMIN).waiting_total == PAGE + 2


def test_what_may_be_done(make, queries):
    """The page offers what the reader may do and what makes sense."""
    queued, failed = make.build(), make.build(B.FAILED)
    offered = [
        (view.may_cancel, view.may_rerun)
        for actor in (ADMIN, ANONYMOUS)
        for view in (queries.build(actor, queued.id), queries.build(actor, failed.id))
    ]
    assert offered == [(True, False), (False, True), (False, False), (False, False)]


def test_the_results_of_a_jobset(make, queries):
    """The newest build of each job and system."""
    jobset = make.jobset("project")
    make.build(B.FAILED, jobset=jobset, name="a")
    newest = make.build(B.SUCCEEDED, jobset=jobset, name="a")
    other = make.build(jobset=jobset, name="b")
    view = queries.jobset(ADMIN, "project", "main")
    assert view.results == (newest, other)
    assert [one.number for one in view.evaluations.evaluations] == [3, 2, 1]
    assert queries.project(ADMIN, "project").jobsets[0].latest.number == 3


def test_attempts_and_steps(make, services, queries):
    """Newest first, each with its own steps; one can be asked for by name or number."""
    build = make.build(B.FAILED)
    services.builds.rerun(ADMIN, build.id)
    services.builds.cancel(ADMIN, build.id)
    view = queries.build(ADMIN, build.id)
    assert [(one.attempt.number, len(one.steps)) for one in view.attempts] == [(2, 0), (1, 2)]
    assert queries.step(ADMIN, build.id, "compile", 1) == queries.step(ADMIN, build.id, 1, 1)
    with pytest.raises(NotFound, match="no step compile in attempt 2"):
        queries.step(ADMIN, build.id, "compile", None)


def test_products(make, reporter, queries, parts):
    """A product is kept with its digest; the same path again replaces it; a lost file is said."""
    build = make.build(B.RUNNING)
    for content in (b"old", b"newer"):
        reporter.add_product(make.leases[build.id], "out/a.txt", io.BytesIO(content))
    (product,) = queries.build(ADMIN, build.id).products
    assert (product.name, product.path, product.size) == ("a.txt", "out/a.txt", 5)
    with queries.open_product(queries.product(ADMIN, build.id, product.id)) as file:
        assert file.read() == b"newer"
    next((parts.data.root / "products").rglob(product.sha256)).unlink()
    with pytest.raises(NotFound):
        queries.open_product(product)
    with pytest.raises(NotFound, match="no product"):
        queries.product(ADMIN, make.build().id, product.id)


@pytest.mark.parametrize("ask", ["build", "evaluation"])
def test_what_is_not_there(queries, ask):
    """The number is in the answer."""
    with pytest.raises(NotFound, match=f"no {ask} 99"):
        getattr(queries, ask)(ADMIN, 99)
