"""What a path holds is pinned as a repository is: by content, and by when it was first seen."""

import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.clock import StillClock

from ciserver.git.address import Addresses
from ciserver.git.checkout import Checkouts
from ciserver.git.mirrors import Mirrors
from ciserver.git.paths import ContentLimits, PathReader
from ciserver.model.build import Source
from ciserver.model.errors import BadAddress, Invalid, NotFound, RemoteFailure, TooLarge
from ciserver.model.project import InputType

SMALL = ContentLimits(most_files=20, most_bytes=1000)
URL = "https://files.example/dist/data.txt?version=3"


class Web:
    """Answers each URL with what it was given, and counts the questions."""

    def __init__(self):
        self.content, self.asked = b"one", []

    def __call__(self, url, most_bytes):
        self.asked.append((url, most_bytes))
        return self.content


@pytest.fixture
def clock():
    return StillClock()


@pytest.fixture
def web():
    return Web()


@pytest.fixture
def make_mirrors(tmp_path, clock, web):
    def make(name="mirrors", limits=SMALL, **addresses):
        rules = Addresses(**{"forbidden": (tmp_path / "data",), **addresses})
        return Mirrors(tmp_path / "data" / name, rules, paths=PathReader(clock, web, limits))

    return make


@pytest.fixture
def mirrors(make_mirrors):
    return make_mirrors()


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "content"
    path.mkdir()
    (path / "a.txt").write_text("a")
    return path


@pytest.fixture
def pin(mirrors, folder):
    def pin(path=folder, seconds=0, revision=""):
        opened = mirrors.open_path(str(path), local=True, refresh_seconds=seconds)
        return opened.pin("", revision)

    return pin


@pytest.fixture
def written(mirrors, tmp_path):
    """The work tree of a pinned path."""

    def written(uri, revision):
        into = tmp_path / "written"
        shutil.rmtree(into, ignore_errors=True)
        source = Source(str(uri), "written", revision=revision, type=InputType.PATH)
        Checkouts(mirrors).make(source, into, local=True)
        return into

    return written


