"""How a command is loaded."""

import subprocess
import sys

LOADED = """
import gc
from ciserver.cli.main import main

before = [generation["collections"] for generation in gc.get_stats()]
main.get_command(None, "serve")
assert [generation["collections"] for generation in gc.get_stats()] == before
assert gc.isenabled()
assert gc.get_freeze_count() > 50_000
"""


def test_what_is_loaded_is_not_looked_through_for_garbage():
    """Not while it is loaded, and not later."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
