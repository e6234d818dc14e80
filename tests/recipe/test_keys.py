"""The content key of a job changes with what can change its result, and with nothing else."""

from dataclasses import fields, replace

import pytest

from ciserver.model.build import (
    Cache,
    Concurrency,
    Job,
    Reports,
    Resources,
    Source,
    Task,
    TriggerSpec,
)
from ciserver.model.evaluation import Kind
from ciserver.model.push import Trust
from ciserver.recipe.keys import IN_KEY, NOT_IN_KEY, content_key
from ciserver.recipe.manifest import read_manifest

SOURCE = Source("https://example.org/app.git", "app", "refs/heads/main", "1" * 40)
JOB = Job("test", "test.yml", "host", "x86_64-linux", (Task("t", "make"),), sources=(SOURCE,))
AROUND = {
    "image": "host",
    "trust": Trust.TRUSTED,
    "inputs": {"level": "2"},
    "needed_keys": ("k1", "k2"),
    "trees": ("t1", "t2"),
}


def key_of(job=JOB, **around):
    return content_key(job, **AROUND | around)


def test_every_field_of_a_job_is_in_the_key_or_said_not_to_be():
    """A new field cannot be forgotten."""
    assert sorted([*IN_KEY, *NOT_IN_KEY]) == sorted(one.name for one in fields(Job))
    assert all(NOT_IN_KEY.values())


CHANGED = {
    "name": "other",
    "file": "other.yml",
    "image": "other",
    "system": "aarch64-linux",
    "tasks": (Task("t", "make all"),),
    "sources": (replace(SOURCE, directory="other"),),
    "environment": {"A": "1"},
    "packages": ("gcc",),
    "repositories": {"mine": "https://example.org/ sid main"},
    "artifacts": ("app/out",),
    "triggers": (TriggerSpec("email", "always"),),
    "timeout_seconds": 60,
    "silence_seconds": 60,
    "priority": 3,
    "network": False,
    "kinds": (Kind.PUSH,),
    "refs": ("main",),
    "by_push": False,
    "push_refs": ("main",),
    "notes": ("a note",),
    "partial_exit_code": 6,
    "script": "build.sh",
    "parameters": "-v",
    "script_jobset": 7,
    "base": "other",
    "needs": ("build",),
    "changed_paths": ("src",),
    "paths": ("src",),
    "retries": 1,
    "retry_on_failure": 1,
    "concurrency": Concurrency("deploy"),
    "resources": Resources(memory_mb=512),
    "cache": (Cache("pip", (".cache",)),),
    "reports": Reports(junit=("*.xml",)),
    "maintainers": ("ada@example.org",),
    "nix": True,
    "always": True,
    "runs_on": ("gpu",),
    "secrets": ("deploy",),
    "secrets_of": "ada",
    "secrets_off": True,
}


@pytest.mark.parametrize("field", [one.name for one in fields(Job)])
def test_a_field_changes_the_key_if_it_is_in_it(field):
    """And what is said not to be in it does not."""
    changed = key_of(replace(JOB, **{field: CHANGED[field]}))
    assert (changed != key_of()) == (field in IN_KEY)


@pytest.mark.parametrize(
    "around",
    [
        {"image": "debian@sha256:1"},
        {"trust": Trust.UNTRUSTED},
        {"inputs": {"level": "3"}},
        {"inputs": {}},
        {"needed_keys": ("k1",)},
        {"trees": ("t1", "t3")},
        {"trees": ("t2", "t1")},
        {"trees": ("t1t2",)},
    ],
)
def test_what_stands_around_a_job_changes_the_key(around):
    """The image, the trust, values of inputs, what it needs, and the content of its sources."""
    assert key_of(**around) != key_of()


def test_the_order_of_maps_and_needs_does_not_matter():
    """They say the same in any order."""
    one = replace(JOB, environment={"A": "1", "B": "2"})
    two = replace(JOB, environment={"B": "2", "A": "1"})
    assert key_of(one) == key_of(two)
    assert key_of(needed_keys=("k2", "k1")) == key_of()


def test_another_commit_with_the_same_content_has_the_same_key():
    """Neither the branch nor the address nor the commit is content."""
    moved = replace(SOURCE, uri="https://example.org/x", ref="refs/heads/y", revision="2" * 40)
    assert key_of(replace(JOB, sources=(moved,))) == key_of()
    assert key_of(replace(JOB, sources=(replace(SOURCE, submodules=False),))) != key_of()


def test_text_and_a_list_of_one_text_are_not_the_same():
    """A variable and an array of bash differ."""
    assert key_of(replace(JOB, environment={"A": "x"})) != key_of(
        replace(JOB, environment={"A": ("x",)})
    )


def test_the_way_a_recipe_is_written_does_not_matter():
    """A comment, quotes and the order of keys change nothing."""
    texts = [
        "image: host\ntasks:\n  - t: make\nenvironment: {A: 1, B: x}\n",
        "# a comment\nenvironment: {'B': \"x\", A: '1'}\ntasks: [{t: make}]\nimage: host\n",
    ]
    first, second = [
        read_manifest(".build.yml", text, default_system="x86_64-linux").jobs[0] for text in texts
    ]
    assert key_of(first) == key_of(second)


def test_a_key_is_sha256_in_hexadecimal_and_stays_what_it_is():
    """Another value forgets every earlier result, so it changes on purpose only."""
    assert key_of() == "128fefe88929c5d9c72ad4a1ffbd3a2393ef1b23438061529fb6626134e66988"
