"""Sealed secrets and the key file."""

import stat

import pytest
from cryptography.fernet import Fernet

from ciserver.model.errors import BadConfiguration
from ciserver.store.seal import Seal


@pytest.fixture
def key(tmp_path):
    return tmp_path / "secret.key"


def test_what_is_sealed_can_be_opened(key):
    """The secret comes back, and does not show in what is stored."""
    sealed = Seal(key).close("hünter2")
    assert b"nter2" not in sealed
    assert Seal(key).open(sealed) == "hünter2"


def test_the_key_file_is_private(key):
    """Made once, for the owner only."""
    Seal(key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    Seal(key)
    assert key.read_bytes() == before


def test_a_wrong_key_is_said(key, tmp_path):
    """The error names the file and what to do; it does not show the secret."""
    sealed = Seal(tmp_path / "other.key").close("secret")
    with pytest.raises(BadConfiguration, match="cannot be opened") as raised:
        Seal(key).open(sealed)
    assert str(key) in raised.value.message
    assert "restore" in raised.value.hint


def test_keys_can_be_changed(key):
    """A new key in front seals; what the old one sealed still opens."""
    old = Seal(key).close("old")
    fresh = Fernet.generate_key()
    key.write_bytes(fresh + b"\n" + key.read_bytes())
    changed = Seal(key)
    assert changed.open(old) == "old"
    assert Fernet(fresh).decrypt(changed.close("new")) == b"new"


@pytest.mark.parametrize("content", [b"", b"\n", b"not a key\n", b"QUJD\n"])
def test_a_broken_key_file_is_said(key, content):
    """An empty or damaged file is named, not shown as a fault of the program."""
    key.write_bytes(content)
    with pytest.raises(BadConfiguration, match=r"secret\.key"):
        Seal(key)
