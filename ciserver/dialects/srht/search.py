"""What people write into the search box: words of the note, and `status:`, `image:`, `tags:`, each
turned round by a `!` before it. Quotes keep words together, and a colon from making a key.
"""

import re
from collections.abc import Iterator

from ciserver.dialects.srht.words import STATE
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.label_search import LabelSearch, Term
from ciserver.model.status import BuildStatus

LONGEST = 200
_FIELD = "search"
_KEYS = ("status", "image", "tags")
_TERM = re.compile(r'(?P<no>!)?(?:(?P<key>[^\s":!]+):)?(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]*))')
_UNFIT = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")
_WORDS = tuple(dict.fromkeys(STATE.values()))


def read_search(text: str) -> LabelSearch:
    """What is looked for; everything where the text is empty. Raises Invalid with every fault."""
    if len(text) > LONGEST:
        raise _invalid([Complaint(_FIELD, f"must be at most {LONGEST} characters")])
    if _UNFIT.search(text):
        raise _invalid([Complaint(_FIELD, "must be text")])
    terms: dict[str, list[Term]] = {"": [], **{key: [] for key in _KEYS}}
    faults = []
    for key, term in _terms(text):
        if fault := _fault(key, term):
            faults.append(Complaint(_FIELD, fault))
        else:
            terms[key].append(term)
    if faults:
        raise _invalid(faults)
    return LabelSearch(
        note=tuple(terms[""]),
        image=tuple(terms["image"]),
        tags=tuple(terms["tags"]),
        statuses=_statuses(terms["status"]),
    )


def _terms(text: str) -> Iterator[tuple[str, Term]]:
    """Each key, empty for a word of the note, with what it is about."""
    place = 0
    while place < len(text):
        found = _TERM.match(text, place)
        if found is None or found.end() == place:
            place += 1  # a space, or a quote without its other one
            continue
        place = found.end()
        said = found["plain"] if found["quoted"] is None else found["quoted"]
        if found["key"] or said:  # no `!` or pair of quotes by itself
            yield (found["key"] or "").lower(), Term(said, negated=bool(found["no"]))


def _fault(key: str, term: Term) -> str:
    if key and key not in _KEYS:
        return f'there is no key "{key}:"; known are {", ".join(_KEYS)}; quotes make it a word'
    if not term.text:
        return f"{key}: must be followed by what to look for"
    if key == "status" and term.text.lower() not in _WORDS:
        return f'there is no status "{term.text}"; known are {", ".join(_WORDS)}'
    return ""


def _statuses(terms: list[Term]) -> frozenset[BuildStatus]:
    wanted = frozenset(BuildStatus)
    for term in terms:
        named = {status for status, word in STATE.items() if word == term.text.lower()}
        wanted = wanted - named if term.negated else wanted & named
    return wanted


def _invalid(faults: list[Complaint]) -> Invalid:
    return Invalid("the search cannot be done", complaints=faults)
