"""The keys of webhooks: made once, private, changed in steps that lose nothing."""

import base64
import stat
import threading
from functools import partial

import pytest
from support import signatures

from ciserver.model.errors import BadConfiguration, Conflict, NotFound
from ciserver.store.signing import SigningKeys


@pytest.fixture
def path(tmp_path):
    return tmp_path / "webhook.key"


@pytest.fixture
def is_signed(tmp_path):
    return partial(signatures.is_signed, tmp_path)


def test_signed_with_the_first_key(path, is_signed):
    """Whoever has the public key can tell what we signed from what we did not."""
    keys = SigningKeys(path)
    (known,) = keys.list_all()
    signature = keys.sign(b"a message")
    assert (len(base64.b64decode(known.public_key)), len(signature)) == (32, 64)
    assert is_signed(known.public_key, b"a message", signature)
    assert not is_signed(known.public_key, b"a massage", signature)


def test_made_once_for_the_owner_only(path):
    """Every later start finds the same key, which nobody else may read."""
    known = SigningKeys(path).list_all()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SigningKeys(path).list_all() == known
    assert [one.name for one in path.parent.iterdir()] == ["webhook.key"]


def test_made_by_many_at_once(path):
    """One of them makes it, and all have it."""
    found, begin = [], threading.Barrier(8)

    def look():
        begin.wait()
        found.append(SigningKeys(path).list_all())

    threads = [threading.Thread(target=look) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_another_key(path, is_signed):
    """It is known before it signs, and the old one is known until it is removed."""
    keys = SigningKeys(path)
    (old,) = keys.list_all()
    fresh = keys.add()
    assert [(one.id, one.signs) for one in keys.list_all()] == [(old.id, True), (fresh.id, False)]
    assert is_signed(old.public_key, b"x", SigningKeys(path).sign(b"x"))
    keys.use(fresh.id)
    assert [(one.id, one.signs) for one in keys.list_all()] == [(fresh.id, True), (old.id, False)]
    assert is_signed(fresh.public_key, b"x", SigningKeys(path).sign(b"x"))
    with pytest.raises(Conflict, match="signed with"):
        keys.remove(fresh.id)
    keys.remove(old.id)
    assert [one.id for one in keys.list_all()] == [fresh.id]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for change in (keys.use, keys.remove):
        with pytest.raises(NotFound, match=old.id):
            change(old.id)


@pytest.mark.parametrize("content", [b"", b"\n", b"not a key\n", b"QUJD\n"])
def test_a_broken_key_file_is_said(path, content):
    """It is named, and neither replaced nor shown."""
    path.write_bytes(content)
    with pytest.raises(BadConfiguration, match=r"webhook\.key") as refused:
        SigningKeys(path).sign(b"x")
    assert "not a key" not in refused.value.message
    assert path.read_bytes() == content
