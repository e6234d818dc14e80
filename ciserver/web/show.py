"""Values as JSON, for our own API."""

from datetime import datetime
from typing import Any

from ciserver.model.account import Token, User
from ciserver.model.build import Build, Product, Step
from ciserver.model.delivery import Delivery, DeliveryTry
from ciserver.model.evaluation import Evaluation
from ciserver.model.links import Links
from ciserver.model.view import AttemptView, BuildView, EvaluationView, ProjectSummary, QueueView


def moment(value: datetime | None) -> str | None:
    return value.isoformat(timespec="milliseconds") if value else None


def project(summary: ProjectSummary, links: Links) -> dict[str, Any]:
    return {
        "name": summary.project.name,
        "enabled": summary.project.enabled,
        "url": links.project(summary.project.name),
        "jobsets": [
            {
                "name": one.jobset.name,
                "enabled": one.jobset.enabled,
                "inputs": [
                    {"name": each.name, "uri": each.uri, "watch": each.watch}
                    for each in one.jobset.inputs
                ],
                "latest": evaluation(one.latest, links) if one.latest else None,
            }
            for one in summary.jobsets
        ],
    }


def evaluation(one: Evaluation, links: Links) -> dict[str, Any]:
    return {
        "id": one.id,
        "project": one.project,
        "jobset": one.jobset,
        "number": one.number,
        "status": one.status.value,
        "kind": one.kind.value,
        "ref": one.ref,
        "revision": one.revision,
        "subject": one.subject,
        "author": one.author,
        "requested_by": one.requested_by,
        "requested_at": moment(one.requested_at),
        "finished_at": moment(one.finished_at),
        "note": one.note,
        "complaints": [
            {"file": each.file, "field": each.field, "message": each.message}
            for each in one.complaints
        ],
        "skipped": [{"job": each.job, "reason": each.reason} for each in one.skipped],
        "inputs": [vars(each) for each in one.inputs],
        "builds_total": one.builds_total,
        "builds_finished": one.builds_finished,
        "builds_good": one.builds_good,
        "url": links.evaluation(one.id),
    }


def evaluation_view(view: EvaluationView, links: Links) -> dict[str, Any]:
    return evaluation(view.evaluation, links) | {
        "builds": [build(one, links) for one in view.builds]
    }


def build(one: Build, links: Links) -> dict[str, Any]:
    return {
        "id": one.id,
        "project": one.project,
        "jobset": one.jobset,
        "job": one.job,
        "number": one.number,
        "system": one.system,
        "image": one.image,
        "status": one.status.value,
        "is_final": one.status.is_final,
        "reason": one.reason.value,
        "detail": one.detail,
        "priority": one.priority,
        "kind": one.kind.value,
        "ref": one.ref,
        "revision": one.revision,
        "subject": one.subject,
        "evaluation": one.evaluation_id,
        "attempt": one.attempt,
        "requested_by": one.requested_by,
        "canceled_by": one.canceled_by,
        "queued_at": moment(one.queued_at),
        "started_at": moment(one.started_at),
        "finished_at": moment(one.finished_at),
        "url": links.build(one.id),
    }


def build_view(view: BuildView, links: Links) -> dict[str, Any]:
    return build(view.build, links) | {
        "waiting_for": view.waiting_for,
        "attempts": [attempt(one, links) for one in view.attempts],
        "products": [product(one, links) for one in view.products],
        "deliveries": [delivery(one) for one in view.deliveries],
    }


def attempt(view: AttemptView, links: Links) -> dict[str, Any]:
    return {
        "number": view.attempt.number,
        "worker": view.attempt.worker,
        "sandbox": view.attempt.sandbox,
        "status": view.attempt.status.value,
        "reason": view.attempt.reason.value,
        "detail": view.attempt.detail,
        "started_at": moment(view.attempt.started_at),
        "finished_at": moment(view.attempt.finished_at),
        "steps": [step(one, links) for one in view.steps],
    }


def step(one: Step, links: Links) -> dict[str, Any]:
    return {
        "number": one.number,
        "name": one.name,
        "status": one.status.value,
        "exit_code": one.exit_code,
        "started_at": moment(one.started_at),
        "finished_at": moment(one.finished_at),
        "log_url": links.log(one.build_id, one.attempt, one.name),
    }


def product(one: Product, links: Links) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "path": one.path,
        "size": one.size,
        "sha256": one.sha256,
        "attempt": one.attempt,
        "url": links.product(one.build_id, one.id, one.name),
    }


def delivery(one: Delivery, tries: tuple[DeliveryTry, ...] = ()) -> dict[str, Any]:
    return {
        "id": one.id,
        "action": one.action,
        "target": one.target,
        "build": one.event.build_id,
        "attempt": one.event.attempt,
        "event": one.event.type,
        "status": one.status.value,
        "tries": one.tries,
        "due_at": moment(one.due_at),
        "sent_at": moment(one.sent_at),
        "detail": one.detail,
        "log": [
            {
                "number": each.number,
                "at": moment(each.at),
                "ok": each.ok,
                "detail": each.detail,
                "duration_seconds": each.duration_seconds,
            }
            for each in tries
        ],
    }


def queue(view: QueueView, links: Links) -> dict[str, Any]:
    return {
        "running": [build(one, links) for one in view.running],
        "waiting": [
            build(one, links) | {"waiting_for": view.reasons[one.id]} for one in view.waiting.builds
        ],
        "waiting_total": view.waiting_total,
        "evaluations": [evaluation(one, links) for one in view.evaluations],
    }


def user(one: User) -> dict[str, Any]:
    return {"name": one.name, "email": one.email, "is_admin": one.is_admin}


def token(one: Token, text: str) -> dict[str, Any]:
    return {
        "token": text,
        "user": one.user,
        "scopes": one.scopes,
        "expires_at": moment(one.expires_at),
    }
