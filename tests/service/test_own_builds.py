"""What somebody asked for, what they are told when they may not, and who works on it."""

import pytest
from support.factories import ADMIN

from ciserver.model.account import Actor, Right, Visibility
from ciserver.model.errors import BuildAlreadyFinished, BuildAlreadyStarted, Forbidden, Invalid
from ciserver.model.project import ProjectSettings
from ciserver.model.status import BuildStatus
from ciserver.service.submissions import ManifestSubmission

ADA = Actor("ada", scopes=("*",))


def own(services):
    return [one.build.id for one in services.lists.own(ADA, up_to=None, limit=10).submitted]


def test_own_builds_are_those_that_one_may_see(make, services):
    """What ada once pushed to a project that has closed is in none of her lists."""
    services.access.add_user(ADMIN, "ada", email="", password="correct horse", admin=False)
    build = make.build()
    assert own(services) == [build.id]
    private = ProjectSettings(visibility=Visibility.PRIVATE)
    services.projects.put_project(ADMIN, build.project, private)
    assert own(services) == []
    services.projects.set_member(ADMIN, build.project, "ada", frozenset({Right.READ}))
    assert own(services) == [build.id]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (BuildStatus.QUEUED, BuildAlreadyStarted),
        (BuildStatus.RUNNING, BuildAlreadyStarted),
        (BuildStatus.SUCCEEDED, BuildAlreadyFinished),
    ],
)
def test_a_refused_start_tells_the_status(status, error, make, services):
    """In the details, for doors that have words of their own."""
    build = make.build(status)
    with pytest.raises(error) as refused:
        services.builds.start(ADMIN, build.id)
    assert refused.value.details == {"status": status}


def test_a_lacking_right_is_named(make, services):
    """In the details, as a lacking scope is."""
    build = make.build()
    with pytest.raises(Forbidden) as refused:
        services.builds.cancel(ADA, build.id)
    assert refused.value.details == {"right": "cancel"}


def test_unknown_people_are_named_where_they_stand(services):
    """Readers and writers are two fields."""
    given = ManifestSubmission(
        "image: host\ntasks:\n  - a: echo\n", readers=("nobody",), writers=("noone",)
    )
    with pytest.raises(Invalid) as refused:
        services.submissions.submit(ADA, given)
    assert [(one.field, one.message) for one in refused.value.complaints] == [
        ("readers", "there is no user nobody"),
        ("writers", "there is no user noone"),
    ]


def test_a_build_knows_its_worker(make, services):
    """Once one has it, and no more when it waits again."""
    build = make.build(BuildStatus.SUCCEEDED, worker="local-3")
    assert services.queries.build(ADMIN, build.id).build.worker == "local-3"
    assert services.builds.rerun(ADMIN, build.id).worker == ""
