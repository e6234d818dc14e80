"""Making images: of directories and archives, whole or not at all."""

import io
import os
import signal
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from support.images import small_root
from support.waiting import until

from ciserver.executor.image_making import Debootstrap, ImageMaker
from ciserver.executor.images import Images
from ciserver.executor.sandbox import SandboxFailed
from ciserver.model.errors import Conflict, Invalid, NotFound


@pytest.fixture
def images(place, tools):
    place.chmod(0o711)
    return Images(place / "images", tools.build_user())


@pytest.fixture
def maker(images, bubblewrap):
    return ImageMaker(images, bubblewrap, [].append)


@pytest.fixture
def small(place):
    return small_root(place / "small", "tar")


@pytest.fixture
def make_tar(small, place):
    """Packs the small root file system with further members, each a TarInfo or with a content."""

    def make(*members, mode="w"):
        path = place / "image.tar"
        with tarfile.open(path, mode) as archive:
            archive.add(small, ".")
            for one in members:
                archive.addfile(one, io.BytesIO(bytes(one.size)))
        return path

    return make


def member(name, kind=tarfile.REGTYPE, **values):
    one = tarfile.TarInfo(name)
    one.type = kind
    for key, value in values.items():
        setattr(one, key, value)
    return one


def test_a_directory_becomes_an_image(maker, images, small, tools):
    """Its files are builds' and give no rights; what it was made of is noted."""
    (small / "usr/bin/cat").chmod(0o4755)
    os.mkfifo(small / "srv/pipe")
    made = maker.make("debian/stable", small)
    assert made.facts.origin == f"the directory {small}"
    assert (made.facts.shell, made.facts.packages) == ("/usr/bin/bash", "")
    assert images.names() == ("debian/stable",)
    owner = tools.build_user().uid if tools.build_user() else os.geteuid()
    found = (made.root / "usr/bin/cat").stat()
    assert (found.st_uid, found.st_mode & (stat.S_ISUID | stat.S_ISGID)) == (owner, 0)
    assert not (made.root / "srv/pipe").exists()
    assert (small / "usr/bin/cat").stat().st_mode & stat.S_ISUID
    assert stat.S_IMODE(made.place.stat().st_mode) == 0o700
    assert not images.owner_fault(made)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_an_archive_becomes_an_image(maker, make_tar, mode):
    """Compressed or not; devices are left out, links of all kinds and odd names stay."""
    path = make_tar(
        member("./dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3),
        member("./srv/out", tarfile.SYMTYPE, linkname="/etc/mark"),
        member("./srv/again", tarfile.LNKTYPE, linkname="./etc/mark"),
        member("./srv/Főtanúsítvány *.crt"),
        mode=mode,
    )
    made = maker.make("one", path)
    srv = made.root / "srv"
    assert sorted(one.name for one in srv.iterdir()) == ["Főtanúsítvány *.crt", "again", "out"]
    assert (srv / "out").readlink() == Path("/etc/mark")
    assert (srv / "again").samefile(made.root / "etc/mark")
    assert not (made.root / "dev/null").exists()


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (member("../outside"), "has a name with .."),
        (member("etc/../../outside"), "has a name with .."),
        (member("/etc/outside"), "has an absolute name"),
        (member("bad\nname"), "has a name that is no text"),
        (member("caf\udce9"), "has a name that is no text"),
        (member("link", tarfile.LNKTYPE, linkname="../../etc/passwd"), "is a link to what"),
        (member("link", tarfile.LNKTYPE, linkname="/etc/passwd"), "is a link to what"),
        (member("big", pax_headers={"GNU.sparse.realsize": str(10 << 30)}), "is a sparse file"),
        (member("what", b"Z"), "is neither file"),
    ],
)
def test_a_hostile_archive_is_refused(maker, images, make_tar, bad, why):
    """Security 30: named with what is wrong, and nothing of it is left."""
    with pytest.raises(Invalid) as refused:
        maker.make("one", make_tar(bad))
    assert why in str(refused.value.complaints[0])
    assert not images.all_names()
    assert not list(images.directory.glob(".making-*"))


