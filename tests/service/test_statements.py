"""What use cases ask of the database: so many statements, however many builds they are about."""

from io import BytesIO

import pytest
from support.factories import ADMIN, ALL, MAIL, done, make_job, make_push
from support.statements import asked, calls

from ciserver.model.account import ANONYMOUS, Sight
from ciserver.model.build import BuildResult, Label, Output
from ciserver.model.report import ReportKind
from ciserver.model.status import BuildStatus, Reason
from ciserver.service.job_groups import GivenGroup
from ciserver.service.submissions import ManifestSubmission
from ciserver.store.belongings import Belonging

B = BuildStatus
FEW, MANY = 3, 60
MOST_CALLS = 20  # for one more build of a list: its moments, flags and labels


def jobs(many, **changes):
    return [make_job(name=f"job-{one}", **changes) for one in range(many)]


def statuses(make, evaluation):
    return [one.status for one in make.store.builds.list_of_evaluation(evaluation.id)]


# -- one build ------------------------------------------------------------------------------------


@pytest.fixture
def usual(make):
    """A lane of which builds were claimed before."""
    make.build(B.SUCCEEDED)
    return make.evaluated(make.jobset(), *jobs(2))


def test_a_build_from_claim_to_end(make, usual):
    """Three transactions: the claim, the step that begins, the end."""
    result = BuildResult(B.SUCCEEDED, Reason.NONE)
    with asked(make.store) as claim:
        lease = make.claim().lease
    with asked(make.store) as step:
        make.reporter.advance(lease, done(0), 1, sandbox="plain")
    with asked(make.store) as end:
        make.reporter.finish(lease, result, (done(1),))
    for one in (claim, step, end):
        assert (one[0], one[-1]) == ("BEGIN immediate", "COMMIT")
    assert [len(claim), len(step), len(end)] == [13, 7, 13]


def test_a_short_build_is_charged_once(make, usual):
    """What the claim has counted already is not written again."""
    charged = []
    for minutes in (0, 1):
        lease = make.claim().lease
        make.reporter.advance(lease, done(0), 1, sandbox="plain")
        make.clock.forward(minutes=minutes)
        with asked(make.store) as end:
            make.reporter.finish(lease, BuildResult(B.SUCCEEDED, Reason.NONE), ())
        charged.append(any("share_rank =" in one for one in end))
    assert charged == [False, True]


# -- one push --------------------------------------------------------------------------------------


def test_a_push_that_comes_in(make):
    """One transaction, and a shorter one where the same is asked for already."""
    make.jobset("project")
    pushes = make.services.pushes
    counts = []
    for _ in range(2):
        with asked(make.store) as accepted:
            assert pushes.accept_push(make.received(), make_push()).evaluations
        assert (accepted[0], accepted[-1]) == ("BEGIN immediate", "COMMIT")
        counts.append(len(accepted))
    assert counts == [9, 7]


# -- many at once ---------------------------------------------------------------------------------


def cancel_evaluation(make, many):
    made = make.evaluated(make.jobset(), *jobs(many))
    with asked(make.store) as statements:
        make.services.evaluation_acts.cancel(ADMIN, made.id)
    return made, statements


def cancel_revision(make, many):
    jobset = make.jobset()
    made = make.evaluated(jobset, *jobs(many))
    make.services.requests.ask_cancel_revision(ADMIN, jobset, made.revision)
    with asked(make.store) as statements:
        make.services.requests.perform_next()
    return made, statements


def remove_jobset(make, many):
    jobset = make.jobset()
    made = make.evaluated(jobset, *jobs(many))
    with asked(make.store) as statements:
        make.services.jobsets.remove(ADMIN, jobset.project, jobset.name)
    return made, statements


def lose_what_is_needed(make, many):
    made = make.evaluated(make.jobset(), *jobs(many))
    first, *others = make.store.builds.list_of_evaluation(made.id)
    with make.store.transaction():
        make.store.gates.add_needs((one.id, first.id) for one in others)
    with asked(make.store) as statements:
        make.services.builds.cancel(ADMIN, first.id)
    return made, statements


@pytest.mark.parametrize(
    "act", [cancel_evaluation, cancel_revision, remove_jobset, lose_what_is_needed]
)
def test_many_builds_that_end_at_once(make, act):
    """No statement for each: the one writer is not held longer by an evaluation of thousands."""
    few, statements = act(make, FEW)
    assert all(one.is_final for one in statuses(make, few))
    many, more = act(make, MANY)
    assert all(one.is_final for one in statuses(make, many))
    assert len(more) == len(statements)
    assert make.store.evaluations.get(many.id).builds_finished == MANY
    assert make.claim() is None
    assert make.store.database.sql("SELECT * FROM ready").fetchall() == []  # no lane is counted


def test_more_than_a_statement_takes(make):
    """They end together all the same, and each has its attempt."""
    made = make.evaluated(make.jobset(), *jobs(1_100))
    make.services.evaluation_acts.cancel(ADMIN, made.id)
    builds = make.store.builds.list_of_evaluation(made.id)
    assert {(one.status, one.attempt, one.canceled_by) for one in builds} == {
        (B.CANCELED, 1, "root")
    }
    assert make.store.evaluations.get(made.id).builds_finished == 1_100
    assert [one.number for one in make.store.builds.list_attempts(builds[-1].id)] == [1]
    assert make.store.queue.end_waiting([], B.CANCELED, Reason.NONE, "", make.clock.now()) == []


