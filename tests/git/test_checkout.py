"""Work trees as a build finds them."""

import os
import time
from pathlib import Path

import pytest

from ciserver.git.address import Addresses
from ciserver.git.checkout import Checkouts
from ciserver.git.mirrors import Mirrors
from ciserver.git.submodule import resolve_url
from ciserver.model.build import Source
from ciserver.model.errors import BadAddress, CiError, Invalid, NotFound, RemoteFailure

LINK, FILE, FOLDER = b"120000", b"100644", b"40000"


def source(origin, revision, **more):
    return Source(origin.uri, "home", revision=revision, **more)


@pytest.fixture
def check_out(checkouts, mirrors, tmp_path):
    """Pins the newest revision of a repository and checks it out."""

    def check_out(origin, into="tree", **more):
        revision = mirrors.open(origin.uri, local=True).pin("main")
        folder = tmp_path / into
        checkouts.make(source(origin, revision, **more), folder, local=True)
        return folder

    return check_out


def raw_object(run_git, origin, kind, content):
    command = ["hash-object", "-t", kind, "-w", "--stdin", "--literally"]
    return run_git(origin.work, *command, stdin=content)


def push_tree(run_git, origin, *entries):
    """Push a commit of a tree that git itself would never write."""
    tree = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries)
    oid = raw_object(run_git, origin, "tree", tree)
    revision = run_git(origin.work, "commit-tree", "-m", "crafted", oid)
    run_git(origin.work, "push", "-q", "origin", f"+{revision}:refs/heads/main")
    return revision


def test_a_work_tree_is_what_git_would_write(check_out, origin, run_git):
    """Contents, executable bits, symbolic links, odd names; `git status` sees no change."""
    (origin.work / "tool").write_text("#!/bin/sh\n")
    (origin.work / "tool").chmod(0o755)
    (origin.work / "link").symlink_to("../elsewhere")
    Path(os.fsdecode(os.fsencode(origin.work) + b"/\xff")).write_text("latin")
    origin.commit_and_push({"a": "1", "a.b/c": "2", "a-b": "3", "ä ö": "4", "empty": ""})
    folder = check_out(origin)
    assert run_git(folder, "status", "--porcelain", "--ignored") == ""
    assert run_git(folder, "fsck") == ""
    assert (folder / "tool").stat().st_mode & 0o111
    assert not (folder / "a").stat().st_mode & 0o111
    assert (folder / "link").readlink() == Path("../elsewhere")
    assert sorted(run_git(folder, "ls-files").splitlines()) == sorted(
        run_git(origin.work, "ls-files").splitlines()
    )


def test_git_commands_work_inside(check_out, origin, run_git):
    """History, tags, branches of origin and the address of origin are there; no hooks are."""
    first = origin.commit_and_push({"a": "1"})
    run_git(origin.work, "tag", "-a", "v1", "-m", "one")
    origin.push("refs/tags/v1")
    second = origin.commit_and_push({"a": "2"})
    folder = check_out(origin)
    assert run_git(folder, "rev-parse", "HEAD", "HEAD~1", "origin/main", "v1^{}").split() == [
        second,
        first,
        second,
        first,
    ]
    assert run_git(folder, "describe", "--dirty").startswith("v1-1-g")
    assert run_git(folder, "remote", "get-url", "origin") == origin.uri
    assert not (folder / ".git" / "hooks").exists()
    (folder / "a").write_text("3")
    assert run_git(folder, "status", "--porcelain") == "M a"
    assert run_git(folder, "commit", "-qam", "from the build") == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_work_tree_stays_clean_when_its_owner_changes(check_out, origin, run_git):
    """A build runs as another user; plumbing that trusts the index still sees no change."""
    origin.commit_and_push({"a": "1"})
    folder = check_out(origin)
    os.chown(folder / "a", 12345, 12345)
    assert run_git(folder, "diff-index", "HEAD") == ""


def test_objects_are_borrowed_where_the_build_sees_them(checkouts, mirror, origin, tmp_path):
    """The path inside the sandbox is written; the real one is returned."""
    revision = origin.commit_and_push({"a": "1"})
    mirror.pin("main")
    borrowed = checkouts.make(
        source(origin, revision),
        tmp_path / "tree",
        local=True,
        objects_at=lambda path: f"/borrowed/{path.parent.name}",
    )
    assert borrowed == (mirror.objects,)
    alternates = tmp_path / "tree/.git/objects/info/alternates"
    assert alternates.read_text() == f"/borrowed/{mirror.objects.parent.name}\n"


def test_an_existing_directory_is_left_alone(checkouts, mirror, origin, tmp_path):
    """A work tree is never mixed with something else."""
    revision = origin.commit_and_push({"a": "1"})
    mirror.pin("main")
    with pytest.raises(FileExistsError):
        checkouts.make(source(origin, revision), tmp_path, local=True)
    assert origin.bare.exists()


def test_a_revision_not_pinned_leaves_nothing_behind(checkouts, origin, tmp_path):
    """The directory is gone again."""
    origin.commit_and_push()
    with pytest.raises(NotFound):
        checkouts.make(source(origin, "1" * 40), tmp_path / "tree", local=True)
    assert not (tmp_path / "tree").exists()


