"""Who is mailed of builds that end: nobody twice, and of a change of state alone."""

from dataclasses import replace

import pytest
from support.factories import ADMIN, MAIL, done, make_event, make_job

from ciserver.model.build import BuildResult, TriggerSpec
from ciserver.model.push import Trust
from ciserver.model.status import BuildStatus, DeliveryStatus, Reason
from ciserver.service.mails import MOST_BESIDE, Mail, Mails

B = BuildStatus
ADA, BOB, CYD = "ada@example.org", "bob@example.org", "cyd@example.org"


def mail(build_id, *readers, index="0", **options):
    event = make_event(build_id=build_id, job=f"job-{build_id}", status="failed")
    return Mail(event, index, TriggerSpec("email", "change", {"to": list(readers), **options}))


def planned(*wanted):
    mails = Mails()
    for one in wanted:
        mails.add(one)
    return [
        (one.event.build_id, one.spec.options, [each.build_id for each in one.event.beside])
        for one in mails.list_all()
    ]


def test_one_build_is_told_once():
    """Somebody who is named twice, in whatever way, is named in the first mail only."""
    again = mail(1, f"Ada <{ADA.upper()}>", BOB, index="1")
    assert planned(mail(1, ADA), again) == [(1, {"to": [ADA]}, []), (1, {"to": [BOB]}, [])]
    assert planned(mail(1, ADA, cc=[BOB]), mail(1, BOB, index="1")) == [
        (1, {"to": [ADA], "cc": [BOB]}, [])
    ]


def test_what_ended_with_it_is_told_beside():
    """One mail an address: those who read of the same are in one mail."""
    assert planned(mail(1, ADA, BOB, CYD), mail(2, ADA, BOB), mail(3, ADA, BOB, "dan@b.c")) == [
        (1, {"to": [ADA, BOB]}, [2, 3]),
        (1, {"to": [CYD]}, []),
        (3, {"to": ["dan@b.c"]}, []),
    ]


def test_what_is_given_beside_the_readers_stays():
    """The thread that a mail joins, and how its one text was written."""
    spec = TriggerSpec("email", "always", {"to": f"{ADA}, {BOB}", "in_reply_to": "<x@y>"})
    assert planned(Mail(make_event(), "0", spec)) == [(1, spec.options, [])]
    narrowed = planned(mail(1, BOB), Mail(make_event(), "1", spec))
    assert narrowed[1] == (1, {"to": [ADA], "in_reply_to": "<x@y>"}, [])


def test_a_mail_without_readers_is_left_to_say_so():
    """The delivery says what is wrong with the trigger."""
    assert planned(mail(1)) == [(1, {"to": []}, [])]


def test_of_very_many_some_are_named():
    mails = Mails()
    for number in range(1, 202):
        mails.add(mail(number, ADA))
    (one,) = mails.list_all()
    assert (len(one.event.beside), one.event.beside_total) == (MOST_BESIDE, 200)


# -- the ends of builds ---------------------------------------------------------------------------


@pytest.fixture
def told(store):
    """Whom the builds of a jobset told so far, and of what, in order."""

    def look(jobset):
        return [
            (one.target, one.event.status)
            for build in sorted(ids(store, jobset))
            for one in sorted(store.outbox.list_of_build(build), key=lambda each: each.target)
        ]

    return look


def ids(store, jobset):
    rows = store.database.sql("SELECT id FROM builds WHERE jobset_id = ?", (jobset.id,))
    return [row[0] for row in rows]


@pytest.fixture
def settle(store, services):
    """Changes settings of a jobset."""

    def change(jobset, **changes):
        settings = replace(jobset.settings, **changes)
        services.jobsets.put(ADMIN, jobset.project, jobset.name, settings, jobset.inputs)

    return change


