"""What lists may show: conditions on the joined tables of projects, evaluations and builds.

What was removed or deleted is in no list. What is not public is listed for those who have rights in
its project, and for those it was shared with by name.
"""

from typing import Any

from ciserver.model.account import Sight, Visibility
from ciserver.store import tables as t


def listed_projects(sight: Sight) -> Any:
    there = t.Project.removed == False  # noqa: E712  an expression of SQL
    if sight.everything:
        return there
    return there & (
        (t.Project.visibility == Visibility.PUBLIC) | (t.Project.id << list(sight.projects))
    )


def listed_evaluations(sight: Sight, evaluation: Any = t.Evaluation) -> Any:
    there = (t.Jobset.removed == False) & (t.Project.removed == False)  # noqa: E712
    if sight.everything:
        return there
    open_project = t.Project.visibility == Visibility.PUBLIC
    if sight.unlisted:
        open_project |= t.Project.id << list(sight.unlisted)
    seen = open_project & (evaluation.visibility == Visibility.PUBLIC)
    if sight.projects:
        seen |= t.Project.id << list(sight.projects)
    if sight.user:
        shared = t.Grant.select(t.Grant.evaluation).where(t.Grant.user == sight.user)
        seen |= evaluation.id << shared
    return there & seen


def listed_builds(sight: Sight) -> Any:
    return (t.Build.deleted == False) & listed_evaluations(sight)  # noqa: E712
