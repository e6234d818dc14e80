"""Commands about builds: looking, following, canceling, running again."""

import json
import subprocess
import sys

import pytest
from support.repositories import Repository
from support.waiting import until

pytestmark = pytest.mark.e2e


def test_builds_projects_and_queue_are_listed(online):
    """As a table for people, and as the API's own JSON with -o json."""
    table = online.cli("list").stdout.splitlines()
    assert table[0].split()[:3] == ["BUILD", "JOB", "STATUS"]
    assert {line.split()[1]: line.split()[2] for line in table[1:5]} == {
        "hello:main:good": "succeeded",
        "hello:main:bad": "failed",
        "hello:main:slow": "timed_out",
        "hello:main:foreign": "queued",
    }
    found = json.loads(online.cli("list", "builds", "-o", "json", "--limit", "2").stdout)
    assert [str(one["id"]) for one in found["builds"]] == [*online.ids.values()][:2]
    assert "hello:main" in online.cli("list", "projects").stdout
    queue = online.cli("list", "queue").stdout
    assert "no worker for system riscv64-linux" in queue


def test_one_projects_builds_are_listed(online):
    """--project chooses; an unknown one is exit 4."""
    assert online.cli("list", "--project", "hello").stdout.count("hello:main:") == 4
    done = online.cli("list", "--project", "nobody", check=False)
    assert (done.returncode, "nobody" in done.stderr) == (4, True)


def test_a_build_is_shown(online):
    """Its status, steps, and address; as JSON with -o json."""
    said = online.cli("show", online.ids["bad"]).stdout
    assert "hello:main:bad #1: failed (exit-code)" in said
    assert "task work exited with status 3" in said
    assert "work: failed, exit status 3" in said
    assert f"{online.url}/build/{online.ids['bad']}" in said
    found = json.loads(online.cli("show", online.ids["bad"], "-o", "json").stdout)
    assert found["attempts"][0]["steps"][1]["exit_code"] == 3


def test_an_evaluation_is_shown(online):
    """With its builds."""
    said = online.cli("show", "--evaluation", "1").stdout
    assert "evaluation 1 of hello:main: succeeded" in said
    assert all(f"hello:main:{job} " in said for job in online.ids)


@pytest.mark.parametrize(
    "arguments",
    [("show", "999"), ("show", "--evaluation", "999"), ("log", "999"), ("cancel", "999")],
    ids=" ".join,
)
def test_what_is_not_there_is_exit_4(online, arguments):
    """With a message that names it."""
    done = online.cli(*arguments, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert "999" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("show", "one"), ("list", "cakes"), ("log",), ("eat", "1"), ("list", "--limit", "0")],
    ids=" ".join,
)
def test_wrong_usage_is_exit_2(online, arguments):
    """With the usage line of the command."""
    done = online.cli(*arguments, check=False)
    assert done.returncode == 2
    assert "Usage: " in done.stderr


def test_logs_are_printed_as_they_are(online):
    """All steps in order, or one by name or number; an unknown step is exit 4."""
    whole = online.cli("log", online.ids["good"]).stdout
    assert whole.index("worked\n") < whole.index("and more\n")
    assert online.cli("log", online.ids["good"], "work").stdout == "+ echo worked\nworked\n"
    assert online.cli("log", online.ids["good"], "2").stdout == "+ echo and more\nand more\n"
    done = online.cli("log", online.ids["good"], "cake", check=False)
    assert (done.returncode, "no step cake" in done.stderr) == (4, True)


@pytest.mark.parametrize(("job", "code"), [("good", 0), ("bad", 1), ("slow", 124)])
def test_following_an_ended_build_exits_with_its_result(online, job, code):
    """0 for a success, 1 for a failure, 124 for a build that took too long."""
    assert online.cli("log", "-f", online.ids[job], check=False).returncode == code


