"""Globs of paths: what a job looks at in its repository.

A glob names a file, or a directory with all that is beneath it. It is matched name by name: `*`,
`?` and `[...]` stay within one name, `**` stands for any number of directories.
"""

import re
from collections.abc import Iterable

_SIGNS = re.compile(r"\*+|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)
_ANY = r"[^/]"
_END = r"(?=/|\Z)"


class PathGlobs:
    """Globs made ready for many paths. Many stars cost no more than other signs: what a star took
    is never tried again.
    """

    def __init__(self, globs: Iterable[str]) -> None:
        patterns = [_pattern(glob) for glob in globs] or ["(?!)"]
        self._pattern = re.compile("|".join(patterns))

    def match(self, path: str) -> bool:
        """Whether one of the globs names the file, or a directory above it."""
        return self._pattern.match(path) is not None


class Changes:
    """The paths that a push changed. Lists of globs that many jobs share are compared once."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = tuple(paths)
        self._touched: dict[tuple[str, ...], bool] = {}

    def __len__(self) -> int:
        return len(self._paths)

    def touch(self, globs: tuple[str, ...]) -> bool:
        if globs not in self._touched:
            wanted = PathGlobs(globs)
            self._touched[globs] = any(wanted.match(path) for path in self._paths)
        return self._touched[globs]


def _pattern(glob: str) -> str:
    """Runs of names between `**`: the first that fits is as good as any, for what follows may lie
    anywhere after it.
    """
    runs: list[list[str]] = [[]]
    for name in (f"{glob}**" if glob.endswith("/") else glob).split("/"):
        if re.fullmatch(r"\*\*+", name):
            runs.append([])
        elif name:
            runs[-1].append(_name(name))
    first, *others = runs
    parts = [_run(first)] if first else []
    parts += [f"(?>(?:{_ANY}+/)*?{_run(run)})" for run in others if run]
    if others and not others[-1]:
        parts.append("")  # a last `**` is beneath what comes before it, not that itself
    return "/".join(parts)


def _run(names: list[str]) -> str:
    return f"(?>{'/'.join(names)})"


def _name(name: str) -> str:
    """One name. All but the last of what stands between stars is taken where it fits first."""
    pieces = [""]
    for sign in _SIGNS.findall(name):
        if sign.startswith("*"):
            pieces.append("")
        else:
            pieces[-1] += _one(sign)
    first, *middle = pieces[:-1] or pieces
    if len(pieces) == 1:
        return first + _END
    found = "".join(f"(?>{_ANY}*?{piece})" for piece in middle if piece)
    return f"{first}{found}{_ANY}*{pieces[-1]}{_END}"


def _one(sign: str) -> str:
    if sign == "?":
        return _ANY
    if len(sign) == 1:
        return re.escape(sign)
    negated = sign[1] == "!"
    ranges = re.findall(r".-.|.", sign[1 + negated : -1], re.DOTALL)
    # Nothing is in a range that goes backwards.
    inner = "".join(
        f"{re.escape(one[0])}-{re.escape(one[-1])}" for one in ranges if one[0] <= one[-1]
    )
    if negated:
        return f"[^/{inner}]"
    return f"(?!/)[{inner}]" if inner else "(?!)"
