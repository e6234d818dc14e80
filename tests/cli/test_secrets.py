"""`ciserver secret`: values come by file or standard input, and are never printed."""

import json
import re

FILE = ("secret", "add", "plaintext_file", "-", "--path", ".netrc")
RECIPE = "image: host\nsecrets: [netrc]\ntasks:\n  - look: test ! -e ~/.netrc\n"


def test_a_secret_is_kept_listed_and_removed(online, tmp_path):
    """Its UUID is printed alone; it goes by its name or UUID."""
    path = tmp_path / "netrc"
    path.write_bytes(b"hunter22\xff")
    made = online.cli(*FILE[:3], str(path), "--path", ".netrc", "--name", "netrc", "--mode", "640")
    assert re.fullmatch(r"[0-9a-f-]{36}\n", made.stdout)
    other = online.cli(*FILE, input_text="hunter23").stdout.strip()
    listed = online.cli("secret", "list")
    assert re.search(r"plaintext_file +netrc +~/\.netrc 640 +20\d\d-\d\d-\d\d", listed.stdout)
    assert "hunter" not in listed.stdout
    found = json.loads(online.cli("secret", "list", "-o", "json").stdout)
    assert [one["uuid"] for one in found] == [made.stdout.strip(), other]
    assert "netrc is removed" in online.cli("secret", "remove", "netrc").stdout
    online.cli("secret", "remove", other)
    assert json.loads(online.cli("secret", "list", "-o", "json").stdout) == []
    gone = online.cli("secret", "remove", "netrc", check=False)
    assert (gone.returncode, "there is no secret netrc" in gone.stderr) == (4, True)


def test_a_secret_of_a_project_is_not_ones_own(online):
    """Each is kept by itself; both at once make no sense."""
    online.cli(*FILE, "--project", "hello", "--name", "netrc", input_text="hunter22")
    assert "netrc" in online.cli("secret", "list", "--project", "hello").stdout
    assert "netrc" not in online.cli("secret", "list").stdout
    both = online.cli("secret", "list", "--project", "hello", "--user", "admin", check=False)
    assert both.returncode == 2
    online.cli("secret", "remove", "netrc", "--project", "hello")
    nowhere = online.cli(*FILE, "--project", "nobody", input_text="hunter22", check=False)
    assert nowhere.returncode == 4


def test_faults_are_told_without_the_value(online):
    """Every one of them; a value that is too long is not read to its end."""
    done = online.cli(*FILE[:5], "/etc/x", "--name", "a", input_text="hunter22" * 9000, check=False)
    assert done.returncode == 2
    for field in ("name", "path", "value"):
        assert f"{field}: must" in done.stderr
    assert "hunter22" not in done.stdout + done.stderr


def test_another_key_is_made_while_a_server_runs(online):
    """What it keeps is read as before."""
    online.cli(*FILE, "--name", "netrc", input_text="hunter22")
    key = (online.data / "secret.key").read_bytes()
    said = online.cli("secret", "rotate-key").stdout
    assert re.fullmatch(r"[1-9]\d* stored secrets are sealed with the new key in .*\n", said)
    assert (online.data / "secret.key").read_bytes() != key
    manifest = online.data.parent / "recipe.yml"
    manifest.write_text(RECIPE.replace("test ! -e", "grep -c hunter"))
    assert online.cli("submit", str(manifest), "-f").returncode == 0
    manifest.write_text(RECIPE)
    assert online.cli("submit", str(manifest), "-f", "--no-secrets").returncode == 0
    online.cli("secret", "remove", "netrc")


def test_a_key_is_not_made_where_nothing_is(place, offline):
    """A mistyped place is said, and nothing is left there."""
    done = offline.cli("secret", "rotate-key", check=False)
    assert done.returncode == 4
    assert not (offline.data / "secret.key").exists()


def test_what_runs_without_a_server_has_no_secrets(offline, tmp_path):
    """And says so."""
    (tmp_path / ".build.yml").write_text(RECIPE)
    done = offline.cli("run", str(tmp_path))
    assert "none are given, as they are kept by a server" in done.stdout + done.stderr
