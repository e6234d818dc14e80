"""What the builds of a push are called and sorted by.

The texts are those of whoever pushed: they go into a note in markdown and from there onto pages and
into mails, so what could be taken for markup or end a line is taken out of them.
"""

import re

from ciserver.model.build import Label
from ciserver.model.evaluation import Evaluation, Kind
from ciserver.model.links import Links
from ciserver.recipe.files import PROGRAMS, job_name

BY_PUSH = frozenset({Kind.PUSH, Kind.TAG, Kind.PULL_REQUEST})
_SHORT = 12
_MOST_SUBJECT, _MOST_NAME = 200, 100
_AUTHOR = re.compile(r"(.*?)\s*<([A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+)>")
_MARKUP = re.compile(r"[\[\]()<>\\`*]")


def push_label(evaluation: Evaluation, repository: str, file: str, links: Links) -> Label | None:
    """The label of what a manifest makes of a push; None for what nobody pushed, and for programs,
    which may make very many jobs.

    The tags are the repository, `commits`, the branch and the manifest, so that the builds of a
    branch are one path of tags. For what is proposed they are the repository, `pulls` and the
    number; for a tag there is no branch.
    """
    if evaluation.kind not in BY_PUSH or file.endswith(PROGRAMS):
        return None
    where = _where(evaluation)
    return Label(_note(evaluation, links), (repository, *where, job_name(file)))


def _where(evaluation: Evaluation) -> tuple[str, ...]:
    ref = evaluation.ref
    if evaluation.kind is Kind.PULL_REQUEST:
        return ("pulls", _number(ref))
    branch = ref.removeprefix("refs/heads/")
    return ("commits", branch) if branch != ref else ("commits",)


def _number(ref: str) -> str:
    """Of what is proposed: `7` of `refs/pull/7/head`, and `1234` of `refs/changes/34/1234/2`."""
    numbers = [part for part in ref.split("/") if part.isdigit()]
    return max(numbers[:2], key=len, default="0")


def _note(evaluation: Evaluation, links: Links) -> str:
    """`[revision](page) — [name](mailto:address): subject`, in one line, as lists show it."""
    commit = f"[{evaluation.revision[:_SHORT]}]({links.evaluation(evaluation.id)})"
    # A link of its own could claim to lead anywhere.
    subject = _one_line(evaluation.subject)[:_MOST_SUBJECT].replace("](", "] (")
    return f"{commit} — {_author(evaluation.author)}" + (f": {subject}" if subject else "")


def _author(author: str) -> str:
    known = _AUTHOR.fullmatch(_one_line(author))
    name = _MARKUP.sub("", known[1] if known else _one_line(author))[:_MOST_NAME].strip()
    if known is None:
        return name or "nobody"
    return f"[{name or known[2]}](mailto:{known[2]})"


def _one_line(text: str) -> str:
    """Without what ends a line, moves a cursor or turns the text round."""
    return "".join(one if one.isprintable() else " " for one in text).strip()
