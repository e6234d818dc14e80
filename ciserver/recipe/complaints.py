"""The faults of recipes: how fields and texts are named in them, and how many are told."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from ciserver.model.errors import Complaint

MOST = 100

Location = tuple[int | str, ...]


def shown(text: str) -> str:
    """What a person wrote, short and on one line, to be quoted in a sentence."""
    return repr(text if len(text) <= 60 else f"{text[:60]}...")


def nearest(word: str, words: tuple[str, ...]) -> str:
    """`; did you mean X?` when there is a near word, else nothing."""
    close = get_close_matches(word[:100], words, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def field_name(location: Location) -> str:
    """`("tasks", 2, "build")` as `tasks[2].build`."""
    name = ""
    for part in location:
        if isinstance(part, int):
            name += f"[{part}]"
        elif not _is_inner(part):
            name += f".{_readable(part)}"
    return name.removeprefix(".")


class Rest(Complaint):
    """The last line of many complaints: how many more there are."""

    @classmethod
    def of(cls, count: int) -> "Rest":
        return cls("", f"and {count} more fault{'s' if count > 1 else ''}")

    @property
    def count(self) -> int:
        return int(self.message.split()[1])


class Faults:
    """Complaints as they come: so many as a person can use are kept and the others counted, so that
    a million faults cost no more than a hundred.
    """

    def __init__(self, complaints: Iterable[Complaint] = ()) -> None:
        self._first: list[Complaint] = []
        self._rest = 0
        self.extend(complaints)

    def append(self, one: Complaint) -> None:
        if isinstance(one, Rest):
            self._rest += one.count
        elif len(self._first) < MOST:
            self._first.append(one)
        else:
            self._rest += 1

    def extend(self, complaints: Iterable[Complaint]) -> None:
        for one in complaints:
            self.append(one)

    def __len__(self) -> int:
        """Of all of them, those that are only counted too."""
        return len(self._first) + self._rest

    def __iter__(self) -> Iterator[Complaint]:
        """Those that were kept, and last how many more there are."""
        yield from self._first
        if self._rest:
            yield Rest.of(self._rest)


def at_most(complaints: Iterable[Complaint]) -> tuple[Complaint, ...]:
    """So many that a person can use them, and last how many more there are."""
    return tuple(Faults(complaints))


def repeated(what: str, named: Iterable[tuple[Location, str]]) -> Iterator[Complaint]:
    """One complaint for each name that an earlier place has already."""
    first: dict[str, Location] = {}
    for place, name in named:
        if name in first:
            earlier = field_name(first[name])
            yield Complaint(field_name(place), f"{what} {shown(name)} is taken by {earlier}")
        elif name:
            first[name] = place


def _is_inner(part: str) -> bool:
    """Sides of unions and the mark of a map's key are pydantic's words, not the author's."""
    return part == "[key]" or (part.startswith("<") and part.endswith(">"))


def _readable(key: str) -> str:
    return key if key.isprintable() and 0 < len(key) <= 60 else shown(key)
