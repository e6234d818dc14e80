"""Opening what a build made: only regular files of its home, whatever stands in their place."""

import os
import socket
import stat

import pytest

from ciserver.executor.products import BadArtifact, open_artifact

INSIDE = "/home/build"


@pytest.fixture
def home(tmp_path):
    (tmp_path / "outside").write_text("secret")
    home = tmp_path / "home"
    (home / "out").mkdir(parents=True)
    (home / "out" / "a").write_text("made")
    return home


def refused(home, path):
    with pytest.raises(BadArtifact) as error:
        open_artifact(home, path, home_inside=INSIDE)
    return str(error.value)


@pytest.mark.parametrize("path", ["out/a", "./out//a", "/home/build/out/a"])
def test_a_file_of_the_home_is_opened(home, path):
    """By its path in the home, or as the build sees it."""
    with open_artifact(home, path, home_inside=INSIDE) as file:
        assert file.read() == b"made"


@pytest.mark.parametrize(
    "path",
    [
        "../outside",
        "out/../../outside",
        "out/../out/a",
        "/home/build/../outside",
        "/home/builder/out/a",
        "/etc/passwd",
        "//etc/passwd",
        "out/a\0",
    ],
)
def test_nothing_outside_is_opened(home, path):
    """Also where the way would lead back in."""
    assert refused(home, path) == "outside of the home"


@pytest.mark.parametrize("path", ["", ".", "/", "out", "/home/build"])
def test_a_directory_is_no_artifact(home, path):
    """Nor is the home itself."""
    assert refused(home, path) in {"not a regular file", "outside of the home"}


def test_no_link_is_followed(home):
    """Not at the end, not on the way, not to what lies in the home, and not around in circles."""
    outside = home.parent / "outside"
    for name, target in (
        ("file", outside),
        ("up", ".."),
        ("again", "out/a"),
        ("gone", "none"),
        ("loop", "loop"),
        ("process", "/proc/self/root"),
    ):
        (home / name).symlink_to(target)
    for path in ("file", "up/outside", "again", "gone", "loop", "process/etc/passwd"):
        assert refused(home, path).endswith("is a symbolic link"), path


def test_the_home_itself_may_not_become_a_link(home):
    """A build could have put one in its place."""
    moved = home.rename(home.parent / "moved")
    home.symlink_to(moved)
    assert refused(home, "out/a")


def test_pipes_and_sockets_are_no_artifacts(home):
    """Nobody waits for one who writes."""
    os.mkfifo(home / "pipe")
    assert refused(home, "pipe") == "not a regular file"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "socket"))
        assert refused(home, "socket")


def test_devices_are_no_artifacts(home):
    """Of either kind."""
    for name, kind, number in (("zero", stat.S_IFCHR, (1, 5)), ("disk", stat.S_IFBLK, (7, 0))):
        try:
            os.mknod(home / name, kind | 0o666, os.makedev(*number))
        except PermissionError:
            pytest.skip("nobody but root makes devices")
        assert refused(home, name)
