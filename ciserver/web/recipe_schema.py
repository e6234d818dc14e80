"""What a recipe may hold, for editors that complete keys and mark faults."""

import json
from functools import cached_property

import falcon

from ciserver.service.queries import Queries


class RecipeSchema:
    """It changes with the version of the program only, so everybody may keep it for a while."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = "application/schema+json"
        resp.set_header("Cache-Control", "public, max-age=3600")
        resp.data = self._text

    @cached_property
    def _text(self) -> bytes:
        return json.dumps(self._queries.recipe_schema()).encode()
