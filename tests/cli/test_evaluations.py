"""Whole evaluations, by command."""

import json

import pytest
from support.repositories import Repository
from support.waiting import until

pytestmark = pytest.mark.e2e

# No worker has the system, so the build waits until somebody stops it.
RECIPE = "image: host\narch: riscv64\ntasks:\n  - work: echo worked\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return Repository(tmp_path_factory.mktemp("repositories"), "tulips")


@pytest.fixture(scope="module")
def pair(online, repository):
    """Two evaluations, the second with one more job; answers their numbers and revisions."""
    made = []
    online.cli("watch", str(repository.bare), "--name", "tulips")
    for files, message in (
        ({".builds/one.yml": RECIPE}, "One job"),
        ({".builds/two.yml": RECIPE}, "Two jobs"),
    ):
        revision = repository.commit(files, message)
        repository.push()
        made.append((evaluated(online, revision), revision))
    yield made
    online.cli("project", "remove", "tulips")


def evaluated(online, revision):
    def found():
        builds = online.api("/builds?project=tulips")["builds"]
        return next((one["evaluation"] for one in builds if one["revision"] == revision), None)

    return str(until(found, seconds=30, what=f"builds of {revision}"))


def test_acts_say_what_they_changed(online, pair):
    """And that nothing was to be done."""
    (_, _), (second, _) = pair
    builds = sorted(one["id"] for one in online.api(f"/evaluations/{second}")["builds"])
    told = ", ".join(map(str, builds))

    def act(name):
        return online.cli("evaluation", name, second).stdout

    assert act("bump") == f"evaluation {second}: {told} moved to the front\n"
    stopped = ", ".join(map(str, reversed(builds)))
    assert act("cancel") == f"evaluation {second}: {stopped} stopped\n"
    assert act("cancel") == f"evaluation {second}: nothing to be stopped\n"
    assert act("restart-aborted") == f"evaluation {second}: {told} run again\n"
    assert act("cancel") == f"evaluation {second}: {stopped} stopped\n"
    assert act("restart-failed") == f"evaluation {second}: {told} run again\n"
    refused = online.cli("evaluation", "cancel", "999", check=False)
    assert (refused.returncode, "no evaluation 999" in refused.stderr) == (4, True)


def test_two_evaluations_are_compared(online, pair):
    """With the one before, or with one that is named; as text and as JSON."""
    (first, old), (second, new) = pair
    said = online.cli("evaluation", "compare", second).stdout
    assert f"compared with evaluation {first}: refs/heads/main at {old}" in said
    assert f"source: {old[:10]} -> {new[:10]}" in said
    assert f"  + {new[:10]} Two jobs" in said
    assert said.splitlines()[-2].split()[:3] == ["new", "two", "riscv64-linux"]
    back = online.cli("evaluation", "compare", first, second).stdout
    assert f"  - {new[:10]} Two jobs" in back
    assert "removed" in back
    found = json.loads(online.cli("evaluation", "compare", second, "-o", "json").stdout)
    assert found["other"]["id"] == int(first)
    assert "nothing to compare with" in online.cli("evaluation", "compare", first).stdout
    old = online.cli("evaluation", "compare", second, "--ago", "86400").stdout
    assert "nothing to compare with" in old
    both = online.cli("evaluation", "compare", second, first, "--ago", "1", check=False)
    assert (both.returncode, "in place of OTHER" in both.stderr) == (2, True)


def test_an_evaluation_at_a_given_revision(online, pair):
    """Also at an old one; what is no revision is told."""
    (_, old), _ = pair
    url = online.cli("jobset", "evaluate", "tulips", "--input", f"source={old}").stdout.strip()
    number = url.rpartition("/")[2]
    until(lambda: online.api(f"/evaluations/{number}")["status"] == "succeeded", seconds=30)
    assert online.api(f"/evaluations/{number}")["revision"] == old
    refused = online.cli("jobset", "evaluate", "tulips", "--input", "none", check=False)
    assert (refused.returncode, "inputs.none" in refused.stderr) == (2, True)
