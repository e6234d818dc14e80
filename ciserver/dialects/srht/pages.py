"""What somebody asked for, for people: lists, beneath tags too, with their feeds and badges."""

import io
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple, NoReturn
from urllib.parse import quote, urlencode

import falcon

from ciserver.dialects.srht.feed import MEDIA_TYPE, feed, newest_change
from ciserver.dialects.srht.given import job_id as read_id
from ciserver.dialects.srht.search import LONGEST, read_search
from ciserver.dialects.srht.words import STATE
from ciserver.edge.badge import GRAY, GREEN, RED, draw, serve_badge
from ciserver.edge.bodies import number_query
from ciserver.edge.dialect import Route
from ciserver.edge.files import serve_file
from ciserver.edge.notes import plain
from ciserver.edge.pages import show_page
from ciserver.model.errors import Invalid, NotFound
from ciserver.model.links import Links
from ciserver.model.view import LabeledPage
from ciserver.service.access import name_complaints
from ciserver.service.services import Services

PAGE = 15
FEED = 30
_FEED, _BADGE = "rss.xml", ".svg"
_LABEL, _LONGEST_LABEL = "build", 60
_NO_STORE = "no-cache"  # kept, but asked for again each time
_UNKNOWN = ("unknown", GRAY)
_SHOWN = {"success": ("success", GREEN), "failed": ("failure", RED), "timeout": ("failure", RED)}
_TELLING = frozenset(status for status, word in STATE.items() if word in _SHOWN)


class Place(NamedTuple):
    """What somebody asked for, or the part of it beneath their tags."""

    owner: str
    tags: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return "/" + "/".join(quote(one, safe="~") for one in (f"~{self.owner}", *self.tags))

    @property
    def name(self) -> str:
        return "/".join((f"~{self.owner}", *self.tags))

    @property
    def feed(self) -> str:
        return f"{self.path}/{_FEED}"

    @property
    def badge(self) -> str:
        return f"{self.path}{_BADGE}"

    @property
    def label(self) -> str:
        return self.tags[-1] if self.tags else self.name

    def above(self) -> list["Place"]:
        """Those that it lies in, the widest first."""
        return [Place(self.owner, self.tags[:end]) for end in range(len(self.tags))]

    def beneath(self, tags: tuple[str, ...]) -> list["Place"]:
        """The places that these tags lead to from the owner's, one after the other."""
        parts = [part for part in "/".join(tags).split("/") if part]
        return [Place(self.owner, tuple(parts[: end + 1])) for end in range(len(parts))]


