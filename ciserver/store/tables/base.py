"""What every table is."""

from typing import Any

import peewee as p


class Table(p.Model):
    class Meta:
        legacy_table_names = False


def within(table: Any, **options: Any) -> Any:
    """A reference without an index of its own: a wider index begins with it, or nobody asks."""
    return p.ForeignKeyField(table, index=False, **options)
