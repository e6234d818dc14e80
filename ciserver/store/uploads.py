"""Which builds the files were sent in for that are kept as uploads."""

from collections.abc import Iterable

from ciserver.store import tables as t
from ciserver.store.database import Database

# By name, so that each look is short however many there are.
_NEXT = """
SELECT u.name, j.removed = 0 AND p.removed = 0 AND EXISTS (
    SELECT 1 FROM builds b WHERE b.evaluation_id = e.id AND b.deleted = 0)
FROM uploads u
JOIN evaluations e ON e.id = u.evaluation_id
JOIN jobsets j ON j.id = e.jobset_id
JOIN projects p ON p.id = j.project_id
WHERE u.name > ? ORDER BY u.name LIMIT ?"""


class Uploads:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, name: str, evaluation_id: int) -> None:
        """A file that was sent in for the builds of an evaluation."""
        self._db.insert(t.Upload.insert(name=name, evaluation=evaluation_id).as_rowcount())

    def list_after(self, name: str, limit: int) -> list[tuple[str, bool]]:
        """The files after this one by name, and whether each is needed: by a build that was not
        deleted, of a jobset that was not removed.
        """
        rows = self._db.sql(_NEXT, (name, limit)).fetchall()
        return [(row[0], bool(row[1])) for row in rows]

    def known(self, names: Iterable[str]) -> frozenset[str]:
        """Those of these that were sent in for builds."""
        query = t.Upload.select(t.Upload.name).where(t.Upload.name << list(names))
        return frozenset(row["name"] for row in self._db.rows(query))

    def forget(self, names: Iterable[str]) -> None:
        self._db.change(t.Upload.delete().where(t.Upload.name << list(names)))
