"""What `git push -o` asks for. Every option is the text of whoever pushed."""

from collections.abc import Iterator, Sequence

from ciserver.model.account import Visibility
from ciserver.model.frozen import frozen
from ciserver.recipe.selection import SUBMIT, submit_faults

SKIP = ("skip-ci", "ci.skip")
_DEBUG, _DESCRIPTION, _VISIBILITY = "debug", "description=", "visibility="
_MOST_DESCRIPTION = 500


@frozen
class PushOptions:
    """What the options come to; of one that is given twice the last counts.

    `skip` is the option that asks for no builds, `visibility` who may at most see what is built,
    `description` a note for the evaluations, and `notes` say what was not understood. Options of
    other servers are passed over.
    """

    skip: str = ""
    debug: bool = False
    description: str = ""
    visibility: Visibility = Visibility.PUBLIC
    notes: tuple[str, ...] = ()


_NO_OPTIONS = PushOptions()


def read_options(options: Sequence[str]) -> PushOptions:
    """Never raises. Where a visibility is no word that is known, what is built is private: whoever
    wrote it did not want everybody to see it.
    """
    if not options:
        return _NO_OPTIONS
    visibility, faults = _visibility(_last(options, _VISIBILITY))
    return PushOptions(
        skip=next((one.strip() for one in options if one.strip() in SKIP), ""),
        debug=any(one.strip() == _DEBUG for one in options),
        description=description_of(options),
        visibility=visibility,
        notes=(*faults, *submit_faults(options)),
    )


def description_of(options: Sequence[str]) -> str:
    """The note that a push has for its evaluations, in one line."""
    text = " ".join((_last(options, _DESCRIPTION) or "").split())
    return "".join(filter(str.isprintable, text))[:_MOST_DESCRIPTION]


def note_of(options: Sequence[str], outcome: str) -> str:
    """What an evaluation says of itself: what the pusher says of it, what became of it, and what
    was not understood.
    """
    given = read_options(options)
    return "; ".join(filter(None, (given.description, outcome, *given.notes)))


def without_recipes(options: Sequence[str]) -> tuple[str, ...]:
    """The options for an evaluation whose recipes are not in what was pushed."""
    return tuple(one for one in options if not one.startswith(SUBMIT))


def _visibility(word: str | None) -> tuple[Visibility, tuple[str, ...]]:
    if word is None:
        return Visibility.PUBLIC, ()
    try:
        return Visibility(word.strip().lower()), ()
    except ValueError:
        words = ", ".join(Visibility)
        fault = f"visibility= is none of {words}; what is built is private"
        return Visibility.PRIVATE, (fault,)


def _last(options: Sequence[str], start: str) -> str | None:
    return next(_values(options[::-1], start), None)


def _values(options: Sequence[str], start: str) -> Iterator[str]:
    return (one.removeprefix(start) for one in options if one.startswith(start))
