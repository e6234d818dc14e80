"""Sealing all that is stored anew, with a new key.

The new key comes first and the old one goes last, so whenever this is killed everything can be
opened, and the next run goes on. It may run beside a server: what that seals once the new key is
there is sealed with it, because both write within transactions, and these come one after the other.
"""

from collections.abc import Iterator
from typing import Any

from ciserver.store import tables as t
from ciserver.store.database import Database
from ciserver.store.seal import Seal

# Every column that holds something sealed.
SEALED = (
    t.Project.signing_secret,
    t.HookSecret.sealed,
    t.Input.credential,
    t.Secret.sealed,
    t.Key.sealed,
)
_AT_ONCE = 200


class Resealing:
    def __init__(self, database: Database, seal: Seal) -> None:
        self._db = database
        self._seal = seal

    def run(self, *, at_once: int = _AT_ONCE) -> Iterator[int]:
        """Gives how many were sealed anew, batch by batch. Raises BadConfiguration for what no key
        opens: nothing is lost then, and all keys stay.
        """
        with self._db.transaction():
            self._seal.begin_change()
        for column in SEALED:
            yield from self._reseal(column, at_once)
        self._seal.end_change()

    def _reseal(self, column: Any, at_once: int) -> Iterator[int]:
        last = 0
        while True:
            with self._db.transaction():
                rows = self._batch(column, last, at_once)
                renewed = sum(self._renew(column, row) for row in rows)
            yield renewed
            if len(rows) < at_once:
                return
            last = rows[-1]["id"]

    def _batch(self, column: Any, last: int, at_once: int) -> list[dict[str, Any]]:
        table = column.model
        return self._db.rows(
            table.select(table.id, column.alias("sealed"))
            .where(table.id > last, column.is_null(is_null=False))
            .order_by(table.id)
            .limit(at_once)
        )

    def _renew(self, column: Any, row: dict[str, Any]) -> bool:
        renewed = self._seal.renewed(row["sealed"])
        if renewed is None:
            return False
        table = column.model
        self._db.change(table.update({column: renewed}).where(table.id == row["id"]))
        return True
