"""Addresses that are pages to people and something else to programs that ask for it."""

from typing import Any

import falcon

from ciserver.edge.dialect import SharedDialect
from ciserver.web.pages import Pages
from ciserver.web.sign_in import SignIn
from ciserver.web.view import Urls


class SharedPages:
    """Hands each request to the page, or to what the shared dialect has in its place."""

    def __init__(self, pages: Pages, sign_in: SignIn, urls: Urls, dialect: SharedDialect) -> None:
        self._pages = pages
        self._sign_in = sign_in
        self._urls = urls
        self._dialect = dialect

    def _is_spoken(self, req: falcon.Request, resp: falcon.Response) -> bool:
        resp.append_header("Vary", "Accept")
        return self._dialect.speaks(req)

    def _page(self, req: falcon.Request, resp: falcon.Response) -> Any:
        return self._dialect.pages if self._is_spoken(req, resp) else self._pages

    def _door(self, req: falcon.Request, resp: falcon.Response) -> Any:
        return self._dialect.sign_in if self._is_spoken(req, resp) else self._sign_in

    # -- projects ---------------------------------------------------------------------------------

    def on_get_home(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._page(req, resp).on_get_home(req, resp)

    def on_get_project(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        self._page(req, resp).on_get_project(req, resp, project)

    def on_put_project(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        self._dialect.pages.on_put_project(req, resp, project)

    def on_delete_project(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        self._dialect.pages.on_delete_project(req, resp, project)

    # -- jobsets ----------------------------------------------------------------------------------

    def on_get_jobset(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        self._page(req, resp).on_get_jobset(req, resp, project, jobset)

    def on_put_jobset(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        self._dialect.pages.on_put_jobset(req, resp, project, jobset)

    def on_delete_jobset(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        self._dialect.pages.on_delete_jobset(req, resp, project, jobset)

    def on_get_evaluations(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        """To people the page of the jobset shows them."""
        if not self._is_spoken(req, resp):
            raise falcon.HTTPFound(self._urls.jobset(project, jobset))
        self._dialect.pages.on_get_evaluations(req, resp, project, jobset)

    # -- evaluations and builds -------------------------------------------------------------------

    def on_get_evaluation(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        self._page(req, resp).on_get_evaluation(req, resp, evaluation_id)

    def on_get_build(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        self._page(req, resp).on_get_build(req, resp, build_id)

    # -- signing in -------------------------------------------------------------------------------

    def on_get_login(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._door(req, resp).on_get_login(req, resp)

    def on_post_login(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._door(req, resp).on_post_login(req, resp)

    def on_post_logout(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page's form carries the token of the session, which the page asks for."""
        self._door(req, resp).on_post_logout(req, resp)
