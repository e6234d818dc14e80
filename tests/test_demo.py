"""The demonstration is the first thing that people try."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

DEMO = Path(__file__).parents[1] / "demo" / "demo.py"


def run_demo(place):
    return subprocess.run(
        [sys.executable, str(DEMO), "--place", str(place)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_demo_tells_its_story_and_ends_with_the_result_of_the_build(tmp_path):
    """Without a terminal: the log, the mail, the verified webhook and the nightly build; status 0;
    nothing runs on.

    The second run over the same directory does the same.
    """
    for _ in range(2):
        done = run_demo(tmp_path / "demo")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "remote: ciserver: http://127.0.0.1:" in done.stderr
        assert "test_counts_each_word" in done.stdout
        assert "Subject: [words] build succeeded on main: Count words" in done.stdout
        assert "The signature is right" in done.stdout
        assert "nightly  at 03:00 Europe/Berlin" in done.stdout
        assert "+ for round in 1 2 3" in done.stdout
        assert done.stdout.count("1 of 1 builds good") == 1
        assert "/welcome/" in done.stdout
        assert not (tmp_path / "demo" / "server" / "server.json").exists()
