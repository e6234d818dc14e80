"""Builds on the root file system that their image names."""

import json
import re

import pytest
from support.images import small_root

from ciserver.executor.image_making import ImageMaker
from ciserver.executor.images import Images
from ciserver.executor.roots import Roots, overlay_fault
from ciserver.model.status import BuildStatus, Reason

HOOK = """#!/bin/bash
set -e
test "$(id -u)" = 0
mkdir -p /opt/got
echo "$*" >/opt/got/words
cat >/opt/got/wanted.json
chown 33:33 /opt/got/words
mknod /opt/got/device c 1 3
"""


@pytest.fixture
def images(place, tools):
    place.chmod(0o711)
    return Images(place / "images", tools.build_user())


@pytest.fixture
def small(place):
    return small_root(place / "small")


@pytest.fixture
def make_image(images, bubblewrap, small, place):
    """Makes an image of a small root file system; a hook is the text of a program."""

    def make(name="small/one", hook="", source=small, **words):
        path = None
        if hook:
            path = place / "hook"
            path.write_text(hook)
        said = []
        ImageMaker(images, bubblewrap, said.append).make(name, source, hook=path, **words)
        return said

    return make


@pytest.fixture(params=["overlay", "copy"])
def kind(request, place, tools):
    """How builds get what they may change."""
    if request.param == "overlay" and (fault := overlay_fault(place, tools.build_user())):
        pytest.skip(f"no overlay can be mounted here: {fault}")
    return request.param


@pytest.fixture
def world(make_world, bubblewrap, images, kind):
    world = make_world(bubblewrap)
    world.roots = Roots(
        images,
        bubblewrap,
        try_overlay=lambda: "" if kind == "overlay" else "not asked for",
        refuses_unknown=False,
    )
    return world


def succeeded(world, *scripts, **words):
    result = world.run(*scripts, **words)
    log = "".join(world.recorder.log(step) for step in sorted(world.recorder.logs))
    assert result.status is BuildStatus.SUCCEEDED, log
    return log


def test_a_build_sees_its_image_and_nothing_of_this_machine(world, make_image, place):
    """The files are the image's, the home and /tmp its own, the user `build`, with bash."""
    make_image()
    log = succeeded(
        world,
        "set +x; cat /etc/mark; id; echo $0 $BASH_VERSION; cd ~; echo x > file; "
        f"test ! -e {place}; test ! -e /usr/share; test ! -e /etc/shadow; "
        ": > /tmp/x; : > /var/tmp/x",
        image="small/one",
    )
    assert "an image\n" in log
    assert re.search(r"uid=1000\S* gid=1000", log)
    assert "bubblewrap on the image small/one of 20" in log


def test_the_users_of_an_image_stay_but_for_the_one_of_builds(world, make_image):
    """`build` takes the number 1000, whoever had it."""
    make_image()
    log = succeeded(world, "set +x; cat /etc/passwd", image="small/one")
    assert "root:x:0:0:root:/root:/bin/sh\nbuild:x:1000:1000:build:/home/build:" in log
    assert "ada" not in log


def test_an_unknown_image_is_this_machine_and_is_said_to_be(world, make_image):
    """The default for a single machine: the setup log has the note."""
    make_image()
    log = succeeded(world, "set +x; test ! -e /etc/mark", image="no/such")
    assert "there is no image no/such here: the build runs on the machine's own files" in log


def test_the_hook_is_root_inside_and_gets_what_is_wanted(world, make_image, images):
    """Names as arguments, everything as JSON on standard input, before the tasks; what it writes
    is there for the tasks, and of other owners and devices nothing is made.
    """
    make_image(hook=HOOK)
    log = succeeded(
        world,
        "set +x; cat /opt/got/words; cat /opt/got/wanted.json; ls -ln /opt/got; "
        "test ! -e /opt/got/device",
        "cat /opt/got/words",
        image="small/one",
        packages=("gcc", "make"),
        repositories={"mine": "https://example.org/x"},
    )
    assert "gcc make\n" in log
    wanted = json.loads(log[log.index("{") : log.rindex("}") + 1])
    assert wanted == {
        "packages": ["gcc", "make"],
        "repositories": {"mine": "https://example.org/x"},
    }
    assert re.search(r"1000\s+1000\s.* words", log)
    assert not (images.get("small/one").root / "opt").exists()


