"""Users, tokens, watched repositories and hooks, by command."""

import json

import pytest
from support.repositories import Repository, git
from support.server import cli
from support.waiting import until

pytestmark = pytest.mark.e2e


def refusal(server, *arguments, **options):
    """(exit code, what was said) of a command that does not succeed."""
    done = server.cli(*arguments, check=False, **options)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.returncode, done.stderr


# -- users and tokens -----------------------------------------------------------------------------


def test_a_user_is_added_and_listed(online):
    """The password comes from standard input; the list shows who is an administrator."""
    said = online.cli(
        "user", "add", "ada", "--password-stdin", "--email", "ada@example.org",
        input_text="correct horse\n",
    )  # fmt: skip
    assert said.stdout == "added user ada\n"
    listed = json.loads(online.cli("user", "list", "-o", "json").stdout)
    (ada,) = [one for one in listed if one["name"] == "ada"]
    assert (ada["email"], ada["is_admin"], ada["roles"]) == ("ada@example.org", False, [])
    text = online.cli("user", "list").stdout
    assert text.splitlines()[0].split() == ["NAME", "EMAIL", "ADMIN", "ROLES"]


def test_every_fault_of_a_user_is_named(online):
    """Exit 2 with all that is wrong; a name that is taken is refused too."""
    code, said = refusal(
        online, "user", "add", "a b", "--password-stdin", "--email", "nobody", input_text="short\n"
    )
    assert code == 2
    assert all(field in said for field in ("name: ", "email: ", "password: "))
    code, said = refusal(
        online, "user", "add", "admin", "--password-stdin", input_text="long enough\n"
    )
    assert code == 2
    assert "admin" in said


def test_a_token_is_printed_alone_and_works(online):
    """Standard output is the token and nothing else; it opens what its scopes say, not more."""
    done = online.cli("token", "add", "admin", "--scopes", "builds:read", "--expires", "1d")
    (token,) = done.stdout.splitlines()
    assert done.stderr == ""
    header = {"Authorization": f"Bearer {token}"}
    answer = online.request("GET", "/ci/v1/deliveries", token=False, headers=header)
    assert answer.status == 200
    cancel = f"/ci/v1/builds/{online.ids['foreign']}/cancel"
    assert online.request("POST", cancel, token=False, headers=header).status == 403


def test_tokens_are_refused_with_the_reason(online):
    """No such user is exit 4; an unknown scope or a bad number of days is exit 2."""
    code, said = refusal(online, "token", "add", "nobody", "--scopes", "*")
    assert (code, "nobody" in said) == (4, True)
    code, said = refusal(online, "token", "add", "admin", "--scopes", "builds:eat")
    assert (code, "unknown scope builds:eat" in said) == (2, True)
    code, said = refusal(online, "token", "add", "admin", "--scopes", "*", "--expires", "soon")
    assert (code, "--expires" in said) == (2, True)


def test_a_link_for_a_new_password_is_printed_alone(online):
    """`user link` prints a link that opens the page; an unknown user is exit 4."""
    (link,) = online.cli("user", "link", "admin").stdout.splitlines()
    page = online.request("GET", link.removeprefix(online.url), token=False)
    assert page.status == 200
    assert refusal(online, "user", "link", "nobody")[0] == 4


# -- watched repositories -------------------------------------------------------------------------


def test_watching_twice_changes_nothing_but_the_secret(online, tmp_path):
    """The second `watch` of the same repository succeeds and pushes still come in."""
    repository = Repository(tmp_path, "twice")
    first = online.cli("watch", str(repository.bare)).stdout
    secret = hook_secret(repository)
    assert online.cli("watch", str(repository.bare)).stdout == first
    assert hook_secret(repository) != secret
    repository.commit({"README": "no recipe\n"})
    assert f"{online.url}/eval/" in repository.push()


def hook_secret(repository):
    return json.loads((repository.bare / "ciserver" / "hook.json").read_text())["secret"]


def test_a_name_stands_for_one_repository(online, tmp_path):
    """Another repository under a name that is taken is exit 2, and --name helps."""
    Repository(tmp_path / "one", "same"), Repository(tmp_path / "two", "same")
    online.cli("watch", str(tmp_path / "one" / "same.git"))
    code, said = refusal(online, "watch", str(tmp_path / "two" / "same.git"))
    assert code == 2
    assert "--name" in said
    online.cli("watch", str(tmp_path / "two" / "same.git"), "--name", "same-two")


def test_what_is_no_repository_is_not_watched(online, tmp_path):
    """Exit 2, and no project is left behind."""
    (tmp_path / "plain").mkdir()
    code, said = refusal(online, "watch", str(tmp_path / "plain"))
    assert code == 2
    assert "is not a git repository" in said
    assert refusal(online, "watch", str(tmp_path / "absent"))[0] == 2
    assert projects(online).isdisjoint({"plain", "absent"})


