"""Lists of builds as other programs ask for them: what is in each, in which order, by the page."""

from datetime import timedelta

import pytest
from support.factories import ADMIN, SYSTEM, make_job

from ciserver.model.account import ANONYMOUS, Actor, Right, Visibility
from ciserver.model.errors import Forbidden, NotFound, NotSignedIn
from ciserver.model.job import Address
from ciserver.model.project import Input, JobsetSettings
from ciserver.model.status import BuildStatus
from ciserver.model.view import BuildIds
from ciserver.recipe.text import job_to_json
from ciserver.service.submissions import ManifestSubmission
from ciserver.store.arrivals import Texts

B = BuildStatus
OTHER = "aarch64-linux"
PRIVATE = Visibility.PRIVATE


@pytest.fixture
def lists(services):
    return services.lists


def ids(builds):
    return [one.id for one in builds]


@pytest.fixture
def make_group(make):
    """Builds of one job over these systems, made together."""

    def make_group(jobset, *systems, name="build"):
        evaluation = make.evaluated(jobset, make_job(name=name, system=systems[0]))
        (first,) = make.store.builds.list_of_evaluation(evaluation.id)
        with make.store.transaction():
            for system in systems[1:]:
                job = make_job(name=name, system=system)
                texts = Texts(make.store.queue.add_text(job_to_json(job)))
                make.store.queue.add(
                    evaluation, job, texts, make.clock.now(), group_id=first.group_id
                )
            make.store.evaluations.count_builds(evaluation.id, total=len(systems) - 1)
        return make.store.builds.list_of_evaluation(evaluation.id)

    return make_group


def test_of_a_revision(lists, make):
    """By the first digits, newest first, of one jobset."""
    jobset = make.jobset()
    first, second = (
        make.evaluated(jobset, make_job(), revision=f"abc{digit}" + "0" * 36) for digit in "12"
    )
    make.evaluated(make.jobset(), make_job(), revision=first.revision)
    made = [make.store.builds.list_of_evaluation(one.id)[0].id for one in (first, second)]
    assert ids(lists.of_revision(ADMIN, jobset, "abc")) == made[::-1]
    assert ids(lists.of_revision(ADMIN, jobset, "abc1")) == made[:1]
    assert ids(lists.of_revision(ADMIN, jobset, second.revision)) == made[1:]
    assert lists.of_revision(ADMIN, jobset, "abd") == ()


def test_of_days(lists, make, clock):
    """What started in that time, and what waits since then; neither before nor after."""
    jobset, begin, day = make.jobset(), clock.now(), timedelta(days=1)
    early, later = make.build(jobset=jobset, image="a"), make.build(B.SUCCEEDED, jobset=jobset)
    clock.forward(days=1)
    started_late = make.build(B.FAILED, jobset=jobset)
    waiting = make.build(jobset=jobset, image="a")
    gone = make.build(B.CANCELED, jobset=jobset)

    def found(since, until):
        return ids(lists.of_days(ADMIN, jobset, since, until))

    assert found(begin, begin + day) == [later.id, early.id]
    assert found(begin + day, begin + 2 * day) == [waiting.id, started_late.id]
    assert found(begin - day, begin) == []
    assert gone.id not in found(begin - day, begin + 9 * day)
    assert lists.of_days(ADMIN, make.jobset(), begin, begin + day) == ()


def test_of_a_requester(lists, make):
    """Newest first, at most so many, of one jobset."""
    jobset = make.jobset()
    mine = [make.submitted(jobset, by="ada").id for _ in range(3)]
    make.submitted(jobset, by="bob")
    make.submitted(make.jobset(), by="ada")
    assert ids(lists.of_requester(ADMIN, jobset, "ada", limit=9)) == mine[::-1]
    assert ids(lists.of_requester(ADMIN, jobset, "ada", limit=2)) == mine[:0:-1]
    assert lists.of_requester(ADMIN, jobset, "eve", limit=9) == ()


def test_ones_own(lists, make):
    """Nobody has any, and a token needs the scope."""
    with pytest.raises(NotSignedIn):
        lists.own(ANONYMOUS, up_to=None, limit=9)
    with pytest.raises(Forbidden):
        lists.own(Actor("ada", scopes=("users:write",)), up_to=None, limit=9)
    page = lists.own(make.user("ada"), up_to=None, limit=9)
    assert (page.submitted, page.next, page.total) == ((), None, 0)


def test_by_update(lists, services, make, clock):
    """What changed last comes first, in pages, of all jobsets or of one."""
    jobset = make.jobset()
    builds = []
    for _ in range(4):
        clock.forward(seconds=1)
        builds.append(make.build(jobset=jobset).id)
    other = make.build().id
    clock.forward(seconds=1)
    services.builds.reprioritize(ADMIN, builds[1], 3)
    order = [builds[1], other, builds[3], builds[2], builds[0]]
    pages = [ids(lists.by_update(ADMIN, page=one, size=2)) for one in (1, 2, 3, 4)]
    assert pages == [order[:2], order[2:4], order[4:], []]
    order.remove(other)
    assert ids(lists.by_update(ADMIN, page=1, size=9, jobset=jobset)) == order
    assert (lists.count(ADMIN), lists.count(ADMIN, jobset=jobset)) == (5, 4)
    assert [lists.count(ADMIN, most=one) for one in (6, 5, 4)] == [5, 5, None]