class Gate:
    """Builds that wait until they are let go, on a server of their own."""

    def __init__(self, make_server, place, repositories):
        self._open = place / "gate" / "open"
        self._open.parent.mkdir(mode=0o755)
        config = f'[builds]\nslots = 1\nreadable = ["{self._open.parent}"]\n'
        self.server = make_server(config=config).start()
        self._repository = Repository(repositories)
        self.server.cli("watch", str(self._repository.bare))

    def push(self, end, count=1):
        """Push a build that ends like this; answers its number once `count` builds are there."""
        wait = f"echo begun\nwhile ! test -e {self._open}; do sleep 0.02; done\n{end}"
        self.push_recipe({"image": "host", "tasks": [{"wait": f"set +x\n{wait}"}]})
        builds = until(lambda: len(self.server.builds()) >= count and self.server.builds())
        return str(builds[0]["id"])

    def push_recipe(self, recipe):
        self._repository.commit({".build.yml": json.dumps(recipe)})
        self._repository.push()

    def open(self):
        self._open.touch()

    def follow(self, *arguments):
        """A command that runs beside the test."""
        command = [sys.executable, "-m", "ciserver.cli.main", *arguments]
        return subprocess.Popen(
            [*command, "--data", str(self.server.data)], stdout=subprocess.PIPE, text=True
        )


@pytest.fixture
def gate(make_server, place, tmp_path):
    return Gate(make_server, place, tmp_path)


def test_a_running_build_is_followed_to_its_end(gate):
    """The log is there while the build runs, and the command ends with the build's result."""
    build = gate.push("exit 7")
    with gate.follow("log", "-f", build, "wait") as follower:
        assert [follower.stdout.readline() for _ in range(2)] == ["+ set +x\n", "begun\n"]
        assert follower.poll() is None
        gate.open()
        assert follower.communicate(timeout=20)[0] == "task wait exited with status 7\n"
    assert follower.returncode == 1


def test_a_canceled_build_ends_its_followers_with_3(gate):
    """`cancel` stops a running build and a waiting one; neither can be canceled again."""
    running = gate.push("true")
    waiting = gate.push("true", count=2)
    with gate.follow("log", "-f", running, "wait") as follower:
        assert follower.stdout.readline() == "+ set +x\n"
        assert gate.server.cli("cancel", waiting).stdout == f"build {waiting} is canceled\n"
        assert gate.server.cli("cancel", running).stdout == f"build {running} is canceling\n"
        follower.communicate(timeout=20)
    assert follower.returncode == 3
    again = gate.server.cli("cancel", running, check=False)
    assert (again.returncode, again.stdout) == (2, "")
    assert f"build {running} is canceled" in again.stderr


def test_a_finished_build_runs_again(gate):
    """`rerun -f` follows the new attempt to its result; a build under way is not run again."""
    build = gate.push("exit 7")
    refused = gate.server.cli("rerun", build, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    gate.open()
    gate.server.until_built()
    again = gate.server.cli("rerun", "-f", build, check=False)
    assert again.returncode == 1
    assert "begun\n" in again.stdout
    (found,) = gate.server.builds()
    assert (found["status"], found["attempt"]) == ("failed", 2)


def test_deliveries_are_listed_and_sent_again(gate):
    """A delivery that was given up is sent again by hand; an unknown one is exit 4."""
    gate.open()
    hook = {"action": "webhook", "url": "http://127.0.0.1:9/"}
    gate.push_recipe({"image": "host", "tasks": [{"work": "true"}], "triggers": [hook]})

    def buried(tries):
        found = json.loads(gate.server.cli("delivery", "list", "-o", "json").stdout)
        return found if [one["tries"] for one in found] == [tries] else None

    ((one,)) = until(lambda: buried(1))
    assert one["status"] == "buried"
    table = gate.server.cli("delivery", "list").stdout.splitlines()
    assert table[0].split()[:2] == ["DELIVERY", "BUILD"]
    assert table[1].split()[0] == one["id"]
    assert one["id"] in gate.server.cli("delivery", "resend", one["id"]).stdout
    assert until(lambda: buried(2))[0]["id"] == one["id"]
    unknown = gate.server.cli("delivery", "resend", "msg_nothing", check=False)
    assert (unknown.returncode, "msg_nothing" in unknown.stderr) == (4, True)
