"""A release of Debian, really made and installed in; slow, and in need of an archive."""

import os
import shutil
import subprocess
import urllib.request
from functools import partial
from pathlib import Path

import pytest

from ciserver.executor.image_making import Debootstrap, ImageMaker
from ciserver.executor.images import Images
from ciserver.executor.roots import Roots, overlay_fault
from ciserver.model.status import BuildStatus

SUITE = "bookworm"


@pytest.fixture
def archive():
    """The archive answers, and debootstrap is here."""
    if shutil.which("debootstrap") is None and not Path("/usr/sbin/debootstrap").exists():
        why = "debootstrap is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    mirror = mirror_of_this_machine()
    try:
        urllib.request.urlopen(f"{mirror}/dists/{SUITE}/InRelease", timeout=10).close()
    except (OSError, ValueError) as error:
        pytest.skip(f"the archive {mirror} is not reachable: {error}")
    return mirror


def mirror_of_this_machine():
    """Where apt has its packages from, without their updates; empty where there is no apt."""
    if shutil.which("apt-get") is None:
        return ""
    asked = ["apt-get", "indextargets", "--format", "$(SITE)"]
    sites = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
    return next((one for one in sites if one.endswith("/debian")), "")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_release_of_debian_is_made_and_installed_in(
    archive, make_world, bubblewrap, place, tools
):
    """debootstrap, as nobody in particular; then a build whose package is not in the image, one
    whose package is there and that has no network, and one that is refused for having none.
    """
    place.chmod(0o711)
    images = Images(place / "images", tools.build_user())
    said = []
    made = ImageMaker(images, bubblewrap, said.append).make(
        "debian/bookworm", Debootstrap(SUITE, archive)
    )
    assert made.facts.packages == "apt", "\n".join(said)
    world = make_world(bubblewrap)
    world.roots = Roots(
        images,
        bubblewrap,
        try_overlay=partial(overlay_fault, place, tools.build_user()),
        refuses_unknown=False,
    )
    world.limit(timeout_seconds=120)
    result = world.run(
        "set +x; hello; test $(id -u) = 1000; sudo apt-get remove -qy hello; "
        "test ! -e /usr/bin/hello",
        image="debian/bookworm",
        packages=("hello",),
    )
    log = world.recorder.log(0) + world.recorder.log(1)
    assert result.status is BuildStatus.SUCCEEDED, log
    assert "Setting up hello" in world.recorder.log(0)
    assert "Hello, world!" in world.recorder.log(1)
    world.recorder.__init__()
    result = world.run("true", image="debian/bookworm", packages=("dash",), network=False)
    assert result.status is BuildStatus.SUCCEEDED, world.recorder.log(0)
    assert "packages: the image has them: dash" in world.recorder.log(0)
    world.recorder.__init__()
    result = world.run("true", image="debian/bookworm", packages=("dash", "hello"), network=False)
    assert result.status is BuildStatus.FAILED
    assert "this build has no network to install them with: dash, hello" in result.detail