def listing(folder):
    """Names with their modes and contents, but for git's own."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.split("/", maxsplit=1)[0] == ".git":
            continue
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_dir():
            found[name] = None
        else:
            found[name] = (path.read_bytes(), bool(path.stat().st_mode & stat.S_IXUSR))
    return found


def test_a_directory_is_written_as_it_was(folder, pin, written):
    """With links as links, empty directories, programs, and names that are not UTF-8."""
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/run").write_text("#!/bin/sh\n")
    (folder / "deep/run").chmod(0o755)
    (folder / "deep.txt").write_bytes(bytes(range(256)))
    (folder / "away").symlink_to("/etc/passwd")
    (folder / "broken").symlink_to("nowhere")
    Path(os.fsdecode(os.fsencode(folder) + b"/n\xff")).write_text("latin")
    into = written(folder, pin())
    assert listing(into) == listing(folder)


def test_git_says_of_the_work_tree_that_it_is_clean(folder, pin, written, run_git):
    (folder / "deep").mkdir()
    (folder / "deep/b").write_text("b")
    (folder / "deep.c").write_text("c")
    revision = pin()
    into = written(folder, revision)
    run_git(into, "fsck", "--strict")
    assert run_git(into, "status", "--porcelain") == ""
    assert run_git(into, "rev-parse", "HEAD") == revision


def test_a_file_lies_under_its_name(folder, pin, written):
    revision = pin(folder / "a.txt")
    assert listing(written(folder / "a.txt", revision)) == {"a.txt": (b"a", False)}


def test_history_of_the_directory_is_left_out(folder, pin, written):
    (folder / "below").mkdir()
    for name in (".git", "below/.git"):
        (folder / name).mkdir()
        (folder / name / "config").write_text("[core]")
    into = written(folder, pin())
    assert sorted(listing(into)) == ["a.txt", "below"]
    assert not (into / "below/.git").exists()


def test_unchanged_content_keeps_its_commit_whatever_the_time(folder, pin, clock, mirrors):
    first = pin()
    seen = clock.now()
    clock.forward(hours=5)
    (folder / "a.txt").touch()
    assert pin() == first
    commit = mirrors.open_path(str(folder), local=True).commit(first)
    assert commit.committed_at == seen.replace(microsecond=0)
    assert commit.subject == f"Content first seen {seen:%Y-%m-%d %H:%M:%S} UTC"


def test_changed_content_is_another_commit_and_what_was_before_stays(folder, pin, written, clock):
    first = pin()
    clock.forward(minutes=1)
    (folder / "a.txt").write_text("changed")
    second = pin()
    assert second != first
    assert listing(written(folder, first))["a.txt"] == (b"a", False)
    assert listing(written(folder, second))["a.txt"] == (b"changed", False)


def test_content_that_returns_is_the_commit_that_it_was(folder, pin, clock):
    first = pin()
    (folder / "a.txt").write_text("changed")
    clock.forward(minutes=1)
    pin()
    (folder / "a.txt").write_text("a")
    clock.forward(minutes=1)
    assert pin() == first


def test_same_content_first_seen_at_the_same_time_is_the_same_revision(
    folder, tmp_path, make_mirrors
):
    twin = tmp_path / "twin"
    shutil.copytree(folder, twin)
    one, other = make_mirrors("one"), make_mirrors("other")
    first = one.open_path(str(folder), local=True).pin("")
    assert other.open_path(str(twin), local=True).pin("") == first


def test_a_path_is_read_again_after_its_seconds(folder, pin, clock):
    first = pin(seconds=30)
    (folder / "a.txt").write_text("changed")
    clock.forward(seconds=29)
    assert pin(seconds=30) == first
    clock.forward(seconds=1)
    assert pin(seconds=30) != first


def test_each_jobset_has_its_own_patience(folder, pin, clock):
    first = pin(seconds=30)
    (folder / "a.txt").write_text("changed")
    clock.forward(seconds=10)
    assert pin(seconds=3600) == first
    assert pin(seconds=5) != first


def test_a_clock_that_was_set_back_does_not_stop_the_looks(folder, pin, clock):
    first = pin(seconds=30)
    (folder / "a.txt").write_text("changed")
    clock.forward(hours=-2)
    assert pin(seconds=30) != first


def test_a_given_revision_is_taken_without_a_look(folder, pin):
    first = pin()
    shutil.rmtree(folder)
    assert pin(revision=first) == first


def test_an_unknown_revision_is_refused_clearly(folder, pin):
    with pytest.raises(NotFound) as caught:
        pin(revision="1" * 40)
    assert str(folder) in caught.value.message
    assert "was seen with" in caught.value.message


def test_one_pack_holds_what_is_new(folder, pin, mirrors, clock):
    """Unchanged content writes nothing, and nothing is left beside."""
    for number in range(15):
        (folder / f"file-{number}").write_text(str(number))
    objects = mirrors.open_path(str(folder), local=True).objects
    pin()
    clock.forward(minutes=1)
    pin()
    assert len(list(objects.glob("pack/*.pack"))) == 1
    (folder / "a.txt").write_text("changed")
    pin()
    packs = sorted(objects.glob("pack/*.pack"), key=lambda one: one.stat().st_mtime_ns)
    assert len(packs) == 2
    assert packs[-1].stat().st_size < packs[0].stat().st_size
    assert not (objects.parent / "staging").exists()
    assert [one.name for one in objects.iterdir() if len(one.name) == 2] == []


def test_what_a_killed_reader_left_is_in_nobodys_way(folder, pin, mirrors):
    staging = mirrors.open_path(str(folder), local=True).objects.parent / "staging"
    staging.mkdir()
    (staging / "objects").write_text("half")
    assert pin()
    assert not staging.exists()


def test_everything_that_cannot_be_taken_is_named(folder, pin):
    os.mkfifo(folder / "pipe")
    (folder / "back\\slash").write_text("")
    (folder / "sub").mkdir()
    (folder / "sub" / ".GIT").write_text("")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
        with pytest.raises(Invalid) as caught:
            pin()
    told = {one.file.removeprefix(f"{folder}/"): one.message for one in caught.value.complaints}
    assert told == {
        "pipe": "is a named pipe, which cannot be taken along",
        "socket": "is a socket, which cannot be taken along",
        "back\\slash": "its name is reserved",
        "sub/.GIT": "its name is reserved",
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_refused(folder, pin):
    os.mknod(folder / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    with pytest.raises(Invalid, match="null: is a device"):
        pin()


def test_a_path_that_is_a_pipe_is_refused_without_waiting(tmp_path, pin):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Invalid, match="a named pipe"):
        pin(tmp_path / "pipe")


def test_more_faults_than_are_shown_are_counted(folder, make_mirrors):
    for number in range(50):
        os.mkfifo(folder / f"{number}")
    mirrors = make_mirrors("wide", ContentLimits())
    with pytest.raises(Invalid) as caught:
        mirrors.open_path(str(folder), local=True).pin("")
    assert len(caught.value.complaints) == 21
    assert str(caught.value.complaints[-1]) == f"{folder}: and 30 more"


READ_PLAINLY = """
import sys
from pathlib import Path

