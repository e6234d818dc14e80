"""Which recipes and jobs a push asks for, and why others are left out."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from ciserver.model.build import Job
from ciserver.model.evaluation import Kind
from ciserver.recipe.globs import Changes

_SKIP_WORDS = re.compile(
    r"\[(?:skip ci|ci skip|no ci|skip actions|actions skip)\]|\bDONTBUILD\b", re.IGNORECASE
)
_SKIP_TRAILER = re.compile(r"^skip-checks:[ \t]*true[ \t]*$", re.IGNORECASE | re.MULTILINE)
SUBMIT = "submit="  # a push option: where its recipes lie
_PUSHES = {Kind.PUSH, Kind.TAG}
_SUBMITTER = "submitter.git.sr.ht"
_MOST_PATTERNS, _MOST_LETTERS, _MOST_NAMES = 100, 250, 32


def skip_reason(message: str) -> str:
    """Why the commit's message asks for no builds; empty when it does not."""
    word = _SKIP_WORDS.search(message) or _SKIP_TRAILER.search(_trailers(message))
    return f"the commit message says {word[0]}" if word else ""


def _trailers(message: str) -> str:
    """The last paragraph, unless it is the subject."""
    lines = message.replace("\r\n", "\n").strip()
    return lines.rpartition("\n\n")[2] if "\n\n" in lines else ""


def left_out(job: Job, kind: Kind, ref: str, changes: Changes | None = None) -> str:
    """Why the job's own filters leave it out, naming the filter; empty when they do not.

    Without `changes`, where there is nothing to compare with, no job is left out for its paths.
    """
    if kind not in job.kinds:
        return f"when.kinds: {kind} is none of {', '.join(job.kinds) or '(nothing)'}"
    if kind in _PUSHES and not job.by_push:
        return f"{_SUBMITTER}.enabled: pushes do not build it"
    if kind in _PUSHES and job.push_refs and not _is_chosen(ref, job.push_refs):
        return f"{_SUBMITTER}.allow-refs: {ref} matches none of {', '.join(job.push_refs)}"
    if job.refs and not _is_chosen(ref, job.refs):
        return f"when.refs: {ref or 'no ref'} matches none of {', '.join(job.refs)}"
    if job.changed_paths and changes is not None and not changes.touch(job.changed_paths):
        globs = ", ".join(job.changed_paths)
        return f"when.paths: none of the {len(changes)} changed files matches {globs}"
    return ""


def _is_chosen(ref: str, globs: Sequence[str]) -> bool:
    short = re.sub(r"^refs/(heads/|tags/)?", "", ref)
    return any(fnmatchcase(name, glob) for glob in globs for name in (ref, short))


def recipe_globs(options: Sequence[str], default: Sequence[str]) -> tuple[str, ...]:
    """Where to look for recipes: the patterns of all `submit=PATTERN[,PATTERN]` push options, or
    else the default. Patterns that `submit_faults` names are not among them.
    """
    patterns = _patterns(options)
    good = [one for one in patterns[:_MOST_PATTERNS] if not _fault(one)]
    return tuple(good) if patterns else tuple(default)


def submit_faults(options: Sequence[str]) -> tuple[str, ...]:
    """What is wrong with the patterns of `submit=`, which names files of what is pushed."""
    patterns = _patterns(options)
    faults = [f"submit={one[:40]} {fault}" for one in patterns if (fault := _fault(one))]
    if len(patterns) > _MOST_PATTERNS:
        faults.append(f"submit= has more than {_MOST_PATTERNS} patterns; the others do not count")
    return tuple(faults[:_MOST_PATTERNS])


def _patterns(options: Sequence[str]) -> list[str]:
    written = (one.removeprefix(SUBMIT) for one in options if one.startswith(SUBMIT))
    patterns = (pattern.strip() for one in written for pattern in one.split(","))
    return list(dict.fromkeys(filter(None, patterns)))


def _fault(pattern: str) -> str:
    names = pattern.split("/")
    if len(pattern) > _MOST_LETTERS or len(names) > _MOST_NAMES:
        return f"is longer than {_MOST_LETTERS} letters or {_MOST_NAMES} names"
    if not {"", ".", ".."}.isdisjoint(names):
        return "is no path within what is pushed"
    return ""
