"""What whoever pushed reads: builds that were made of the push, and why others were not."""

import json

import pytest
from support.repositories import Repository
from support.sender import Sender

GOOD = "image: host\ntasks:\n  - build: echo built\n"


@pytest.fixture
def push(parts, services, admin, clock, tmp_path):
    """Commit files to a watched repository and tell the server; `again` sends the same once more,
    after the evaluation. Answers what came back each time.
    """
    repository = Repository(tmp_path / "repositories")
    repository.commit({"README": "hello\n"}, "First")
    repository.push()
    watched = services.projects.watch(admin, "project", str(repository.bare), local=True)
    sender = Sender(parts.app, clock, watched.hook_secret, str(repository.bare))

    def push(files, *options):
        revision = repository.commit(files, "Change")
        repository.push()
        told = json.loads(sender.payload(new=revision))
        told["data"]["options"] = list(options)
        body = json.dumps(told).encode()
        first = sender.send(body, revision).json
        services.evaluations.evaluate_next()
        return first, sender.send(body, revision).json

    return push


def test_a_push_is_told_twice(push):
    """At once where its evaluation will be, and when it comes again which builds were made."""
    first, second = push({".build.yml": GOOD, ".builds/debian.yml": GOOD})
    base = first["evaluations"][0]["url"].partition("/eval/")[0]
    assert (first["pending"], second["pending"]) == (True, False)
    assert first["lines"] == [
        "Evaluation(s) requested:",
        f"{base}/eval/1 [main refs/heads/main]",
    ]
    assert second["lines"] == [
        "Build(s) started:",
        f"{base}/build/1 [build]",
        f"{base}/build/2 [debian]",
        f"see {base}/eval/1",
    ]
    assert second["evaluations"] == first["evaluations"]


def test_what_is_left_out_is_told(push):
    """Jobs by their filters, with the reason."""
    only = GOOD + "when: {refs: [stable]}\n"
    _, told = push({".build.yml": GOOD, ".builds/release.yml": only})
    assert told["lines"][2:-1] == [
        "not built: release: when.refs: refs/heads/main matches none of stable"
    ]


def test_faults_are_told(push):
    """Each in a line, and where the page with all of them is."""
    _, told = push({".build.yml": "image: 3\nimag: host"})
    first, *faults, see = told["lines"]
    assert first == "faults in the recipe:"
    assert see.endswith("/eval/1")
    assert ".build.yml: tasks: is required" in faults
    assert len(faults) == 3


def test_a_commit_that_wants_no_builds_says_so(push):
    """As the page of its evaluation does, with the pusher's own note."""
    _, told = push({"README": "[x]"}, "description=only words")
    line, _ = told["lines"]
    assert line.startswith("not built: only words; there is no recipe at this revision (looked")


def test_an_ignored_push_is_not_asked_for_again(push):
    """The reason stands in its field, and nothing more will be known."""
    first, second = push({".build.yml": GOOD}, "skip-ci")
    assert first == second
    assert (first["pending"], first["lines"]) == (False, [])
    assert first["ignored"] == "the push option skip-ci asks for no builds"


def test_debug_tells_the_numbers(push):
    """Under which the push, its delivery and its evaluations are known here."""
    first, second = push({".build.yml": GOOD}, "debug", "visibility=secret")
    base = first["evaluations"][0]["url"].partition("/eval/")[0]
    shown = [f"evaluation 1 of main at refs/heads/main: {base}/eval/1"]
    assert first["lines"][-1:] == second["lines"][-1:] == shown
    assert second["lines"][-2].startswith("push 1, delivery ")
    odd = "visibility= is none of public, unlisted, private; what is built is private"
    assert f"note: {odd}" in first["lines"]
    assert second["lines"].count(f"note: {odd}") == 1
