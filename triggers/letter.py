"""What happened as a mail: headers, and three templates under `templates/email` for its text."""

import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ciserver.model.delivery import Delivery
from ciserver.model.event import (
    BuildFinished,
    Event,
    FaultsChanged,
    GroupFinished,
    StepSummary,
)
from triggers.mailbox import header_text
from triggers.recipients import Recipients
from triggers.submitted import group_values, submission_values
from triggers.text import one_line, short_ref
from triggers.wording import BROKEN, in_words, mark_of, readable, word_of, wording

if TYPE_CHECKING:
    from jinja2 import Environment

# Relays that know only 7 bits are still about.
_POLICY = SMTP.clone(cte_type="7bit")
STEPS_SHOWN = 100


class Letters:
    """Writes mails from the templates in `templates`/email."""

    def __init__(self, templates: Path) -> None:
        self._folder = templates / "email"

    @cached_property
    def _templates(self) -> "Environment":
        import jinja2  # noqa: PLC0415  slow, and only for mails

        return jinja2.Environment(
            loader=jinja2.FileSystemLoader(self._folder),
            autoescape=jinja2.select_autoescape(("html",), default=False),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def write(self, delivery: Delivery, sender: Address, to: Recipients) -> EmailMessage:
        """The mail for a delivery: the same at each try but for the boundary between its parts."""
        kind, values = _told(delivery.event)
        message = EmailMessage(policy=_POLICY)
        _address(message, sender, to)
        _thread(message, delivery.event, to, sender.domain)
        message["Subject"] = header_text(self._render(f"{kind}.subject.txt", values), 200)
        _identify(message, delivery, sender.domain)
        _label(message, delivery.event, sender.domain)
        message.set_content(self._render(f"{kind}.txt", values))
        message.add_alternative(self._render(f"{kind}.html", values), subtype="html")
        return message

    def _render(self, name: str, values: dict[str, Any]) -> str:
        return self._templates.get_template(name).render(values)


def _address(message: EmailMessage, sender: Address, to: Recipients) -> None:
    message["From"] = sender
    if to.to:
        message["To"] = to.to
    if to.cc:
        message["Cc"] = to.cc


def _thread(message: EmailMessage, event: Event, to: Recipients, domain: str) -> None:
    """The mail that is answered; without one, all mails about one build are a thread."""
    if to.in_reply_to:
        message["In-Reply-To"] = to.in_reply_to
        message["References"] = to.in_reply_to
    elif isinstance(event, BuildFinished):
        message["References"] = f"<build-{event.build_id}@{domain}>"


def _identify(message: EmailMessage, delivery: Delivery, domain: str) -> None:
    """Made from the delivery alone, so that a mail sent twice is seen to be one."""
    message["Date"] = delivery.created_at
    message["Message-ID"] = f"<{re.sub(r'[^A-Za-z0-9_-]', '-', delivery.id)}@{domain}>"


def _told(event: Event) -> tuple[str, dict[str, Any]]:
    """Which templates tell of it, and what they may say."""
    match event:
        case BuildFinished(is_submission=True):
            return "submission", submission_values(event)
        case BuildFinished():
            return "build", _values(event)
        case GroupFinished():
            return "group", group_values(event)
        case FaultsChanged():
            return "faults", _fault_values(event)


def _label(message: EmailMessage, event: Event, domain: str) -> None:
    """What people filter by, and what keeps holiday answers away."""
    message["Auto-Submitted"] = "auto-generated"
    message["List-Id"] = f"<{_dns_label(event.jobset)}.{_dns_label(event.project)}.{domain}>"
    names: tuple[str, ...] = ("project", "jobset")
    match event:
        case BuildFinished():
            _add_headers(message, "X-Ciserver", event, (*names, "job", "status"))
            message["X-Ciserver-Build"] = str(event.build_id)
            names = (*names, "job", "system")
        case GroupFinished():
            _add_headers(message, "X-Ciserver", event, (*names, "status"))
            message["X-Ciserver-Group"] = str(event.group_id)
        case FaultsChanged():
            _add_headers(message, "X-Ciserver", event, names)
            message["X-Ciserver-Evaluation"] = str(event.evaluation_id)
    message["X-Hydra-Instance"] = header_text(event.url.rsplit("/", 2)[0], 200)
    _add_headers(message, "X-Hydra", event, names)


def _add_headers(message: EmailMessage, prefix: str, event: Event, names: tuple[str, ...]) -> None:
    for name in names:
        message[f"{prefix}-{name.title()}"] = header_text(getattr(event, name), 200)


def _dns_label(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", text)[:63].strip("-") or "none"


def _values(event: BuildFinished) -> dict[str, Any]:
    """What the templates may say; every foreign text is one clipped line."""
    shown = [one for one in event.steps if not one.name.startswith("_")]
    texts = ("project", "jobset", "job", "system", "subject", "author", "requested_by")
    return {name: one_line(getattr(event, name), 250) for name in texts} | {
        "word": wording(event.status, event.previous_status),
        "is_good": event.is_good,
        "is_broken": event.status in BROKEN,
        "ref": one_line(short_ref(event.ref), 250),
        "detail": one_line(event.detail, 1000),
        "revision": one_line(event.revision, 100)[:12],
        "canceled_by": one_line(event.canceled_by, 100),
        "number": event.number,
        "duration": in_words(event.duration_seconds),
        "finished_at": readable(event.finished_at),
        "url": event.url,
        "evaluation_url": event.evaluation_url,
        "steps": [_step(one) for one in shown[:STEPS_SHOWN]],
        "steps_omitted": len(shown[STEPS_SHOWN:]),
        "others": "" if not event.beside_total else _others(event.beside_total),
        "beside": [
            {
                "job": one_line(one.job, 250),
                "system": one_line(one.system, 100),
                "word": word_of(one.status),
                "url": one.url,
            }
            for one in event.beside
        ],
        "beside_omitted": event.beside_total - len(event.beside),
    }


def _others(count: int) -> str:
    return "and 1 other" if count == 1 else f"and {count} others"


def _fault_values(event: FaultsChanged) -> dict[str, Any]:
    texts = ("project", "jobset", "subject", "author")
    return {name: one_line(getattr(event, name), 250) for name in texts} | {
        "word": "has errors" if event.faults else "has no errors any more",
        "is_good": not event.faults,
        "ref": one_line(short_ref(event.ref), 250),
        "revision": one_line(event.revision, 100)[:12],
        "number": event.number,
        "finished_at": readable(event.finished_at),
        "url": event.url,
        "faults": [one_line(one, 1000) for one in event.faults],
        "faults_omitted": event.faults_total - len(event.faults),
    }


def _step(step: StepSummary) -> dict[str, str]:
    return {
        "name": one_line(step.name, 100),
        "status": step.status,
        "mark": mark_of(step.status),
        "log_url": step.log_url,
    }
