"""What is read of builds, and builds made of it, for every question about them."""

from dataclasses import fields
from typing import Any

from ciserver.model.account import Visibility
from ciserver.model.build import Build
from ciserver.model.evaluation import Kind
from ciserver.model.push import Trust
from ciserver.model.status import BuildStatus, Reason
from ciserver.store import tables as t
from ciserver.store.lanes import labels_of

STATUSES = {one.value: one for one in BuildStatus}
_REASON, _KIND, _TRUST, _VISIBILITY = (
    {one.value: one for one in words} for words in (Reason, Kind, Trust, Visibility)
)

_ELSEWHERE = {
    "evaluation_id": t.Build.evaluation,
    "jobset_id": t.Build.jobset,
    "project": t.Project.name,
    "jobset": t.Jobset.name,
    "subject": t.Evaluation.subject,
    "visibility": t.Evaluation.visibility,
}
_COLUMNS = tuple(
    _ELSEWHERE[one.name].alias(one.name) if one.name in _ELSEWHERE else getattr(t.Build, one.name)
    for one in fields(Build)
)


def select_builds() -> Any:
    """Builds as `build_of` takes them, with what it needs of the rows that they belong to."""
    return (
        t.Build.select(*_COLUMNS).join(t.Jobset).join(t.Project).switch(t.Build).join(t.Evaluation)
    )


def build_of(row: dict[str, Any]) -> Build:
    """The build of a row of `select_builds`, which has nothing else."""
    # Not by its constructor, which sets forty attributes by a call each: lists are long.
    build = Build.__new__(Build)
    vars(build).update(
        row,
        status=STATUSES[row["status"]],
        reason=_REASON[row["reason"]],
        kind=_KIND[row["kind"]],
        trust=_TRUST[row["trust"]],
        visibility=_VISIBILITY[row["visibility"]],
        runs_on=labels_of(row["runs_on"]),
    )
    return build
