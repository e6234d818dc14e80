"""Why a queued build may not be claimed yet: the builds it needs, and its concurrency group.

The reason stands in the row, so that a claim never looks anything up: it is written when the build
comes into the queue, and again by the event that may free it.
"""

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter

from ciserver.store.database import Database, in_pieces, marks
from ciserver.store.lanes import Lanes

# What `waiting` says. Between coming into the queue and being looked at, a build is arriving.
ARRIVING, NEEDS, GROUP = "arriving", "needs", "group"
_GOOD = "('succeeded', 'partial')"
_UNMET = f"""
SELECT 1 FROM needs n JOIN builds b ON b.id = n.needed_id
WHERE n.build_id = ? AND b.status NOT IN {_GOOD} LIMIT 1"""
# Of a group one build at a time is beyond the gate, whether it runs or may.
_BEYOND = """
SELECT 1 FROM builds INDEXED BY builds_grouped
WHERE concurrency = ? AND concurrency != '' AND finished_at IS NULL AND id != ?
AND (status IN ('starting', 'running', 'canceling') OR (status = 'queued' AND waiting = ''))
LIMIT 1"""
_NEXT = f"""
SELECT id FROM builds INDEXED BY builds_grouped
WHERE concurrency = ? AND concurrency != '' AND finished_at IS NULL
AND status = 'queued' AND waiting = '{GROUP}' ORDER BY priority DESC, id LIMIT 1"""


class Gates:
    def __init__(self, database: Database, lanes: Lanes) -> None:
        self._db = database
        self._lanes = lanes

    def add_needs(self, needs: Iterable[tuple[int, int]]) -> None:
        """Pairs of a build and one that it needs."""
        self._db.sql_of_rows(
            *("INSERT INTO needs (build_id, needed_id)", "(?, ?)"), needs, "ON CONFLICT DO NOTHING"
        )

    def admit(self, build_id: int) -> bool:
        """Look at a queued build that waits, and write down why it still does; True when it may be
        claimed from now on.
        """
        row = self._db.sql(
            "SELECT lane_id, priority, concurrency FROM builds"
            " WHERE id = ? AND status = 'queued' AND waiting != ''",
            (build_id,),
        ).fetchone()
        if row is None:
            return False
        lane, priority, concurrency = row
        waiting = self._waiting(build_id, concurrency)
        self._db.sql("UPDATE builds SET waiting = ? WHERE id = ?", (waiting, build_id))
        if not waiting:
            self._lanes.count_ready(lane, priority, 1)
        return not waiting

    def _waiting(self, build_id: int, concurrency: str) -> str:
        if self._db.sql(_UNMET, (build_id,)).fetchone():
            return NEEDS
        if concurrency and self._db.sql(_BEYOND, (concurrency, build_id)).fetchone():
            return GROUP
        return ""

    def needed(self, build_id: int) -> list[int]:
        """The builds that this one needs."""
        rows = self._db.sql(
            "SELECT needed_id FROM needs WHERE build_id = ? ORDER BY needed_id", (build_id,)
        )
        return [row[0] for row in rows.fetchall()]

    def needs_of_evaluation(self, evaluation_id: int) -> dict[int, tuple[int, ...]]:
        """For each build of an evaluation that needs others: which."""
        rows = self._db.sql(
            "SELECT n.build_id, n.needed_id FROM builds b JOIN needs n ON n.build_id = b.id"
            " WHERE b.evaluation_id = ? ORDER BY n.build_id, n.needed_id",
            (evaluation_id,),
        )
        return {
            build_id: tuple(needed for _, needed in pairs)
            for build_id, pairs in groupby(rows.fetchall(), itemgetter(0))
        }

    def dependents(self, build_id: int) -> list[int]:
        """The builds that need this one."""
        return self.all_dependents([build_id]).get(build_id, [])

    def all_dependents(self, build_ids: Iterable[int]) -> dict[int, list[int]]:
        """For each of the builds that others need: which do."""
        found: dict[int, list[int]] = {}
        for some in in_pieces(build_ids):
            rows = self._db.sql(
                "SELECT needed_id, build_id FROM needs"
                f" WHERE needed_id IN ({marks(some)}) ORDER BY needed_id, build_id",
                some,
            )
            for needed, build_id in rows.fetchall():
                found.setdefault(needed, []).append(build_id)
        return found

    def admit_next(self, concurrency: str) -> bool:
        """A build of the group ended: the best one that waited for that may be claimed."""
        if not concurrency or self._db.sql(_BEYOND, (concurrency, 0)).fetchone():
            return False
        row = self._db.sql(_NEXT, (concurrency,)).fetchone()
        return row is not None and self.admit(row[0])

    def list_open(self, concurrency: str) -> list[tuple[int, bool]]:
        """The builds of a group that have not ended, and whether each waits."""
        rows = self._db.sql(
            "SELECT id, status IN ('preparing', 'held', 'queued') FROM builds"
            " INDEXED BY builds_grouped"
            " WHERE concurrency = ? AND concurrency != '' AND finished_at IS NULL ORDER BY id",
            (concurrency,),
        )
        return [(row[0], bool(row[1])) for row in rows.fetchall()]

    def blockers(self, build_ids: Iterable[int]) -> dict[int, list[tuple[int, str, str]]]:
        """For each build: the builds it needs that have not succeeded, as (id, job, status)."""
        wanted = list(build_ids)
        if not wanted:
            return {}
        rows = self._db.sql(
            "SELECT n.build_id, b.id, b.job, b.status FROM needs n"
            " JOIN builds b ON b.id = n.needed_id"
            f" WHERE n.build_id IN ({marks(wanted)}) AND b.status NOT IN {_GOOD} ORDER BY b.id",
            wanted,
        )
        found: dict[int, list[tuple[int, str, str]]] = {}
        for build_id, *blocker in rows.fetchall():
            found.setdefault(build_id, []).append((blocker[0], blocker[1], blocker[2]))
        return found
