"""Post-build actions: name -> trigger, ours and those of other packages."""

import logging
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from ciserver.model.errors import BadConfiguration, Complaint
from ciserver.model.event import Event
from ciserver.model.ports import Clock, Trigger
from triggers.email import Email, Smtp
from triggers.outgoing import Outgoing
from triggers.webhook import Webhook

GROUP = "ciserver.triggers"
_log = logging.getLogger(__name__)


def make_triggers(
    *,
    smtp: Smtp,
    templates: Path,
    http: Outgoing,
    secret_of: Callable[[str], str],
    seal: Callable[[bytes], bytes],
    clock: Clock,
    beside: Callable[[Event], dict[str, Any]] = lambda _: {},
    plugins: Iterable[EntryPoint] | None = None,
) -> dict[str, Trigger]:
    """All triggers by their action. `plugins` are the entry points of the group
    `ciserver.triggers`, read from the installed packages when not given; one that cannot be
    made is left out with a warning.

    Raises BadConfiguration when two triggers claim one action, naming every such claim.
    """
    found = entry_points(group=GROUP) if plugins is None else plugins
    table: dict[str, Trigger] = {"email": Email(smtp, templates)}
    table["webhook"] = Webhook(http, secret_of, clock, seal=seal, beside=beside)
    complaints: list[Complaint] = []
    for plugin in found:
        trigger = _make(plugin)
        if trigger is None:
            continue
        if table.setdefault(trigger.action, trigger) is not trigger:
            complaints.append(Complaint(trigger.action, f"claimed again by {plugin.value}"))
    if complaints:
        raise BadConfiguration(
            f"triggers of other packages claim actions that are taken: {_list(complaints)}",
            complaints=complaints,
            hint="uninstall the package that brings the second one",
        )
    return table


def _make(plugin: EntryPoint) -> Trigger | None:
    try:
        trigger: Trigger = plugin.load()()
        if not (isinstance(trigger.action, str) and callable(trigger.deliver)):
            raise TypeError("it has no action and deliver")  # noqa: TRY301 -- one report for all
    except Exception:  # noqa: BLE001 -- the code of others may raise anything
        _log.warning("trigger %s (%s) is left out", plugin.name, plugin.value, exc_info=True)
        return None
    return trigger


def _list(complaints: Iterable[Complaint]) -> str:
    return "; ".join(str(one) for one in complaints)
