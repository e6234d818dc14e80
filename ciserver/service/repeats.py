"""Evaluations of what was evaluated before: an earlier one stands for such a one as a whole, and
no recipe is read.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256

from ciserver import __version__
from ciserver.model.evaluation import NO_WISH, Evaluation
from ciserver.model.mail import entries_of
from ciserver.model.project import Jobset
from ciserver.recipe import keys
from ciserver.recipe.selection import recipe_globs
from ciserver.service.building import Planned, WrittenJob, may_reuse
from ciserver.service.pinning import Pinned
from ciserver.service.recipe_reading import Read
from ciserver.store.repeats import Earlier
from ciserver.store.store import Store

# Raised when the same recipes shall come to other jobs than before.
_VERSION = 1


class Repeats:
    """`server` is what the settings of the server say of how recipes are read and what their jobs
    may do; `image_id` is as for `Building`.
    """

    def __init__(
        self, store: Store, *, image_id: Callable[[str], str], server: tuple[object, ...]
    ) -> None:
        self._store = store
        self._image_id = image_id
        self._server = server

    def key(self, jobset: Jobset, evaluation: Evaluation, pinned: Pinned) -> str:
        """SHA-256, in hexadecimal, over all that says which jobs an evaluation has and what they
        mean, but for what images stand for. Empty where no earlier one may stand for it: where
        earlier results may not, or people are told of each.
        """
        is_told = entries_of(jobset.settings.mail_to)
        if is_told or evaluation.wish != NO_WISH or not may_reuse(jobset, evaluation):
            return ""
        pushed, others = pinned.input, pinned.others
        meaning = {
            "version": (_VERSION, keys.VERSION, __version__),
            "server": self._server,
            "kind": evaluation.kind,
            "ref": evaluation.ref,
            "trust": evaluation.trust,
            "strategy": jobset.pgo_strategy,
            "recipes": recipe_globs(evaluation.options, jobset.recipe_path),
            # No job looks at the commit that was pushed, only at its content; `paths` of a job
            # are those of whatever is at that commit.
            "pushed": (pushed.name, pushed.type, pushed.uri),
            "trees": pinned.mirror.content_ids(pushed.revision),
            "others": [(asdict(one), one.revision == pushed.revision) for one in others],
        }
        return sha256(json.dumps(meaning, sort_keys=True).encode("ascii")).hexdigest()

    def find(self, jobset: Jobset, key: str) -> Earlier | None:
        """The evaluation that may stand for one with this key, if its builds do."""
        earlier = self._store.repeats.newest(jobset.id, key) if key else None
        if earlier and all(self._image_id(name) == one for name, one in earlier.images.items()):
            return earlier
        return None

    def write(self, evaluation: Evaluation, earlier: Earlier) -> bool:
        """Give the evaluation what it would come to, within the caller's transaction; False, and
        nothing is written, where some job has to be built.
        """
        if not self._store.repeats.reuse(evaluation, earlier):
            return False
        self._store.evaluations.count_builds(
            evaluation.id, total=earlier.builds, finished=earlier.builds, good=earlier.builds
        )
        self._store.repeats.remember(evaluation.id, earlier.key, earlier.images)
        return True

    def remember(self, evaluation: Evaluation, key: str, read: Read, plan: Planned) -> None:
        """Let an evaluation that was read and planned stand for later ones with its key, if they
        would come to the same.
        """
        if key and not plan.is_moving and _is_lasting(read) and not any(map(_is_each, plan.jobs)):
            self._store.repeats.remember(evaluation.id, key, plan.images)


def _is_lasting(read: Read) -> bool:
    """Whether the same files say the same of every push, and only what their jobs are."""
    depends = any(one.job.changed_paths for one in read.jobs)
    return not (read.is_momentary or read.broken or read.schedules or depends)


def _is_each(written: WrittenJob) -> bool:
    """Whether a job is to be looked at in each evaluation: built, or told of."""
    job = written.job
    return bool(job.always or job.triggers or job.maintainers)
