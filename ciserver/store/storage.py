"""How many bytes each project keeps: a row each, kept true by the transactions that add and remove.

Each product counts, also where another has the same content. Caches have a quota of their own.
"""

import peewee

from ciserver.model.storage import Kept, ProjectStorage
from ciserver.store import tables as t
from ciserver.store.database import Database

_CHARGE = """
INSERT INTO storage (project_id, products, logs)
SELECT j.project_id, ?, ? FROM builds b JOIN jobsets j ON j.id = b.jobset_id WHERE b.id = ?
ON CONFLICT (project_id) DO UPDATE SET
    products = storage.products + excluded.products, logs = storage.logs + excluded.logs"""
_FULL = """
SELECT p.name, s.products, s.logs, s.quota_mb, COALESCE(s.quota_mb, ?) FROM storage s
JOIN projects p ON p.id = s.project_id
WHERE COALESCE(s.quota_mb, ?) > 0 AND s.products + s.logs >= COALESCE(s.quota_mb, ?) * 1048576
ORDER BY p.name"""
_COUNTED = """
SELECT p.name, s.products, s.logs,
    (SELECT COALESCE(SUM(o.size), 0) FROM products o JOIN builds b ON b.id = o.build_id
        JOIN jobsets j ON j.id = b.jobset_id
        WHERE j.project_id = s.project_id AND o.removed_at IS NULL),
    (SELECT COALESCE(SUM(a.log_bytes), 0) FROM attempts a JOIN builds b ON b.id = a.build_id
        JOIN jobsets j ON j.id = b.jobset_id WHERE j.project_id = s.project_id)
FROM storage s JOIN projects p ON p.id = s.project_id ORDER BY p.name"""


def charge(database: Database, build_id: int, *, products: int = 0, logs: int = 0) -> None:
    """So many bytes more are kept of a build, or less; to the account of its project."""
    if products or logs:
        database.sql(_CHARGE, (products, logs, build_id))


class Storage:
    def __init__(self, database: Database) -> None:
        self._db = database

    def of_project(self, project_id: int) -> Kept:
        row = self._db.row(t.Storage.select().where(t.Storage.project == project_id))
        return Kept(row["products"], row["logs"], row["quota_mb"]) if row else Kept()

    def set_quota(self, project_id: int, quota_mb: int | None) -> None:
        """In MiB; 0: no limit, None: the server's."""
        self._db.insert(
            t.Storage.insert(project=project_id, quota_mb=quota_mb)
            .on_conflict(conflict_target=[t.Storage.project], update={t.Storage.quota_mb: quota_mb})
            .as_rowcount()
        )

    def totals(self) -> Kept:
        """Of all projects."""
        mine, total = t.Storage, peewee.fn.SUM
        row = self._db.row(
            mine.select(total(mine.products).alias("p"), total(mine.logs).alias("l"))
        )
        return Kept(int(row["p"] or 0), int(row["l"] or 0)) if row else Kept()

    def list_full(self, quota_mb: int) -> tuple[ProjectStorage, ...]:
        """Projects that keep as much as they may, where `quota_mb` is the server's quota."""
        rows = self._db.sql(_FULL, (quota_mb,) * 3).fetchall()
        return tuple(
            ProjectStorage(name, Kept(products, logs, own), quota)
            for name, products, logs, own, quota in rows
        )

    def list_wrong(self) -> tuple[str, ...]:
        """Names of projects whose row does not tell what all of their products and logs come to.
        Looks at every one: not for requests.
        """
        rows = self._db.sql(_COUNTED).fetchall()
        return tuple(name for name, *told, products, logs in rows if told != [products, logs])
