"""Pinning and reading, from repositories on this machine."""

import gc
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ciserver.git.address import Addresses
from ciserver.git.mirrors import Mirrors
from ciserver.git.place import locked
from ciserver.model.errors import BadAddress, Invalid, NotFound, RemoteFailure, TooLarge
from ciserver.model.project import Credential


def test_a_pushed_revision_is_pinned(mirror, origin):
    """The revision that a push names is here afterwards, with its files."""
    revision = origin.commit_and_push({"a": "1"})
    assert mirror.pin("refs/heads/main", revision) == revision
    assert mirror.read(revision, "a", limit=10) == b"1"


@pytest.fixture
def _no_garbage_is_collected():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_garbage_is_collected")
def test_nothing_stays_open(mirrors, origin, tmp_path):
    """Of pushes in a row, each of which opens the mirror and brings a pack: not even until garbage
    is collected.
    """
    for number in range(3):
        mirror = mirrors.open(origin.uri, local=True)
        revision = origin.commit_and_push({"a": f"{number}"})
        mirror.pin("refs/heads/main", revision)
        assert mirror.read(revision, "a", limit=10) == b"%d" % number
    del mirror
    own = [one.resolve() for one in Path("/proc/self/fd").iterdir()]
    assert [one for one in own if one.is_relative_to(tmp_path)] == []


def test_each_thread_opens_it_once(mirror):
    """Opening costs as much as a few reads, and what is open is not for two threads."""
    with ThreadPoolExecutor(1) as other:
        theirs = other.submit(mirror.repository).result()
        assert other.submit(mirror.repository).result() is theirs
    assert mirror.repository() is mirror.repository() is not theirs


def test_what_came_later_is_found(mirrors, origin):
    """By whoever had it open before, also where the git program brought it."""
    mine, other = mirrors.open(origin.uri, local=True), mirrors.open(origin.uri, local=True)
    first = origin.commit_and_push({"a": "1"})
    assert mine.pin("main") == first
    second = origin.commit_and_push({f"{number}": f"{number}" for number in range(600)})
    assert other.pin("main") == second
    other.maintain(many_packs=0)
    assert mine.read(second, "7", limit=9) == b"7"
    assert [one.revision for one in mine.tips()] == [second]


def test_a_revision_that_is_here_needs_no_remote(mirror, origin):
    """Pinning again works when the repository is gone."""
    revision = origin.commit_and_push({"a": "1"})
    mirror.pin("refs/heads/main", revision)
    shutil.rmtree(origin.bare)
    assert mirror.pin("refs/heads/main", revision) == revision


def test_the_pushed_revision_counts_when_its_ref_moved_on(mirror, origin, run_git):
    """A forced push before the fetch does not change what is built."""
    origin.commit_and_push({"a": "0"})
    mirror.pin("main")
    lost = origin.commit_and_push({"a": "lost"})
    run_git(origin.work, "reset", "-q", "--hard", "HEAD~1")
    origin.commit({"a": "won"})
    origin.push("+HEAD:refs/heads/main")
    assert mirror.pin("refs/heads/main", lost) == lost
    assert mirror.read(lost, "a", limit=10) == b"lost"


def test_the_pushed_revision_counts_when_its_ref_is_deleted(mirror, origin):
    """A branch deleted after the push is still built."""
    origin.commit_and_push({"a": "0"})
    revision = origin.commit({"a": "1"})
    origin.push("HEAD:refs/heads/short")
    origin.push(":refs/heads/short")
    assert mirror.pin("refs/heads/short", revision) == revision


def test_a_revision_that_is_nowhere_is_not_found(mirror, origin):
    """The message names revision, ref and repository."""
    origin.commit_and_push()
    with pytest.raises(
        NotFound, match=f"revision {'1' * 40} of refs/heads/main is not in .*origin"
    ):
        mirror.pin("refs/heads/main", "1" * 40)


@pytest.mark.parametrize("ref", ["refs/heads/main", "main", "HEAD", "", "refs/tags/v1", "v1"])
def test_a_ref_is_resolved_at_the_remote(mirror, origin, run_git, ref):
    """Full names, short names and the default branch; an annotated tag is its commit."""
    revision = origin.commit_and_push({"a": "1"})
    run_git(origin.work, "tag", "-a", "v1", "-m", "one")
    origin.push("refs/tags/v1")
    assert mirror.pin(ref) == revision


def test_a_ref_is_resolved_anew_each_time(mirror, origin):
    """Without a revision the newest one counts, also after a forced push."""
    first = origin.commit_and_push({"a": "1"})
    assert mirror.pin("main") == first
    second = origin.commit_and_push({"a": "2"})
    assert mirror.pin("main") == second
    origin.push(f"+{first}:refs/heads/main")
    assert mirror.pin("main") == first


