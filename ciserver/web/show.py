"""Values as JSON, for our own API."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from ciserver.model.account import Member, Token, User
from ciserver.model.build import Build, Product, Step
from ciserver.model.delivery import Delivery, DeliveryTry, SigningKey
from ciserver.model.evaluation import Evaluation
from ciserver.model.event import BuildFinished, Event, FaultsChanged, GroupFinished
from ciserver.model.links import Links
from ciserver.model.project import Jobset
from ciserver.model.request import JobRequest
from ciserver.model.storage import ProjectStorage
from ciserver.model.view import (
    AttemptView,
    BuildRecord,
    EvaluationView,
    Pause,
    ProjectSummary,
    QueueView,
    Told,
)
from ciserver.service.scripts import without_secrets
from ciserver.service.waiting import group_name


def moment(value: datetime | None) -> str | None:
    return value.isoformat(timespec="milliseconds") if value else None


def project(summary: ProjectSummary, links: Links) -> dict[str, Any]:
    one = summary.project
    settings = asdict(one.settings)
    declaration = settings.pop("declaration")
    return {
        "name": one.name,
        "owner": one.owner,
        **settings,
        **{f"declaration_{name}": value for name, value in declaration.items()},
        "created_at": moment(one.created_at),
        "url": links.project(one.name),
        "jobsets": [
            jobset(each.jobset, links)
            | {"latest": evaluation(each.latest, links) if each.latest else None}
            for each in summary.jobsets
        ],
    }


def storage(one: ProjectStorage) -> dict[str, Any]:
    """`quota_mb` is the one in force, 0 where there is none."""
    return {
        "project": one.project,
        "products_bytes": one.kept.products,
        "logs_bytes": one.kept.logs,
        "kept_bytes": one.kept.total,
        "quota_mb": one.quota_mb,
        "own_quota_mb": one.kept.quota_mb,
        "is_full": one.is_full,
    }


def jobset(one: Jobset, links: Links) -> dict[str, Any]:
    """Without whom it mails to, and without secrets of its script, which are not for everybody."""
    settings = asdict(one.settings)
    del settings["mail_to"]
    return {
        "project": one.project,
        "name": one.name,
        "enabled": one.enabled,
        "paused": one.paused,
        **settings,
        **settings.pop("script"),
        "parameters": without_secrets(one.settings.script.parameters),
        "pgo_strategy": one.pgo_strategy.value,
        "inputs": [
            {
                "name": each.name,
                "type": each.type.value,
                "uri": each.uri,
                "value": each.value,
                "ref": each.ref,
                "watch": each.watch,
                "refresh_seconds": each.refresh_seconds,
            }
            for each in one.inputs
        ],
        "url": links.jobset(one.project, one.name),
    }


def member(one: Member) -> dict[str, Any]:
    return {"user": one.user, "rights": sorted(one.rights)}


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
        "builds": [
            build(one, links)
            | {"needs": view.needs.get(one.id, ()), "waiting_for": view.reasons.get(one.id, "")}
            for one in view.builds
        ],
        "reused": [build(one, links) for one in view.reused],
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
        "bumped": one.bumped,
        "concurrency": group_name(one.concurrency),
        "kind": one.kind.value,
        "ref": one.ref,
        "revision": one.revision,
        "subject": one.subject,
        "evaluation": one.evaluation_id,
        "group": one.group_id,
        "attempt": one.attempt,
        "requested_by": one.requested_by,
        "canceled_by": one.canceled_by,
        "visibility": one.visibility.value,
        "trust": one.trust.value,
        "kept": one.kept,
        "queued_at": moment(one.queued_at),
        "started_at": moment(one.started_at),
        "finished_at": moment(one.finished_at),
        "url": links.build(one.id),
    }


def build_record(view: BuildRecord, links: Links) -> dict[str, Any]:
    return build(view.build, links) | {
        "waiting_for": view.waiting_for,
        "needs": view.needs.ids,
        "needed_by": view.needed_by.ids,
        "note": view.note,
        "tags": view.tags,
        "attempts": [attempt(one, links) for one in view.attempts],
        "products": [product(one, links) for one in view.products],
        "release_name": view.output.release_name,
        "drv_path": view.output.drv_path,
        "outputs": view.output.paths,
        "deliveries": [delivery(one) for one in view.deliveries],
        **told(view.told),
    }


def told(one: Told) -> dict[str, Any]:
    counts = one.counts
    return {
        "tests": {
            "total": counts.tests,
            "passed": counts.passed,
            "failed": counts.failed,
            "errored": counts.errored,
            "skipped": counts.skipped,
            "bad": [vars(each) | {"status": each.status.value} for each in one.bad],
        },
        "coverage": {
            "lines_covered": counts.lines_covered,
            "lines_valid": counts.lines_valid,
            "percent": counts.coverage and round(counts.coverage, 2),
        },
        "metrics": [vars(each) for each in one.metrics],
        "report_notes": [vars(each) for each in one.notes],
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
        "logs_removed_at": moment(view.attempt.logs_removed_at),
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
        "type": one.type,
        "subtype": one.subtype,
        "default_path": one.default_path,
        "attempt": one.attempt,
        "removed_at": moment(one.removed_at),
        "removed_why": one.removed_why,
        "url": links.product(one.build_id, one.id, one.name),
    }


def _about(event: Event) -> dict[str, Any]:
    match event:
        case BuildFinished():
            return {"build": event.build_id, "attempt": event.attempt, "evaluation": None}
        case GroupFinished():
            return {"build": event.build_id, "attempt": None, "evaluation": None}
        case FaultsChanged():
            return {"build": None, "attempt": None, "evaluation": event.evaluation_id}


def delivery(one: Delivery, tries: tuple[DeliveryTry, ...] = ()) -> dict[str, Any]:
    return {
        "id": one.id,
        "action": one.action,
        "target": one.target,
        **_about(one.event),
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


def signing_key(one: SigningKey) -> dict[str, Any]:
    return {"id": one.id, "public_key": one.public_key, "signs": one.signs}


def queue(view: QueueView, links: Links) -> dict[str, Any]:
    return {
        "running": [build(one, links) for one in view.running],
        "waiting": [
            build(one, links) | {"waiting_for": view.reasons[one.id]} for one in view.waiting.builds
        ],
        "waiting_total": view.waiting_total,
        "evaluations": [evaluation(one, links) for one in view.evaluations],
    }


def pause(one: Pause) -> dict[str, Any]:
    """By whom, for those who are told, and why, where that was said."""
    told = {"by": one.by, "reason": one.reason, "until": moment(one.until)}
    return {"worker": one.worker, **{name: text for name, text in told.items() if text}}


def request(one: JobRequest) -> dict[str, Any]:
    return {
        "id": one.id,
        "action": one.action.value,
        "asked_as": one.asked_as,
        "who": one.who,
        "what": one.what,
        "requested_at": moment(one.requested_at),
        "status": one.status.value,
        "completed_at": moment(one.completed_at),
        "message": one.message,
        "created": one.created,
    }


def user(one: User) -> dict[str, Any]:
    return {
        "name": one.name,
        "email": one.email,
        "full_name": one.full_name,
        "is_admin": one.is_admin,
        "roles": one.roles,
    }


def token(one: Token, text: str) -> dict[str, Any]:
    return {
        "token": text,
        "user": one.user,
        "scopes": one.scopes,
        "expires_at": moment(one.expires_at),
    }
