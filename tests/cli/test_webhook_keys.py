"""The keys of webhooks, by command."""

import json

import pytest

pytestmark = pytest.mark.e2e


def test_another_key(online):
    """Added, told to receivers, used, and the old one removed: from then on it is the only one."""
    (old,) = json.loads(online.cli("hook", "key", "list", "-o", "json").stdout)["keys"]
    made, public = online.cli("hook", "key", "add").stdout.split()
    header, first, second = online.cli("hook", "key", "list").stdout.splitlines()
    assert header.split() == ["ID", "PUBLIC", "KEY", "SIGNS"]
    assert first.split() == [old["id"], old["public_key"], "yes"]
    assert second.split() == [made, public]
    assert made in online.cli("hook", "key", "use", made).stdout
    assert old["id"] in online.cli("hook", "key", "remove", old["id"]).stdout
    (left,) = json.loads(online.cli("hook", "key", "list", "-o", "json").stdout)["keys"]
    assert left == {"id": made, "public_key": public, "signs": True}
    assert f"signed with the key {made}: {public}" in online.cli("doctor").stdout


def test_what_is_refused(online):
    """The key that signs stays, and one that is not there is said to be missing."""
    (signing,) = json.loads(online.cli("hook", "key", "list", "-o", "json").stdout)["keys"]
    refused = online.cli("hook", "key", "remove", signing["id"], check=False)
    assert refused.returncode != 0
    assert "use another one first" in refused.stderr
    missing = online.cli("hook", "key", "use", "0123456789abcdef", check=False)
    assert missing.returncode == 4
    assert "no webhook key 0123456789abcdef" in missing.stderr


def test_a_key_that_others_may_read(offline):
    """Is told by the doctor."""
    offline.cli("hook", "key", "list")
    (offline.data / "webhook.key").chmod(0o644)
    told = json.loads(offline.cli("doctor", "-o", "json", check=False).stdout)
    bad = [one["what"] for one in told["findings"] if one["level"] == "bad"]
    assert any("others may read" in one and "webhook.key" in one for one in bad)
