"""Which of somebody's builds are looked for, by what they are called and how they fared."""

from ciserver.model.frozen import frozen
from ciserver.model.status import BuildStatus

_ANY = frozenset(BuildStatus)


@frozen
class Term:
    """A piece of text that must be there, in letters of either case; or must not, if `negated`."""

    text: str
    negated: bool = False


@frozen
class LabelSearch:
    """Builds of which every term is true. To `tags` they are one text, with slashes between and
    around them.
    """

    note: tuple[Term, ...] = ()
    image: tuple[Term, ...] = ()
    tags: tuple[Term, ...] = ()
    statuses: frozenset[BuildStatus] = _ANY

    @property
    def names_statuses(self) -> bool:
        return self.statuses != _ANY


EVERYTHING = LabelSearch()
