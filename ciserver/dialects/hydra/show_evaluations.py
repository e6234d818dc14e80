"""Evaluations as Hydra shows them, which calls them evals, and what is ours beside that."""

from datetime import datetime
from typing import Any

from ciserver.dialects.hydra.show import epoch
from ciserver.model.comparison import Change, ChangedInput, Comparison, JobChange
from ciserver.model.evaluation import Evaluation, PinnedInput
from ciserver.model.project import InputType
from ciserver.model.view import BuildIds, EvaluationSummary

_OF_BUILDS = {InputType.BUILD, InputType.SYSBUILD}


def evaluation(one: Evaluation, builds: BuildIds) -> dict[str, Any]:
    return {
        "id": one.id,
        "timestamp": epoch(one.requested_at),
        "checkouttime": _seconds(one.started_at, one.pinned_at),
        "evaltime": _seconds(one.pinned_at, one.finished_at),
        "hasnewbuilds": int(builds.made_some),
        "flake": None,
        "builds": list(builds.ids),
        "jobsetevalinputs": {each.name: _pinned(each) for each in one.inputs},
    }


def _seconds(since: datetime | None, until: datetime | None) -> int | None:
    return int((until - since).total_seconds()) if since and until else None


def _pinned(one: PinnedInput) -> dict[str, Any]:
    """A build of earlier is what the evaluation depends on."""
    has_files, of_build = one.type.has_files, one.type in _OF_BUILDS
    return {
        "type": one.type.value,
        "uri": one.uri if has_files else None,
        "revision": one.revision if has_files else None,
        "value": None if has_files or of_build else one.value,
        "dependency": int(one.value) if of_build else None,
    }


def overview(summary: EvaluationSummary) -> dict[str, Any]:
    one = summary.evaluation
    return {
        "eval": evaluation(one, summary.builds),
        "nrScheduled": one.builds_total - one.builds_finished,
        "nrSucceeded": one.builds_good,
        "nrFailed": one.builds_finished - one.builds_good,
        "diff": summary.gain,
        "changedInputs": [
            {"name": each.name, **_pinned(each.new)} for each in summary.changed if each.new
        ],
    }


def comparison(one: Comparison) -> dict[str, Any]:
    """Every class is there, also one without a job."""
    return {
        "eval": one.other.id,
        "changes": {
            change.value: [_job(each) for each in one.changes.get(change, ())] for change in Change
        },
        "inputs": [_input(each) for each in one.inputs],
    }


def _job(one: JobChange) -> dict[str, Any]:
    return {
        "job": one.job,
        "system": one.system,
        "build": one.now.build_id if one.now else None,
        "before": one.before.build_id if one.before else None,
    }


def _input(one: ChangedInput) -> dict[str, Any]:
    return {
        "name": one.name,
        "old": _pinned(one.old) if one.old else None,
        "new": _pinned(one.new) if one.new else None,
    }
