"""What servers and workers say to each other: everything comes back as it was."""

import json

import pytest

from ciserver import wire
from ciserver.model.build import (
    Cache,
    Concurrency,
    Job,
    Lease,
    Reports,
    Resources,
    Source,
    Task,
    TriggerSpec,
    Work,
)
from ciserver.model.errors import Invalid
from ciserver.model.evaluation import Kind
from ciserver.model.ports import WorkerState
from ciserver.model.project import InputType
from ciserver.model.secret import BuildSecrets, OpenSecret, SecretType
from ciserver.recipe.text import job_from_json, job_to_json

JOB = Job(
    *("test", ".build.yml", "host", "x86_64-linux"),
    (Task("one", "echo 'ü'\n"),),
    sources=(Source("https://example.org/x", "x", "main", "1" * 40, type=InputType.PATH),),
    environment={"TEXT": "a", "LIST": ("b", "c"), "NONE": ()},
    repositories={"extra": "https://example.org/deb"},
    triggers=(TriggerSpec("email", "always", {"to": ["a"], "deep": {"n": 1}}),),
    kinds=(Kind.PUSH, Kind.NIGHTLY),
    retries=0,
    concurrency=Concurrency("group"),
    resources=Resources(memory_mb=5),
    cache=(Cache("key", ("a", "b")),),
    reports=Reports(junit=("*.xml",)),
)
KEY = OpenSecret("uuid", SecretType.SSH_KEY, "name", "path", 0o600, b"\x00\xff\xfe no text")
WORK = Work(
    Lease(1, 2, "token"), JOB, {"CI": "true"}, (), BuildSecrets((KEY,)), cache_bytes=5, store="1-x"
)


def test_work_comes_back_as_it_was():
    """The whole job, and secrets that are no text."""
    said = wire.Claimed(WORK, (b"\xff\x00", "ü".encode()))
    assert wire.read(wire.Claimed, wire.write(said)) == said


def test_a_job_is_the_same_on_both_ways():
    """As the queue keeps it, and as a worker gets it."""
    given = wire.read(wire.Claimed, wire.write(wire.Claimed(WORK, ()))).work.job
    assert given == job_from_json(job_to_json(JOB))


@pytest.mark.parametrize(
    "changed", [{"state": None}, {"heard": 7}, {"other": 1}, {"heard": "x" * 101}]
)
def test_what_is_no_such_message_is_refused(changed):
    """Fields that are missing, of another type, unknown, or too long."""
    said = json.loads(wire.write(wire.Listen("", WorkerState("arm", (), 1, 0))))
    with pytest.raises(Invalid) as caught:
        wire.read(wire.Listen, json.dumps({**said, **changed}).encode())
    assert len(caught.value.complaints) == 1


@pytest.mark.parametrize("sha256", ["", "../x", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_a_digest_is_64_digits(sha256):
    """And no path."""
    said = json.dumps({"sha256": sha256, "path": "a"}).encode()
    with pytest.raises(Invalid):
        wire.read(wire.KeepProduct, said)