def test_by_end(lists, make, clock):
    """What ended last comes first; of the project, jobset, job and system that are named."""
    jobset = make.jobset("hello")
    tool = make.build(B.SUCCEEDED, jobset=jobset, name="tool")
    clock.forward(seconds=5)
    far = make.build(B.FAILED, jobset=jobset, system=OTHER)
    clock.forward(seconds=5)
    elsewhere = make.build(B.SUCCEEDED)
    make.build(B.RUNNING)
    make.build()

    def found(**named):
        return ids(lists.by_end(ADMIN, limit=9, **named))

    assert found() == [elsewhere.id, far.id, tool.id]
    assert found(place=Address("hello", "main")) == [far.id, tool.id]
    assert found(place=Address("hello", job="tool")) == [tool.id]
    assert found(system=OTHER) == [far.id]
    assert found(place=Address("nothing")) == []
    assert found(place=Address("hello", "nothing")) == []
    assert found(place=Address(jobset="main", job="tool")) == [tool.id]
    assert ids(lists.by_end(ADMIN, limit=1)) == [elsewhere.id]


def test_by_group(lists, services, make, make_group):
    """By group, oldest first, and by system; of these jobsets, in these states; in pages."""
    one, two, three = make.jobset(), make.jobset(), make.jobset()
    first = make_group(one, SYSTEM, OTHER)
    second = make_group(two, SYSTEM)
    third = make_group(one, SYSTEM, OTHER, "i686-linux")
    make_group(three, SYSTEM)

    def found(limit=99, offset=0, jobsets=(one, two), **named):
        return ids(lists.by_group(ADMIN, limit=limit, offset=offset, jobsets=jobsets, **named))

    order = [each.id for group in (first, second, third) for each in sorted(group, key=system_of)]
    assert found() == order
    assert [found(2, offset) for offset in (0, 2, 4, 6)] == [order[:2], order[2:4], order[4:], []]
    assert found(jobsets=[two]) == ids(second)
    assert found(jobsets=[]) == []
    assert found(jobsets=None)[: len(order)] == order
    services.builds.cancel(ADMIN, second[0].id)
    assert found(statuses=[B.CANCELED]) == ids(second)
    assert found(statuses=[B.QUEUED]) == [each for each in order if each != second[0].id]


def system_of(build):
    return build.system


def test_newest_groups(lists, services, make, make_group):
    """Whole groups, the newest first; those of which every build has ended, or the others."""
    one, two = make.jobset(), make.jobset()
    first, second = make_group(one, SYSTEM, OTHER), make_group(two, SYSTEM)
    third = make_group(one, OTHER, SYSTEM)

    def found(limit=99, offset=0, jobsets=None, **named):
        groups = lists.newest_groups(ADMIN, limit=limit, offset=offset, jobsets=jobsets, **named)
        return [ids(group) for group in groups]

    order = [ids(sorted(group, key=system_of)) for group in (third, second, first)]
    assert found() == order
    assert [found(2), found(2, 2)] == [order[:2], order[2:]]
    assert found(jobsets=[one]) == [order[0], order[2]]
    assert found(jobsets=[]) == []
    for build in (*second, third[0]):
        services.builds.cancel(ADMIN, build.id)
    assert found(finished=True) == [order[1]]
    assert found(finished=False) == [order[0], order[2]]


def test_a_group(lists, make, make_group):
    """The builds of one job that were made together, by system, without one that was deleted."""
    jobset = make.jobset()
    builds = make_group(jobset, SYSTEM, OTHER)
    view = lists.group(ANONYMOUS, builds[0].group_id)
    assert (view.id, view.jobset) == (builds[0].id, jobset)
    assert [one.system for one in view.builds] == [OTHER, SYSTEM]
    make.services.builds.cancel(ADMIN, builds[0].id)
    make.services.builds.delete(ADMIN, builds[0].id)
    assert ids(lists.group(ANONYMOUS, builds[0].group_id).builds) == [builds[1].id]
    with pytest.raises(NotFound, match="no group 999"):
        lists.group(ANONYMOUS, 999)


def test_a_rebuild_is_a_group_of_its_own(lists, services, make):
    """Whatever it repeats."""
    build = make.build(B.FAILED)
    (again,) = services.builds.rebuild(ADMIN, build.id)
    assert ids(lists.group(ADMIN, again).builds) == [again]
    assert ids(lists.group(ADMIN, build.group_id).builds) == [build.id]


