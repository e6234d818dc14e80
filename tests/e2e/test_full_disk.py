"""A data directory whose disk is full: pushes are kept, and once there is room all goes on."""

import contextlib
import os
import subprocess

import pytest
from support.waiting import until

from ciserver.git import hook

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root"),
]

LONG = os.environ.get("CISERVER_FAULTS") == "long"
DISK = "160m"  # builds wait below 100 MiB


@pytest.fixture
def disk(place):
    """A small file system of its own."""
    folder = place / "disk"
    folder.mkdir()
    options = f"size={DISK},mode=711"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=False
    )
    if done.returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def server(disk, gate, make_server):
    config = f"[builds]\ndrain_seconds = 0.1\n{gate.config}"
    return make_server(f"{disk.name}/data", config=config).start()


def fill(disk):
    """Take every byte that is left; answers the file to remove."""
    path = disk / "ballast"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    return path


def test_a_full_disk_refuses_pushes_and_loses_nothing(server, disk, gate, watch):
    """While the disk is full pushes are refused and kept by the hook, and the server stays up. With
    room again it is back within 30 seconds, without a restart, and what ran went on.
    """
    repository = watch(server)
    begin(server, repository, gate.recipe("echo ended"))
    ballast = fill(disk)
    revision = push_while_full(server, repository)
    ballast.unlink()
    gate.open()
    until_taken(server, repository, revision)
    second, first = server.until_built(2)
    assert [(one["status"], one["attempt"]) for one in (first, second)] == [("succeeded", 1)] * 2
    assert server.step_log(first["id"], 1).endswith(b"begun\nended\n")


@pytest.mark.skipif(not LONG, reason="waits for a lease to run out; CISERVER_FAULTS=long")
def test_a_build_that_meets_the_full_disk_ends_for_a_reason(server, disk, gate, watch):
    """It ends as disk-full or, when not even that can be written, runs again once there is room."""
    repository = watch(server)
    begin(server, repository, gate.recipe("head -c 300000 /dev/zero | base64"))
    ballast = fill(disk)
    revision = push_while_full(server, repository)
    gate.open()
    until(lambda: b"No space left" in server.log.read_bytes(), what="the build to meet the disk")
    ballast.unlink()
    until_taken(server, repository, revision)
    second, first = server.until_built(2, seconds=60)
    assert second["status"] == "succeeded"
    assert (first["status"], first["reason"], first["attempt"]) in {
        ("errored", "disk-full", 1),
        ("succeeded", "", 2),
    }, first


def begin(server, repository, recipe):
    repository.commit({".build.yml": recipe})
    repository.push()
    until(lambda: server.builds() and b"begun" in server.step_log(1, 1), what="the build to begin")


def push_while_full(server, repository):
    """The push is refused for now and the server lives; answers its revision."""
    revision = repository.commit({".build.yml": "image: host\ntasks:\n  - work: 'true'\n"})
    assert "server answered 503; the push is kept" in repository.push()
    assert server.request("GET", "/healthz").status == 200
    return revision


def until_taken(server, repository, revision):
    """Within 30 seconds the kept push is taken and its build exists."""
    until(lambda: "1 kept pushes sent" in hook.flush(repository.bare), seconds=30, what="the push")
    until(lambda: server.builds()[0]["revision"] == revision, seconds=30, what="its build")


def test_builds_wait_while_the_disk_is_nearly_full(server, disk, watch):
    """Before there is trouble no new build starts, and people see why; with room again it does."""
    repository = watch(server)
    ballast = disk / "ballast"
    ballast.write_bytes(b"\0" * (80 << 20))
    server.stop()
    server.start()
    repository.commit({".build.yml": "image: host\ntasks:\n  - work: 'true'\n"})
    repository.push()
    (build,) = until(server.builds, what="the build to be queued")
    shown = server.api(f"/builds/{build['id']}")
    assert shown["status"] == "queued"
    assert "nearly full; make room there" in shown["waiting_for"]
    ballast.unlink()
    server.stop()
    server.start()
    server.until_built()