def test_a_tree_that_lacks_a_file_is_reported(checkouts, mirror, origin, run_git, tmp_path):
    """A damaged mirror is named, so that somebody can remove it."""
    entry = f"100644 blob {'1' * 40}\ta\n".encode()
    tree = run_git(mirror.objects.parent, "mktree", "--missing", stdin=entry)
    revision = run_git(mirror.objects.parent, "commit-tree", "-m", "damaged", tree)
    with pytest.raises(RemoteFailure, match="cannot be read") as failure:
        checkouts.make(source(origin, revision), tmp_path / "tree", local=True)
    assert mirror.objects.parent.name in failure.value.hint
    assert not (tmp_path / "tree").exists()


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        (b".git", FOLDER),
        (b".git", LINK),
        (b"..", FOLDER),
        (b"..", FILE),
        (b".", FILE),
        (b".git", FILE),
        (b".GIT", FILE),
        (b"git~1", FILE),
        (b"GIT~1", FILE),
        (b".git.", FILE),
        (b".git ", FILE),
        (b".git::$DATA", FILE),
        (".g\N{ZERO WIDTH NON-JOINER}it".encode(), FILE),
        (b"a/b", FILE),
        (b"../out", FILE),
        (b"/etc", FILE),
        (b"a\\b", FILE),
        (b".git/hooks", FILE),
    ],
)
def test_a_tree_with_a_reserved_name_is_refused(check_out, origin, run_git, tmp_path, name, mode):
    """Nothing is written into `.git` or above the work tree."""
    blob = raw_object(run_git, origin, "blob", b"x")
    below = raw_object(run_git, origin, "tree", FILE + b" config\0" + bytes.fromhex(blob))
    push_tree(run_git, origin, (mode, name, below if mode == FOLDER else blob))
    before = set(tmp_path.iterdir())
    with pytest.raises(CiError):
        check_out(origin)
    assert set(tmp_path.iterdir()) - before <= {tmp_path / "data"}


@pytest.mark.parametrize("second", [FILE, FOLDER, LINK])
def test_a_link_and_then_something_beneath_it_is_refused(
    check_out, origin, run_git, tmp_path, second
):
    """The same name twice, first a link out of the tree, writes nothing through the link."""
    outside = tmp_path / "outside"
    outside.mkdir()
    link = raw_object(run_git, origin, "blob", os.fsencode(outside))
    blob = raw_object(run_git, origin, "blob", b"x")
    below = raw_object(run_git, origin, "tree", FILE + b" owned\0" + bytes.fromhex(blob))
    push_tree(
        run_git, origin, (LINK, b"a", link), (second, b"a", below if second == FOLDER else blob)
    )
    with pytest.raises(Invalid, match="twice"):
        check_out(origin)
    assert list(outside.iterdir()) == []


def test_a_thousand_files_are_written_quickly(check_out, origin):
    """A generous limit, against work that grows faster than the files do."""
    origin.commit_and_push({f"d{n % 40}/f{n}": str(n) for n in range(1000)})
    started = time.monotonic()
    folder = check_out(origin)
    assert time.monotonic() - started < 20
    assert len(list(folder.glob("d*/f*"))) == 1000


def add_submodule(run_git, origin, url, path, module, more=""):
    """Add a gitlink to the newest revision of `module`, with any address."""
    revision = run_git(module.work, "rev-parse", "HEAD")
    text = f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n'
    with (origin.work / ".gitmodules").open("a") as file:
        file.write(text + more)
    (origin.work / path).mkdir(parents=True, exist_ok=True)
    run_git(origin.work, "add", ".gitmodules")
    run_git(origin.work, "update-index", "--add", "--cacheinfo", f"160000,{revision},{path}")
    run_git(origin.work, "commit", "-q", "-m", "Add a submodule")
    origin.push()
    return revision


def test_submodules_are_checked_out_with_theirs(check_out, origin, make_origin, run_git):
    """Relative and full addresses, at the pinned revision."""
    inner, outer = make_origin("inner"), make_origin("outer")
    inner.commit_and_push({"i": "1"})
    outer.commit_and_push({"o": "1"})
    add_submodule(run_git, outer, "../inner.git", "libs/inner", inner)
    pinned = add_submodule(run_git, origin, outer.uri, "outer", outer)
    outer.commit_and_push({"o": "newer"})
    folder = check_out(origin)
    assert (folder / "outer/o").read_text() == "1"
    assert (folder / "outer/libs/inner/i").read_text() == "1"
    assert run_git(folder, "status", "--porcelain") == ""
    assert run_git(folder / "outer", "rev-parse", "HEAD") == pinned


def test_nothing_that_a_submodule_states_is_run(check_out, origin, make_origin, run_git):
    """An update command and an include are words in a file, no more."""
    module = make_origin("module")
    module.commit_and_push({"m": "1"})
    more = "\tupdate = !touch owned\n[include]\n\tpath = /etc/hostname\n"
    add_submodule(run_git, origin, "../module.git", "module", module, more)
    folder = check_out(origin)
    assert (folder / "module/m").read_text() == "1"
    assert not list(folder.rglob("owned"))
    assert "owned" not in (folder / ".git/config").read_text()


