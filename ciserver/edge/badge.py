"""Badges: small pictures for other people's pages, with a label and a word."""

from hashlib import sha256

import falcon
from markupsafe import Markup

from ciserver.edge.notes import plain

# On which white letters can be read.
GREEN, RED, ORANGE, BROWN, GRAY = "#1a6b37", "#b3261e", "#8a5300", "#68572a", "#5b645f"
_HEIGHT, _MARGIN, _BASELINE = 20, 7, 14
_WIDTH_OF_LETTER = 6.6  # about what 11 pixels of a common typeface take
_SVG = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="{height}" role="img"'
    ' aria-label="{title}"><title>{title}</title>'
    '<rect width="{whole}" height="{height}" rx="4" fill="{color}"/>'
    '<path d="M4 0h{left_end}v{height}H4a4 4 0 0 1-4-4V4a4 4 0 0 1 4-4z" fill="#3d4543"/>'
    '<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11"'
    ' text-anchor="middle">'
    '<text x="{left_middle}" y="{baseline}" textLength="{left_text}">{label}</text>'
    '<text x="{right_middle}" y="{baseline}" textLength="{right_text}">{word}</text>'
    "</g></svg>\n"
)


def draw(label: str, word: str, color: str) -> str:
    """The picture as SVG."""
    label = plain(label)
    left_text, right_text = _width(label), _width(word)
    left, right = left_text + 2 * _MARGIN, right_text + 2 * _MARGIN
    return str(
        _SVG.format(
            title=f"{label}: {word}",
            label=label,
            word=word,
            color=color,
            whole=left + right,
            height=_HEIGHT,
            baseline=_BASELINE,
            left_end=left - 4,
            left_middle=left / 2,
            left_text=left_text,
            right_middle=left + right / 2,
            right_text=right_text,
        )
    )


def serve_badge(req: falcon.Request, resp: falcon.Response, picture: str, kept: str) -> None:
    """Answer with the picture, or that it is the one which the client has. `kept` says who may
    keep it, as the header Cache-Control has it.
    """
    content = picture.encode()
    resp.set_header("Cache-Control", kept)
    resp.etag = tag = sha256(content).hexdigest()[:16]
    if any(one in {tag, "*"} for one in req.if_none_match or ()):
        resp.status = falcon.HTTP_304
        return
    resp.content_type, resp.data = "image/svg+xml", content


def _width(text: str) -> int:
    return round(len(text) * _WIDTH_OF_LETTER)
