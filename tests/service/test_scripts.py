"""What a program that starts scripts may ask and read besides."""

import pytest
from support.factories import ADMIN, OFFER, make_job
from support.repositories import git

from ciserver.model.account import ANONYMOUS
from ciserver.model.errors import BuildNotFinished, Invalid, RemoteFailure
from ciserver.model.project import Credential, Input, JobsetSettings, ScriptDefaults
from ciserver.model.status import BuildStatus
from ciserver.service.scripts import PARAMETER_LIMIT
from ciserver.service.submissions import ScriptSubmission


@pytest.fixture
def jobset(services, watched, repository):
    settings = JobsetSettings(script=ScriptDefaults("make.sh", "", 30))
    return services.jobsets.put(
        ADMIN, "project", "main", settings, (Input("source", str(repository.bare)),)
    )[0]


def test_a_tag_and_a_branch_are_known_by_their_full_names(services, repository, jobset):
    """Whatever they were called."""
    git(repository.tree, "tag", "-a", "v1", "-m", "One")
    repository.push("v1")
    for ref, full in (
        ("v1", "refs/tags/v1"),
        ("main", "refs/heads/main"),
        ("refs/heads/main", "refs/heads/main"),
        ("", "refs/heads/main"),
    ):
        build = services.submissions.run_script(ADMIN, jobset, ScriptSubmission(ref=ref))
        assert build.ref == full
        (pinned,) = services.queries.build(ADMIN, build.id).evaluation.inputs
        assert (pinned.ref, pinned.revision) == (full, build.revision)


@pytest.mark.parametrize(
    "changes",
    [
        {"timeout_minutes": 0},
        {"parameters": "A=\0"},
        {"parameters": f"A={'x' * PARAMETER_LIMIT}"},
    ],
    ids=["no time", "NUL", "too long"],
)
def test_what_no_script_can_be_given(services, jobset, changes):
    """No time at all, and what no environment can hold."""
    with pytest.raises(Invalid) as refused:
        services.submissions.run_script(ADMIN, jobset, ScriptSubmission(**changes))
    assert [one.field for one in refused.value.complaints] == list(changes)


def test_a_repository_that_cannot_be_asked_is_no_missing_commit(services, jobset):
    """Whoever asks again later may have it."""
    away, _ = services.jobsets.put(
        ADMIN, "project", "away", jobset.settings, (Input("source", "https://127.0.0.1:1/x"),)
    )
    with pytest.raises(RemoteFailure) as failed:
        services.submissions.run_script(ADMIN, away, ScriptSubmission())
    assert failed.value.temporary


def test_secrets_of_another_repository_are_hidden_in_logs(services, store, make, parts):
    """Those that the build is fetched with."""
    uri = "https://example.org/tools"
    tools = services.projects.watch(ADMIN, "tools", uri, credential=Credential("ada", "pa55word"))
    make.evaluated(None, make_job(script_jobset=tools.jobset.id))
    assert parts.reporter.claim(OFFER).secrets == ("pa55word",)


def test_limits_of_jobs(services):
    """Their own, or that of the server."""
    assert services.lists.timeout_seconds(90) == 90
    assert services.lists.timeout_seconds(0) == 240 * 60


def test_how_others_see_an_account(services):
    """Strangers get no mail address; a name that is no account is nobody."""
    services.access.add_user(ADMIN, "ada", email="ada@example.org", password="x" * 8, admin=False)
    assert services.access.profile(ADMIN, "ada").email == "ada@example.org"
    assert services.access.profile(ANONYMOUS, "ada").email == ""
    assert services.access.profile(ANONYMOUS, "ada").name == "ada"
    assert services.access.profile(ADMIN, "bob") is None


@pytest.mark.parametrize("status", [BuildStatus.RUNNING, BuildStatus.FAILED])
def test_what_did_not_succeed_is_neither_kept_nor_let_go(services, make, status):
    """There is nothing to change."""
    build = make.build(status)
    for kept in (True, False):
        with pytest.raises(BuildNotFinished):
            services.builds.keep(ADMIN, build.id, kept=kept)
