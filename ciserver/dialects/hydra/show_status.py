"""How the server is, as Hydra shows it: the queue, jobsets, machines, and what a search found."""

from typing import Any

from ciserver.dialects.hydra import show
from ciserver.dialects.hydra.words import RUNNER_UNKNOWN, RUNNER_UP, USUAL_PRIORITY
from ciserver.model.build import Build
from ciserver.model.overview import Found, JobsetStanding, Machine, RunnerState, StepOfBuild
from ciserver.model.view import BuildFacts

_SPEED = 1.0


def queued_build(one: Build) -> dict[str, Any]:
    """An unfinished build as lists have it."""
    shown = show.latest_build(one)
    del shown["buildstatus"]
    return {**shown, "priority": USUAL_PRIORITY + one.priority}


def unfinished_build(facts: BuildFacts) -> dict[str, Any]:
    """A build of the queue: what it makes is not known yet."""
    return {**show.build(facts), "drvpath": None}


def busy_build(one: StepOfBuild, facts: BuildFacts) -> dict[str, Any]:
    """A build with the step of it that runs."""
    return {
        **unfinished_build(facts),
        "ciserver_step": {
            "stepnr": one.step.number,
            "name": one.step.name,
            "machine": one.build.worker,
            "starttime": show.epoch(one.step.started_at),
        },
    }


def latest_jobset(one: JobsetStanding) -> dict[str, Any]:
    """A jobset with the counts of its newest builds."""
    told = show.jobset(one.jobset, one.newest, may_edit=False)
    names = ("lastcheckedtime", "starttime", "checkinterval", "triggertime")
    return {
        "project": one.jobset.project,
        "name": one.jobset.name,
        "nrscheduled": one.counts.open,
        "nrsucceeded": one.counts.good,
        "nrfailed": one.counts.bad,
        "nrtotal": one.counts.total,
        **{name: told[name] for name in (*names, "fetcherrormsg", "errortime")},
        "errormsg": told["errormsg"],
        "haserrormsg": bool(told["errormsg"]),
    }


def machine(one: Machine) -> dict[str, Any]:
    worker = one.worker
    free = max(0, worker.slots - worker.busy)
    return {
        "systemTypes": list(worker.systems),
        "primarySystemType": worker.systems[0] if worker.systems else None,
        "maxJobs": worker.slots,
        "speedFactor": _SPEED,
        "supportedFeatures": [],
        "mandatoryFeatures": [],
        "hasCapacity": one.has_capacity,
        "hasDynamicCapacity": not one.idle_because,
        "hasStaticCapacity": free > 0,
        "score": free / worker.slots if worker.slots else 0.0,
        "stats": {"currentJobs": worker.busy},
        "memTotal": None,
        "ciserver_idle_reason": one.idle_because or None,
    }


def runner(state: RunnerState) -> dict[str, Any]:
    if not state.is_up:
        return {"status": RUNNER_UNKNOWN}
    return {
        "status": RUNNER_UP,
        "time": show.epoch(state.now),
        "uptime": int((state.now - state.started_at).total_seconds()),
        "nrQueuedBuilds": state.unfinished,
        "nrRunnableSteps": state.claimable,
        "nrActiveSteps": state.running,
        "nrStepsBuilding": state.running,
        "nrBuildsDone": state.ended,
        "machines": {one.worker.name: machine(one) for one in state.machines},
    }


def found(result: Found) -> dict[str, Any]:
    return {
        "projects": [show.project(one) for one in result.projects],
        "jobsets": [show.jobset(one.jobset, one.newest, may_edit=False) for one in result.jobsets],
        "builds": [show.latest_build(one) for one in result.builds],
        "buildsdrv": [show.latest_build(one) for one in result.derived],
    }
