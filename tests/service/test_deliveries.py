"""What must leave the house: written with its cause, sent at least once, given up at last."""

import pytest
from support.factories import ADMIN, ALL, MAIL, OFFER, done

from ciserver.model.account import ANONYMOUS, Actor
from ciserver.model.build import BuildResult, TriggerSpec
from ciserver.model.errors import Forbidden, NotFound, NotSignedIn, RemoteFailure
from ciserver.model.status import BuildStatus, DeliveryStatus
from ciserver.service.audit import Audit
from ciserver.service.deliveries import DELAYS, Deliveries

B, D = BuildStatus, DeliveryStatus
AWAY = RemoteFailure("the server is away", temporary=True)


class Told:
    """A trigger that keeps what it was told, and fails as often as it was told to."""

    action = "email"

    def __init__(self):
        self.deliveries, self.failures, self.meanwhile = [], [], lambda: None

    def deliver(self, delivery):
        self.deliveries.append(delivery)
        self.meanwhile()
        if self.failures:
            raise self.failures.pop(0)
        return "accepted"


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def sender(store, clock, told, services):
    """Makes the service, with this trigger unless others are named."""

    def make(triggers=None, **options):
        known = {"email": told} if triggers is None else triggers
        audit = Audit(store, clock)
        return Deliveries(store, clock, services.rights, audit, known, ring=lambda: None, **options)

    return make


@pytest.fixture
def deliveries(sender):
    return sender(jitter=lambda: 1.0)


@pytest.fixture
def one(make, store):
    """A delivery that is due."""
    build = make.build(B.SUCCEEDED, triggers=(MAIL,))
    (delivery,) = store.outbox.list_of_build(build.id)
    return delivery


def spec(condition, **options):
    return TriggerSpec("email", condition, options or {"to": ["ada@example.org"]})


