"""Foreign text made safe for one line: commit subjects, names, answers of other servers."""

import unicodedata


def one_line(text: str, limit: int) -> str:
    """`text` on one line of at most `limit` characters, without control or direction marks."""
    visible = "".join(" " if _is_invisible(one) else one for one in text[: limit * 4])
    line = " ".join(visible.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def lines(text: str, most: int, width: int) -> str:
    """The first lines of `text`, each made safe, without what is empty around them."""
    shown = [one_line(one, width) for one in text.strip().splitlines()[:most]]
    return "\n".join(shown)


def first_line(answer: bytes, limit: int) -> str:
    """The first line of an answer that says something, made safe to show."""
    lines = answer.decode("utf-8", "replace").splitlines()
    return next((line for line in (one_line(one, limit) for one in lines) if line), "")


def short_ref(ref: str) -> str:
    """A branch or tag as people call it."""
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character).startswith("C")
