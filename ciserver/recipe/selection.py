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
_SKIP_OPTIONS = ("skip-ci", "ci.skip")
_SUBMIT = "submit="


def skip_reason(message: str, options: Sequence[str]) -> str:
    """Why the commit's message or the push's options ask for no builds; empty when they do not."""
    for option in options:
        if option.strip() in _SKIP_OPTIONS:
            return f"the push option {option.strip()} asks for no builds"
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
    else the default.
    """
    patterns = [
        pattern.strip()
        for option in options
        if option.startswith(_SUBMIT)
        for pattern in option.removeprefix(_SUBMIT).split(",")
    ]
    return tuple(dict.fromkeys(filter(None, patterns))) or tuple(default)
