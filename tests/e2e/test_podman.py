"""A server whose builds run in podman."""

import os
import subprocess

import pytest
from support.images import give_podman, small_root, take_from_podman
from support.waiting import until

from ciserver.executor.podman import Podman
from ciserver.executor.sandbox import find_build_user

pytestmark = pytest.mark.e2e
REFERENCE = f"localhost/ciserver-test-{os.getpid()}:e2e"
CONFIG = f"""
[builds]
sandbox = "podman"
network = "host"
[images]
unknown = "refuse"
[images.podman]
"tiny/one" = "{REFERENCE}"
"""
MANIFEST = "image: {}\ntasks:\n  - look: |\n      cat /etc/mark || true\n      {}\n"


@pytest.fixture(autouse=True)
def _podman_works(tmp_path):
    user = find_build_user("nobody") if os.geteuid() == 0 else None
    if fault := Podman(user=user, place=tmp_path).probe():
        if os.environ.get("CI") == "true" and "CISERVER_NO_PODMAN" not in os.environ:
            pytest.fail(fault)
        pytest.skip(fault)


@pytest.fixture
def server(make_server):
    return make_server(config=CONFIG).start()


def programs():
    done = subprocess.run(("ps", "-ewwo", "args"), capture_output=True, text=True, check=True)
    return done.stdout


def test_a_build_waits_for_its_image_and_runs_on_it(server, place):
    """It says what there is until podman has the image; then the page names the sandbox."""
    server.cli("submit", "-", input_text=MANIFEST.format("tiny/one", "true"))
    server.cli("submit", "-", input_text=MANIFEST.format("host", "true"))
    until(lambda: [one["status"] for one in server.builds()] == ["succeeded", "queued"])
    shown = server.request("GET", "/build/1").data.decode()
    assert "no worker offers the image tiny/one (there is: none)" in shown
    said = server.cli("doctor", check=False).stdout
    assert f"BAD   image tiny/one: it is not there; give podman {REFERENCE}" in said
    made = give_podman(small_root(place / "small"), REFERENCE)
    try:
        assert f"ok    image tiny/one: {REFERENCE} of podman" in server.cli("doctor").stdout
        until(lambda: "Images: tiny/one" in server.request("GET", "/machines").data.decode())
        server.cli("submit", "-", input_text=MANIFEST.format("host", "true"))  # rings
        server.until_built(3)
        assert b"an image\n" in server.step_log(1, 1)
        assert b"an image\n" not in server.step_log(2, 1)
        assert "podman" in server.request("GET", "/build/1").data.decode()
    finally:
        take_from_podman(made)


def test_a_killed_server_leaves_no_container(server):
    """Also when nobody starts it again."""
    mark = f"45{os.getpid()}"
    server.cli("submit", "-", input_text=MANIFEST.format("host", f"sleep {mark}"))
    until(lambda: f"sleep {mark}" in programs().splitlines())
    name = next(one for one in programs().split() if one.startswith("ciserver-"))
    server.kill()
    until(lambda: f"sleep {mark}" not in programs().splitlines())
    exists = ("podman", "container", "exists", name)
    until(lambda: subprocess.run(exists, check=False).returncode)
