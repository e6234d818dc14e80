"""Copr's words for the states of builds and tasks, and for yes and no."""

from collections.abc import Iterable

from ciserver.model.build import Build
from ciserver.model.status import BuildStatus

CANCELED = "canceled"
STATE: dict[BuildStatus, str] = {
    BuildStatus.PREPARING: "importing",
    BuildStatus.HELD: "pending",
    BuildStatus.QUEUED: "pending",
    BuildStatus.STARTING: "starting",
    BuildStatus.RUNNING: "running",
    BuildStatus.CANCELING: "running",
    BuildStatus.SUCCEEDED: "succeeded",
    BuildStatus.PARTIAL: "succeeded",
    BuildStatus.FAILED: "failed",
    BuildStatus.DEPENDENCY_FAILED: "failed",
    BuildStatus.TIMED_OUT: "failed",
    BuildStatus.CANCELED: "canceled",
    BuildStatus.ERRORED: "failed",
}
# Words that clients may ask for and that nothing is ever in.
_NEVER = ("skipped", "forked", "waiting", "unknown")
# Which builds a word asks for.
WANTED: dict[str, frozenset[BuildStatus]] = {
    word: frozenset(status for status, said in STATE.items() if said == word)
    for word in (*dict.fromkeys(STATE.values()), *_NEVER)
}
# A build is in the first of these that one of its tasks is in.
_FIRST = ("importing", "running", "starting", "pending", "canceled", "failed", "succeeded")

TRUE, FALSE = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})


def state_of(tasks: Iterable[Build]) -> str:
    """The state of a Copr build. It is canceled as soon as that was asked for, while the last of
    its tasks may still be running.
    """
    states = {
        "canceled" if one.status is BuildStatus.CANCELING else STATE[one.status] for one in tasks
    }
    return next(word for word in _FIRST if word in states)
