"""Commands over a data directory that no server uses, and the two that look after it."""

import json

import pytest
from support.repositories import Repository
from support.server import cli, free_port

pytestmark = pytest.mark.e2e


def test_commands_work_without_a_server(make_server, tmp_path):
    """What was asked for while no server ran is there when one starts."""
    port = free_port()
    server = make_server(port=port, config=f'[server]\nlisten = "127.0.0.1:{port}"\n')
    repository = Repository(tmp_path)
    server.cli("user", "add", "ada", "--admin", "--password-stdin", input_text="correct horse\n")
    token = server.cli("token", "add", "ada", "--scopes", "*").stdout.strip()
    server.cli("watch", str(repository.bare))
    repository.commit({".build.yml": "image: host\ntasks:\n  - work: 'true'\n"})
    server.start()
    assert f"{server.url}/eval/1" in repository.push()
    server.until_built()
    header = {"Authorization": f"Bearer {token}"}
    answer = server.request("POST", "/ci/v1/builds/1/rerun", token=False, headers=header)
    assert answer.status == 202
    newest = server.api("/requests?limit=1")["requests"][0]
    assert (newest["action"], newest["who"], newest["what"]) == ("rerun-build", "ada", {"build": 1})


def test_a_queued_build_is_canceled_without_a_server(make_server, tmp_path):
    """It stays canceled when the server is back."""
    server = make_server().start()
    repository = Repository(tmp_path)
    server.cli("watch", str(repository.bare))
    recipe = "image: host\narch: riscv64\ntasks:\n  - work: 'true'\n"
    repository.commit({".build.yml": recipe})
    repository.push()
    server.stop()
    assert server.cli("list", "queue").stdout.count("project:main:build") == 1
    assert server.cli("cancel", "1").stdout == "build 1 is canceled\n"
    server.start()
    (build,) = server.until_built()
    assert (build["status"], build["canceled_by"]) == ("canceled", "administrator")


def test_a_server_that_was_killed_does_not_stand_in_the_way(make_server):
    """After kill -9 commands see that nobody holds the directory, though its address is left."""
    server = make_server().start()
    server.kill()
    assert (server.data / "server.json").exists()
    assert server.cli("list").returncode == 0


def test_the_schema_is_made_once(offline):
    """`migrate` says what it applied; the second time there is nothing to do."""
    first = offline.cli("migrate").stdout
    assert "applied 0001_initial" in first
    second = offline.cli("migrate").stdout
    assert "applied" not in second
    assert "is up to date" in second


@pytest.mark.parametrize("command", [("migrate",), ("serve", "--listen", "127.0.0.1:0"), ("list",)])
def test_a_file_that_is_no_database_is_left_alone(offline, command):
    """Exit 3 with the path of the file, which stays as it is."""
    file, notes = offline.data / "ciserver.db", b"somebody's notes\n" * 100
    file.write_bytes(notes)
    done = offline.cli(*command, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert "Traceback" not in done.stderr
    assert str(file) in done.stderr
    assert file.read_bytes() == notes


def test_a_running_server_keeps_others_from_migrating(online):
    """Exit 2 while a server uses the directory."""
    done = online.cli("migrate", check=False)
    assert (done.returncode, "another server" in done.stderr) == (2, True)


def test_doctor_tells_what_is_well(online):
    """Exit 0 with the settings, the server that runs and the sandbox."""
    said = online.cli("doctor").stdout
    assert "[builds]" in said
    assert f"at {online.url}" in said
    assert "is up to date" in said
    assert "builds run in" in said


def test_doctor_tells_what_is_wrong(offline):
    """Exit 3 with each thing that does not work; secrets of the configuration are hidden."""
    (offline.data / "ciserver.toml").write_text(
        '[smtp]\nhost = "127.0.0.1"\nport = 9\nusername = "ci"\npassword = "canary-4f1c"\n'
        '[builds]\ncontrol_groups = ["/nothing"]\n'
    )
    done = offline.cli("doctor", "-o", "json", check=False)
    told = json.loads(done.stdout)
    assert done.returncode == 3
    bad = [one["what"] for one in told["findings"] if one["level"] == "bad"]
    groups, mail = bad
    assert "/nothing is not a control group that this user may use" in groups
    assert "the mail server 127.0.0.1:9 does not answer" in mail
    assert told["settings"]["smtp"]["password"] == "(hidden)"
    assert "canary" not in done.stdout + done.stderr


def test_doctor_changes_nothing(offline):
    """A look at an empty directory leaves it empty but for its configuration."""
    offline.cli("doctor", check=False)
    assert [path.name for path in offline.data.iterdir()] == ["ciserver.toml"]


def test_a_configuration_may_lie_elsewhere(offline, tmp_path):
    """--config names a file; its faults are exit 2."""
    other = tmp_path / "other.toml"
    other.write_text('[server]\nname = "Ada\'s CI"\n')
    assert "Ada's CI" in offline.cli("doctor", "--config", str(other)).stdout
    other.write_text("[servr]\n")
    done = offline.cli("list", "--config", str(other), check=False)
    assert (done.returncode, "servr: unknown key" in done.stderr) == (2, True)


def test_version_and_help_are_there():
    """Both end with 0; without a command there is the list of them and exit 2."""
    assert cli("--version").stdout.startswith("ciserver, version ")
    assert "Commands:" in cli("--help").stdout
    assert cli(check=False).returncode == 2