@pytest.mark.parametrize(
    ("ends", "mailed"),
    [
        ((B.SUCCEEDED,), []),
        ((B.FAILED, B.FAILED, B.TIMED_OUT), ["failed"]),
        ((B.FAILED, B.SUCCEEDED), ["failed", "succeeded"]),
        ((B.SUCCEEDED, B.ERRORED, B.CANCELED, B.SUCCEEDED), []),
        ((B.SUCCEEDED, B.ERRORED, B.FAILED), ["failed"]),
        ((B.FAILED, B.CANCELED, B.ERRORED, B.FAILED), ["failed"]),
    ],
)
def test_maintainers_hear_of_changes(make, told, ends, mailed):
    """What was aborted or canceled is no end of the job, and no mail."""
    jobset = make.jobset()
    for end in ends:
        make.build(end, jobset=jobset, maintainers=(ADA,))
    assert told(jobset) == [(ADA, status) for status in mailed]


def test_another_system_has_a_state_of_its_own(make, told):
    jobset = make.jobset()
    for system in ("x86_64-linux", "aarch64-linux"):
        make.build(B.FAILED, jobset=jobset, system=system, maintainers=(ADA,))
    assert told(jobset) == [(ADA, "failed")] * 2


def test_a_maintainer_whom_a_trigger_names(make, told):
    """One mail for one end."""
    jobset = make.jobset()
    make.build(B.FAILED, jobset=jobset, maintainers=(f"Ada <{ADA}>", BOB), triggers=(MAIL,))
    assert told(jobset) == [(ADA, "failed"), (BOB, "failed")]


def test_others_in_the_place_of_the_maintainers(make, told, settle):
    """The jobset's own addresses, also for jobs that name no maintainers."""
    jobset = make.jobset()
    settle(jobset, mail_to=f"{BOB}, {CYD}")
    make.build(B.FAILED, jobset=jobset, maintainers=(ADA,))
    make.build(B.FAILED, jobset=jobset, name="other")
    assert told(jobset) == [(f"{BOB}, {CYD}", "failed")] * 2


def test_a_jobset_that_sends_no_mail(make, told, settle):
    """Webhooks are no mail."""
    jobset = make.jobset()
    settle(jobset, tell_by_mail=False, mail_to=BOB)
    hook = TriggerSpec("webhook", "always", {"url": "https://example.org/"})
    make.build(B.FAILED, jobset=jobset, maintainers=(ADA,), triggers=(MAIL, hook))
    assert told(jobset) == [("https://example.org/", "failed")]


def test_untrusted_builds_tell_whom_the_jobset_names(make, store, settle):
    """The jobset is its owner's; the triggers of the recipe are not, and are not run."""
    jobset = make.jobset()
    settle(jobset, mail_to=BOB)
    evaluation = make.evaluated(jobset, make_job(triggers=(MAIL,)), trust=Trust.UNTRUSTED)
    (build,) = store.builds.list_of_evaluation(evaluation.id)
    lease = make.claim().lease
    make.reporter.advance(lease, done(0), 1, sandbox="plain")
    make.reporter.finish(lease, BuildResult(B.FAILED, Reason.EXIT_CODE), ())
    told = {one.target: one.status for one in store.outbox.list_of_build(build.id)}
    assert told == {BOB: DeliveryStatus.PENDING, ADA: DeliveryStatus.SKIPPED}


def test_what_could_not_run_is_told_with_its_cause(make, store, reporter):
    """One mail for all builds that ended because one failed."""
    jobset = make.jobset()
    readers = {"maintainers": (ADA,)}
    jobs = [make_job(name="base", **readers)]
    jobs += [make_job(name=f"part-{one}", needs=("base",), **readers) for one in range(3)]
    evaluation = make.evaluated(jobset, *jobs)
    base, *parts = store.builds.list_of_evaluation(evaluation.id)
    with store.transaction():
        store.gates.add_needs((one.id, base.id) for one in parts)
    lease = make.claim().lease
    assert lease.build_id == base.id
    reporter.finish(lease, BuildResult(B.FAILED, Reason.EXIT_CODE), ())
    assert {store.builds.get(one.id).status for one in parts} == {B.DEPENDENCY_FAILED}
    (one,) = [sent for build in (base, *parts) for sent in store.outbox.list_of_build(build.id)]
    assert one.event.build_id == base.id
    assert [each.build_id for each in one.event.beside] == [each.id for each in parts]
