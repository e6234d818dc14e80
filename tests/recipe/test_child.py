"""Whatever a program does: it ends in time, what it says is kept within bounds, nothing is left."""

import os
import time
from pathlib import Path

import pytest
from support.waiting import until

from ciserver.recipe.child import run

BOUNDS = {"seconds": 10, "most_bytes": 1000}


def shell(script, given=b"", **bounds):
    return run(["/bin/sh", "-c", script], given, **{**BOUNDS, **bounds})


def sleepers(seconds):
    """The processes that sleep for this many seconds."""
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if one.read_bytes() == f"sleep\0{seconds}\0".encode():
                found.append(one.parent.name)
        except OSError:
            continue
    return found


def test_what_it_says_and_how_it_ends_is_told():
    ended = shell("cat; echo odd >&2; exit 3", b"given")
    assert (ended.output, ended.said, ended.code) == (b"given", "odd\n", 3)
    assert (ended.late, ended.too_long) == (False, False)


def test_a_signal_is_a_negative_code():
    assert shell("kill -SEGV $$").code == -11


def test_both_outputs_can_be_one():
    ended = shell("echo one; echo two >&2; echo three", merged=True)
    assert (ended.output, ended.said) == (b"one\ntwo\nthree\n", "")


def test_nothing_of_our_environment_is_seen(monkeypatch):
    monkeypatch.setenv("CISERVER_SECRET", "x")
    assert b"SECRET" not in shell("export -p").output


def test_much_input_that_is_not_read_holds_up_nothing():
    assert shell("exit 0", b"x" * 10_000_000).code == 0


@pytest.mark.parametrize("rest", ["wait", "exit 0"])
def test_all_that_it_started_ends_with_it(rest):
    """Also where it ends itself and leaves others that hold its output open."""
    begun = time.monotonic()
    forever = f"54321.{os.getpid()}{len(rest)}"
    ended = shell(f"sleep {forever} & sleep {forever} & {rest}", seconds=0.3)
    assert ended.late is (rest == "wait")
    assert time.monotonic() - begun < 5
    until(lambda: not sleepers(forever))


def test_a_program_that_closes_its_outputs_is_waited_for():
    ended = shell("exec >&- 2>&-; sleep 0.2; exit 4")
    assert (ended.code, ended.late) == (4, False)


@pytest.mark.parametrize("merged", [True, False])
def test_too_much_output_is_cut_off(merged):
    """It ends there and then."""
    ended = shell("while :; do echo yes; done", merged=merged)
    assert ended.too_long
    assert not ended.late
    assert len(ended.output) == BOUNDS["most_bytes"]


def test_of_many_errors_the_last_are_kept():
    ended = shell("i=0; while [ $i -lt 20000 ]; do echo error $i >&2; i=$((i+1)); done")
    assert ended.said.endswith("error 19999\n")
    assert len(ended.said) <= 1 << 16
