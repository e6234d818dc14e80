"""What Hydra shows of a build beside the build itself."""

from typing import Any

from ciserver.dialects.hydra import show
from ciserver.dialects.hydra.words import STEP_BUSY, STEP_STATE
from ciserver.model.build import Step
from ciserver.model.view import BuildFacts, BuildView


def step(facts: BuildFacts, one: Step) -> dict[str, Any]:
    """A step of ours: the setup has the number 0, the tasks follow."""
    build = facts.build
    return {
        "stepnr": one.number,
        "machine": build.worker,
        "system": build.system,
        "drvpath": facts.output.drv_path,
        "resolveddrvpath": None,
        "starttime": show.epoch(one.started_at),
        "stoptime": show.epoch(one.finished_at),
        "busy": STEP_BUSY[one.status],
        "status": STEP_STATE[one.status],
        "build": show.build(facts),
        "ciserver_name": one.name,
        "ciserver_status": one.status.value,
        "ciserver_exit_code": one.exit_code,
    }


def info(view: BuildView) -> dict[str, Any]:
    """Of several outputs the one called `out` is meant, or else the first."""
    outputs = show.outputs(view)
    first = outputs.get("out") or next(iter(outputs.values()), {"path": None})
    return {
        "buildId": view.build.id,
        "drvPath": view.output.drv_path,
        "outPath": first["path"],
    }