import pygit2

from ciserver.git.directory import read_path
from ciserver.git.paths import ContentLimits
from ciserver.model.errors import Invalid

repository = pygit2.init_repository(sys.argv[2], bare=True)
try:
    read_path(sys.argv[1], repository, repository, ContentLimits())
except Invalid as error:
    print(error.message)
"""


def test_unreadable_files_are_named(folder, tmp_path):
    """By a process that has not root's leave to read everything."""
    (folder / "closed").mkdir()
    (folder / "secret").write_text("x")
    for name in ("secret", "closed"):
        (folder / name).chmod(0)
    bounded = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    command = [sys.executable, "-c", READ_PLAINLY, str(folder), str(tmp_path / "staging")]
    done = subprocess.run(
        [*(bounded if os.geteuid() == 0 else ()), *command],
        capture_output=True,
        text=True,
        check=True,
    )
    (folder / "closed").chmod(0o700)
    assert f"{folder}/secret: cannot be read: Permission denied" in done.stdout
    assert f"{folder}/closed: cannot be read: Permission denied" in done.stdout


@pytest.mark.parametrize("how", ["files", "bytes", "directories"])
def test_too_much_is_refused(folder, pin, how):
    if how == "bytes":
        (folder / "big").write_bytes(b"x" * 1000)
    for number in range(20):
        if how == "files":
            (folder / f"{number}").write_text("")
        if how == "directories":
            (folder / f"{number}").mkdir()
    with pytest.raises(TooLarge) as caught:
        pin()
    assert str(folder) in caught.value.message


def test_too_deep_is_refused(folder, make_mirrors):
    deep = folder
    for _ in range(102):
        deep /= "d"
    deep.mkdir(parents=True)
    mirrors = make_mirrors("deep", ContentLimits())
    with pytest.raises(Invalid, match="more than 100 directories deep"):
        mirrors.open_path(str(folder), local=True).pin("")


def test_a_path_that_is_not_there_is_a_lasting_failure(folder, pin):
    shutil.rmtree(folder)
    with pytest.raises(RemoteFailure, match="No such file or directory") as caught:
        pin()
    assert not caught.value.temporary


def test_a_link_in_the_way_is_not_walked(tmp_path, mirrors, folder):
    """What was a directory when its address was checked, and is a link when it is opened."""
    opened = mirrors.open_path(str(folder), local=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret").write_text("secret")
    shutil.rmtree(folder)
    folder.symlink_to(elsewhere)
    with pytest.raises((RemoteFailure, Invalid)):
        opened.pin("")


def test_a_link_above_the_path_is_not_walked(tmp_path, mirrors):
    above = tmp_path / "above"
    (above / "content").mkdir(parents=True)
    opened = mirrors.open_path(str(above / "content"), local=True)
    above.rename(tmp_path / "elsewhere")
    above.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RemoteFailure, match="changed while it was read") as caught:
        opened.pin("")
    assert caught.value.temporary