def test_a_revision_may_stand_for_a_ref(mirror, origin):
    """A recipe may name a source by revision, also one that no ref has as its tip."""
    old = origin.commit_and_push({"a": "1"})
    origin.commit_and_push({"a": "2"})
    assert mirror.pin(old) == old


def test_a_detached_head_is_a_default(mirrors, origin, run_git):
    """A work tree with a detached HEAD can be an input."""
    revision = origin.commit({"a": "1"})
    run_git(origin.work, "checkout", "-q", "--detach")
    assert mirrors.open(str(origin.work), local=True).pin("HEAD") == revision


def test_an_annotated_tag_is_pinned_to_its_commit(mirror, origin, run_git):
    """A push of a tag names the tag object."""
    revision = origin.commit_and_push({"a": "1"})
    run_git(origin.work, "tag", "-a", "v1", "-m", "one")
    run_git(origin.work, "tag", "-a", "v2", "-m", "two", "v1")
    origin.push("refs/tags/v1", "refs/tags/v2")
    tag = run_git(origin.work, "rev-parse", "refs/tags/v2")
    assert tag != revision
    assert mirror.pin("refs/tags/v2", tag) == revision


@pytest.mark.parametrize("ref", ["refs/heads/none", "none", "refs/tags/none", "HEAD"])
def test_a_ref_that_is_nowhere_is_not_found(mirror, ref):
    """An empty repository has no branch, and no default either."""
    with pytest.raises(NotFound, match="is not in"):
        mirror.pin(ref)


@pytest.mark.parametrize("ref", ["--upload-pack=x:y", "a..b", "@{-1}", "refs/heads/a\n", "-a:b"])
def test_a_bad_name_never_reaches_git(mirror, ref):
    """Refused before the repository is asked."""
    with pytest.raises(Invalid):
        mirror.pin(ref)


@pytest.mark.parametrize("revision", ["main", "a" * 64, "A" * 40, "--all"])
def test_a_bad_revision_never_reaches_git(mirror, revision):
    """Abbreviations, names and SHA-256 are refused with a reason."""
    with pytest.raises(Invalid, match="revision"):
        mirror.pin("refs/heads/main", revision)


def test_many_commits_at_once_are_pinned(mirror, origin):
    """What is too much to copy object by object comes all the same."""
    origin.commit_and_push({f"d{n % 20}/f{n}": str(n) for n in range(600)})
    assert len(mirror.list_files(mirror.pin("main"), ["*/*"])) == 600
    revision = origin.commit_and_push({f"d{n % 20}/f{n}": f"{n} again" for n in range(600)})
    assert mirror.pin("refs/heads/main", revision) == revision
    assert mirror.read(revision, "d0/f0", limit=99) == b"0 again"


def test_a_branch_may_take_the_place_of_a_folder_of_branches(mirror, origin):
    """What git would refuse to hold at the same time may follow one another."""
    revision = origin.commit_and_push()
    for push in (["HEAD:refs/heads/a/b"], [":refs/heads/a/b", "HEAD:refs/heads/a"]):
        origin.push(*push)
        assert mirror.pin(push[-1].partition(":")[2]) == revision
    origin.push(":refs/heads/a")
    origin.push("HEAD:refs/heads/a/c/d")
    assert mirror.pin("a/c/d") == revision


def test_eight_threads_pin_at_once(mirrors, origin):
    """One makes the mirror and fetches; all get the revision."""
    revision = origin.commit_and_push({"a": "1"})
    start = threading.Barrier(8)

    def pin(_number):
        start.wait()
        return mirrors.open(origin.uri, local=True).pin("refs/heads/main", revision)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(pin, range(8))) == {revision}
    folder = mirrors.open(origin.uri, local=True).objects
    assert len(list((folder / "pack").glob("*.pack"))) == 1


def test_a_second_process_waits_for_the_first(mirror, origin):
    """The lock is of the file system, so another process fetches after this one."""
    revision = origin.commit_and_push()
    program = (
        "import sys; from pathlib import Path\n"
        "from ciserver.git.address import Addresses; from ciserver.git.mirrors import Mirrors\n"
        "mirror = Mirrors(Path(sys.argv[1]), Addresses()).open(sys.argv[2], local=True)\n"
        "print('ready', flush=True); print(mirror.pin('main'))\n"
    )
    folder = mirror.objects.parent
    command = [sys.executable, "-c", program, str(folder.parent), origin.uri]
    with locked(folder.with_suffix(".lock")):
        other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.2)
    assert other.communicate(timeout=30)[0].strip() == revision