def test_a_link_in_an_archive_leads_nowhere(maker, make_tar, place):
    """A file behind a link to a directory of this machine is not written there."""
    target = place / "target"
    target.mkdir()
    target.chmod(0o777)
    path = make_tar(
        member("srv/way", tarfile.SYMTYPE, linkname=str(target)), member("srv/way/evil")
    )
    with pytest.raises(SandboxFailed):
        maker.make("one", path)
    assert not list(target.iterdir())


def test_links_of_an_image_are_not_followed_while_it_is_tidied(maker, small, place):
    """Even where its /etc is a link out of it."""
    target = place / "etc"
    target.mkdir()
    target.chmod(0o777)
    (small / "etc").rename(small / "etc.old")
    (small / "etc").symlink_to(target)
    with pytest.raises(SandboxFailed):
        maker.make("one", small)
    assert not list(target.iterdir())


@pytest.mark.parametrize("content", [b"", b"no archive", b"x" * 20_000])
def test_what_is_no_archive_is_refused(maker, images, place, content):
    """An empty file, a text, garbage."""
    (place / "x.tar").write_bytes(content)
    with pytest.raises(Invalid):
        maker.make("one", place / "x.tar")
    assert not images.all_names()


def test_a_tree_without_a_shell_is_no_image(maker, images, place):
    """Found out before anybody builds on it."""
    (place / "empty").mkdir()
    with pytest.raises(SandboxFailed, match="the image's own /bin/sh"):
        maker.make("one", place / "empty")
    assert not images.all_names()


@pytest.mark.parametrize(
    "name", ["", "/x", "x/", "a//b", "../a", "A", "a b", "host", ".x", "a" * 101]
)
def test_bad_names_are_refused(maker, small, name):
    """Names are words with slashes, and `host` is this machine."""
    with pytest.raises(Invalid) as refused:
        maker.make(name, small)
    assert refused.value.complaints[0].field == "NAME"


def test_an_image_is_replaced_only_when_asked(maker, images, small):
    """At once, by another id; without the word it is a conflict."""
    first = maker.make("one", small)
    with pytest.raises(Conflict, match="there is an image one already"):
        maker.make("one", small)
    second = maker.make("one", small, replace=True)
    assert first.facts.id != second.facts.id
    assert images.id_of("one") == second.facts.id
    assert [path.name for path in images.directory.iterdir() if path.is_dir()] == ["one"]


def test_an_image_that_is_not_there_cannot_be_removed(maker, images, small):
    """The refusal says which there are."""
    maker.make("one/two", small)
    with pytest.raises(NotFound) as refused:
        images.remove("two")
    assert refused.value.hint == "there is: one/two"
    assert images.remove("one/two")
    assert not images.all_names()


def test_debootstrap_says_why_it_fails(maker, images):
    """Its own last words are in the error, and nothing is left."""
    with pytest.raises(SandboxFailed, match=r"(?s)debootstrap ended with status .*no-such-suite"):
        maker.make("one", Debootstrap("no-such-suite"))
    assert not images.all_names()


def test_a_maker_that_is_killed_leaves_nothing_usable(images, maker, small, place, bubblewrap):
    """What it had made is no image, its programs are gone, and the next sweep takes it away."""
    script = (
        "import sys; from pathlib import Path; "
        "from ciserver.executor.bubblewrap import Bubblewrap; "
        "from ciserver.executor.image_making import ImageMaker; "
        "from ciserver.executor.images import Images; "
        "from ciserver.executor.sandbox import find_build_user; "
        "import os; user = find_build_user('nobody') if os.geteuid() == 0 else None; "
        "images = Images(Path(sys.argv[1]), user); "
        "ImageMaker(images, Bubblewrap(user=user), print).make('one', sys.stdin.buffer)"
    )
    maker.make("other", small)
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(images.directory)], stdin=subprocess.PIPE
    )
    until(lambda: list(images.directory.glob(".making-*/archive")))
    images.sweep()
    assert list(images.directory.glob(".making-*"))
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdin.close()
    assert images.all_names() == ("other",)
    images.sweep()
    assert not list(images.directory.glob(".making-*"))
