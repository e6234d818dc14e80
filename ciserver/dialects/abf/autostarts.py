"""The autostart of a product: a schedule that runs its script at one of the usual hours."""

from collections.abc import Sequence
from typing import Any

from ciserver.dialects.abf.given import boolean, whole
from ciserver.dialects.abf.words import AUTOSTART_TIMING, autostart_of
from ciserver.model.errors import Complaint
from ciserver.model.frozen import frozen
from ciserver.model.schedule import Timing
from ciserver.service.schedules import FiringView, ScheduleView
from ciserver.service.script_products import Autostart

STATUS, IF_CHANGED = "autostart_status", "autostart_only_if_changed"


@frozen
class Autostarts:
    """The schedules of a product, of which the first that counts is its autostart."""

    schedules: Sequence[ScheduleView] = ()

    @property
    def _view(self) -> ScheduleView | None:
        return next((one for one in self.schedules if _is_autostart(one)), None)

    def shown(self) -> dict[str, Any]:
        """What a product says of its autostart; how the last one went is here alone."""
        view = self._view
        if view is None:
            return {STATUS: None, IF_CHANGED: False, "autostart": None}
        schedule, last = view.schedule, next(iter(view.firings), None)
        due = schedule.next_due_at
        return {
            STATUS: autostart_of(schedule.timing),
            IF_CHANGED: schedule.only_if_changed,
            "autostart": {
                "next_at": int(due.timestamp()) if due else None,
                **_last(last),
            },
        }

    def asked(self, given: dict[str, Any], faults: list[Complaint]) -> Autostart | None:
        """What shall be of it; None where nothing is said of it. What is not said stays."""
        if STATUS not in given and IF_CHANGED not in given:
            return None
        now = self.shown()
        timing = self._timing(given.get(STATUS, now[STATUS]), faults)
        only_if_changed = boolean(given.get(IF_CHANGED, now[IF_CHANGED]))
        if only_if_changed is None:
            faults.append(Complaint("Autostart only if changed", "must be true or false"))
        return Autostart(timing, _has_code, bool(only_if_changed))

    def _timing(self, status: Any, faults: list[Complaint]) -> Timing | None:
        if status in (None, ""):
            return None
        code = whole(status)
        if code not in AUTOSTART_TIMING:
            faults.append(Complaint("Autostart status", "is not included in the list"))
            return None
        view = self._view
        if view and autostart_of(view.schedule.timing) == code:
            return view.schedule.timing  # by the clock of whichever zone somebody chose
        return AUTOSTART_TIMING[code]


def _is_autostart(view: ScheduleView) -> bool:
    one = view.schedule
    return one.runs_script and not one.paused and _has_code(one.timing)


def _has_code(timing: Timing) -> bool:
    return autostart_of(timing) is not None


def _last(firing: FiringView | None) -> dict[str, Any]:
    if firing is None:
        return {"last_at": None, "last_result": None, "failed": False}
    return {
        "last_at": int(firing.firing.due_at.timestamp()),
        "last_result": firing.result,
        "failed": firing.has_failed,
    }
