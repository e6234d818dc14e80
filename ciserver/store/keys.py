"""What all servers of a database must have alike and nobody may know. Rows hold it sealed."""

from collections.abc import Callable

from ciserver.store import tables as t
from ciserver.store.database import Database
from ciserver.store.seal import Seal


class Keys:
    def __init__(self, database: Database, seal: Seal) -> None:
        self._db = database
        self._seal = seal

    def find(self, name: str) -> bytes | None:
        """Raises BadConfiguration for one that the key file does not open."""
        row = self._db.row(t.Key.select(t.Key.sealed).where(t.Key.name == name))
        return bytes.fromhex(self._seal.open(row["sealed"])) if row else None

    def put(self, name: str, key: bytes) -> None:
        """In the place of what was there."""
        self._db.change(t.Key.delete().where(t.Key.name == name))
        self._db.insert(t.Key.insert(name=name, sealed=self._seal.close(key.hex())))

    def get(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Made by whoever asks first. Raises BadConfiguration for one that the key file does not
        open.
        """
        found = self.find(name)
        if found is None:
            with self._db.transaction():
                found = self.find(name)
                if found is None:
                    found = make()
                    self.put(name, found)
        return found
