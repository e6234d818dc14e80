"""Lanes: queued builds that only differ in age and priority stand in one, and are counted."""

import math
from collections.abc import Iterable
from datetime import datetime

from ciserver.store.database import Database

_HALF_LIFE_SECONDS = 24 * 3600.0
_USUAL_SHARES = 100
_COUNT = """
INSERT INTO ready (lane_id, priority, builds, share_rank, head)
SELECT l.id, ?, ?, j.share_rank, (
    SELECT id FROM builds INDEXED BY builds_claimable
    WHERE lane_id = l.id AND priority = ? AND status = 'queued' AND waiting = ''
    ORDER BY id LIMIT 1)
FROM lanes l JOIN jobsets j ON j.id = l.jobset_id WHERE l.id = ?
ON CONFLICT (lane_id, priority)
DO UPDATE SET builds = ready.builds + excluded.builds, head = excluded.head
RETURNING head"""


def label_text(labels: Iterable[str]) -> str:
    """Labels as rows have them: each between commas of its own, in one order."""
    return "".join(f",{one}," for one in sorted(set(labels)))


def labels_of(text: str) -> tuple[str, ...]:
    """What `label_text` made this text of."""
    return tuple(filter(None, text.split(",")))


class Lanes:
    def __init__(self, database: Database) -> None:
        self._db = database
        self._known: dict[tuple[int, str, str, str, str], int] = {}

    def get(self, jobset_id: int, system: str, image: str, trust: str, runs_on: str) -> int:
        """The lane of such builds, made when it is first asked for."""
        key = (jobset_id, system, image, trust, runs_on)
        if key not in self._known:
            self._db.sql(
                "INSERT INTO lanes (jobset_id, system, image, trust, runs_on)"
                " VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (jobset_id, system, image, trust, runs_on) DO NOTHING",
                key,
            )
            (lane,) = self._db.sql(
                "SELECT id FROM lanes WHERE jobset_id = ? AND system = ? AND image = ?"
                " AND trust = ? AND runs_on = ?",
                key,
            ).fetchone()
            # Remembered only once it is durable: a rolled back lane must not be believed in.
            self._db.after_commit(lambda: self._known.__setitem__(key, lane))
            return int(lane)
        return self._known[key]

    def count_ready(self, lane: int, priority: int, builds: int) -> None:
        """So many more, or fewer, builds of the lane may be claimed at this priority, as their rows
        say already.
        """
        (head,) = self._db.sql(_COUNT, (priority, builds, priority, lane)).fetchone()
        if head is None:
            self._db.sql("DELETE FROM ready WHERE lane_id = ? AND priority = ?", (lane, priority))

    def charge(self, jobset_id: int, seconds: float, now: datetime) -> None:
        """Add build seconds to a jobset's use, fewer to one with more shares. The rank is a
        logarithm that grows with time by what the use decays, so that values stored at different
        times compare.
        """
        age = now.timestamp() / _HALF_LIFE_SECONDS
        lock = " FOR UPDATE" if self._db.locks_rows else ""
        rank, shares = self._db.sql(
            f"SELECT share_rank, shares FROM jobsets WHERE id = ?{lock}", (jobset_id,)
        ).fetchone()
        # A clock that was set back by years must not overflow.
        used = seconds * _USUAL_SHARES / max(1, shares)
        rank = math.log2(2.0 ** min(rank - age, 1000.0) + used) + age
        self._db.sql("UPDATE jobsets SET share_rank = ? WHERE id = ?", (rank, jobset_id))
        self._db.sql(
            "UPDATE ready SET share_rank = ?"
            " WHERE lane_id IN (SELECT id FROM lanes WHERE jobset_id = ?)",
            (rank, jobset_id),
        )
