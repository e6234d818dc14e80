"""A client of buildapi's own time, from the registry of its language, against the real server: only
its base address is another.

`npm ci` in tests/dialects/selfserve/node_buildapi brings it; without it these tests are skipped,
except in CI.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.repositories import Repository
from support.waiting import until

HERE = Path(__file__).parent / "node_buildapi"
PASSWORD = "correct horse battery"
RECIPE = "image: host\ntasks:\n  - build: echo built\n"
RECIPES = {
    ".builds/linux64.yml": RECIPE,
    ".builds/linux64-nightly.yml": RECIPE + "when: {kinds: [nightly]}\n",
    ".builds/linux64-pgo.yml": RECIPE + "when: {kinds: [pgo]}\n",
}
pytestmark = pytest.mark.e2e


def missing(what):
    reason = f"{what}; run `npm ci` in {HERE.relative_to(Path(__file__).parents[3])}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def node():
    if not (HERE / "node_modules").is_dir():
        missing("the client is not installed")
    return shutil.which("node") or missing("node is not installed")


class Branch:
    """The branch main of a real server, which has built one push."""

    def __init__(self, server, repository, node):
        self._server, self._node = server, node
        server.cli("user", "add", "ada", "--admin", "--password-stdin", input_text=PASSWORD)
        server.cli("watch", str(repository.bare))
        self.revision = repository.commit(RECIPES, "Add recipes")
        repository.push()
        (self.build,) = (one["id"] for one in server.until_built())

    def play(self, *calls, password=PASSWORD):
        """What the client was told by each of these calls."""
        options = {
            "protocol": "http:",
            "host": self._server.url.removeprefix("http://"),
            "rootPath": "self-serve",
            "username": "ada",
            "password": password,
        }
        done = subprocess.run(
            [self._node, "play.cjs"],
            cwd=HERE,
            input=json.dumps({"options": options, "calls": calls}),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=60,
        )
        return json.loads(done.stdout)

    def read(self, *call):
        (told,) = self.play(call)
        return told["value"]

    def change(self, *call):
        """The job of an accepted change, once it was performed."""
        (told,) = self.play(call)
        assert told["message"] == "Ok", told
        job = until(lambda: self._performed(told["id"]), what=f"{call[0]} to be performed")
        assert job["complete_data"]["request_id"] == told["id"]
        return job["action"], job["complete_data"]["body"]

    def _performed(self, job_id):
        job = self.read("getJob", job_id)
        return job if job["completed_at"] else None


@pytest.fixture
def branch(node, make_server, tmp_path):
    server = make_server(config="[builds]\nslots = 1\n").start()
    return Branch(server, Repository(tmp_path / "repositories"), node)


def test_what_it_reads(branch):
    """Every call that reads."""
    jobs = [
        *(("listBranches",), ("listJobs",), ("getBranch", "main"), ("getBuilders", "main")),
        *(("getBuild", "main", branch.build), ("getRev", "main", branch.revision[:12])),
        *(("isDone", "main", branch.revision), ("getBuildsForUser", "main", "nobody")),
    ]
    told = [one["value"] for one in branch.play(*jobs)]
    branches, listed, builds, builders, build, revision, done, user = told
    assert (set(branches), listed, builders) == ({"main"}, [], ["linux64"])
    assert [one["build_id"] for one in builds] == [branch.build]
    assert builds == revision
    assert build["requests"][0]["request_id"] == branch.build
    assert done["stableDelay"] == 180
    assert user == {"builds": [], "running": [], "pending": []}


def test_what_it_asks_for(branch):
    """Every call that changes something."""
    action, body = branch.change("rebuildBuildId", "main", {"build_id": branch.build, "count": 2})
    assert (action, body["errors"], len(body["created"])) == ("rebuild_build", False, 2)
    action, body = branch.change("rebuildRequest", "main", {"request_id": branch.build})
    assert (action, len(body["created"])) == ("rebuild_request", 1)
    for name, asked in (
        ("triggerRev", "new_build_at_revision"),
        ("triggerRevNightly", "new_nightly_at_revision"),
        ("triggerRevPgo", "new_pgobuild_at_revision"),
    ):
        action, body = branch.change(name, "main", branch.revision)
        assert (action, body["msg"], len(body["created"])) == (asked, "Ok", 1)
    form = {"properties": json.dumps({"branch": "main", "level": 3}), "files": '["http://x/a"]'}
    action, body = branch.change("triggerBuildername", "main", "linux64", branch.revision, form)
    assert (action, body["msg"], len(body["created"])) == ("new_build_for_builder", "Ok", 1)
    action, body = branch.change("cancelRev", "main", branch.revision)
    assert (action, body["errors"]) == ("cancel_revision", False)
    complete = "is complete, nothing to do"
    action, body = branch.change("cancelBuild", "main", branch.build)
    assert (action, body["msg"]) == ("cancel_build", f"Build {complete}")
    action, body = branch.change("cancelRequest", "main", branch.build)
    assert (action, body["msg"]) == ("cancel_request", f"Request {branch.build} {complete}")


def test_what_it_is_refused(branch):
    """It is told why, in the message."""
    told = branch.play(
        ("reprioritizeRequest", "main", branch.build, {"priority": 5}),
        ("cancelBuild", "main", 999),
        ("triggerBuildername", "main", "unknown", branch.revision),
        ("triggerRevNightly", "main", branch.revision, {"priority": "high"}),
        ("triggerRev", "elsewhere", branch.revision),
    )
    assert [one["error"] for one in told] == [
        "Request already complete",
        "Build 999 not found on branch main",
        "Unknown builder unknown",
        "Bad priority",
        "Branch elsewhere not found",
    ]
    (told,) = branch.play(("triggerRev", "main", branch.revision), password="wrong")
    assert "password is wrong" in told["error"]
