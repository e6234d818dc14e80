"""Projects, jobsets, members and accounts, by command."""

import json

import pytest
from support.repositories import Repository

pytestmark = pytest.mark.e2e

RECIPE = "image: host\ntasks:\n  - work: echo worked\n"


@pytest.fixture
def project(online, tmp_path):
    """A watched repository of its own; its project is removed at the end."""
    repository = Repository(tmp_path / "repositories", "roses")
    repository.commit({".build.yml": RECIPE})
    repository.push()
    online.cli("watch", str(repository.bare), "--name", "roses")
    yield "roses"
    online.cli("project", "remove", "roses", check=False)


@pytest.fixture(scope="module")
def grace(online):
    """The name of an account."""
    online.cli("user", "add", "grace", "--password-stdin", input_text="correct horse\n")
    return "grace"


def refusal(server, *arguments):
    """(exit code, what was said) of a command that does not succeed."""
    done = server.cli(*arguments, check=False)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_project_is_changed_and_removed(online, project, grace):
    """Only what is given changes; a removed one is exit 4."""
    said = online.cli("project", "change", project, "--visibility", "private", "--owner", grace)
    assert said.stdout == "project roses is changed\n"
    online.cli("project", "change", project, "--disable", "--hide", "--description", "Red")
    found = online.api(f"/projects/{project}")
    assert (found["visibility"], found["owner"], found["description"]) == ("private", grace, "Red")
    assert (found["enabled"], found["hidden"]) == (False, True)
    code, said = refusal(online, "project", "change", project, "--owner", "nobody")
    assert (code, "owner: there is no user nobody" in said) == (2, True)
    assert refusal(online, "project", "change", project, "--visibility", "secret")[0] == 2
    assert online.cli("project", "remove", project).stdout == "project roses is removed\n"
    assert refusal(online, "project", "remove", project)[0] == 4
    assert refusal(online, "project", "change", project, "--show")[0] == 4


def test_members_are_set_listed_and_removed(online, project, grace):
    """With exactly the rights that were given last."""
    said = online.cli("member", "set", project, grace, "restart", "cancel").stdout
    assert said == "grace may in roses: cancel, restart\n"
    assert online.cli("member", "list", project).stdout.split()[2:] == [
        "grace",
        "cancel,",
        "restart",
    ]
    online.cli("member", "set", project, grace, "evaluate")
    listed = json.loads(online.cli("member", "list", project, "-o", "json").stdout)
    assert listed == [{"user": grace, "rights": ["evaluate"]}]
    online.cli("member", "remove", project, grace)
    assert json.loads(online.cli("member", "list", project, "-o", "json").stdout) == []
    assert refusal(online, "member", "set", project, grace, "fly")[0] == 2
    assert refusal(online, "member", "set", project, grace)[0] == 2
    assert refusal(online, "member", "set", project, "nobody", "cancel")[0] == 2
    assert refusal(online, "member", "list", "nothing/../roses")[0] == 4


def test_a_jobset_is_made_changed_and_removed(online, project):
    """What is not given stays as it was, inputs too."""
    docs = f"{project}:docs"
    said = online.cli(
        "jobset", "set", docs, "--uri", "https://git.example.org/docs.git", "--watch",
        "refs/heads/next", "--shares", "7",
    )  # fmt: skip
    assert said.stdout == "jobset roses:docs is set\n"
    online.cli("jobset", "set", docs, "--mode", "one-shot", "--ref", "refs/heads/next")
    found = online.api(f"/projects/{project}/jobsets/docs")
    assert (found["shares"], found["mode"]) == (7, "one-shot")
    (source,) = found["inputs"]
    assert (source["uri"], source["ref"], source["watch"]) == (
        "https://git.example.org/docs.git",
        "refs/heads/next",
        ["refs/heads/next"],
    )
    code, said = refusal(online, "jobset", "set", docs, "--shares", "0", "--recipe", "../x")
    assert (code, "shares: " in said, "recipe_path: " in said) == (2, True, True)
    assert refusal(online, "jobset", "set", "nothing:docs")[0] == 4
    assert online.cli("jobset", "remove", docs).stdout == "jobset roses:docs is removed\n"
    assert refusal(online, "jobset", "remove", docs)[0] == 4


def test_a_jobset_of_a_path(online, project, tmp_path):
    """In place of a repository, and a repository again."""
    docs, place = f"{project}:docs", f"/projects/{project}/jobsets/docs"
    (tmp_path / ".build.yml").write_text(RECIPE)
    online.cli("jobset", "set", docs, "--path", str(tmp_path), "--refresh", "5")
    (source,) = online.api(place)["inputs"]
    assert (source["type"], source["uri"], source["refresh_seconds"]) == ("path", str(tmp_path), 5)
    online.cli("jobset", "set", docs, "--shares", "7")
    assert online.api(place)["inputs"] == [source]
    code, said = refusal(online, "jobset", "set", docs, "--path", "/srv/x", "--ref", "main")
    assert (code, "--path stands in place of --uri" in said) == (2, True)
    online.cli("jobset", "set", docs, "--uri", "https://git.example.org/docs.git")
    (source,) = online.api(place)["inputs"]
    assert (source["type"], source["ref"], source["refresh_seconds"]) == ("git", "HEAD", 30)


def test_a_jobset_is_evaluated_by_hand(online, project):
    """The address of the evaluation is printed alone."""
    (url,) = online.cli("jobset", "evaluate", project).stdout.splitlines()
    assert url.startswith(f"{online.url}/eval/")
    assert online.api(f"/evaluations/{url.rpartition('/')[2]}")["kind"] == "manual"
    assert refusal(online, "jobset", "evaluate", project, "--kind", "push")[0] == 2
    assert refusal(online, "jobset", "evaluate", "nothing")[0] == 4


def test_an_account_is_changed(online, grace):
    """It is said what they are now; roles are replaced as a whole."""
    said = online.cli("user", "change", grace, "--role", "cancel", "--role", "create-projects")
    assert said.stdout == "user grace: cancel, create-projects\n"
    online.cli("user", "change", grace, "--email", "grace@example.org", "--full-name", "Grace")
    found = next(one for one in online.api("/users") if one["name"] == grace)
    assert (found["email"], found["full_name"]) == ("grace@example.org", "Grace")
    assert found["roles"] == ["cancel", "create-projects"]
    assert online.cli("user", "change", grace, "--admin").stdout == "user grace: administrator\n"
    said = online.cli("user", "change", grace, "--no-admin", "--no-roles").stdout
    assert said == "user grace: no roles\n"
    code, said = refusal(online, "user", "change", grace, "--role", "fly")
    assert (code, "unknown role fly" in said) == (2, True)
    assert refusal(online, "user", "change", "nobody", "--admin")[0] == 4


def test_the_audit_tells_who_did_what(online, project):
    """Newest first; as the API's own JSON with -o json."""
    online.cli("project", "change", project, "--hide")
    lines = online.cli("audit", "--limit", "2").stdout.splitlines()
    assert lines[0].split() == ["ID", "WHEN", "WHO", "ACTION", "ABOUT", "STATUS", "MESSAGE"]
    assert lines[1].split()[2:] == [
        *("administrator", "change-project", "project", "roses", "done", "Ok"),
    ]
    assert len(lines) == 3
    found = json.loads(online.cli("audit", "-o", "json").stdout)
    assert found["requests"][0]["action"] == "change-project"
