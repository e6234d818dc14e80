"""What else people knew their builds by: what waits and runs now, how long it takes, and files of
what has ended.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import falcon

from ciserver.dialects.selfserve import paths, show
from ciserver.dialects.selfserve.answers import Shown
from ciserver.dialects.selfserve.dump import Dump
from ciserver.dialects.selfserve.finder import Finder
from ciserver.dialects.selfserve.forms import whole
from ciserver.dialects.selfserve.paths import Place
from ciserver.dialects.selfserve.plots import bars, course
from ciserver.model.build import Build
from ciserver.model.errors import Invalid, NotFound
from ciserver.model.project import Jobset
from ciserver.service.services import Services

_UNKNOWN = "Unknown"
_WINDOW = timedelta(hours=24)
_LONGEST = timedelta(days=31)
_ON_A_PAGE = 500
_DUMP = re.compile(r"builds-(4hr|[0-9]{4}-[0-9]{2}-[0-9]{2})\.js\.gz")
_RECENT = timedelta(hours=4)
_RECENT_LASTS, _DAY_LASTS = timedelta(minutes=1), timedelta(hours=1)
_INSTANT = timedelta(microseconds=1)  # what ended just now is among it
_GZIP = "application/gzip"


class Reports:
    """Each method is one call; its docstring is what the page of calls says of it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._finder = Finder(services)

    def pending(self, req: falcon.Request, branch: str = "") -> Shown:
        """What waits, of a branch or of all: by branch and revision."""
        jobset = self._finder.branch(req.context.actor, branch) if branch else None
        found = self._services.lists.waiting(req.context.actor, jobset)
        value = self._by_branch(req, jobset, found, [show.pending_item(one) for one in found])
        title = f"Pending on {branch}" if branch else "Pending"
        return Shown({"pending": value}, "selfserve/queue.html", title, _page(found, jobset))

    def running(self, req: falcon.Request, branch: str = "") -> Shown:
        """What runs, of a branch or of all: by branch and revision."""
        jobset = self._finder.branch(req.context.actor, branch) if branch else None
        found = self._services.lists.running(req.context.actor, jobset)
        heard = self._services.lists.heartbeats(found)
        items = [show.running_item(one, heard.get(one.id)) for one in found]
        value = self._by_branch(req, jobset, found, items)
        title = f"Running on {branch}" if branch else "Running"
        return Shown({"running": value}, "selfserve/queue.html", title, _page(found, jobset))

    def waits(self, req: falcon.Request, branch: str) -> Shown:
        """How long the builds of a branch waited for a worker; `starttime` and `endtime` are the
        seconds between which they started, by default the last day.
        """
        jobset = self._finder.branch(req.context.actor, branch)
        since, until = _window(req)
        found = self._services.timings.waits(req.context.actor, jobset, since, until)
        more = {"place": Place(jobset), "found": found, "plot": bars(found)}
        title = f"Wait times on {show.branch_name(jobset)}"
        return Shown(
            show.wait_times(found, show.branch_name(jobset)), "selfserve/waits.html", title, more
        )

    def pushes(self, req: falcon.Request, branch: str) -> Shown:
        """How long the newest pushes of a branch took until all of their builds had ended."""
        jobset = self._finder.branch(req.context.actor, branch)
        found = self._services.timings.pushes(req.context.actor, jobset)
        more = {"place": Place(jobset), "found": found, "plot": course(found)}
        title = f"From push to green on {show.branch_name(jobset)}"
        return Shown(
            show.push_times(found, show.branch_name(jobset)), "selfserve/pushes.html", title, more
        )

    def _by_branch(
        self,
        req: falcon.Request,
        jobset: Jobset | None,
        builds: Iterable[Build],
        items: Iterable[dict[str, Any]],
    ) -> dict[str, Any]:
        named = [jobset] if jobset else self._services.lists.jobsets(req.context.actor)
        branches = {one.id: show.branch_name(one) for one in named}
        found: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for build, item in zip(builds, items, strict=True):
            branch = branches.get(build.jobset_id, f"{build.project}:{build.jobset}")
            found[branch][build.revision or _UNKNOWN].append(item)
        return found


def _page(builds: tuple[Build, ...], jobset: Jobset | None) -> dict[str, Any]:
    place = Place(jobset) if jobset else None
    left_out = max(0, len(builds) - _ON_A_PAGE)
    return {
        "builds": builds[:_ON_A_PAGE],
        "left_out": left_out,
        "place": place,
        "pending": place.pending if place else paths.PENDING,
        "running": place.running if place else paths.RUNNING,
    }


def _window(req: falcon.Request) -> tuple[datetime, datetime]:
    until = _moment(req, "endtime") or req.context.now
    since = _moment(req, "starttime") or until - _WINDOW
    if since > until:
        raise Invalid("Bad starttime", hint="it is after endtime")
    if until - since > _LONGEST:
        raise Invalid("Bad starttime", hint=f"at most {_LONGEST.days} days before endtime")
    return since, until


def _moment(req: falcon.Request, name: str) -> datetime | None:
    text = req.get_param(name)
    if not text:
        return None
    seconds = whole(text)
    try:
        if seconds is not None and seconds >= _WINDOW.total_seconds():
            return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise Invalid(f"Bad {name}", hint="seconds since 1970 are meant")


class DumpFiles:
    """The files of what has ended, compressed, of what everybody may see: the last four hours, or a
    day in UTC.
    """

    def __init__(self, services: Services) -> None:
        self._dumps = services.dumps

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        named = _DUMP.fullmatch(name)
        if named is None:
            raise NotFound(f"File {name} not found")
        if named[1] == "4hr":
            until, lasts = req.context.now + _INSTANT, _RECENT_LASTS
            since = until - _RECENT
        else:
            since, lasts = self._day(named[1], name), _DAY_LASTS
            until = since + timedelta(days=1)
            first = self._dumps.first_end()
            if first is None or until <= first or since > req.context.now:
                raise NotFound(f"File {name} not found")
        dump = Dump(self._dumps.links, since, until)
        found = self._dumps.file(
            name, lasts=lasts, write=lambda file: dump.write(file, self._dumps.ended(since, until))
        )
        resp.set_header("Cache-Control", "public, no-cache")
        resp.last_modified = found.made_at
        asked = _since(req)
        if asked is not None and found.made_at <= asked:
            found.file.close()
            resp.status = falcon.HTTP_304
            return
        resp.content_type = _GZIP
        resp.set_stream(found.file, found.size)

    @staticmethod
    def _day(text: str, name: str) -> datetime:
        try:
            since = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
            since + timedelta(days=1)  # is within the calendar
        except (ValueError, OverflowError):
            raise NotFound(f"File {name} not found") from None
        return since


def _since(req: falcon.Request) -> datetime | None:
    """The moment of the copy that a client has; None where it has none, or does not tell it so that
    it can be read.
    """
    try:
        return req.if_modified_since
    except falcon.HTTPInvalidHeader:
        return None
