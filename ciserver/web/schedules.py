"""Schedules, for our own API."""

from typing import Any

import falcon

from ciserver.edge.bodies import json_body, number
from ciserver.model.links import Links
from ciserver.model.schedule import PgoStrategy, ScheduleKind, Timing
from ciserver.service.schedules import FiringView, ScheduleView
from ciserver.service.services import Services
from ciserver.web.show import moment

_FIELDS = {
    "jobset": str,
    "kind": ScheduleKind.NIGHTLY,
    "cron": "",
    "hours": (),
    "minutes": (),
    "every_seconds": 0,
    "zone": "UTC",
    "ref": "HEAD",
    "only_if_changed": None,
    "last_good": False,
    "script": False,
}


class ScheduleApi:
    def __init__(self, services: Services, base_url: str) -> None:
        self._schedules = services.schedules
        self._base_url = base_url

    def on_get_schedules(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = [show_schedule(one) for one in self._schedules.list_all(req.context.actor)]

    def on_post_schedules(self, req: falcon.Request, resp: falcon.Response) -> None:
        body = json_body(req, _FIELDS)
        project, _, jobset = body["jobset"].partition(":")
        made = self._schedules.add(
            req.context.actor,
            project,
            jobset or "main",
            body["kind"],
            _timing(body, req),
            ref=body["ref"],
            only_if_changed=body["only_if_changed"],
            last_good=body["last_good"],
            runs_script=body["script"],
        )
        resp.status = falcon.HTTP_201
        resp.media = show_schedule(self._schedules.show(req.context.actor, made.id))

    def on_get_schedule(self, req: falcon.Request, resp: falcon.Response, schedule_id: str) -> None:
        resp.media = show_schedule(self._schedules.show(req.context.actor, number(schedule_id)))

    def on_post_fire(self, req: falcon.Request, resp: falcon.Response, schedule_id: str) -> None:
        evaluation_id = self._schedules.fire(req.context.actor, number(schedule_id))
        links = Links(self._base_url or req.prefix)
        resp.status = falcon.HTTP_202
        resp.media = {"evaluation": evaluation_id, "url": links.evaluation(evaluation_id)}

    def on_post_remove(self, req: falcon.Request, resp: falcon.Response, schedule_id: str) -> None:
        self._schedules.remove(req.context.actor, number(schedule_id))
        resp.media = {"removed": number(schedule_id)}

    def on_post_pause(self, req: falcon.Request, resp: falcon.Response, schedule_id: str) -> None:
        self._pause(req, resp, schedule_id, paused=True)

    def on_post_resume(self, req: falcon.Request, resp: falcon.Response, schedule_id: str) -> None:
        self._pause(req, resp, schedule_id, paused=False)

    def _pause(
        self, req: falcon.Request, resp: falcon.Response, schedule_id: str, *, paused: bool
    ) -> None:
        self._schedules.pause(req.context.actor, number(schedule_id), paused=paused)
        resp.media = show_schedule(self._schedules.show(req.context.actor, number(schedule_id)))

    def on_post_pgo_strategy(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        wanted = json_body(req, {"strategy": PgoStrategy})["strategy"]
        found = self._schedules.set_pgo_strategy(req.context.actor, project, jobset, wanted)
        resp.media = {"jobset": f"{project}:{jobset}", "pgo_strategy": found.pgo_strategy.value}


def _timing(body: dict[str, Any], req: falcon.Request) -> Timing:
    return Timing(
        cron=body["cron"],
        hours=tuple(body["hours"]),
        minutes=tuple(body["minutes"]) or (0,),
        every_seconds=body["every_seconds"],
        anchor=req.context.now if body["every_seconds"] else None,
        zone=body["zone"],
    )


def show_schedule(view: ScheduleView) -> dict[str, Any]:
    one = view.schedule
    return {
        "id": one.id,
        "jobset": f"{one.project}:{one.jobset}",
        "kind": one.kind.value,
        "when": one.timing.describe(),
        "zone": one.timing.zone,
        "ref": one.ref,
        "only_if_changed": one.only_if_changed,
        "last_good": one.last_good,
        "script": one.runs_script,
        "paused": one.paused,
        "declared_by": one.declared_by,
        "next_due_at": moment(one.next_due_at),
        "warnings": view.warnings,
        "firings": [_firing(each) for each in view.firings],
    }


def _firing(view: FiringView) -> dict[str, Any]:
    return {
        "due_at": moment(view.firing.due_at),
        "fired_at": moment(view.firing.fired_at),
        "missed": view.firing.missed,
        "evaluation": view.firing.evaluation_id,
        "result": view.result,
    }
