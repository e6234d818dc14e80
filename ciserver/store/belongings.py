"""What a build may have beside itself, asked in one statement: most builds have little of it."""

from enum import StrEnum

from ciserver.store.database import Database


class Belonging(StrEnum):
    """The value is the table and the column that names the build."""

    ATTEMPTS = "attempts.build_id"
    LABEL = "labels.build_id"
    PRODUCTS = "products.build_id"
    OUTPUT = "build_outputs.build_id"
    REPORTS = "reports.build_id"
    DELIVERIES = "deliveries.build_id"
    NEEDS = "needs.build_id"
    DEPENDENTS = "needs.needed_id"


_LOOKS = (
    f"EXISTS (SELECT 1 FROM {one.partition('.')[0]} WHERE {one.partition('.')[2]} = ?)"  # noqa: S608  our own words
    for one in Belonging
)
_QUESTION = f"SELECT {', '.join(_LOOKS)}"


def belongings(database: Database, build_id: int) -> frozenset[Belonging]:
    """Which of them a build has, of whatever attempt."""
    row = database.sql(_QUESTION, [build_id] * len(Belonging)).fetchone()
    return frozenset(one for one, is_there in zip(Belonging, row, strict=True) if is_there)
