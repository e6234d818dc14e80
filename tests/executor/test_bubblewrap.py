"""What only bubblewrap promises."""

import os

import pytest

from ciserver.executor.bubblewrap import Bubblewrap
from ciserver.executor.choice import choose
from ciserver.executor.plain import Plain
from ciserver.executor.sandbox import SandboxBroken, find_build_user
from ciserver.model.build import Source
from ciserver.model.errors import BadConfiguration
from ciserver.model.status import BuildStatus


@pytest.fixture
def inside(bubblewrap, make_world):
    return make_world(bubblewrap)


def test_the_machine_is_read_only_and_mostly_absent(inside, place):
    """Only the system can be read, only home and /tmp written."""
    (place / "other").write_text("not for builds")
    result = inside.run(
        f"set +x; test ! -e {place}; test ! -e /root; test ! -e /var/lib; "
        "for f in /x /usr/x /etc/x; do if (: > $f) 2>/dev/null; then echo wrote $f; exit 1; fi; "
        "done; touch ~/x /tmp/x /var/tmp/y /dev/shm/x /run/x"
    )
    assert result.status is BuildStatus.SUCCEEDED, inside.recorder.log(1)


def test_a_task_is_somebody_without_rights(inside):
    """User build, no capabilities, own host name, own processes, no way to more rights."""
    result = inside.run(
        'set +x; test "$(id -un):$(id -gn):$(id -u)" = build:build:1000; '
        'test "$(getent passwd build | cut -d: -f6)" = /home/build; test "$(hostname)" = build; '
        'test "$(ls -d /proc/[0-9]* | wc -l)" -lt 8; '
        "grep -q '^CapEff:.0*$' /proc/self/status; grep -q '^NoNewPrivs:.1$' /proc/self/status; "
        "test ! -r /etc/shadow"
    )
    assert result.status is BuildStatus.SUCCEEDED, inside.recorder.log(1)


def test_hidden_places_are_covered(bubblewrap_works, tools, make_world, place):
    """Data and configuration beneath a readable directory are empty, neighbours not."""
    shown = place / "shown"
    (shown / "data").mkdir(parents=True)
    for name in ("data/database", "config.toml", "public"):
        (shown / name).write_text(name)
    sandbox = Bubblewrap(
        user=tools.build_user(),
        readable=(shown,),
        hidden=(shown / "data", shown / "config.toml", shown / "not there", place / "elsewhere"),
    )
    world = make_world(sandbox)
    result = world.run(
        f'cd {shown}; test -z "$(ls data)"; test -z "$(cat config.toml 2>/dev/null)"; cat public'
    )
    assert result.status is BuildStatus.SUCCEEDED, world.recorder.log(1)


def test_a_loader_variable_does_not_reach_bubblewrap(inside, place):
    """The job's variables are set inside only, or a library of its own would run outside."""
    result = inside.run("true", environment={"LD_PRELOAD": str(place / "evil.so")})
    assert result.status is BuildStatus.SUCCEEDED
    assert "bwrap" not in inside.recorder.log(1)


def test_borrowed_objects_are_readable_inside(inside, place):
    """What a source borrows is bound where the source was told, read-only."""
    objects = place / "mirror" / "objects"
    objects.mkdir(parents=True)
    (objects / "pack").write_text("packed\n")

    class Borrowing:
        def put(self, work, source, into, objects_at):
            into.mkdir()
            (into / "alternates").write_text(objects_at(objects))
            return (objects,)

    inside.sources = Borrowing()
    result = inside.run(
        'cat "$(cat one/alternates)/pack"; if touch "$(cat one/alternates)/x"; then exit 1; fi',
        sources=(Source(uri="x", directory="one"), Source(uri="x", directory="two")),
    )
    assert result.status is BuildStatus.SUCCEEDED, inside.recorder.log(1)
    assert "packed" in inside.recorder.log(1)


def test_a_sandbox_that_cannot_be_set_up_gives_the_build_back(bubblewrap, make_world, place):
    """That bubblewrap fails is no verdict about the job; its words are in the log."""

    class Vanishing:
        def put(self, work, source, into, objects_at):
            into.mkdir()
            return (place / "vanished",)

    world = make_world(bubblewrap)
    world.sources = Vanishing()
    assert world.run("true", sources=(Source(uri="x", directory="one"),)) is None
    assert "could not set up the sandbox" in world.recorder.given_back[0]
    assert "bwrap: " in world.recorder.log(1)


def test_a_task_cannot_pretend_that_the_sandbox_failed(inside):
    """Words and status alone are the task's own failure."""
    assert inside.run("echo bwrap: broken; exit 1").status is BuildStatus.FAILED


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a build user")
def test_root_needs_a_build_user(place):
    """Builds never run as root in bubblewrap; the choice says what to do."""
    broken = choose("auto", user=None, place=place)
    assert isinstance(broken, SandboxBroken)
    assert "root" in broken.reason
    assert "create a user" in broken.remedy


def test_the_choice_is_tried_out(bubblewrap_works, tools, place):
    """Auto takes bubblewrap when it runs here; plain is taken only by name."""
    assert choose("auto", user=tools.build_user(), place=place).name == "bubblewrap"
    assert isinstance(choose("plain", user=None, place=place), Plain)


def test_an_unknown_build_user_is_refused():
    """The error names the user and how to make it."""
    with pytest.raises(BadConfiguration) as refusal:
        find_build_user("no-such-user")
    assert "no-such-user" in refusal.value.message
    assert "useradd" in refusal.value.hint
