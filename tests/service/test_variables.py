"""Which variables a request may give to a build."""

import pytest
from support.factories import ADMIN

from ciserver.model.errors import Invalid
from ciserver.model.evaluation import Evaluation, Kind, Wish
from ciserver.model.links import Links
from ciserver.model.status import EvaluationStatus
from ciserver.service.reporter import environment
from ciserver.service.variables import check_variables, variable_faults

REVISION = "2" * 40
RESERVED = (
    *("PATH", "HOME", "SHELL", "IFS", "ENV", "BASH_ENV", "SHELLOPTS", "BASHOPTS", "PS4"),
    *("PROMPT_COMMAND", "LD_PRELOAD", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES"),
    *("GIT_SSH_COMMAND", "GIT_CONFIG_COUNT", "XDG_CONFIG_HOME", "BASH_FUNC_ls"),
    *("PYTHONPATH", "PYTHONSTARTUP", "PERL5LIB", "PERL5OPT", "NODE_OPTIONS", "RUBYOPT"),
    *("CI", "CISERVER", "CISERVER_TOKEN", "BUILD_ID", "JOB_URL"),
)
NO_NAMES = ("", "2c", "a-b", "a b", "é", "a=b", "A\n", "BASH_FUNC_ls%%")
FINE = ("level", "_", "DEBUG", "PATHS", "MY_PATH", "HOMEPAGE", "CITY", "BUILDER", "JOBS", "GITHUB")


def test_what_changes_how_programs_run_is_reserved():
    """Each is named, and so is what is no name at all; the others are not."""
    faults = [*variable_faults([*RESERVED, *FINE, *NO_NAMES])]
    assert {one.field for one in faults} == {"environment"}
    told = [one.message for one in faults]
    reserved = [f"{name!r} is reserved" for name in RESERVED]
    assert told[: len(RESERVED)] == reserved
    assert [one.partition(" is not a name")[0] for one in told[len(RESERVED) :]] == [
        repr(name) for name in NO_NAMES
    ]


def test_what_the_server_tells_a_build_is_reserved(clock):
    """No request says of a build what only the server knows; time and language are free."""
    evaluation = Evaluation(
        *(1, 1, "project", "main", 1, EvaluationStatus.SUCCEEDED, Kind.PUSH),
        *("refs/heads/main", REVISION, (), "ada", clock.now()),
        committed_at=clock.now(),
    )
    told = environment(evaluation, Links(""), build_id=1, number=1, job="build", requested_by="")
    free = {name for name in told if not [*variable_faults([name])]}
    assert free == {"LC_ALL", "SOURCE_DATE_EPOCH", "TERM", "TZ"}


@pytest.mark.parametrize(
    ("kind", "ref", "submitter", "reason"),
    [
        (Kind.PUSH, "refs/heads/main", "git.sr.ht", "push"),
        (Kind.TAG, "refs/tags/v1", "git.sr.ht", "tag"),
        (Kind.PULL_REQUEST, "refs/pull/7/head", "dispatch.sr.ht", "github-pr"),
        (Kind.PULL_REQUEST, "refs/merge-requests/7/head", "dispatch.sr.ht", "gitlab-mr"),
        (Kind.PULL_REQUEST, "refs/changes/34/1234/2", "dispatch.sr.ht", "patchset"),
        (Kind.NIGHTLY, "refs/heads/main", "ada", "nightly"),
        (Kind.API, "", "ada", "api"),
    ],
)
def test_a_build_knows_whether_it_was_pushed(clock, kind, ref, submitter, reason):
    """By the words that manifests of builds.sr.ht compare with; what was only proposed never has
    those of a push.
    """
    evaluation = Evaluation(
        *(1, 1, "project", "main", 1, EvaluationStatus.SUCCEEDED, kind),
        *(ref, REVISION, (), "ada", clock.now()),
    )
    told = environment(evaluation, Links(""), build_id=1, number=1, job="build", requested_by="ada")
    assert (told["BUILD_SUBMITTER"], told["BUILD_REASON"]) == (submitter, reason)
    assert (told["BUILD_REQUESTED_BY"], told["CI_PIPELINE_EVENT"]) == ("ada", kind.value)
    assert told["GIT_REF"] == ref


def test_nothing_to_complain_of():
    """Other names, and none, are taken."""
    check_variables(FINE)
    check_variables(())


def test_a_request_with_such_variables_is_refused(services, make):
    """Whoever it is from, and whether it is performed later or at once; nothing is asked then."""
    jobset = make.jobset()
    wish = Wish(environment={"LD_PRELOAD": "evil.so", "level": "3", "2c": ""})
    before = services.requests.list_newest(ADMIN, limit=99)
    for ask in (
        lambda: services.requests.ask_evaluation(ADMIN, jobset, REVISION, wish=wish),
        lambda: services.evaluations.request(ADMIN, jobset, wish=wish),
    ):
        with pytest.raises(Invalid) as raised:
            ask()
        complaints = raised.value.complaints
        assert [one.field for one in complaints] == ["environment"] * 2
        assert "'LD_PRELOAD'" in complaints[0].message
        assert "'2c'" in complaints[1].message
    assert services.requests.list_newest(ADMIN, limit=99) == before
    assert services.evaluations.evaluate_next() is False
