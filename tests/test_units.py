"""The units for systemd that docs/ offers."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
UNITS = sorted(DOCS.glob("*.service"))


@pytest.fixture
def verify():
    """Asks systemd itself."""
    program = shutil.which("systemd-analyze")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("systemd-analyze is not installed")
        pytest.skip("systemd-analyze is not installed")

    def ask(path):
        command = [program, "verify", "--man=no", str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    return ask


@pytest.mark.parametrize("unit", UNITS, ids=lambda one: one.stem)
def test_systemd_understands_the_unit(unit, tmp_path, verify):
    """Every line; only the program is not installed here."""
    program = re.search(r"^ExecStart=(\S+)", unit.read_text(), re.MULTILINE)[1]
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace(program, "/bin/true"))
    said = verify(copy)
    assert (said.returncode, said.stderr) == (0, "")
    copy.write_text(copy.read_text().replace("NoNewPrivileges=yes", "NoNewPrivilege=yes"))
    assert "NoNewPrivilege" in verify(copy).stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda one: one.stem)
def test_nothing_is_shut_off_that_bubblewrap_needs(unit):
    """It makes namespaces, mounts and a host name."""
    lines = [line for line in unit.read_text().splitlines() if not line.startswith("#")]
    needed = r"(RestrictNamespaces|SystemCallFilter|PrivateUsers|Protect(Proc|Hostname|Kernel(Tun|Log)|Control)|ProcSubset)"  # noqa: E501
    assert not [line for line in lines if re.match(needed, line)]
    assert "NoNewPrivileges=yes" in lines
    assert "KillMode=mixed" in lines
