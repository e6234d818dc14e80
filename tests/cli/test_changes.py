"""Builds that are submitted, and what else commands do with builds."""

import pytest
from support.waiting import until

pytestmark = pytest.mark.e2e

RECIPE = "image: host\ntasks:\n  - work: echo worked\n"


@pytest.fixture
def recipe(tmp_path):
    file = tmp_path / "try.yml"
    file.write_text(RECIPE)
    return str(file)


def refusal(server, *arguments, **options):
    """(exit code, what was said) of a command that does not succeed."""
    done = server.cli(*arguments, check=False, **options)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.returncode, done.stderr


def number_of(url):
    return url.strip().rpartition("/")[2]


def test_a_recipe_is_submitted_and_followed(online, recipe):
    """Its log is printed, and the exit status is its result."""
    done = online.cli("submit", recipe, "--note", "Try it", "--tag", "a", "--tag", "b", "--follow")
    assert "worked" in done.stdout
    number = number_of(next(one for one in done.stderr.splitlines() if "/build/" in one))
    found = online.api(f"/builds/{number}")
    assert (found["note"], found["tags"], found["status"]) == ("Try it", ["a", "b"], "succeeded")
    failing = "image: host\ntasks:\n  - work: exit 3\n"
    assert online.cli("submit", "-", "-f", input_text=failing, check=False).returncode == 1


def test_a_bad_recipe_is_exit_2(online):
    """Every fault is named, and bytes that are no text are no crash."""
    code, said = refusal(online, "submit", "-", "--tag", "a b", input_text="image: host\nx: 1\n")
    assert (code, "manifest: " in said, "tags[0]: " in said) == (2, True, True)
    assert refusal(online, "submit", "-", input_text=b"image: \xff\n")[0] == 2
    assert refusal(online, "submit", "/no/such/file")[0] == 2


def test_a_held_build_is_started(online, recipe):
    """The address is printed alone; it waits until it is told to go."""
    (url,) = online.cli("submit", recipe, "--hold", "--visibility", "private").stdout.splitlines()
    number = number_of(url)
    assert online.api(f"/builds/{number}")["status"] == "held"
    # A worker may have taken it, and even be done, before it is said.
    going = ("queued", "starting", "running", "succeeded")
    told = online.cli("build", "start", number).stdout
    assert told in [f"build {number} is {one}\n" for one in going]
    until(lambda: online.api(f"/builds/{number}")["status"] == "succeeded")
    assert refusal(online, "build", "start", number)[0] == 2


def test_builds_are_made_again_kept_and_deleted(online, recipe):
    """New builds of the same; what is deleted is exit 4."""
    first = number_of(online.cli("submit", recipe).stdout)
    until(lambda: online.api(f"/builds/{first}")["status"] == "succeeded")
    urls = online.cli("build", "rebuild", first, "--count", "2").stdout.splitlines()
    assert [one.startswith(f"{online.url}/build/") for one in urls] == [True, True]
    assert refusal(online, "build", "rebuild", first, "--count", "0")[0] == 2
    assert online.cli("build", "keep", first).stdout == f"build {first} is kept\n"
    assert online.api(f"/builds/{first}")["kept"] is True
    assert online.cli("build", "unkeep", first).stdout == f"build {first} is not kept any more\n"
    assert online.cli("build", "delete", first).stdout == f"build {first} is deleted\n"
    assert refusal(online, "show", first)[0] == 4


def test_the_priority_of_a_waiting_build(online):
    """It is said back; not of one that has ended."""
    waiting = online.ids["foreign"]
    said = online.cli("build", "priority", waiting, "5").stdout
    assert said == f"build {waiting} has priority 5\n"
    online.cli("build", "priority", waiting, "0")
    assert refusal(online, "build", "priority", online.ids["good"], "5")[0] == 2


@pytest.mark.parametrize("verb", ["rebuild", "start", "keep", "unkeep", "delete"])
def test_unknown_builds_are_exit_4(online, verb):
    """And the number is said."""
    code, said = refusal(online, "build", verb, "99999")
    assert (code, "99999" in said) == (4, True)


def test_a_waiting_build_goes_first(online):
    """It is said; a finished one is exit 2, an unknown one exit 4."""
    waiting = online.ids["foreign"]
    assert online.cli("build", "bump", waiting).stdout == f"build {waiting} goes first\n"
    assert online.api(f"/builds/{waiting}")["bumped"] is True
    assert refusal(online, "build", "bump", online.ids["good"])[0] == 2
    assert refusal(online, "build", "bump", "99999")[0] == 4


def test_the_queue_is_paused_and_resumed(online, recipe):
    """Nothing starts meanwhile; `list queue` says so, and what else stays paused is said."""
    assert online.cli("queue", "pause").stdout == "the queue is paused\n"
    try:
        number = number_of(online.cli("submit", recipe).stdout)
        listed = online.cli("list", "queue").stdout
        assert "the queue is paused by administrator\n" in listed
        assert (
            online.api(f"/builds/{number}")["waiting_for"] == "the queue is paused by administrator"
        )
        told = online.cli("queue", "pause", "--worker", "far", "--reason", "a new disk").stdout
        assert told == "worker far is paused\n"
        listed = online.cli("list", "queue").stdout
        assert "worker far is paused by administrator: a new disk\n" in listed
    finally:
        said = online.cli("queue", "resume").stdout
    assert said == "the queue goes on; worker far stays paused\n"
    assert online.cli("queue", "resume", "--worker", "far").stdout == "worker far goes on\n"
    until(lambda: online.api(f"/builds/{number}")["status"] == "succeeded")


def test_a_jobset_is_paused_and_resumed(online):
    """Changing it keeps the pause; an unknown one is exit 4."""
    assert online.cli("jobset", "pause", "hello").stdout == "jobset hello:main is paused\n"
    online.cli("jobset", "set", "hello:main", "--check-every", "3600", "--no-reuse")
    found = online.api("/projects/hello/jobsets/main")
    told = [found[one] for one in ("paused", "check_interval_seconds", "reuse_results")]
    assert told == [True, 3600, False]
    assert online.cli("jobset", "resume", "hello:main").stdout == "jobset hello:main goes on\n"
    online.cli("jobset", "set", "hello:main", "--check-every", "0", "--reuse")
    found = online.api("/projects/hello/jobsets/main")
    assert (found["paused"], found["reuse_results"]) == (False, True)
    assert refusal(online, "jobset", "pause", "hello:cake")[0] == 4
