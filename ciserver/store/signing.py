"""The Ed25519 keys that webhooks are signed with. They live in a file beside the database."""

import os
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path
from threading import Lock

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ciserver.model.delivery import SigningKey
from ciserver.model.errors import BadConfiguration, Conflict, NotFound

KEY_FILE = "webhook.key"  # in the data directory


class SigningKeys:
    """The file (mode 0600) holds one private key a line, base64 of its 32 bytes; the first one
    signs. It is made when a key is first needed, and read each time: another process may change it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changing = Lock()

    def sign(self, message: bytes) -> bytes:
        return self._load()[0].sign(message)

    def list_all(self) -> tuple[SigningKey, ...]:
        """The public parts of all keys, the one that signs first."""
        return tuple(_shown(key, signs=number == 0) for number, key in enumerate(self._load()))

    def add(self) -> SigningKey:
        """Make a key that is known and signs nothing yet."""
        with self._changing:
            fresh = Ed25519PrivateKey.generate()
            self._write([*self._load(), fresh])
        return _shown(fresh, signs=False)

    def use(self, key_id: str) -> SigningKey:
        """Sign with this key from now on; those before stay known. Raises NotFound."""
        with self._changing:
            chosen, others = self._pick(key_id)
            self._write([chosen, *others])
        return _shown(chosen, signs=True)

    def remove(self, key_id: str) -> SigningKey:
        """Forget a key. Raises NotFound, and Conflict for the one that signs."""
        with self._changing:
            if self.list_all()[0].id == key_id:
                raise Conflict(
                    f"webhooks are signed with the key {key_id}", hint="use another one first"
                )
            chosen, others = self._pick(key_id)
            self._write(others)
        return _shown(chosen, signs=False)

    def _pick(self, key_id: str) -> tuple[Ed25519PrivateKey, list[Ed25519PrivateKey]]:
        keys = self._load()
        for key in keys:
            if _id(key) == key_id:
                return key, [one for one in keys if one is not key]
        raise NotFound(f"there is no webhook key {key_id}", hint="see: ciserver hook key list")

    def _load(self) -> list[Ed25519PrivateKey]:
        if not self._path.exists():
            self._make()
        try:
            lines = self._path.read_bytes().split()
            keys = [Ed25519PrivateKey.from_private_bytes(b64decode(one)) for one in lines]
        except (ValueError, OSError) as error:
            raise self._broken(str(error)) from error
        if not keys:
            raise self._broken("it is empty")
        return keys

    def _broken(self, why: str) -> BadConfiguration:
        return BadConfiguration(
            f"the key file {self._path} cannot be used: {why}",
            hint="restore it, or remove it and give receivers the new public key",
        )

    def _make(self) -> None:
        """A whole file appears, or somebody else's is there already."""
        making = self._new_file([Ed25519PrivateKey.generate()])
        try:
            os.link(making, self._path)
        except FileExistsError:
            pass
        finally:
            making.unlink()

    def _write(self, keys: list[Ed25519PrivateKey]) -> None:
        self._new_file(keys).replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _new_file(self, keys: list[Ed25519PrivateKey]) -> Path:
        path = self._path.with_name(f"{self._path.name}.{os.urandom(8).hex()}")
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.writelines(b64encode(one.private_bytes_raw()) + b"\n" for one in keys)
            file.flush()
            os.fsync(file.fileno())
        return path


def _id(key: Ed25519PrivateKey) -> str:
    return sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]


def _shown(key: Ed25519PrivateKey, *, signs: bool) -> SigningKey:
    public = b64encode(key.public_key().public_bytes_raw()).decode()
    return SigningKey(_id(key), public, signs=signs)
