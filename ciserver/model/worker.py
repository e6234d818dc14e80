"""Workers on other machines: what each proves itself with, and what it may take."""

import re
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import NamedTuple

from ciserver.model.frozen import frozen
from ciserver.model.push import Trust

_QUEUE = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.+]*(?:-[A-Za-z0-9_.+]+)+)/([a-z]+)")
_LONGEST = 120
LABEL = r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}"
LABEL_RULE = "1 to 64 letters, digits, '_', '-', '.' and '+', not beginning with '-', '.' or '+'"
MOST_LABELS = 20


class Queue(NamedTuple):
    """The builds for one system that are trusted alike."""

    system: str
    trust: Trust

    def __str__(self) -> str:
        return f"{self.system}/{self.trust.value}"


def queue_of(text: str) -> Queue | None:
    """The queue that is written as SYSTEM/TRUST; None for any other text."""
    found = _QUEUE.fullmatch(text)
    if found is None or len(text) > _LONGEST or found[2] not in set(Trust):
        return None
    return Queue(found[1], Trust(found[2]))


@frozen
class Worker:
    """A worker that was given a credential: the queues it may claim builds of, the labels it may
    say it has, and the projects by id and name that it is for; none: it is for all.
    """

    name: str
    queues: tuple[Queue, ...]
    created_at: datetime
    last_seen_at: datetime | None
    labels: tuple[str, ...] = ()
    projects: Mapping[int, str] = field(default_factory=dict)


@frozen
class Checkout:
    """One repository of a source: where in its directory it goes (empty: it is the source itself),
    by which name the server knows the mirror, and what of it is wanted. `refs` and `default` are
    the mirror's.
    """

    path: str
    mirror: str
    revision: str
    refs: dict[str, str]
    default: str = ""


@frozen
class Listing:
    """What a source is made of: repositories, those around others first; or one file that was sent
    in, by its name.
    """

    checkouts: tuple[Checkout, ...] = ()
    upload: str = ""
