"""An input as one text, as people and declarations write it: `URI [BRANCH, REF or REVISION]` of a
repository, `PATH-or-URL [SECONDS]` of a path, and any other value as it is.
"""

import re

from ciserver.model.project import DEFAULT_REFRESH_SECONDS, DEFAULT_WATCH, Input, InputType

_REVISION = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SECONDS = re.compile(r"[0-9]{1,9}")
_DEEP = "deep"  # fetch the whole history, as is done here anyway
_BRANCH = "refs/heads/"


def read_input(name: str, kind: InputType, text: str) -> Input:
    """The input that a text stands for. One without a branch follows the default one and is told
    by any push, one with a branch by pushes to that. Raises ValueError with what is wrong.
    """
    match kind:
        case InputType.GIT:
            return _repository(name, text.split())
        case InputType.PATH:
            return _path(name, text.strip())
        case InputType.BOOLEAN if text not in {"true", "false"}:
            raise ValueError("a boolean is true or false")
    return Input(name, type=kind, value=text)


def input_text(one: Input) -> str:
    """The text of an input: a path has its seconds where they are not the usual ones, or where its
    own end could be taken for them.
    """
    if one.type is InputType.PATH:
        is_usual = one.refresh_seconds == DEFAULT_REFRESH_SECONDS and " " not in one.uri
        return one.uri if is_usual else f"{one.uri} {one.refresh_seconds}"
    if one.type is not InputType.GIT:
        return one.value
    tracked = "" if one.ref == "HEAD" else one.ref.removeprefix(_BRANCH)
    return f"{one.uri} {tracked}".rstrip()


def follows_same(one: Input, other: Input) -> bool:
    """Whether two inputs are of the same, whatever pushes they are told by."""
    return (one.type, one.uri, one.ref) == (other.type, other.uri, other.ref)


def _repository(name: str, words: list[str]) -> Input:
    unknown = [one for one in words[2:] if one != _DEEP]
    if not words or unknown:
        raise ValueError("must be URI [BRANCH]")
    ref = _ref(words[1]) if len(words) > 1 else "HEAD"
    watch = DEFAULT_WATCH if ref == "HEAD" else (ref,) if ref.startswith("refs/") else ()
    return Input(name, words[0], ref, watch)


def _ref(word: str) -> str:
    if word == "HEAD" or word.startswith("refs/") or _REVISION.fullmatch(word):
        return word
    return f"{_BRANCH}{word}"


def _path(name: str, text: str) -> Input:
    path, _, last = text.rpartition(" ")
    if path and _SECONDS.fullmatch(last):
        return Input(name, path.rstrip(), type=InputType.PATH, refresh_seconds=int(last))
    return Input(name, text, type=InputType.PATH)
