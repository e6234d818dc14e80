"""Builds in podman on images: those that podman has, and those that were made here."""

import os

import pytest
from support.images import give_podman, small_root, take_from_podman

from ciserver.executor.image_making import ImageMaker
from ciserver.executor.images import Images
from ciserver.executor.podman_images import PodmanImages
from ciserver.executor.podman_roots import PodmanRoots
from ciserver.model.status import BuildStatus, Reason

REFERENCE = f"localhost/ciserver-test-{os.getpid()}:one"


@pytest.fixture
def images(place, tools):
    place.chmod(0o711)
    return Images(place / "images", tools.build_user())


@pytest.fixture
def small(place):
    return small_root(place / "small")


@pytest.fixture
def load(podman_runtime, small):
    """Puts an image of the small root file system, as it is now, into podman's storage."""
    loaded = []

    def load(*changes):
        loaded.append(give_podman(small, REFERENCE, *changes))
        return loaded[-1]

    yield load
    take_from_podman(*set(loaded))


@pytest.fixture
def make_roots(podman, images):
    def make(*, refuses_unknown=False):
        given = PodmanImages({"tiny/one": REFERENCE})
        return PodmanRoots(images, podman, given, refuses_unknown=refuses_unknown)

    return make


@pytest.fixture
def world(make_world, podman, make_roots):
    world = make_world(podman)
    world.roots = make_roots()
    return world


def log_of(world):
    return "".join(world.recorder.log(step) for step in sorted(world.recorder.logs))


def succeeded(world, *scripts, **words):
    result = world.run(*scripts, **words)
    assert result.status is BuildStatus.SUCCEEDED, log_of(world)
    return log_of(world)


def test_a_build_sees_its_image_and_nothing_of_this_machine(world, load, place):
    """The files are the image's, the home and /tmp its own, the user `build`, with bash; what the
    image says of starting it does not count.
    """
    load("ENTRYPOINT /no/such", "ENV ODD=1", "USER 0", "WORKDIR /etc", "VOLUME /etc")
    log = succeeded(
        world,
        "set +x; cat /etc/mark; id; echo $0 $BASH_VERSION; cd ~; echo x > file; "
        f"test ! -e {place}; test ! -e /usr/share; test ! -e /etc/shadow; "
        'test -z "$ODD"; : > /tmp/x; : > /var/tmp/x; '
        "if (: > /etc/x) 2>/dev/null; then exit 1; fi",
        "cat file",
        image="tiny/one",
    )
    assert "an image\n" in log
    assert "(build)" in log
    assert f"podman on the image tiny/one, {REFERENCE} of " in log
    assert "machine's own files" not in log


def test_an_image_that_was_made_again(world, load, small):
    """The next build has it, at once."""
    load()
    assert "an image\n" in succeeded(world, "set +x; cat /etc/mark", image="tiny/one")
    (small / "etc" / "mark").write_text("another\n")
    load()
    world.recorder.result = None
    world.recorder.logs.clear()
    assert "another\n" in succeeded(world, "set +x; cat /etc/mark", image="tiny/one")


def test_the_users_of_an_image_stay(world, load):
    """But for one with the number or the name of the user of builds."""
    load()
    log = succeeded(world, "set +x; cat /etc/passwd", image="tiny/one")
    assert "root:x:0:0:root:/root:/bin/sh\n" in log
    assert "\nada:x:1000:1000::/:/bin/sh\n" in log
    assert log.count("\nbuild:") == 1


def test_an_image_gives_no_groups(world, load, small, tools):
    """A build is in its own group alone, whatever the image says of its number and its name."""
    user = tools.build_user()
    number = user.uid if user else os.geteuid()
    (small / "etc" / "passwd").write_text(f"root:x:0:0::/:/bin/sh\neve:x:{number}:0::/:/bin/sh\n")
    (small / "etc" / "group").write_text("root:x:0:eve,build\nwheel:x:10:eve,build\n")
    load()
    own = user.gid if user else os.getegid()
    log = succeeded(world, "set +x; echo -$(id -G)-; echo -$(id -un)-", image="tiny/one")
    assert f"-{own}-\n-build-\n" in log


