"""How badges of jobs and jobsets look."""

from typing import NamedTuple

from ciserver.edge.badge import BROWN, GREEN, ORANGE, RED, draw
from ciserver.model.job import Health

LABEL = "build"


class _Look(NamedTuple):
    word: str
    color: str


LOOKS = {
    Health.PASSING: _Look("passing", GREEN),
    Health.PARTIAL: _Look("partly passing", ORANGE),
    Health.FAILING: _Look("failing", RED),
    Health.CANCELED: _Look("canceled", BROWN),
}


def badge(health: Health) -> str:
    """The picture as SVG."""
    return draw(LABEL, *LOOKS[health])