def test_all_borrowed_mirrors_are_named(checkouts, mirrors, origin, make_origin, run_git, tmp_path):
    """The sandbox must show the objects of submodules too."""
    module = make_origin("module")
    module.commit_and_push({"m": "1"})
    add_submodule(run_git, origin, "../module.git", "module", module)
    revision = mirrors.open(origin.uri, local=True).pin("main")
    borrowed = checkouts.make(source(origin, revision), tmp_path / "tree", local=True)
    assert borrowed == tuple(mirrors.open(one.uri, local=True).objects for one in (origin, module))


def test_submodules_may_be_left_out(check_out, origin, make_origin, run_git):
    """An empty directory stands for each."""
    module = make_origin("module")
    module.commit_and_push({"m": "1"})
    add_submodule(run_git, origin, "../module.git", "module", module)
    folder = check_out(origin, submodules=False)
    assert list((folder / "module").iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c 'touch owned'",
        "--upload-pack=x",
        "ssh://-oProxyCommand=x/r",
        "http://127.0.0.1/r",
        "../../../../../../../..",
        "",
        "relative",
        "https://u:secret@127.0.0.1/r",
    ],
)
def test_a_submodule_with_a_bad_address_is_refused(check_out, origin, make_origin, run_git, url):
    """The same rules as for any repository; the submodule is named."""
    module = make_origin("module")
    module.commit_and_push()
    add_submodule(run_git, origin, url, "libs/module", module)
    with pytest.raises(BadAddress, match="libs/module"):
        check_out(origin)


def test_a_submodule_is_no_way_to_other_repositories_of_the_machine(
    check_out, origin, run_git, tmp_path, make_origin
):
    """Who pushes to a registered repository cannot read one that is elsewhere on the disk."""
    (tmp_path / "private").mkdir()
    private = type(origin)(tmp_path / "private", "secret")
    private.commit_and_push({"s": "1"})
    origin_elsewhere = tmp_path / "open"
    origin_elsewhere.mkdir()
    public = type(origin)(origin_elsewhere, "public")
    add_submodule(run_git, public, private.uri, "s", private)
    with pytest.raises(BadAddress, match="path on this machine"):
        check_out(public)


def test_a_local_root_opens_submodules_beneath_it(origin, run_git, tmp_path):
    """What anybody may name, a submodule may name."""
    (tmp_path / "libs").mkdir()
    module = type(origin)(tmp_path / "libs", "module")
    module.commit_and_push({"m": "1"})
    add_submodule(run_git, origin, module.uri, "m", module)
    mirrors = Mirrors(tmp_path / "mirrors", Addresses(local_roots=(tmp_path,)))
    revision = mirrors.open(origin.uri).pin("main")
    Checkouts(mirrors).make(source(origin, revision), tmp_path / "tree")
    assert (tmp_path / "tree/m/m").read_text() == "1"


def test_a_submodule_whose_revision_is_gone_is_a_failure_of_the_remote(
    check_out, origin, make_origin, run_git
):
    """It is named, and trying again is of no use."""
    module = make_origin("module")
    module.commit()
    add_submodule(run_git, origin, "../module.git", "module", module)
    with pytest.raises(RemoteFailure, match="'module'") as failure:
        check_out(origin)
    assert not failure.value.temporary


def test_submodules_end_somewhere(check_out, make_origin, run_git):
    """Nine levels of submodules are refused."""
    chain = [make_origin(f"level{n}") for n in range(10)]
    chain[-1].commit_and_push({"a": "1"})
    for outer, inner in zip(chain[-2::-1], chain[:0:-1], strict=True):
        add_submodule(run_git, outer, f"../{inner.bare.name}", "sub", inner)
    assert (check_out(chain[1], into="eight") / "sub/sub/sub/sub/sub/sub/sub/sub/a").exists()
    with pytest.raises(Invalid, match="nested"):
        check_out(chain[0], into="nine")


@pytest.mark.parametrize(
    ("parent", "url", "address"),
    [
        ("https://h/o/r.git", "../x.git", "https://h/o/x.git"),
        ("https://h/o/r/", "./x", "https://h/o/r/x"),
        ("https://h/o/r", "../../x/y", "https://h/x/y"),
        ("git@h:o/r", "../x", "git@h:o/x"),
        ("git@h:o/r", "../../x", "git@h:x"),
        ("git@h:r", "../x", "git@h:x"),
        ("/srv/r.git", "../x", "/srv/x"),
        ("https://h/o/r", "https://g/x", "https://g/x"),
    ],
)
def test_a_relative_submodule_starts_at_its_parent(parent, url, address):
    """As git resolves it."""
    assert resolve_url(parent, url) == address


@pytest.mark.parametrize("parent", ["https://h/r", "git@h:r", "/r"])
def test_a_relative_submodule_does_not_leave_its_host(parent):
    """Enough dots do not make another address."""
    with pytest.raises(BadAddress, match="climbs"):
        resolve_url(parent, "../../../evil.example/x")