def projects(server):
    return {one["name"] for one in server.api("/projects")}


def test_a_foreign_hook_is_kept(online, tmp_path):
    """Exit 2 when the repository has another hook; that hook stays, and nothing is watched."""
    repository = Repository(tmp_path, "foreign-hook")
    foreign = repository.bare / "hooks" / "post-receive"
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_text("#!/bin/sh\necho mine\n")
    code, said = refusal(online, "watch", str(repository.bare))
    assert code == 2
    assert "is another hook" in said
    assert foreign.read_text() == "#!/bin/sh\necho mine\n"
    assert "foreign-hook" not in projects(online)
    assert refusal(online, "hook", "remove", str(repository.bare))[0] == 2


def test_watched_refs_are_globs_of_full_names(online, tmp_path):
    """--ref chooses what is built; a glob that can match no ref is exit 2."""
    repository = Repository(tmp_path, "choosy")
    code, said = refusal(online, "watch", str(repository.bare), "--ref", "main")
    assert code == 2
    assert "refs[0]" in said
    online.cli("watch", str(repository.bare), "--ref", "refs/heads/release/*")
    repository.commit({"README": "no recipe\n"})
    assert "no jobset watches refs/heads/main" in repository.push()


# -- hooks ----------------------------------------------------------------------------------------


def test_a_hook_is_installed_and_removed(online, tmp_path):
    """A push is told only while the hook is there; install and remove may be repeated."""
    repository = Repository(tmp_path, "hooked")
    online.cli("watch", str(repository.bare))
    for _ in range(2):
        cli("hook", "remove", str(repository.bare))
    repository.commit({"README": "one\n"})
    assert "ciserver" not in repository.push()
    for _ in range(2):
        online.cli("hook", "install", str(repository.bare))
    repository.commit({"README": "two\n"})
    assert f"{online.url}/eval/" in repository.push()


def test_a_hook_for_an_unknown_project_is_not_installed(online, tmp_path):
    """Exit 4, and the repository is as it was."""
    repository = Repository(tmp_path, "unknown")
    code, said = refusal(online, "hook", "install", str(repository.bare))
    assert (code, "unknown" in said) == (4, True)
    assert not (repository.bare / "ciserver").exists()


def test_kept_pushes_are_flushed(make_server, tmp_path):
    """What was pushed while no server ran is sent by `hook flush`, once."""
    server = make_server().start()
    repository = Repository(tmp_path, "kept")
    server.cli("watch", str(repository.bare))
    assert server.stop() == 0
    repository.commit({"README": "one\n"})
    assert "the push is kept" in repository.push()
    assert cli("hook", "flush", str(repository.bare)).stdout.endswith("0 kept pushes sent\n")
    server.start()
    assert "1 kept pushes sent" in cli("hook", "flush", str(repository.bare)).stdout
    assert "0 kept pushes sent" in cli("hook", "flush", str(repository.bare)).stdout
    until(lambda: server.api("/evaluations/1")["status"] == "skipped", what="the evaluation")
    assert cli("hook", "flush", str(tmp_path), check=False).returncode == 2


def test_hook_secrets_are_printed_alone(online):
    """A new secret, or the one on standard input; one too short is exit 2, an unknown project 4."""
    made = online.cli("hook", "secret", "add", "hello")
    assert made.stdout.startswith("whsec_")
    assert made.stdout.count("\n") == 1
    assert made.stderr == ""
    given = online.cli(
        "hook", "secret", "add", "hello", "--value-stdin", input_text="sixteen letters!\n"
    )
    assert given.stdout == "sixteen letters!\n"
    code, said = refusal(
        online, "hook", "secret", "add", "hello", "--value-stdin", input_text="short\n"
    )
    assert (code, "at least 16" in said) == (2, True)
    assert refusal(online, "hook", "secret", "add", "nobody")[0] == 4
    outgoing = online.cli("hook", "secret", "outgoing", "hello").stdout
    assert outgoing.startswith("whsec_")
    assert outgoing == online.cli("hook", "secret", "outgoing", "hello").stdout
    assert refusal(online, "hook", "secret", "outgoing", "nobody")[0] == 4


def test_an_empty_value_is_no_secret(online):
    """--value-stdin with nothing on standard input is exit 2, not a secret nobody was told."""
    assert refusal(online, "hook", "secret", "add", "hello", "--value-stdin")[0] == 2


def test_the_hook_of_a_work_tree_is_installed_beneath_git(online, tmp_path):
    """A repository with a work tree may be watched too; the project has its name."""
    tree = tmp_path / "with-tree"
    git(tmp_path, "init", "-q", "-b", "main", str(tree))
    online.cli("watch", str(tree))
    assert (tree / ".git" / "hooks" / "post-receive").exists()
    assert "with-tree" in projects(online)
