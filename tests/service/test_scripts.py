"""What a program that starts scripts may ask and read besides."""

import subprocess

import pytest
from support.factories import ADMIN, OFFER, make_job
from support.repositories import git

from ciserver.executor.script import build_environment
from ciserver.machine import native_system
from ciserver.model.account import ANONYMOUS
from ciserver.model.build import Offer
from ciserver.model.errors import BuildNotFinished, Invalid, RemoteFailure
from ciserver.model.project import Credential, Input, JobsetSettings, ScriptDefaults
from ciserver.model.status import BuildStatus
from ciserver.service.scripts import (
    PARAMETER_LIMIT,
    is_secret,
    secret_values,
    with_secrets,
    without_secrets,
)
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


# -- parameters that nobody shall read ------------------------------------------------------------

SECRETS = (
    "TOKEN=t0ken GITHUB_TOKEN=t0ken2 db_password='pass word' SIGNING_KEY=k3yk3y KEYS_1=k3ys"
    " SIZE=small KEYBOARD=us EMPTY_SECRET="
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((one, True) for one in ("TOKEN", "API_TOKEN", "apiToken", "PASSWORD", "DB_PASSWD")),
        *((one, True) for one in ("KEY", "SSHKEY", "KEY_1", "MY_KEYS", "Secret", "CREDENTIALS")),
        *((one, False) for one in ("KEYBOARD", "SIZE", "PASS", "LST", "KEYMAP_DIR")),
    ],
)
def test_which_names_are_secret(name, expected):
    """Those that say so, in whatever case."""
    assert is_secret(name) is expected


def test_secrets_are_not_shown():
    """Stars in their place; what has none is shown as it was written."""
    assert without_secrets(SECRETS) == (
        "TOKEN=*** GITHUB_TOKEN=*** db_password=*** SIGNING_KEY=*** KEYS_1=*** SIZE=small"
        " KEYBOARD=us EMPTY_SECRET=''"
    )
    plain = "lst=libs  externalarch=\\\"x86_64\\\" NOTE='a  b'"
    assert without_secrets(plain) == plain
    assert without_secrets("TOKEN='open") == "***"
    assert secret_values(SECRETS) == ("t0ken", "t0ken2", "pass word", "k3yk3y", "k3ys")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("TOKEN=*** SIZE=large", "TOKEN=t0ken SIZE=large"),
        ("db_password=***", "db_password='pass word'"),
        ("TOKEN=other", "TOKEN=other"),
        ("NEW_TOKEN=*** SIZE=***", "NEW_TOKEN=*** SIZE=***"),
        ("SIZE=small", "SIZE=small"),
        ("TOKEN='***", "TOKEN='***"),
    ],
)
def test_what_was_shown_may_come_back(given, expected):
    """Where the stars are, the secret is meant; what else is given is taken as it is."""
    assert with_secrets(given, SECRETS) == expected


def test_nothing_of_a_parameter_is_run(services, jobset):
    """Whatever a shell would make of it: it is a value, and a name is a name."""
    hostile = "A='$(touch /x)' B='`id`;rm' C='\n export PATH=/x' D=\\$HOME"
    build = services.submissions.run_script(ADMIN, jobset, ScriptSubmission(parameters=hostile))
    job = services.queries.build(ADMIN, build.id).job
    given = {name: job.environment[name] for name in "ABCD"}
    assert given == {"A": "$(touch /x)", "B": "`id`;rm", "C": "\n export PATH=/x", "D": "$HOME"}
    text = build_environment(job.environment, bash=True, done="/done")
    shown = subprocess.run(
        ["bash", "-c", f'{text}\nprintf "%s|" "$A" "$B" "$C" "$D"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "|".join((*given.values(), ""))


def test_secrets_of_parameters_are_hidden_in_logs_and_scripts(services, jobset, parts):
    """The worker masks them; the script that does it again does not tell them."""
    build = services.submissions.run_script(ADMIN, jobset, ScriptSubmission(parameters=SECRETS))
    script = services.reproduction.script(ADMIN, build.id)
    for one in secret_values(SECRETS):
        assert one not in script, one
    assert "TOKEN='***'" in script
    assert "put them in: TOKEN, GITHUB_TOKEN, db_password, SIGNING_KEY, KEYS_1" in script
    work = parts.reporter.claim(Offer("local-0", (native_system(),)))
    assert set(secret_values(SECRETS)) <= set(work.secrets)
    assert work.job.environment["db_password"] == "pass word"
