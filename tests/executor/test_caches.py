"""What builds keep for each other comes back as it was, and leads nobody out of the home."""

import io
import tarfile

import pytest

from ciserver.executor.lease import StopReason
from ciserver.model.build import Cache, Source
from ciserver.model.status import BuildStatus, Reason

ROOM = 10_000_000
KEPT = (Cache("deps", (".cache/pip", "one file")),)


def run(world, script, cache=KEPT, **words):
    world.recorder.result = None
    world.recorder.logs.clear()
    return world.run(script, cache=cache, cache_bytes=words.pop("room", ROOM), **words)


def test_what_one_build_keeps_the_next_one_finds(world):
    """Files, modes, links and odd names; the logs say what was restored and saved."""
    result = run(
        world,
        "set +x; mkdir -p .cache/pip/deep; echo kept >.cache/pip/deep/file; echo run >'one file'; "
        "chmod 755 'one file'; ln -s file .cache/pip/deep/link; echo odd >\".cache/pip/$ODD\"; "
        "echo not kept >.cache/other",
        environment={"ODD": "-r \n ü"},
    )
    assert result.status is BuildStatus.SUCCEEDED, world.recorder.log(1)
    assert "cache: deps: nothing under this key\n" in world.recorder.log(0)
    assert world.recorder.log(1).endswith("cache: deps: 10 KiB saved\n")
    result = run(
        world,
        "cat .cache/pip/deep/link; test -x 'one file'; test -L .cache/pip/deep/link; "
        'cat ".cache/pip/$ODD"; test ! -e .cache/other; echo more >>.cache/pip/deep/file',
        environment={"ODD": "-r \n ü"},
    )
    assert result.status is BuildStatus.SUCCEEDED, world.recorder.log(1)
    assert "cache: deps: 10 KiB restored\n" in world.recorder.log(0)


def test_what_did_not_change_is_packed_alike(world):
    """The same files give the same archive, whatever the order they were written in."""
    run(world, "mkdir -p .cache/pip; cd .cache/pip; touch -d 2020-01-01 b a . ..")
    first = world.recorder.caches["deps"]
    run(world, "true")
    assert world.recorder.caches["deps"] == first


def test_a_build_that_may_not_save_reads(world):
    """An untrusted one sees what is kept, and what it makes of it goes with it."""
    run(world, "mkdir -p .cache/pip; echo good >.cache/pip/file")
    kept = world.recorder.caches["deps"]
    result = run(world, "grep good .cache/pip/file; echo bad >.cache/pip/file", room=0)
    assert result.status is BuildStatus.SUCCEEDED
    assert world.recorder.caches["deps"] == kept
    assert "builds of this kind change nothing of it" in world.recorder.log(1)


def test_a_build_that_failed_saves_nothing(world):
    """Nor one whose artifacts are missing."""
    run(world, "mkdir -p .cache/pip; false")
    run(world, "mkdir -p .cache/pip", artifacts=("gone",))
    assert world.recorder.caches == {}


def test_links_out_of_the_home_are_not_followed(world, place):
    """A link in a cache stays a link, and a path that leads through one is not there."""
    (place / "outside").mkdir()
    (place / "outside" / "secret").write_text("secret\n")
    (place / "outside").chmod(0o755)
    script = (
        f"mkdir -p .cache/pip; ln -s {place}/outside .cache/pip/out; ln -s {place}/outside jump"
    )
    cache = (Cache("deps", (".cache/pip", "jump/secret")),)
    assert run(world, script, cache).status is BuildStatus.SUCCEEDED
    with tarfile.open(fileobj=io.BytesIO(world.recorder.caches["deps"])) as archive:
        assert archive.getnames() == [".cache/pip", ".cache/pip/out"]
        assert archive.getmember(".cache/pip/out").issym()


def hostile(*members):
    """An archive as none of ours would be."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, kind, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            member.devmajor, member.devminor = 1, 3
            content = b"written\n" if kind == tarfile.REGTYPE else b""
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def test_a_hostile_archive_writes_nothing_outside(world, place):
    """Neither by dots, by an absolute name, nor through a link."""
    outside = place / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    world.recorder.caches["deps"] = hostile(
        ("../../../escaped", tarfile.REGTYPE, ""),
        (f"{outside}/absolute", tarfile.REGTYPE, ""),
        ("good", tarfile.REGTYPE, ""),
        ("device", tarfile.CHRTYPE, ""),
    )
    assert run(world, "cat good; test ! -c device").status is BuildStatus.SUCCEEDED
    world.recorder.caches["deps"] = hostile(
        ("jump", tarfile.SYMTYPE, str(outside)), ("jump/through", tarfile.REGTYPE, "")
    )
    run(world, "true")
    assert list(outside.iterdir()) == []
    assert {one.name for one in place.iterdir()} == {"outside", "work"}


def test_what_is_no_archive_is_said_and_no_failure(world):
    """A build must be right without its cache."""
    world.recorder.caches["deps"] = b"rubbish" * 1000
    assert run(world, "true").status is BuildStatus.SUCCEEDED
    assert "cache: deps: not everything is restored, tar exited with" in world.recorder.log(0)


def test_sources_win_over_caches(world, place):
    """What is pinned is never replaced by what an earlier build had."""
    (place / "tree").mkdir()
    (place / "tree" / "file").write_text("pinned\n")
    source = (Source(uri=str(place / "tree"), directory="code"),)
    cache = (Cache("deps", ("code",)),)
    run(world, "echo changed >code/file; echo more >code/more", cache, sources=source)
    result = run(world, "grep pinned code/file; grep more code/more", cache, sources=source)
    assert result.status is BuildStatus.SUCCEEDED, world.recorder.log(1)


def test_what_is_too_large_is_not_saved(world):
    """The kernel stops it, the build is none the worse, and nothing is left."""
    result = run(
        world, "mkdir -p .cache/pip; head -c 5000000 /dev/zero >.cache/pip/file", room=1_000_000
    )
    assert result.status is BuildStatus.SUCCEEDED
    assert "cache: deps: nothing is saved, tar exited with status" in world.recorder.log(1)
    assert world.recorder.caches == {}


@pytest.mark.parametrize("reason", [StopReason.CANCELED])
def test_a_build_that_is_stopped_saves_nothing(world, reason):
    """It has not succeeded."""
    build = world.begin("mkdir -p .cache/pip; set +x; echo ready; sleep 60", cache=KEPT)
    world.recorder.wait_for_log(1, "ready")
    world.stop.set(reason)
    build.join()
    assert world.recorder.result.reason is Reason.CANCELED_BY
    assert world.recorder.caches == {}