def test_evaluations_by_page(lists, make):
    """Newest first with their builds; all of them, or those that made builds; far pages are
    empty.
    """
    jobset = make.jobset("hello")
    made = []
    for number in range(5):
        jobs = () if number == 3 else (make_job(name="a"), make_job(name="b"))
        evaluation = make.evaluation(jobset) if not jobs else make.evaluated(jobset, *jobs)
        made.append(evaluation.id)

    def page(number, *, built, size=2):
        found = lists.evaluations(ADMIN, "hello", "main", page=number, size=size, built=built)
        return [one.id for one in found.evaluations], found.total

    assert [page(number, built=False) for number in (1, 2, 3, 4)] == [
        ([made[4], made[3]], 5),
        ([made[2], made[1]], 5),
        ([made[0]], 5),
        ([], 5),
    ]
    assert [page(number, built=True) for number in (1, 2, 3)] == [
        ([made[4], made[2]], 4),
        ([made[1], made[0]], 4),
        ([], 4),
    ]
    whole = lists.evaluations(ADMIN, "hello", "main", page=1, size=9, built=False)
    assert whole.builds[made[3]] == BuildIds()
    for one in (made[0], made[4]):
        found = tuple(ids(make.store.builds.list_of_evaluation(one)))
        assert whole.builds[one] == BuildIds(found, made_some=True)
    with pytest.raises(NotFound):
        lists.evaluations(ADMIN, "hello", "nothing", page=1, size=9, built=True)


def test_jobs_and_their_names(lists, make):
    """Every job of the jobset once, and the job of each build."""
    jobset = make.jobset()
    builds = [make.build(jobset=jobset, name=name) for name in ("tool", "app", "tool")]
    make.build(name="elsewhere")
    assert lists.job_names(ANONYMOUS, jobset) == ("app", "tool")
    assert {key: job.name for key, job in lists.jobs(builds).items()} == {
        one.id: one.job for one in builds
    }
    assert lists.jobs(()) == {}


def test_names_of_what_is_submitted_are_for_members(lists, make):
    """What somebody submits may be private, and its names say what it is."""
    ada, rob, mia = (make.user(name) for name in ("ada", "rob", "mia"))
    jobset = make.project("tools", owner="ada")
    make.submitted(jobset, Visibility.PRIVATE, by="ada", name="secret-roses")
    make.services.projects.set_member(ADMIN, "tools", "mia", frozenset({Right.READ}))
    for actor in (ada, mia, ADMIN):
        assert lists.job_names(actor, jobset) == ("secret-roses",)
    for actor in (rob, ANONYMOUS):
        assert lists.job_names(actor, jobset) == ()


def test_names_of_an_own_project_are_its_owners(lists, services, make):
    """Also where it was given a repository since."""
    ada, rob = make.user("ada"), make.user("rob")
    given = ManifestSubmission("image: host\ntasks:\n  - work: make\n", visibility=PRIVATE)
    build = services.submissions.submit(ada, given)
    inputs = (Input("source", "https://example.org/roses.git"),)
    saved, _ = services.jobsets.put(ada, "~ada", "jobs", JobsetSettings(), inputs)
    assert saved.id == build.jobset_id
    assert lists.job_names(ada, saved) == (build.job,)
    assert lists.job_names(rob, saved) == ()


def test_names_of_a_private_project_are_not_there(lists, make):
    """Asked for by name it is not found."""
    jobset = make.project("secret", visibility=Visibility.PRIVATE)
    with pytest.raises(NotFound):
        lists.job_names(ANONYMOUS, jobset)


def test_steps_of_the_newest_attempt(lists, services, make):
    """A build comes with its steps; those of an older attempt are not among them."""
    build = make.build(B.FAILED)
    waiting = make.build(image="other")
    services.builds.rerun(ADMIN, build.id)
    again, still = lists.submitted(make.store.builds.get(one.id) for one in (build, waiting))
    assert [step.attempt for step in again.steps] == [1, 1]
    assert still.steps == ()
    services.builds.cancel(ADMIN, build.id)
    (ended,) = lists.submitted([make.store.builds.get(build.id)])
    assert (ended.build.attempt, ended.steps) == (2, ())


def test_systems(lists, store):
    """The numbers of systems never change, however often one is named."""
    known = lists.systems()
    with store.transaction():
        for name in (OTHER, known[0].name, OTHER):
            store.systems.add(name)
    assert lists.systems()[: len(known)] == known
    assert [one.name for one in lists.systems()[len(known) :]] == [OTHER]
    assert store.systems.get(known[0].id) == known[0]
    with pytest.raises(NotFound):
        store.systems.get(99)


def test_branches(lists, make):
    """Every jobset with a repository; not those where everything is submitted."""
    jobset = make.jobset("hello")
    make.project("bare", jobset="side")
    assert lists.branches(ANONYMOUS) == (jobset,)
    assert lists.branch(ANONYMOUS, "main") == jobset
    assert lists.branch(ANONYMOUS, "hello:main") == jobset
    for name in ("nothing", "hello:nothing", "nothing:main", ""):
        with pytest.raises(NotFound):
            lists.branch(ANONYMOUS, name)


def test_jobsets_of_an_owner(lists, make):
    """Of that owner and no other."""
    make.user("olga")
    mine = make.project("hello", owner="olga")
    make.project("world")
    assert lists.jobsets_of_owner(ANONYMOUS, "olga") == (mine,)
    assert lists.jobsets_of_owner(ANONYMOUS, "nobody") == ()