# -- written --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sqlite_alone")
def test_written_with_the_end(make, store):
    """The end of a build and its deliveries are one: when the one fails, so does the other."""
    build = make.build(B.RUNNING, triggers=(MAIL,))
    store.database.sql(
        "CREATE TRIGGER full BEFORE INSERT ON deliveries BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    with pytest.raises(Exception, match="full"):
        make.reporter.finish(make.leases[build.id], BuildResult(B.SUCCEEDED), ())
    assert store.builds.get(build.id).status is B.RUNNING
    store.database.sql("DROP TRIGGER full")
    make.reporter.finish(make.leases[build.id], BuildResult(B.SUCCEEDED), ())
    assert len(store.outbox.list_of_build(build.id)) == 1


@pytest.mark.parametrize(
    ("before", "after", "met"),
    [
        (None, B.SUCCEEDED, {"always", "success"}),
        (None, B.FAILED, {"always", "failure", "change"}),
        (B.SUCCEEDED, B.FAILED, {"always", "failure", "change"}),
        (B.FAILED, B.FAILED, {"always", "failure"}),
        (B.FAILED, B.SUCCEEDED, {"always", "success", "change"}),
    ],
)
def test_conditions(make, store, before, after, met):
    """Who asked to hear of such an end hears of it, compared with the build before."""
    jobset = make.jobset()
    if before:
        make.build(before, jobset=jobset)
        make.build(B.CANCELED, jobset=jobset)  # which says nothing of the job
    conditions = ("always", "success", "failure", "change")
    triggers = tuple(spec(one, to=[f"{one}@example.org"]) for one in conditions)
    build = make.build(after, jobset=jobset, triggers=triggers)
    targets = {one.target for one in store.outbox.list_of_build(build.id)}
    assert targets == {f"{one}@example.org" for one in met}


def test_the_event_says_all(make, store, clock):
    """What is told later is what was true when it happened."""
    build = make.build(B.RUNNING, triggers=(MAIL,))
    clock.forward(seconds=90)
    make.reporter.finish(make.leases[build.id], BuildResult(B.SUCCEEDED), (done(1),))
    (delivery,) = store.outbox.list_of_build(build.id)
    event = delivery.event
    assert (event.build_id, event.attempt, event.status) == (build.id, 1, "succeeded")
    assert (event.duration_seconds, event.subject) == (90.0, "A subject")
    assert [(step.name, step.status) for step in event.steps] == [
        ("setup", "succeeded"),
        ("compile", "succeeded"),
    ]
    assert event.url.endswith(f"/build/{build.id}")


def test_each_attempt_is_told_once(make, store, services):
    """A rerun is told again, under an id of its own."""
    build = make.build(B.SUCCEEDED, triggers=(MAIL,))
    services.builds.rerun(ADMIN, build.id)
    services.builds.cancel(ADMIN, build.id)
    told = store.outbox.list_of_build(build.id)
    assert sorted(one.event.attempt for one in told) == [1, 2]
    assert len({one.id for one in told}) == 2


def test_the_same_is_added_once(make, store, one, clock):
    """A second row with the same key is not made."""
    for _ in range(2):
        store.outbox.add_once(
            "msg_2",
            dedupe_key="key",
            action="email",
            target="",
            options={},
            event=one.event,
            now=clock.now(),
        )
    assert len(store.outbox.list_of_build(one.event.build_id)) == 2


def test_the_sender_is_rung(parts, make):
    """Whoever sends is woken when there is something to send."""
    rung = []
    parts.bells.deliveries.on_ring(lambda: rung.append(make.store.outbox.count_pending()))
    make.build(B.SUCCEEDED)
    assert rung == []
    make.build(B.SUCCEEDED, triggers=(MAIL,))
    assert rung == [1]


# -- sent -----------------------------------------------------------------------------------------


def test_sent_once(deliveries, told, store, one, clock):
    """What was sent is marked and not sent again."""
    assert deliveries.deliver_next()
    assert not deliveries.deliver_next()
    assert [delivery.id for delivery in told.deliveries] == [one.id]
    sent = store.outbox.get(one.id)
    assert (sent.status, sent.tries, sent.detail) == (D.SENT, 1, "accepted")
    assert sent.sent_at == clock.now()
    assert deliveries.next_due() is None


def test_the_schedule_of_retries(deliveries, told, store, one, clock):
    """Later and later, always the same id, and buried after the last try."""
    told.failures = [AWAY] * (len(DELAYS) + 1)
    for number, delay in enumerate(DELAYS, start=1):
        assert deliveries.deliver_next()
        waiting = store.outbox.get(one.id)
        assert (waiting.status, waiting.tries) == (D.PENDING, number)
        assert deliveries.next_due() == clock.now() + delay
        assert not deliveries.deliver_next()
        clock.forward(seconds=delay.total_seconds())
    assert deliveries.deliver_next()
    assert store.outbox.get(one.id).status is D.BURIED
    assert {delivery.id for delivery in told.deliveries} == {one.id}
    tries = store.outbox.list_tries(one.id)
    assert [(each.number, each.ok) for each in tries] == [(n, False) for n in range(1, 11)]
    clock.forward(days=30)
    assert not deliveries.deliver_next()


def test_jitter(sender, store, clock, told, make):
    """Receivers that come back are not all met at the same moment."""
    deliveries = sender()
    told.failures = [AWAY] * 8
    for _ in range(8):
        make.build(B.SUCCEEDED, triggers=(MAIL,))
        deliveries.deliver_next()
    delays = [
        (one.due_at - clock.now()).total_seconds() for one in store.outbox.list_newest(ALL, 8)
    ]
    assert len(set(delays)) > 1
    assert all(4.5 <= delay <= 5.5 for delay in delays)


@pytest.mark.parametrize(("wish", "seconds"), [(None, 5), (2, 5), (600, 600), (10_000_000, 86_400)])
def test_retry_after(deliveries, told, store, one, clock, wish, seconds):
    """A receiver may ask for more time, up to a day; never for less than the schedule."""
    told.failures = [RemoteFailure("busy", temporary=True, retry_after_seconds=wish)]
    deliveries.deliver_next()
    assert (store.outbox.get(one.id).due_at - clock.now()).total_seconds() == seconds


@pytest.mark.parametrize(
    "failure",
    [
        RemoteFailure("gone for good", temporary=True, disable=True),
        RemoteFailure("gone for good", temporary=False),
    ],
    ids=["410", "permanent"],
)
def test_buried_at_once(deliveries, told, store, one, failure):
    """Who does not want to be called any more, or never can be, is not tried again."""
    told.failures = [failure]
    deliveries.deliver_next()
    buried = store.outbox.get(one.id)
    assert (buried.status, buried.tries, buried.detail) == (D.BURIED, 1, "gone for good")


def test_an_unknown_trigger(sender, store, clock, one):
    """A trigger that this server lacks is said, and can be sent after it was installed."""
    assert sender(triggers={}).deliver_next()
    buried = store.outbox.get(one.id)
    assert buried.status is D.BURIED
    assert "no trigger email" in buried.detail


def test_a_crash_is_postponed(deliveries, told, store, one, clock):
    """A trigger that breaks is tried again, and does not stop the others."""
    told.failures = [ZeroDivisionError("inside")]
    assert deliveries.deliver_next()
    postponed = store.outbox.get(one.id)
    assert (postponed.status, postponed.tries) == (D.PENDING, 1)
    assert postponed.detail == "the trigger crashed: ZeroDivisionError"
    clock.forward(seconds=5)
    deliveries.deliver_next()
    assert store.outbox.get(one.id).status is D.SENT


def test_resend(deliveries, told, store, one):
    """A person may send anything again: the same id, another try."""
    deliveries.deliver_next()
    assert deliveries.resend(ADMIN, one.id).status is D.PENDING
    deliveries.deliver_next()
    assert [delivery.id for delivery in told.deliveries] == [one.id, one.id]
    assert [each.number for each in store.outbox.list_tries(one.id)] == [1, 2]


def test_resend_while_it_is_sent(deliveries, told, store, one):
    """Two tries at once are both written down."""

    def again():
        told.meanwhile = lambda: None
        deliveries.resend(ADMIN, one.id)
        deliveries.deliver_next()

    told.meanwhile = again
    assert deliveries.deliver_next()
    assert [each.number for each in store.outbox.list_tries(one.id)] == [1, 2]
    assert store.outbox.get(one.id).tries == 2
    assert store.outbox.get(one.id).status is D.SENT


def test_resend_needs_the_right(deliveries, one):
    """A token without the scope sends nothing."""
    with pytest.raises(Forbidden):
        deliveries.resend(Actor("ada", scopes=("builds:write",)), one.id)
    with pytest.raises(NotFound, match="no delivery nothing"):
        deliveries.resend(ADMIN, "nothing")


@pytest.mark.parametrize("known", [True, False])
def test_resend_tells_nothing_to_whom_it_is_not_for(deliveries, one, known):
    """Without the proof an id that is there is like one that is not."""
    wanted = one.id if known else "nothing"
    with pytest.raises(NotSignedIn):
        deliveries.resend(ANONYMOUS, wanted)
    with pytest.raises(Forbidden, match="lacks the scope deliveries:write"):
        deliveries.resend(Actor("root", is_admin=True, scopes=("builds:write",)), wanted)


def test_a_killed_server_sends_again(deliveries, told, store, one, clock):
    """What it was sending is due at once at the next start, with the same id."""
    assert store.outbox.claim(clock.now(), clock.forward(minutes=2)).id == one.id
    assert not deliveries.deliver_next()
    assert deliveries.recover() == 1
    assert deliveries.deliver_next()
    assert told.deliveries[0].id == one.id


def test_the_longest_due_first(deliveries, told, make, clock):
    """Nobody is overtaken."""
    for _ in range(3):
        make.build(B.SUCCEEDED, triggers=(MAIL,))
        clock.forward(seconds=1)
    while deliveries.deliver_next():
        pass
    assert [one.event.build_id for one in told.deliveries] == [1, 2, 3]
    assert make.claim(OFFER) is None
