"""Builds of one job that were made together: as lists, and as one."""

import pytest
from support.factories import ADMIN, make_job

from ciserver.model.account import ANONYMOUS, Right, Visibility
from ciserver.model.errors import NotFound
from ciserver.model.project import ProjectSettings
from ciserver.model.status import BuildStatus
from ciserver.recipe.text import job_to_json
from ciserver.store.arrivals import Texts

ARM, LINUX = "aarch64-linux", "x86_64-linux"


@pytest.fixture
def make_group(make, store, clock):
    """Queued builds over both systems."""

    def make_group(jobset=None):
        evaluation = make.evaluation(jobset)
        first = None
        with store.transaction():
            for system in (LINUX, ARM):
                job = make_job(system=system)
                texts = Texts(store.queue.add_text(job_to_json(job)))
                made = store.queue.add(evaluation, job, texts, clock.now(), group_id=first)
                first = first or made
            store.evaluations.count_builds(evaluation.id, total=2)
        return first

    return make_group


def hide(services, jobset, visibility):
    settings = ProjectSettings(visibility=visibility)
    services.projects.put_project(ADMIN, jobset.project, settings)


def systems(groups):
    return [[one.system for one in group] for group in groups]


def test_the_newest_groups_come_first(services, make, make_group):
    """Each with its builds by system, of the jobsets that are named, a page at a time."""
    jobset = make.jobset()
    first, second = make_group(jobset), make_group()
    third = make.build(jobset=jobset).group_id

    def found(**rest):
        groups = services.lists.newest_groups(ANONYMOUS, **{"limit": 10, **rest})
        return [group[0].group_id for group in groups]

    assert found() == [third, second, first]
    assert found(jobsets=[jobset]) == [third, first]
    assert found(jobsets=[]) == []
    assert found(limit=1) == [third]
    assert found(limit=1, offset=2) == [first]
    assert systems(services.lists.newest_groups(ANONYMOUS, limit=10)) == [
        [LINUX],
        [ARM, LINUX],
        [ARM, LINUX],
    ]


def test_a_group_has_ended_when_all_of_it_has(services, make_group):
    """One build that waits keeps it open; a deleted one is of no group."""
    group_id = make_group()
    one, other = (one.id for one in services.lists.group(ADMIN, group_id).builds)

    def ended():
        listed = {
            finished: len(services.lists.newest_groups(ADMIN, limit=9, finished=finished))
            for finished in (True, False)
        }
        assert sum(listed.values()) == 1
        return listed[True] == 1

    services.builds.cancel(ADMIN, one)
    assert not ended()
    services.builds.cancel(ADMIN, other)
    assert ended()
    services.builds.delete(ADMIN, one)
    (group,) = services.lists.newest_groups(ADMIN, limit=9, finished=True)
    assert [build.id for build in group] == [other]


def test_groups_of_private_projects_are_listed_for_members(services, make, make_group):
    """And for nobody else."""
    jobset = make.jobset()
    make_group(jobset)
    hide(services, jobset, Visibility.PRIVATE)
    for actor, count in ((ANONYMOUS, 0), (ADMIN, 1)):
        assert len(services.lists.newest_groups(actor, limit=9)) == count
        assert len(services.lists.newest_groups(actor, limit=9, jobsets=[jobset])) == count


def test_an_unlisted_project_is_listed_where_it_is_named(services, make, make_group):
    """Of a jobset that was asked for, whatever else is listed."""
    jobset, other = make.jobset(), make.jobset()
    make_group(jobset)
    make_group(other)
    hide(services, jobset, Visibility.UNLISTED)
    named = [services.lists.jobset(ANONYMOUS, one.id) for one in (jobset, other)]
    for jobsets, count in ((None, 1), (named, 2), (named[1:], 1)):
        groups = services.lists.newest_groups(ANONYMOUS, limit=9, jobsets=jobsets)
        builds = services.lists.by_group(ANONYMOUS, limit=9, offset=0, jobsets=jobsets)
        assert (len(groups), len(builds)) == (count, 2 * count)


def test_builds_by_group_are_cut_after_they_are_sorted(services, make, make_group):
    """The same pages for all builds and for jobsets that are named, and for any state."""
    jobsets = [make.jobset(), make.jobset()]
    groups = [make_group(jobsets[number % 2]) for number in range(4)]
    canceled = services.builds.cancel(ADMIN, groups[0])

    def found(**rest):
        page = {"limit": 3, "offset": 3, **rest}
        return [(one.group_id, one.system) for one in services.lists.by_group(ANONYMOUS, **page)]

    expected = [(groups[1], LINUX), (groups[2], ARM), (groups[2], LINUX)]
    assert found() == found(jobsets=jobsets) == expected
    assert found(jobsets=jobsets[:1]) == [(groups[2], LINUX)]
    assert found(offset=2**62) == found(offset=2**62, jobsets=jobsets) == []
    assert found(offset=0, statuses=[BuildStatus.CANCELED]) == [(groups[0], canceled.system)]


def test_numbers_of_private_things_tell_no_names(services, make, make_group):
    """What may not be seen is told as what is not there, by the number that was given."""
    jobset = make.jobset("covert")
    group_id = make_group(jobset)
    hide(services, jobset, Visibility.PRIVATE)
    lists = services.lists
    for ask, number, what in (
        (lists.group, group_id, "group"),
        (lists.jobset, jobset.id, "jobset"),
        (lists.project, jobset.project_id, "project"),
    ):
        for one in (number, 77):
            with pytest.raises(NotFound) as refused:
                ask(ANONYMOUS, one)
            assert refused.value.message == f"there is no {what} {one}"
            assert refused.value.hint is None
        assert ask(ADMIN, number)
    with pytest.raises(NotFound, match=f"^there is no jobset {jobset.id}$"):
        lists.jobset(ANONYMOUS, jobset.id, Right.EDIT)


def test_projects_are_those_that_are_listed(services, make):
    """In their order of names."""
    shown, hidden = make.jobset("shown"), make.jobset("hidden")
    hide(services, hidden, Visibility.PRIVATE)
    assert [one.name for one in services.lists.projects(ANONYMOUS)] == [shown.project]
    assert [one.name for one in services.lists.projects(ADMIN)] == ["hidden", "shown"]
