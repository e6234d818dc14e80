"""A wheel of this checkout without extras, in a virtual environment of its own: what users have."""

import os
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from bench.processes import run

CHECKOUT = Path(__file__).parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ciserver-bench"


def installation() -> Path:
    """The directory of the virtual environment, made anew when the wheel is another one."""
    home = CACHE / "ciserver"
    made = home / "made-of"
    with tempfile.TemporaryDirectory() as place:
        wheel = Path(next(WheelBuilder(str(CHECKOUT)).build(directory=place)))
        digest = sha256(wheel.read_bytes()).hexdigest()
        if not made.exists() or made.read_text() != digest:
            run(sys.executable, "-m", "venv", "--clear", str(home))
            run(str(home / "bin/python"), "-m", "pip", "install", "--quiet", str(wheel))
            made.write_text(digest)
    return home
