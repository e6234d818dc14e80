"""The badge of a job or jobset: a small picture for other people's pages."""

from typing import NamedTuple

from markupsafe import Markup

from ciserver.model.job import Health

LABEL = "build"
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


class _Look(NamedTuple):
    word: str
    color: str  # on which white letters can be read


LOOKS = {
    Health.PASSING: _Look("passing", "#1a6b37"),
    Health.PARTIAL: _Look("partly passing", "#8a5300"),
    Health.FAILING: _Look("failing", "#b3261e"),
    Health.CANCELED: _Look("canceled", "#68572a"),
}


def badge(health: Health) -> str:
    """The picture as SVG."""
    look = LOOKS[health]
    left_text, right_text = _width(LABEL), _width(look.word)
    left, right = left_text + 2 * _MARGIN, right_text + 2 * _MARGIN
    return str(
        _SVG.format(
            title=f"{LABEL}: {look.word}",
            label=LABEL,
            word=look.word,
            color=look.color,
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


def _width(text: str) -> int:
    return round(len(text) * _WIDTH_OF_LETTER)
