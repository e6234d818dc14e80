"""Pages that a dialect shows to people, in the looks of ours: it names the template and the values,
and the room that has the templates renders them.
"""

from typing import Any, NamedTuple

import falcon


class Page(NamedTuple):
    template: str
    values: dict[str, Any]


def show_page(resp: falcon.Response, template: str, **values: Any) -> None:
    resp.content_type = falcon.MEDIA_HTML
    resp.context.page = Page(template, values)


def take_page(resp: falcon.Response) -> Page | None:
    """The page that was chosen for this response and not taken yet, if one was."""
    found = getattr(resp.context, "page", None)
    resp.context.page = None
    return found if isinstance(found, Page) else None