@pytest.mark.parametrize("name", ["refs/heads/main", "HEAD", "packed-refs"])
def test_what_a_killed_writer_had_locked_is_free_again(mirror, origin, name):
    """A server killed in the middle of a fetch does not lock the mirror for the next one."""
    origin.commit_and_push({"a": "0"})
    mirror.pin("main")
    program = (
        "import os, sys; from pathlib import Path\n"
        "from ciserver.git.place import writing\n"
        "folder = Path(sys.argv[1])\n"
        "with writing(folder, folder.with_suffix('.lock')):\n"
        "    (folder / f'{sys.argv[2]}.lock').touch()\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    folder = mirror.objects.parent
    killed = subprocess.run([sys.executable, "-c", program, str(folder), name], check=False)
    assert killed.returncode == -9
    revision = origin.commit_and_push({"a": "1"})
    assert mirror.pin("main", revision) == revision
    mirror.maintain()
    assert not (folder / f"{name}.lock").exists()


def test_a_mirror_half_made_is_made_again(mirrors, origin):
    """A kill while the mirror was made leaves no trace that counts."""
    revision = origin.commit_and_push()
    folder = mirrors.open(origin.uri, local=True).objects.parent
    half = folder.with_suffix(".making")
    folder.rename(half)
    (half / "HEAD").unlink()
    assert mirrors.open(origin.uri, local=True).pin("main") == revision
    assert not half.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_group_may_read_and_others_may_not(tmp_path, origin):
    """A build runs as another user, who is in the group."""
    root = tmp_path / "mirrors"
    mirror = Mirrors(root, Addresses(), group_id=12345).open(origin.uri, local=True)
    origin.commit_and_push({"a": "1"})
    mirror.pin("main")
    for path in (root, mirror.objects.parent, mirror.objects, mirror.objects / "pack"):
        assert path.stat().st_mode & 0o777 == 0o750
        assert path.stat().st_gid == 12345
    packs = list((mirror.objects / "pack").iterdir())
    assert packs
    assert all(path.stat().st_mode & 0o040 and path.stat().st_gid == 12345 for path in packs)


def test_a_private_mirror_is_not_shared_with_those_without_the_credential(mirrors):
    """Knowing a revision does not open what another project read with its token."""
    with_token = mirrors.open("https://127.0.0.1:9/r", Credential(password="t0ken"))
    without = mirrors.open("https://127.0.0.1:9/r")
    assert with_token.objects != without.objects
    assert "t0ken" not in str(with_token.objects)
    assert mirrors.open("https://127.0.0.1:9/r").objects == without.objects


def test_a_second_server_on_the_same_root_has_the_same_mirrors(mirror, origin):
    """Names of mirrors survive a restart."""
    root = mirror.objects.parent.parent
    assert Mirrors(root, Addresses()).open(origin.uri, local=True).objects == mirror.objects


def test_a_repository_that_vanished_is_a_failure_of_the_remote(mirror, origin):
    """It names the repository and says that trying again is of no use."""
    shutil.rmtree(origin.bare)
    with pytest.raises(RemoteFailure, match=r"origin\.git") as failure:
        mirror.pin("main")
    assert not failure.value.temporary


def test_a_folder_that_is_no_repository_is_a_failure_of_the_remote(mirrors, tmp_path):
    """The same for a directory of other things."""
    (tmp_path / "other").mkdir()
    with pytest.raises(RemoteFailure) as failure:
        mirrors.open(str(tmp_path / "other"), local=True).pin("main")
    assert not failure.value.temporary


def test_a_sha256_repository_is_refused_clearly(mirrors, tmp_path, run_git):
    """The hint says what is not supported."""
    run_git(tmp_path, "init", "-q", "--bare", "--object-format=sha256", "new.git")
    with pytest.raises(RemoteFailure) as failure:
        mirrors.open(str(tmp_path / "new.git"), local=True).pin("main")
    assert "SHA-256" in failure.value.hint


def test_the_address_is_checked(mirrors, origin, tmp_path):
    """A path needs an administrator, and the server's own data is never given."""
    with pytest.raises(BadAddress):
        mirrors.open(origin.uri)
    with pytest.raises(BadAddress):
        mirrors.open(str(tmp_path / "data" / "mirrors"), local=True)


def test_a_commit_says_what_it_is(mirror, origin):
    """Subject, message, author, and the time in UTC."""
    revision = origin.commit_and_push(message="Fix it\n\nAt last.")
    mirror.pin("main")
    commit = mirror.commit(revision)
    assert (commit.revision, commit.subject) == (revision, "Fix it")
    assert commit.message == "Fix it\n\nAt last.\n"
    assert commit.author == "Ada <ada@example.org>"
    assert commit.committed_at == datetime(2024, 2, 29, 11, tzinfo=UTC)


def test_a_commit_with_strange_bytes_can_be_shown(mirror, origin, run_git):
    """Bytes of no encoding, a far date: nothing an attacker writes is an error."""
    tree = run_git(origin.work, "mktree")
    text = (
        f"tree {tree}\nauthor \xff <\xfe> 99999999999999 +0000\n"
        "committer x <y> 99999999999999 +0000\nencoding no-such\n\n\xff subject\n"
    )
    revision = run_git(
        origin.work,
        *("hash-object", "-t", "commit", "-w", "--stdin", "--literally"),
        stdin=text.encode("latin-1"),
    )
    origin.push(f"{revision}:refs/heads/main")
    commit = mirror.commit(mirror.pin("main"))
    assert commit.subject.endswith("subject")
    assert commit.committed_at.tzinfo is UTC


def test_files_are_listed_in_the_order_of_the_globs(mirror, origin):
    """A star stays in its directory; nothing is listed twice; links are no files."""
    names = [".build.yml", ".builds/b.yml", ".builds/a.yml", ".builds/x/c.yml", ".builds/z.yaml"]
    origin.work.joinpath("link.yml").symlink_to(".build.yml")
    revision = origin.commit_and_push(dict.fromkeys(names, "x"))
    mirror.pin("main")
    globs = [".builds/*.yaml", ".builds/*.yml", ".build.y*ml", "*.yml", ".builds/a.*"]
    assert mirror.list_files(revision, globs) == (
        ".builds/z.yaml",
        ".builds/a.yml",
        ".builds/b.yml",
        ".build.yml",
    )
    assert mirror.list_files(revision, ["/", "", "../*", ".builds", "link.yml"]) == ()


@pytest.mark.parametrize(
    "path", ["none", "d", "link", "d/none", "link-d/f", "../a", "", "/a", "a/"]
)
def test_what_is_no_file_cannot_be_read(mirror, origin, path):
    """Directories, links, and ways out are not found."""
    origin.work.joinpath("link").symlink_to("a")
    origin.work.joinpath("link-d").symlink_to("d")
    revision = origin.commit_and_push({"a": "1", "d/f": "2"})
    mirror.pin("main")
    with pytest.raises(NotFound):
        mirror.read(revision, path, limit=10)


def test_a_file_over_the_limit_is_not_read(mirror, origin):
    """The limit itself is allowed."""
    revision = origin.commit_and_push({"d/a": "12345"})
    mirror.pin("main")
    assert mirror.read(revision, "d/a", limit=5) == b"12345"
    with pytest.raises(TooLarge):
        mirror.read(revision, "d/a", limit=4)


def test_a_revision_not_pinned_cannot_be_read(mirror):
    """Reading never fetches."""
    with pytest.raises(NotFound):
        mirror.commit("1" * 40)


def push_and_pin(mirror, origin, numbers):
    revisions = []
    for number in numbers:
        revisions.append(origin.commit_and_push({"a": str(number)}))
        mirror.pin("refs/heads/main", revisions[-1])
    return revisions


def packs_of(mirror):
    return {path.name for path in (mirror.objects / "pack").glob("*.pack")}


def test_many_packs_are_joined_and_nothing_is_lost(mirror, origin, run_git):
    """Also what no ref has any more; old packs stay for those who read them now."""
    revisions = push_and_pin(mirror, origin, range(6))
    run_git(mirror.objects.parent, "update-ref", "-d", "refs/heads/main")
    before = packs_of(mirror)
    mirror.maintain(many_packs=5)
    assert before < packs_of(mirror)
    for name in before:
        pack = mirror.objects / "pack" / name
        pack.unlink()
        pack.with_suffix(".idx").unlink()
    assert [mirror.read(one, "a", limit=9) for one in revisions] == [b"%d" % n for n in range(6)]
    run_git(mirror.objects.parent, "fsck")


def test_joined_packs_go_with_the_next_joining(mirror, origin):
    """Disk space comes back, one round later; every revision can still be read."""
    revisions = push_and_pin(mirror, origin, range(4))
    first = packs_of(mirror)
    mirror.maintain(many_packs=3)
    assert first < packs_of(mirror)
    revisions += push_and_pin(mirror, origin, range(4, 8))
    mirror.maintain(many_packs=3)
    assert not first & packs_of(mirror)
    assert [mirror.read(one, "a", limit=9) for one in revisions] == [b"%d" % n for n in range(8)]


def test_few_packs_are_left_alone(mirror, origin):
    """Maintenance of a quiet mirror does nothing."""
    origin.commit_and_push()
    mirror.pin("main")
    before = sorted((mirror.objects / "pack").iterdir())
    mirror.maintain()
    assert sorted((mirror.objects / "pack").iterdir()) == before


def test_a_server_with_mirrors_gets_ready(mirrors, origin):
    """One without them has nothing to get ready for."""
    assert not mirrors.get_ready()
    mirrors.open(origin.uri, local=True)
    assert mirrors.get_ready()
