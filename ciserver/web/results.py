"""The directory of what a build left: the products and the logs of its newest attempt, as files."""

import io
import itertools
from collections.abc import Container
from typing import NamedTuple, TypeAlias

import falcon

from ciserver.edge.bodies import number
from ciserver.edge.files import as_download, serve_file
from ciserver.model.build import Product, Step
from ciserver.model.errors import NotFound
from ciserver.model.links import Links
from ciserver.model.view import BuildView
from ciserver.service.services import Services
from ciserver.web.failures import page_context
from ciserver.web.view import View

File: TypeAlias = Product | Step


class Entry(NamedTuple):
    """A line of the directory."""

    name: str
    url: str
    size: int
    what: str


class Results:
    def __init__(self, services: Services, view: View) -> None:
        self._services = services
        self._view = view

    def on_get_index(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        found = self._services.queries.build(req.context.actor, number(build_id))
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._view.render(
            "results.html",
            page_context(req),
            build=found.build,
            entries=[self._entry(name, one) for name, one in files_of(found).items()],
        )

    def on_get_file(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, name: str
    ) -> None:
        found = self._services.queries.build(req.context.actor, number(build_id))
        one = files_of(found).get(name)
        if one is None:
            raise NotFound(f"build {found.build.id} has no file {name}")
        if isinstance(one, Product):
            file = self._services.queries.open_product(one)
            as_download(resp, one.name)
            serve_file(req, resp, file, one.size, etag=one.sha256)
            # The next attempt may leave another file under this name.
            resp.set_header("Cache-Control", "private, no-cache")
            return
        log = self._services.logs.open(one.build_id, one) or io.BytesIO()
        resp.content_type = "text/plain; charset=utf-8"
        serve_file(req, resp, log, log.seek(0, io.SEEK_END))

    def _entry(self, name: str, one: File) -> Entry:
        url = Links("").result(one.build_id, name)
        if isinstance(one, Product):
            return Entry(name, url, one.size, one.path)
        return Entry(name, url, self._services.logs.size(one.build_id, one), f"log of {one.name}")


def files_of(view: BuildView) -> dict[str, File]:
    """The logs of the steps that began, as STEP.log, and the products, by file name. Of products
    with the same name all but the first have a number in front, as has one with the name of a log:
    what a step is called is known before it makes anything.
    """
    files: dict[str, File] = {f"{one.name}.log": one for one in view.steps}
    for one in view.results:
        files[_free_name(one.name, files)] = one
    return {name: one for name, one in files.items() if isinstance(one, Product) or one.started_at}


def _free_name(name: str, taken: Container[str]) -> str:
    names = itertools.chain([name], (f"{count}-{name}" for count in itertools.count(2)))
    return next(one for one in names if one not in taken)
