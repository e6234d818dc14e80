"""What has happened, in the past tense, as triggers are told of it.

An event is a frozen value that says everything a trigger may need, so that a delivery made hours
later still tells what was true then. `to_json` and `from_json` are exact inverses: events wait in
the outbox as text.
"""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from ciserver.model.frozen import frozen
from ciserver.model.status import BuildStatus


@frozen
class StepSummary:
    name: str
    status: str
    log_url: str


@frozen
class Beside:
    """Another build that ended of the same cause."""

    build_id: int
    job: str
    system: str
    status: str
    url: str


@frozen
class BuildFinished:
    """One attempt of a build reached its end."""

    build_id: int
    attempt: int
    number: int
    project: str
    jobset: str
    job: str
    system: str
    image: str
    status: str
    reason: str
    detail: str
    previous_status: str  # of the same job and ref; empty when this is the first
    kind: str
    ref: str
    revision: str
    subject: str
    author: str
    requested_by: str
    canceled_by: str
    queued_at: str  # ISO 8601, UTC
    started_at: str
    finished_at: str
    duration_seconds: float
    url: str
    evaluation_url: str
    steps: tuple[StepSummary, ...] = ()
    cached: bool = False  # it ended earlier, and stands for the job again
    beside: tuple[Beside, ...] = ()  # told with it to the same readers; the first of them
    beside_total: int = 0
    worker: str = ""  # that ran the attempt
    note: str = ""
    tags: tuple[str, ...] = ()
    unstarted: tuple[str, ...] = ()  # the tasks of a build that no worker began
    is_submission: bool = False  # it was sent in as a whole, and belongs to no repository

    type = "build.finished"

    @property
    def about(self) -> dict[str, int]:
        return {"build": self.build_id}

    @property
    def is_good(self) -> bool:
        return BuildStatus(self.status).is_good

    @property
    def is_change(self) -> bool:
        """Good and bad changed places; the first result counts as a change when it is bad."""
        if not self.previous_status:
            return not self.is_good
        return BuildStatus(self.previous_status).is_good != self.is_good

    def meets(self, condition: str) -> bool:
        """Whether a trigger with this condition wants to hear of it."""
        return {
            "always": True,
            "success": self.is_good,
            "failure": not self.is_good,
            "change": self.is_change,
        }[condition]

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "BuildFinished":
        values: dict[str, Any] = json.loads(text)
        values["steps"] = tuple(StepSummary(**one) for one in values["steps"])
        values["beside"] = tuple(Beside(**one) for one in values.get("beside", ()))
        for name in ("tags", "unstarted"):
            values[name] = tuple(values.get(name, ()))
        return cls(**values)


@frozen
class FaultsChanged:
    """What is wrong with a jobset's recipes is not what it was at the evaluation before."""

    evaluation_id: int
    number: int
    project: str
    jobset: str
    ref: str
    revision: str
    subject: str
    author: str
    finished_at: str  # ISO 8601, UTC
    url: str
    faults: tuple[str, ...]  # the first of them; none when all is well again
    faults_total: int

    type = "evaluation.faults-changed"

    @property
    def about(self) -> dict[str, int]:
        return {"evaluation": self.evaluation_id}

    def to_json(self) -> str:
        return json.dumps({"type": self.type, **asdict(self)}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "FaultsChanged":
        values: dict[str, Any] = json.loads(text)
        del values["type"]
        values["faults"] = tuple(values["faults"])
        return cls(**values)


@frozen
class GroupMember:
    """A build of a group, as it was when the group ended."""

    build_id: int
    job: str
    status: str
    url: str
    tags: tuple[str, ...] = ()


@frozen
class GroupFinished:
    """The last build of a group that somebody joined reached its end: `build_id`."""

    group_id: int
    build_id: int
    owner: str
    note: str
    project: str
    jobset: str
    finished_at: str  # ISO 8601, UTC
    url: str  # of the build that ended last
    members: tuple[GroupMember, ...]

    type = "group.finished"

    @property
    def about(self) -> dict[str, int]:
        return {"build": self.build_id}

    @property
    def is_good(self) -> bool:
        """All of them are."""
        return all(BuildStatus(one.status).is_good for one in self.members)

    @property
    def status(self) -> str:
        return BuildStatus.SUCCEEDED if self.is_good else BuildStatus.FAILED

    def meets(self, condition: str) -> bool:
        """Whether a trigger with this condition wants to hear of it. A group ends once, so a bad
        end is a change.
        """
        return {
            "always": True,
            "success": self.is_good,
            "failure": not self.is_good,
            "change": not self.is_good,
        }[condition]

    def to_json(self) -> str:
        return json.dumps({"type": self.type, **asdict(self)}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "GroupFinished":
        values: dict[str, Any] = json.loads(text)
        del values["type"]
        values["members"] = tuple(
            GroupMember(**{**one, "tags": tuple(one["tags"])}) for one in values["members"]
        )
        return cls(**values)


Event = BuildFinished | FaultsChanged | GroupFinished
_NAMED: dict[str, type[FaultsChanged | GroupFinished]] = {
    one.type: one for one in (FaultsChanged, GroupFinished)
}


def event_from_json(text: str) -> Event:
    """The event that was written so; those of builds do not name their type."""
    named = _NAMED.get(json.loads(text).get("type", ""))
    return named.from_json(text) if named else BuildFinished.from_json(text)


def stamp(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""
