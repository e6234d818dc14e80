"""Groups of builds: told once, when the last of them ends, whichever that is."""

import threading
from dataclasses import replace

import pytest
from support.factories import ADMIN, done

from ciserver.machine import native_system
from ciserver.model.build import BuildResult, Offer
from ciserver.model.status import BuildStatus
from ciserver.service.job_groups import GivenGroup
from ciserver.service.submissions import ManifestSubmission

B = BuildStatus
MANIFEST = "image: host\ntasks:\n  - build: echo built\n"
OFFER = Offer("local-0", (native_system(),))


def mail(condition):
    return {"action": "email", "condition": condition, "to": f"{condition}@example.org"}


HOOK = {"action": "webhook", "condition": "always", "url": "https://example.org/hook"}
CONDITIONS = ("always", "success", "failure", "change")
TRIGGERS = (*(mail(one) for one in CONDITIONS), HOOK)


@pytest.fixture
def ada(make):
    return make.user("ada")


@pytest.fixture
def joined(services, ada):
    """Joins so many builds with these triggers; answers the group and its builds."""

    def join(count, *triggers, execute=True):
        made = [
            services.submissions.submit(
                ada, ManifestSubmission(MANIFEST, tags=(f"part-{one}",), execute=False)
            ).id
            for one in range(count)
        ]
        given = GivenGroup(tuple(made), "A note", tuple(triggers), execute)
        view = services.job_groups.join(ada, given)
        return view.group.id, made

    return join


@pytest.fixture
def begin(make):
    """A worker takes the next build; answers its lease."""

    def take():
        lease = make.claim(OFFER).lease
        make.reporter.advance(lease, done(0), 1, sandbox="plain")
        return lease

    return take


@pytest.fixture
def end(make, begin):
    """Runs the next build to this end."""

    def run(status=B.SUCCEEDED):
        lease = begin()
        make.reporter.finish(lease, BuildResult(status), ())
        return lease.build_id

    return run


@pytest.fixture
def told(store):
    """What was told of groups, by builds: those of the builds themselves are left out."""

    def look(*build_ids):
        return [
            one
            for build_id in build_ids
            for one in store.outbox.list_of_build(build_id)
            if one.event.type == "group.finished"
        ]

    return look


@pytest.mark.parametrize(
    ("ends", "met"),
    [
        ((B.SUCCEEDED, B.PARTIAL, B.SUCCEEDED), {"always", "success"}),
        ((B.FAILED, B.SUCCEEDED, B.SUCCEEDED), {"always", "failure", "change"}),
        ((B.SUCCEEDED, B.SUCCEEDED, B.TIMED_OUT), {"always", "failure", "change"}),
        ((B.SUCCEEDED, B.ERRORED, B.SUCCEEDED), {"always", "failure", "change"}),
    ],
)
def test_told_when_the_last_one_ends(joined, end, told, ends, met):
    """Not before; it succeeded when all of them did."""
    group_id, builds = joined(len(ends), *TRIGGERS)
    for status in ends[:-1]:
        end(status)
    assert told(*builds) == []
    last = end(ends[-1])
    found = told(*builds)
    targets = {f"{one}@example.org" for one in met} | {"https://example.org/hook"}
    assert {one.target for one in found} == targets
    event = found[0].event
    assert (event.group_id, event.owner, event.note) == (group_id, "ada", "A note")
    assert (event.build_id, event.project) == (last, "~ada")
    assert [(one.build_id, one.status) for one in event.members] == [
        (build, status.value) for build, status in zip(builds, ends, strict=True)
    ]
    assert [one.tags for one in event.members] == [("part-0",), ("part-1",), ("part-2",)]


def test_one_that_is_canceled_is_an_end_too(joined, end, told, services, ada):
    """Also of a build that nobody started."""
    group_id, builds = joined(2, mail("always"), execute=False)
    services.builds.start(ada, builds[0])
    end()
    assert told(*builds) == []
    services.job_groups.cancel(ada, group_id)
    (one,) = told(*builds)
    assert [each.status for each in one.event.members] == ["succeeded", "canceled"]
    assert one.event.status == "failed"


def test_told_once(joined, end, told, services, ada):
    """Whatever becomes of its builds later, also to those who did not hear of the end."""
    _, builds = joined(2, mail("always"), mail("failure"))
    end()
    end()
    assert [one.target for one in told(*builds)] == ["always@example.org"]
    services.builds.rerun(ada, builds[0])
    end(B.FAILED)
    assert [one.target for one in told(*builds)] == ["always@example.org"]


def test_some_that_end_at_once(joined, begin, make, told):
    """One of them is the last, and tells."""
    _, builds = joined(6, mail("always"))
    leases = [begin() for _ in builds]
    together = threading.Barrier(len(leases))

    def finish(lease):
        together.wait()
        make.reporter.finish(lease, BuildResult(B.SUCCEEDED), ())

    threads = [threading.Thread(target=finish, args=(one,)) for one in leases]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    (one,) = told(*builds)
    assert {each.status for each in one.event.members} == {"succeeded"}


def test_one_with_the_end(joined, begin, make, store, told):
    """The last end and what it tells are one: when the one fails, so does the other, and both are
    done by the next try.
    """
    _, builds = joined(1, mail("always"))
    lease = begin()
    store.database.sql(
        "CREATE TRIGGER full BEFORE INSERT ON deliveries BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    with pytest.raises(Exception, match="full"):
        make.reporter.finish(lease, BuildResult(B.SUCCEEDED), ())
    assert not store.builds.get(builds[0]).status.is_final
    store.database.sql("DROP TRIGGER full")
    make.reporter.finish(lease, BuildResult(B.SUCCEEDED), ())
    assert len(told(*builds)) == 1


def test_the_same_trigger_twice(joined, end, told):
    """Is two triggers."""
    _, builds = joined(1, HOOK, HOOK)
    end()
    assert len(told(*builds)) == 2


def test_a_jobset_that_sends_no_mail(joined, end, told, services, store):
    """Webhooks are no mail."""
    _, builds = joined(1, mail("always"), HOOK)
    jobset = store.jobsets.get_by_name("~ada", "jobs")
    settings = services.queries.jobset(ADMIN, "~ada", "jobs").jobset.settings
    services.jobsets.put(
        ADMIN, "~ada", "jobs", replace(settings, tell_by_mail=False), jobset.inputs
    )
    end()
    assert [one.action for one in told(*builds)] == ["webhook"]


def test_builds_tell_for_themselves_as_well(services, ada, end, store, told):
    """The triggers of a build are not those of its group."""
    given = ManifestSubmission(MANIFEST, triggers=(mail("always"),), execute=False)
    build = services.submissions.submit(ada, given)
    services.job_groups.join(ada, GivenGroup((build.id,), triggers=(HOOK,), execute=True))
    end()
    assert [one.action for one in told(build.id)] == ["webhook"]
    assert {one.action for one in store.outbox.list_of_build(build.id)} == {"email", "webhook"}