def test_an_image_without_bash_has_sh(world, load, small):
    """Its tasks run in that."""
    (small / "bin" / "bash").rename(small / "bin" / "other")
    (small / "bin" / "sh").unlink()
    (small / "bin" / "sh").symlink_to("other")
    load()
    assert "-/bin/sh-" in succeeded(world, "set +x; echo -$SHELL-", image="tiny/one")


def test_an_image_without_a_shell_is_no_verdict_about_a_build(world, load, small):
    """The build is given back, with the name of the image."""
    (small / "bin" / "sh").unlink()
    load()
    assert world.run("true", image="tiny/one") is None
    assert "podman could not set up the sandbox" in world.recorder.given_back[0]
    assert "podman could not set up the sandbox" in world.roots.fault("tiny/one")


def test_an_image_that_podman_does_not_have(world, make_roots):
    """Is not offered; a build that comes nevertheless runs as the settings say for unknown ones.
    Nothing is fetched.
    """
    assert world.roots.names() == ()
    assert world.roots.all_names() == ("tiny/one",)
    assert world.roots.fault("tiny/one") == "it is not there"
    assert REFERENCE in world.roots.remedy("tiny/one")
    log = succeeded(world, "set +x; test ! -e /etc/mark", image="tiny/one")
    assert "there is no image tiny/one here: the build runs on the machine's own files" in log
    world.recorder.result = None
    world.recorder.logs.clear()
    world.roots = make_roots(refuses_unknown=True)
    assert world.run("true", image="tiny/one", build_id=8) is None
    assert world.recorder.given_back == ["the image tiny/one is no longer here"]


def test_images_are_listed_with_an_id_for_each_making(load, small):
    """Every few seconds anew: an image that is made again has another id then."""
    moment = [0.0]
    images = PodmanImages(
        {"tiny/one": REFERENCE, "gone": "localhost/no:such"}, now=lambda: moment[0]
    )
    first = load()
    assert images.names() == ("tiny/one",)
    assert (images.id_of("tiny/one"), images.id_of("gone"), images.id_of("x")) == (first, "", "")
    (small / "etc" / "more").touch()
    second = load()
    assert images.id_of("tiny/one") == first
    assert images.id_of("tiny/one", fresh=True) == second
    moment[0] += 10
    assert images.id_of("tiny/one") == second
    assert PodmanImages({"by-id": first}).id_of("by-id") == first


def test_packages_that_a_read_only_image_lacks(world, load):
    """Nothing can be installed there, so the build ends and says what to do."""
    load()
    result = world.run("true", image="tiny/one", packages=("gcc", "make"))
    assert result.reason is Reason.PACKAGES_UNAVAILABLE
    assert "the image tiny/one lacks some of gcc, make, and is read-only here" in result.detail


def test_packages_that_an_image_has(world, load, small):
    """Its own program for them is asked."""
    (small / "bin" / "apk").write_text('#!/bin/sh\ntest "$1 $2 $3" = "info -e gcc"\n')
    (small / "bin" / "apk").chmod(0o755)
    load()
    assert "packages: the image has them: gcc\n" in succeeded(
        world, "true", image="tiny/one", packages=("gcc",)
    )


def test_an_image_that_was_made_here(world, images, bubblewrap, small):
    """Builds see it read-only, and it stays as it was."""
    ImageMaker(images, bubblewrap, [].append).make("small/one", small)
    before = sorted(path.name for path in images.get("small/one").root.iterdir())
    assert world.roots.names() == ("small/one",)
    assert world.roots.fault("small/one") == ""
    log = succeeded(
        world,
        "set +x; cat /etc/mark; id -un; if (: > /etc/x) 2>/dev/null; then exit 1; fi; : > ~/x",
        image="small/one",
    )
    assert "an image\nbuild\n" in log
    assert "podman on the image small/one of 20" in log
    assert sorted(path.name for path in images.get("small/one").root.iterdir()) == before
