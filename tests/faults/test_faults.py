"""The short form of `make faults`: every fault once, and every promise kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from faults.__main__ import ROWS

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(900)
def test_every_promise_is_kept(tmp_path):
    """Killed, cut off, held up, lied to: the table says `kept` in each row."""
    path = os.pathsep.join((str(ROOT / "tests"), str(ROOT), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        [sys.executable, "-m", "faults", "--quick"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_documents_tell_every_fault():
    """docs/reliability.md has a line for each row, and no other."""
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    section = text.partition("\n## Faults\n")[2].partition("\n## ")[0]
    lines = [line.split("|") for line in section.splitlines() if line.startswith("| ")]
    told = [(name.strip(), promise.strip()) for _, name, promise, *_ in lines[1:]]
    assert told == [(one.name, one.promise) for one in ROWS]