def test_a_file_that_grows_while_it_is_read_is_tried_again(tmp_path, mirrors):
    """A file of the kernel says that it is empty, and is not."""
    with pytest.raises(RemoteFailure, match="changed while it was read") as caught:
        mirrors.open_path("/proc/self/status", local=True).pin("")
    assert caught.value.temporary


# -- URLs -----------------------------------------------------------------------------------------


def test_a_url_is_a_file_with_its_last_name(mirrors, web, written):
    revision = mirrors.open_path(URL).pin("")
    assert web.asked == [(URL, SMALL.most_bytes)]
    assert listing(written(URL, revision)) == {"data.txt": (b"one", False)}


def test_a_url_is_read_again_after_its_seconds(mirrors, web, clock):
    opened = mirrors.open_path(URL, refresh_seconds=30)
    first = opened.pin("")
    web.content = b"two"
    assert opened.pin("") == first
    clock.forward(seconds=30)
    assert opened.pin("") != first
    assert len(web.asked) == 2


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("dir/", "content"),
        ("a%2Fb", "content"),
        (".git", "content"),
        ("n%C3%A9", "n\u00e9"),
        ("x" * 300, "content"),
    ],
)
def test_a_url_without_a_usable_name_is_a_file_all_the_same(mirrors, written, path, name):
    url = f"https://files.example/{path}"
    assert sorted(listing(written(url, mirrors.open_path(url).pin("")))) == [name]


# -- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["data", "data/mirrors", ".", "..", "link", "data/../data"])
def test_the_servers_own_data_is_never_read(tmp_path, mirrors, path):
    """Nor a directory that it lies in, also by an administrator."""
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with pytest.raises(BadAddress, match="keeps its own data"):
        mirrors.open_path(f"{tmp_path}/{path}", local=True)


def test_a_path_needs_leave(tmp_path, folder, make_mirrors):
    with pytest.raises(BadAddress, match="server's machine"):
        make_mirrors().open_path(str(folder))
    allowed = make_mirrors(local_roots=(folder,))
    assert allowed.open_path(f"file://{folder}").address == str(folder)
    (folder / "out").symlink_to(tmp_path)
    (tmp_path / "other").mkdir()
    with pytest.raises(BadAddress, match="server's machine"):
        allowed.open_path(f"{folder}/out/other")


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "relative/path",
        "-x",
        "http://files.example/x",
        "ftp://files.example/x",
        "file://elsewhere/x",
        "ext::sh -c id",
        "ssh://git@files.example/x",
        "git@files.example:x",
        "https://user@files.example/x",
        "https://user:secret@files.example/x",
        "https://files.example/x#part",
        "https://files.example/a b",
        "https://files.example/a/../../b",
        "https://files.example/a\n",
        "https://files.example:0/x",
        "https://files.example:99999/x",
        "https://[::1/x",
        "https:///x",
        "https://files.example/\u00e9",
        "/srv/a\nb",
        "/srv/a\\b",
        "file:///srv/a%0Ab",
    ],
)
def test_other_addresses_are_refused(mirrors, uri):
    with pytest.raises(BadAddress) as caught:
        mirrors.open_path(uri, local=True)
    assert "secret" not in caught.value.message


def test_plain_http_is_for_those_who_allow_it(make_mirrors):
    assert make_mirrors(allow_http=True).open_path("http://files.example/x").pin("")


def test_a_repository_and_a_path_at_one_address_are_two(mirrors, origin):
    origin.commit_and_push({"a": "a"})
    repository = mirrors.open(origin.uri, local=True)
    path = mirrors.open_path(origin.uri, local=True)
    assert repository.objects != path.objects
