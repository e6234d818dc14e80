"""Evaluations that stand for later ones of the same, with all that they came to."""

import json
from collections.abc import Mapping

from ciserver.model.evaluation import Evaluation, SkippedJob
from ciserver.model.frozen import frozen
from ciserver.store.database import Database

_NEWEST = """
SELECT id, images, skipped, builds_total FROM evaluations
WHERE jobset_id = ? AND key = ? AND key != '' ORDER BY id DESC LIMIT 1"""
# The builds of an evaluation and those that stand for its jobs, where they are what
# `Listings.reusable` finds: still the newest successes of their content.
_REUSE = """
INSERT INTO reuses (evaluation_id, build_id)
SELECT CAST(? AS INTEGER), one.id FROM (
    SELECT id, key, status, trust, deleted FROM builds WHERE evaluation_id = ? UNION ALL
    SELECT b.id, b.key, b.status, b.trust, b.deleted FROM reuses JOIN builds b
    ON b.id = reuses.build_id WHERE reuses.evaluation_id = ?) AS one
WHERE one.key != '' AND one.status = 'succeeded' AND one.trust = ? AND one.deleted = 0
    AND NOT EXISTS (SELECT 1 FROM builds WHERE jobset_id = ? AND key = one.key AND key != ''
        AND id > one.id AND status = 'succeeded' AND trust = one.trust AND deleted = 0)"""


@frozen
class Earlier:
    """An evaluation with a key: what the images of its jobs stood for, and what it came to."""

    id: int
    key: str
    images: Mapping[str, str]
    skipped: tuple[SkippedJob, ...]
    builds: int


class Repeats:
    def __init__(self, database: Database) -> None:
        self._db = database

    def newest(self, jobset_id: int, key: str) -> Earlier | None:
        """The newest evaluation of the jobset with the key."""
        found = self._db.sql(_NEWEST, (jobset_id, key)).fetchone()
        if found is None:
            return None
        number, images, skipped, builds = found
        left_out = tuple(SkippedJob(**one) for one in json.loads(skipped))
        return Earlier(number, key, json.loads(images), left_out, builds)

    def remember(self, evaluation_id: int, key: str, images: Mapping[str, str]) -> None:
        """Let it stand for later ones with the key, while the images stand for the same."""
        self._db.sql(
            "UPDATE evaluations SET key = ?, images = ? WHERE id = ?",
            (key, json.dumps(dict(images)), evaluation_id),
        )

    def reuse(self, evaluation: Evaluation, earlier: Earlier) -> bool:
        """Let the builds of the earlier evaluation stand for all jobs of this one. False, and
        nothing is written, where others would, or none for some.
        """
        mine, known = evaluation.id, earlier.id
        about = (mine, known, known, evaluation.trust.value, evaluation.jobset_id)
        if self._db.sql(_REUSE, about).rowcount == earlier.builds:
            return True
        self._db.sql("DELETE FROM reuses WHERE evaluation_id = ?", (mine,))
        return False
