"""`ciserver image`, what `doctor` says of images, and a server that refuses others."""

import json
import os
import subprocess

import pytest
from support.images import small_root
from support.waiting import until

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.bubblewrap import Bubblewrap
from ciserver.executor.sandbox import find_build_user
from ciserver.machine import make_images

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def _bubblewrap_works():
    user = find_build_user("nobody") if os.geteuid() == 0 else None
    if fault := Bubblewrap(user=user).probe():
        if os.environ.get("CI") == "true" and "CISERVER_NESTED" not in os.environ:
            pytest.fail(fault)
        pytest.skip(fault)


@pytest.fixture
def small(place):
    place.chmod(0o711)
    return small_root(place / "small")


def images_of(somewhere):
    return json.loads(somewhere.cli("image", "list", "-o", "json").stdout)


def test_an_image_is_made_listed_examined_and_removed(offline, small):
    """Each says what it did; the progress goes beside the answer."""
    assert images_of(offline) == []
    made = offline.cli("image", "add", "debian/tiny", "--from", str(small))
    assert made.stdout.startswith("made debian/tiny: of the directory ")
    assert "copying" in made.stderr
    (one,) = images_of(offline)
    assert (one["name"], one["packages"], one["fault"]) == ("debian/tiny", "", "")
    assert "debian/tiny" in offline.cli("image", "list").stdout
    said = offline.cli("doctor").stdout
    assert "ok    image debian/tiny: of the directory" in said
    assert "builds change their images in a" in said
    assert offline.cli("image", "remove", "debian/tiny").stdout == "removed debian/tiny\n"
    assert images_of(offline) == []


def test_doctor_says_what_is_wrong_with_an_image(offline, small):
    """One whose shell is gone, and one that is not whole; exit 3."""
    for name in ("a", "b"):
        offline.cli("image", "add", name, "--from", str(small))
    settings = json.loads(offline.cli("doctor", "-o", "json").stdout)
    assert settings["settings"]["images"] == {
        "directory": "(none)",
        "unknown": "host",
        "podman": "(none)",
    }
    directory = make_images(Settings(), DataDirectory(offline.data)).directory
    (directory / "a/root/usr/bin/bash").unlink()
    (directory / "b/image.json").unlink()
    done = offline.cli("doctor", check=False)
    assert done.returncode == 3
    assert "BAD   image a: bubblewrap does not work here: " in done.stdout
    assert "BAD   image b: it is not whole; make it anew: ciserver image add b" in done.stdout
    assert [one["fault"] for one in images_of(offline)] == ["", "is not whole"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give exactly one of them"),
        (("--debootstrap", "a", "--from", "/usr"), "give exactly one of them"),
        (("--debootstrap", "--foreign"), "cannot be given to debootstrap"),
        (("--debootstrap", "a", "--mirror", "-x", "--include", "a b"), "--mirror: '-x'"),
    ],
)
def test_wrong_arguments_are_named(offline, arguments, said):
    """Exit 2, and nothing is made."""
    done = offline.cli("image", "add", "one", *arguments, check=False)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


def test_an_image_that_is_not_there_cannot_be_removed(offline):
    """Exit 4, with those that are."""
    done = offline.cli("image", "remove", "no/such", check=False)
    assert (done.returncode, "there is: none" in done.stderr) == (4, True)


def test_a_server_that_refuses_runs_a_build_once_its_image_is_there(make_server, small):
    """Until then it waits and says why, also while others run; the page of workers has it."""
    server = make_server(config='[images]\nunknown = "refuse"\n').start()
    manifest = "image: {}\ntasks:\n  - look: cat /etc/os-release /etc/mark || true\n"
    server.cli("submit", "-", input_text=manifest.format("small/one"))
    server.cli("submit", "-", input_text=manifest.format("host"))
    until(lambda: [one["status"] for one in server.builds()] == ["succeeded", "queued"])
    shown = server.request("GET", "/build/1").data.decode()
    assert "no worker offers the image small/one (there is: none)" in shown
    server.cli("image", "add", "small/one", "--from", str(small))
    server.cli("submit", "-", input_text=manifest.format("host"))  # rings
    server.until_built(3)
    assert b"an image\n" in server.step_log(1, 1)
    assert b"an image\n" not in server.step_log(2, 1)
    assert "Images: small/one" in server.request("GET", "/machines").data.decode()


def test_run_uses_the_images_of_the_data_directory(offline, small, place):
    """A working tree is built on the image that its recipe names, as a push would be."""
    offline.cli("image", "add", "small/one", "--from", str(small))
    tree = place / "tree"
    tree.mkdir()
    subprocess.run(["git", "init", "-q", str(tree)], check=True)
    (tree / ".build.yml").write_text("image: small/one\ntasks:\n  - look: cat /etc/mark\n")
    done = offline.cli("run", str(tree))
    assert "an image\n" in done.stdout
