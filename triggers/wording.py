"""How mails say what became of a build, how long it took, and when."""

from datetime import datetime

from ciserver.model.status import BuildStatus, StepStatus

BROKEN = {
    BuildStatus.FAILED,
    BuildStatus.DEPENDENCY_FAILED,
    BuildStatus.TIMED_OUT,
    BuildStatus.ERRORED,
}
_WORDS: dict[str, str] = {
    BuildStatus.SUCCEEDED: "succeeded",
    BuildStatus.PARTIAL: "succeeded in part",
    BuildStatus.FAILED: "failed",
    BuildStatus.DEPENDENCY_FAILED: "blocked by a failed job",
    BuildStatus.TIMED_OUT: "timed out",
    BuildStatus.CANCELED: "canceled",
    BuildStatus.ERRORED: "hit a server fault",
}
_CROSS = "✗"
_MARKS: dict[str, str] = {
    StepStatus.SUCCEEDED: "✓",
    StepStatus.FAILED: _CROSS,
    StepStatus.LOST: _CROSS,
}


def word_of(status: str) -> str:
    return _WORDS.get(status, status)


def wording(status: str, previous_status: str) -> str:
    """The status as a person would say it who knows the one before."""
    if previous_status in BROKEN and BuildStatus(status).is_good:
        return "fixed"
    if previous_status in BROKEN and status in BROKEN:
        return "still failing"
    return word_of(status)


def mark_of(step_status: str) -> str:
    return _MARKS.get(step_status, "-")


def in_words(seconds: float) -> str:
    """A duration in at most two units: 12 s, 3 min 5 s, 2 h 3 min."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def readable(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M} UTC" if moment else ""