def test_what_is_canceled_together_is_mailed_together(make):
    """One mail that names the others; a group of builds is told of once, too."""
    made = make.evaluated(make.jobset(), *jobs(FEW, triggers=(MAIL,)))
    make.services.evaluation_acts.cancel(ADMIN, made.id)
    ids = [one.id for one in make.store.builds.list_of_evaluation(made.id)]
    (told,) = [one for build in ids for one in make.store.outbox.list_of_build(build)]
    assert sorted([told.event.build_id, *(one.build_id for one in told.event.beside)]) == ids


def test_a_job_group_is_canceled_at_once(make):
    """With a row of the audit trail for each build, as if each was canceled by itself."""
    ada = make.user("ada")
    held = ManifestSubmission("image: host\ntasks:\n  - build: echo built\n", execute=False)
    ids = tuple(make.services.submissions.submit(ada, held).id for _ in range(FEW))
    trigger = {"action": "webhook", "condition": "always", "url": "https://example.org/told"}
    view = make.services.job_groups.join(ada, GivenGroup(ids, triggers=(trigger,)))
    make.services.job_groups.cancel(ada, view.group.id)
    make.services.job_groups.cancel(ada, view.group.id)  # and again, which changes nothing
    assert {make.store.builds.get(one).status for one in ids} == {B.CANCELED}
    asked_for = make.services.requests.list_newest(ada, limit=20)
    canceled = [one.what["build"] for one in asked_for if one.action == "cancel-build"]
    assert sorted(canceled) == sorted(ids)
    told = [one for one in make.store.outbox.list_newest(ALL, 20) if one.target.endswith("/told")]
    assert [one.event.group_id for one in told] == [view.group.id]


# -- one build, read ------------------------------------------------------------------------------


def test_a_build_as_it_is_read(make):
    """What it has beside itself is asked in one statement, and only that is read."""
    build, queries = make.build(B.SUCCEEDED), make.services.queries
    for question, statements_of_it in ((queries.build, 7), (queries.build_record, 4)):
        for actor in (ADMIN, ANONYMOUS):
            with asked(make.store) as statements:
                question(actor, build.id)
            assert len(statements) == statements_of_it
    with asked(make.store) as statements:
        make.services.keeping.outlook(build)
        make.services.build_details.evaluations(ADMIN, build)
    assert len(statements) == 2


def test_what_a_build_made_as_it_is_read(make):
    """Its products, what its files told, and what holds the products."""
    make.evaluated(make.jobset(), *jobs(1))
    lease = make.claim().lease
    make.reporter.add_product(lease, "made", BytesIO(b"made"))
    make.reporter.add_report(lease, ReportKind.METRICS, ".metrics", BytesIO(b"size 5\n"))
    end(make, lease)
    with asked(make.store) as statements:
        found = make.services.queries.build_record(ADMIN, lease.build_id)
    assert (len(found.products), len(found.told.metrics), len(statements)) == (1, 1, 7)
    with asked(make.store) as statements:
        assert make.services.keeping.outlook(found.build).why
    assert len(statements) == 5


@pytest.mark.parametrize("sight", [ALL, Sight(), Sight(user="ada")])
def test_a_build_of_a_list_is_read_by_few_calls(make, sight):
    """Its values are as the database has them, but for those that mean something else."""
    for _ in range(2):
        make.evaluated(make.jobset(), *jobs(MANY))

    def read(many):
        return make.store.builds.list_newest(sight, before=None, limit=many)

    assert len(read(MANY).builds) == MANY
    few, many = calls(lambda: read(FEW)), calls(lambda: read(MANY))
    assert (many - few) / (MANY - FEW) < MOST_CALLS


def end(make, lease):
    make.reporter.advance(lease, done(0), 1, sandbox="plain")
    make.reporter.finish(lease, BuildResult(B.SUCCEEDED, Reason.NONE), ())


def test_nothing_of_a_build_is_left_out(make):
    """Each of the things that a build may have is found and told."""
    made = make.evaluated(make.jobset(), *jobs(2, triggers=(MAIL,)))
    needed, build = make.store.builds.list_of_evaluation(made.id)
    with make.store.transaction():
        make.store.gates.add_needs([(build.id, needed.id)])
        make.store.labels.add([build.id], "ada", Label("a note", ("a", "b")))
    lease = make.claim().lease
    assert lease.build_id == needed.id
    end(make, lease)
    lease = make.claim().lease
    make.reporter.add_product(lease, "made", BytesIO(b"made"))
    make.reporter.set_output(lease, Output("1.0"))
    make.reporter.add_report(lease, ReportKind.METRICS, ".metrics", BytesIO(b"size 5\n"))
    end(make, lease)
    assert make.store.builds.belongings(build.id) == set(Belonging) - {Belonging.DEPENDENTS}
    assert Belonging.DEPENDENTS in make.store.builds.belongings(needed.id)
    view = make.services.queries.build(ADMIN, build.id)
    assert (view.note, view.tags, view.output.release_name) == ("a note", ("a", "b"), "1.0")
    assert [one.name for one in (*view.products, *view.told.metrics)] == ["made", "size"]
    assert (view.needs.ids, len(view.deliveries)) == ((needed.id,), 1)
    assert make.services.queries.build(ADMIN, needed.id).needed_by.ids == (build.id,)
