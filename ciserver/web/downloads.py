"""Products at addresses that can be told before they are made: by number, name and type."""

import mimetypes
from collections.abc import Iterable, Iterator
from typing import IO, NoReturn, cast

import falcon

from ciserver.edge.bodies import number
from ciserver.edge.dialect import Route
from ciserver.edge.files import ISOLATED, Span, Stretch, serve_file
from ciserver.edge.paths import with_slashes
from ciserver.model.errors import NotFound
from ciserver.service.product_files import Content, Found
from ciserver.service.services import Services
from ciserver.web.failures import page_context
from ciserver.web.view import View

_BUILD = "/build/{build_id}"
_INDEX = "index.html"
_TYPES = mimetypes.MimeTypes()  # those of the library, the same on every machine
_PACKED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
_UNKNOWN = "application/octet-stream"


class Downloads:
    """What a build wrote is shown, not saved, but as the page of nobody: it cannot act for whoever
    looks at it.
    """

    def __init__(self, services: Services, view: View) -> None:
        self._services = services
        self._files = services.product_files
        self._view = view
        self._urls = view.urls

    def routes(self) -> Iterator[Route]:
        yield Route(f"{_BUILD}/download", self, "first")
        yield Route(f"{_BUILD}/download/{{word}}", self, "product")
        yield Route(f"{_BUILD}/download/{{word}}/{{rest:path}}", self, "product")
        yield Route(f"{_BUILD}/download-by-type/{{kind}}/{{subtype}}", self, "by_type")
        yield Route(
            f"{_BUILD}/download-by-type/{{kind}}/{{subtype}}/{{rest:path}}", self, "by_type"
        )
        yield Route(f"{_BUILD}/contents/{{word}}", self, "contents")
        yield Route(f"{_BUILD}/output/{{name}}", self, "output")

    def on_get_first(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        self._see(self._files.find(req.context.actor, number(build_id)))

    def on_get_product(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, word: str, rest: str = ""
    ) -> None:
        """By its number, with its name behind it, or by its name; then what lies within."""
        word, path = with_slashes(word), with_slashes(rest).split("/") if rest else []
        found = self._files.find(req.context.actor, number(build_id), word)
        if word != str(found.number):
            path = [word, *path]
        elif not path:
            self._see(found)
        product = found.product
        if path == [product.name]:
            self._serve(req, resp, found, self._files.open(found))
        elif not product.is_directory and len(path) > 1:
            raise NotFound(f"{product.name} is a file, and there is nothing in it")
        elif path[0] != product.title:
            self._see(found, path[1:])
        else:
            self._serve_within(req, resp, found, path[1:])

    def _serve_within(
        self, req: falcon.Request, resp: falcon.Response, found: Found, path: list[str]
    ) -> None:
        """A file of a directory; of another directory in it the page to begin with."""
        content = self._files.open_within(found, path)
        if content is not None and path[-1:] != [""]:
            self._serve(req, resp, found, content)
            return
        if content is not None:
            content.file.close()
            raise NotFound(f"{content.name} is a file, and there is nothing in it")
        if path[-1:] != [""]:
            self._see(found, [*path, ""])
        try:
            index = self._files.open_within(found, [*path, _INDEX])
        except NotFound:
            index = None
        if index is None:
            raise falcon.HTTPFound(self._urls.contents(found.build.id, found.number))
        self._serve(req, resp, found, index)

    @staticmethod
    def _serve(req: falcon.Request, resp: falcon.Response, found: Found, content: Content) -> None:
        resp.content_type = media_type(content.name)
        file = content.file
        if content.offset:
            file = cast("IO[bytes]", Stretch(file, Span(content.offset, content.size)))
        serve_file(
            req,
            resp,
            file,
            content.size,
            etag=content.tag,
            modified=found.build.finished_at,
            policy=ISOLATED,
        )
        # The next attempt may leave another file under this name.
        resp.set_header("Cache-Control", "private, no-cache")

    def on_get_by_type(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        build_id: str,
        kind: str,
        subtype: str,
        rest: str = "",
    ) -> None:
        """The first product of a type, or what lies in it."""
        found = self._files.find_by_type(req.context.actor, number(build_id), kind, subtype)
        self._see(found, with_slashes(rest).split("/") if rest else ())

    def on_get_contents(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, word: str
    ) -> None:
        """What lies in an archive or a directory."""
        found = self._files.find(req.context.actor, number(build_id), with_slashes(word))
        listing = self._files.contents(found)
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._view.render(
            "contents.html", page_context(req), found=found, build=found.build, listing=listing
        )

    def on_get_output(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, name: str
    ) -> None:
        """An output as a whole, where it is kept."""
        wanted = number(build_id)
        found = self._files.output(req.context.actor, wanted, with_slashes(name))
        if found is None:
            raise falcon.HTTPFound(self._urls.results(wanted))
        raise falcon.HTTPFound(self._urls.download(wanted, found.number, found.product.name))

    def _see(self, found: Found, path: Iterable[str] = ()) -> NoReturn:
        """The address of a product by its number and name, and within a directory of what is
        wanted there, or of what to begin with.
        """
        product, inner = found.product, list(path)
        if product.is_directory and not inner:
            inner = product.default_path.split("/") if product.default_path else [""]
        parts = (product.title, *inner)
        raise falcon.HTTPFound(self._urls.download(found.build.id, found.number, *parts))


def media_type(name: str) -> str:
    """What a file is, by its name. Texts are taken for UTF-8, which most of them are."""
    kind, packing = _TYPES.guess_type(name)
    if packing:
        return _PACKED.get(packing, _UNKNOWN)
    if kind is None:
        return _UNKNOWN
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
