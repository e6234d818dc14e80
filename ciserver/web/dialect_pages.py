"""Renders the pages that dialects choose."""

import falcon

from ciserver.web.failures import render_chosen
from ciserver.web.view import View


class DialectPages:
    def __init__(self, view: View) -> None:
        self._view = view

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        render_chosen(self._view, req, resp)
