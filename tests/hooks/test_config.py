"""What the hook says when its own file is not in order."""

import ast
import json
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "hooks" / "post-receive"
CHANGE = b"%b %b refs/heads/direct\n" % (b"0" * 40, b"1" * 40)


def test_missing_configuration_names_file_and_command(site):
    """The push succeeds and the pusher knows whom to tell what."""
    (site.home / "hook.json").unlink()
    output = site.push("main")
    assert f"ciserver: {site.home}/hook.json: No such file or directory" in output
    assert 'run "ciserver hook install"' in output


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("{", ["not JSON"]),
        ("[]", ["not a JSON object"]),
        ("{}", ["url: ", "secret: ", "repository: missing"]),
        ('{"url": "ftp://a/b", "secret": "abc", "repository": "/r"}', ["url: ", "secret: "]),
        (
            '{"url": "http://a:70000", "secret": "whsec_", "repository": ""}',
            ["url: ", "repository: "],
        ),
        ('{"url": "http://a:x/b", "secret": 3, "repository": "/r"}', ["url: ", "secret: "]),
    ],
)
def test_broken_configuration_names_every_fault(site, text, faults):
    """One line with all that must be corrected."""
    (site.home / "hook.json").write_text(text)
    (line,) = site.run_hook(said=CHANGE).splitlines()
    assert all(fault in line for fault in faults)
    assert str(site.home / "hook.json") in line


def test_key_that_everyone_can_read_is_complained_about(site, listener):
    """The push goes out, and the owner is told to close the file."""
    (site.home / "hook.json").chmod(0o644)
    assert "open to everyone; run chmod o-rwx" in site.run_hook(said=CHANGE)
    assert len(listener.heard) == 1


def test_ipv6_address_is_understood(site):
    """Brackets and port are taken apart; nobody listens there, so the push is kept."""
    path = site.home / "hook.json"
    values = json.loads(path.read_text()) | {"url": "http://[::1]:9/x"}
    path.write_text(json.dumps(values))
    assert "server not reachable" in site.run_hook(said=CHANGE)


def test_text_is_readable_for_python_3_8():
    """Machines that keep repositories are often older than those that build."""
    ast.parse(SCRIPT.read_text(), feature_version=(3, 8))


def test_hook_finds_its_repository_without_git(site, listener):
    """Called by hand from anywhere, it works on the repository it stands in."""
    for folder, name in ((site.bare / "hooks", "./post-receive"), (site.bare.parent, "")):
        command = [name or str(site.bare / "hooks" / "post-receive"), "--flush"]
        said = subprocess.check_output(
            command, cwd=folder, stderr=subprocess.STDOUT, env=site.environment
        )
        assert said == b"ciserver: 0 kept pushes sent\n"