def test_a_hook_that_fails_ends_the_build_in_its_setup(world, make_image):
    """No task runs, and the reason says who failed."""
    make_image(hook="#!/bin/bash\necho no such package: gcc\nexit 3\n")
    result = world.run("true", image="small/one", packages=("gcc",))
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.PACKAGES_UNAVAILABLE)
    assert "ended with status 3" in result.detail
    assert "no such package: gcc" in world.recorder.log(0)
    assert 1 not in world.recorder.logs


def test_an_image_that_nobody_installs_in_is_said_to_be_one(world, make_image):
    """A clear reason in place of a build that fails later."""
    make_image()
    result = world.run("true", image="small/one", packages=("gcc",))
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.PACKAGES_UNAVAILABLE)
    assert "neither apt-get nor a program of its own" in result.detail


def test_what_a_build_changes_is_gone_with_it(world, make_image, images):
    """The next build begins with the image as it was made."""
    make_image(hook=HOOK)
    succeeded(
        world,
        "set +x; sudo rm /etc/mark; sudo mkdir /srv/mine; ls /srv",
        image="small/one",
        packages=("x",),
    )
    assert (images.get("small/one").root / "etc/mark").exists()
    world.recorder.__init__()
    succeeded(world, "test -e /etc/mark; test ! -e /srv/mine", image="small/one", packages=("x",))


def test_sudo_is_root_and_no_other_user_can_be_become(world, make_image):
    """Without a password, with its variables and options; giving a file away does nothing."""
    make_image(hook="#!/bin/sh\n")
    log = succeeded(
        world,
        "set +x; sudo id -u; sudo -E -n A=b bash -c 'echo got $A $HOME'; "
        "echo 'echo piped' | sudo sh; sudo chown 5:5 /etc/mark; "
        "sudo -u postgres id || echo refused; id -u",
        image="small/one",
        packages=("x",),
    )
    assert "\n0\ngot b /root\npiped\n" in f"\n{log}"
    assert "there is no user postgres to become in this sandbox" in log
    assert log.rstrip().endswith("refused\n1000")


def test_an_image_stays_while_a_build_runs_on_it(world, make_image, images):
    """Removed and made anew meanwhile: the build goes on with what it began with, and the files of
    that go after it.
    """
    make_image()
    going = world.begin(
        "set +x; echo began; while [ ! -e ~/go ]; do :; done; cat /etc/mark", image="small/one"
    )
    world.recorder.wait_for_log(1, "began")
    assert images.remove("small/one") is False
    make_image()
    assert len(list(images.directory.glob(".gone-*"))) == 1
    (next(world.work_root.glob("build-*")) / "home/go").touch()
    going.join()
    assert world.recorder.result.status is BuildStatus.SUCCEEDED, world.recorder.log(1)
    assert not list(images.directory.glob(".gone-*"))
    assert images.names() == ("small/one",)


def test_a_worker_that_refuses_gives_a_build_back_whose_image_went(
    make_world, bubblewrap, images, tools
):
    """It was there when the build was claimed."""
    world = make_world(bubblewrap)
    world.roots = Roots(images, bubblewrap, try_overlay=lambda: "", refuses_unknown=True)
    world.runner().run(tools.make_work("true", image="no/such"), world.stop)
    assert "the image no/such is no longer here" in world.recorder.given_back[0]


def test_overlays_are_tried_when_a_build_first_has_an_image(
    make_world, bubblewrap, images, make_image
):
    """Once; who builds on the files of this machine does not wait for that."""
    world, tried = make_world(bubblewrap), []

    def try_overlay():
        tried.append("an overlay")
        return "not asked for"

    world.roots = Roots(images, bubblewrap, try_overlay=try_overlay, refuses_unknown=False)
    make_image()
    for image, times in (("no/such", 0), ("small/one", 1), ("small/one", 1)):
        succeeded(world, "true", image=image)
        assert len(tried) == times
        world.recorder.__init__()


def test_what_is_written_into_the_root_counts_as_disk(world, make_image):
    """Beside the home; what the image has, and what its packages took, does not."""
    make_image(hook="#!/bin/bash\nmkdir /opt; printf '%*s' 12000000 > /opt/package\n")
    world.limit(disk_mb=10)
    succeeded(world, "true", image="small/one", packages=("x",))
    world.recorder.__init__()
    script = (
        "set +x; umask 0; printf '%*s' 6000000 > ~/a; sudo bash -c \"printf '%*s' 6000000 > /b\""
    )
    result = world.run(script, image="small/one", packages=("x",))
    assert result.reason is Reason.DISK_LIMIT
