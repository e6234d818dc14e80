"""The scripts for a machine that has only a plain sh."""

import shutil
import subprocess

import pytest

from ciserver.executor.script import build_environment, is_complete, task_script, write_scripts
from ciserver.model.build import Task

pytestmark = pytest.mark.skipif(not shutil.which("dash"), reason="dash is the plain sh here")


def run(home, script, environment):
    write_scripts(
        home,
        (Task("task", script),),
        environment,
        shell=shutil.which("dash"),
        home_inside=str(home),
        user=None,
    )
    return subprocess.run(
        [home / ".tasks" / "task"],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_plain_sh_gets_lists_as_words(tmp_path):
    """There are no arrays: the items are joined by spaces."""
    done = run(tmp_path, "echo $LIST; printenv KEY", {"LIST": ("a", "b'c"), "KEY": "it's"})
    assert (done.returncode, done.stdout) == (0, "a b'c\nit's\n")


def test_complete_build_works_in_plain_sh(tmp_path):
    """The hyphen is no obstacle."""
    done = run(tmp_path, "complete-build\nfalse", {})
    assert done.returncode == 0
    assert is_complete(tmp_path)


def test_the_texts_are_short_and_plain():
    """One who looks into the home understands what is there."""
    done = "/home/build/.complete-build"
    text = build_environment({"A": "b c", "L": ("x", "y z")}, bash=True, done=done)
    assert text == (
        "export A='b c'\nL=(x 'y z')\n"
        "complete-build() { : > /home/build/.complete-build; exit 0; }\n"
    )
    assert task_script(Task("x", "make"), "/bin/bash") == (
        "#!/bin/bash\n. ~/.buildenv\nset -xe\nmake\n"
    )