class UserPages:
    def __init__(self, services: Services, base_url: str) -> None:
        self._services = services
        self._base_url = base_url

    def routes(self) -> Iterator[Route]:
        yield Route(f"/~{{user}}{_BADGE}", self, "badge")
        yield Route("/~{user}", self, "jobs")
        yield Route(f"/~{{user}}/{_FEED}", self, "feed")
        yield Route("/~{user}/job/{job_id}", self, "job")
        yield Route("/~{user}/job/{job_id}/manifest", self, "manifest")
        yield Route("/~{user}/{rest:path}", self, "beneath")

    # -- lists ------------------------------------------------------------------------------------

    def on_get_jobs(self, req: falcon.Request, resp: falcon.Response, user: str) -> None:
        self._show(req, resp, _place(req, user))

    def on_get_beneath(
        self, req: falcon.Request, resp: falcon.Response, user: str, rest: str
    ) -> None:
        """A path of tags, or its feed or badge."""
        path, _, last = rest.rpartition("/")
        if last == _FEED:
            self._feed(req, resp, _place(req, user, path))
        elif last.endswith(_BADGE):
            self._badge(req, resp, _place(req, user, rest.removesuffix(_BADGE)))
        else:
            self._show(req, resp, _place(req, user, rest))

    def _show(self, req: falcon.Request, resp: falcon.Response, place: Place) -> None:
        search = _search(req)
        found, faults = None, []
        try:
            found = self._find(req, place, search, PAGE)
        except Invalid as error:
            if any(one.field != "search" for one in error.complaints):
                raise
            resp.status = falcon.HTTP_400
            faults = [one.message for one in error.complaints]
        show_page(
            resp,
            "srht/jobs.html",
            place=place,
            crumbs=[(one.path, one.label) for one in place.above()],
            found=found,
            faults=faults,
            search=plain(search[:LONGEST]),
            before=number_query(req, "before"),
            older=_query(search, found.next) if found else "",
            feed=place.feed + (_query(search) if found else ""),
        )

    def _find(self, req: falcon.Request, place: Place, search: str, limit: int) -> LabeledPage:
        return self._services.label_lists.list_builds(
            req.context.actor,
            place.owner,
            place.tags,
            read_search(search),
            before=number_query(req, "before"),
            limit=limit,
        )

    # -- feeds ------------------------------------------------------------------------------------

    def on_get_feed(self, req: falcon.Request, resp: falcon.Response, user: str) -> None:
        self._feed(req, resp, _place(req, user))

    def _feed(self, req: falcon.Request, resp: falcon.Response, place: Place) -> None:
        search = _search(req)
        found = self._find(req, place, search, FEED).submitted
        query = _query(search)
        content = feed(
            f"{place.name}: {search}" if search else place.name,
            found,
            base=self._base_url or str(req.prefix),
            page=place.path + query,
            own=place.feed + query,
        )
        resp.content_type = MEDIA_TYPE
        serve_file(
            req,
            resp,
            io.BytesIO(content),
            len(content),
            etag=sha256(content).hexdigest()[:16],
            # What no longer fits a search is gone without a change that has a time.
            modified=None if search else newest_change(found),
        )
        resp.set_header("Cache-Control", _kept(req))

    # -- badges -----------------------------------------------------------------------------------

    def on_get_badge(self, req: falcon.Request, resp: falcon.Response, user: str) -> None:
        self._badge(req, resp, _place(req, user))

    def _badge(self, req: falcon.Request, resp: falcon.Response, place: Place) -> None:
        """How the newest job ended that everybody may see; so it is the same to everybody."""
        build = self._services.label_lists.newest(place.owner, place.tags, _TELLING)
        look = _SHOWN[STATE[build.status]] if build else _UNKNOWN
        label = (req.get_param("name") or _LABEL)[:_LONGEST_LABEL]
        serve_badge(req, resp, draw(label, *look), _NO_STORE)

    # -- one job ----------------------------------------------------------------------------------

    def on_get_job(
        self, req: falcon.Request, resp: falcon.Response, user: str, job_id: str
    ) -> NoReturn:
        """Its page is that of the build, whoever the address says asked for it."""
        build = self._services.rights.build(req.context.actor, read_id(job_id))
        raise falcon.HTTPFound(Links("").build(build.id))

    def on_get_manifest(
        self, req: falcon.Request, resp: falcon.Response, user: str, job_id: str
    ) -> None:
        recipe = self._services.queries.recipe(req.context.actor, read_id(job_id))
        if not recipe:
            raise NotFound(f"job {job_id} was made without a manifest")
        resp.content_type = "text/plain; charset=utf-8"
        resp.text = recipe


def _place(req: falcon.Request, user: str, path: str = "") -> Place:
    """Raises NotFound for what can be nobody's name, and for what is no text."""
    if name_complaints("user", user) or plain(path) != path:
        raise NotFound(f"there is nothing at {plain(req.path)}")
    return Place(user, tuple(part for part in path.split("/") if part))


def _search(req: falcon.Request) -> str:
    return (req.get_param("search") or "").strip()


def _query(search: str, before: int | None = None) -> str:
    asked = {"search": search or None, "before": before}
    given = {name: value for name, value in asked.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def _kept(req: falcon.Request) -> str:
    return f"private, {_NO_STORE}" if req.context.actor.name else _NO_STORE
