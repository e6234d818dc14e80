"""The refs and revisions a payload names, believed only when git itself could have named them."""

import re
from collections.abc import Iterable
from typing import Any

from ciserver.intake.payload import Fields
from ciserver.model.frozen import frozen
from ciserver.model.push import Push, RefChange

MAX_REF = 1024
_REVISION = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# What `git check-ref-format` forbids, and characters that turn the text around on a page.
_FORBIDDEN = re.compile(
    r"[\x00-\x20\x7f-\x9f~^:?*\[\\\u2028-\u202e\u2066-\u2069\ud800-\udfff]|\.\.|@\{|\.$"
)


@frozen
class PushWords:
    """How a forge names the parts of its push payload; `pushers` are dotted paths, best first."""

    repository: str
    addresses: tuple[str, ...]
    pushers: tuple[str, ...]


def read_push(values: dict[str, Any], words: PushWords) -> Push:
    """The one change that a forge's push payload tells. Raises Invalid with every fault."""
    fields = Fields(values)
    push = Push(
        changes=(read_change(fields, old="before", new="after"),),
        repositories=_addresses(fields, words),
        pusher=next(filter(None, map(fields.shown, words.pushers)), ""),
    )
    fields.require_sound()
    return push


def read_change(fields: Fields, *, old: str, new: str) -> RefChange:
    """The ref and its two revisions; faults are noted in `fields`."""
    return RefChange(
        ref=_ref(fields),
        old=_revision(fields, old),
        new=_revision(fields, new),
    )


def is_full_ref(ref: str) -> bool:
    """Whether git could have a ref of this full name, and no program takes it for an option."""
    components = ref.split("/")
    return (
        len(ref) <= MAX_REF
        and components[0] == "refs"
        and len(components) > 1
        and not _FORBIDDEN.search(ref)
        and all(map(_is_component, components))
    )


def _is_component(text: str) -> bool:
    return bool(text) and not text.startswith((".", "-")) and not text.endswith(".lock")


def _ref(fields: Fields) -> str:
    ref = fields.text("ref")
    if ref and not is_full_ref(ref):
        fields.complain("ref", "must be a full and valid ref name such as refs/heads/main")
    return ref


def _revision(fields: Fields, name: str) -> str:
    revision = fields.text(name)
    if revision and not _REVISION.fullmatch(revision):
        fields.complain(name, "must be 40 or 64 lower-case hexadecimal digits")
    return revision


def _addresses(fields: Fields, words: PushWords) -> tuple[str, ...]:
    repository = fields.part(words.repository)
    found = tuple(_each_once(repository.optional_text(name) for name in words.addresses))
    if not found:
        repository.complain(words.addresses[0], "must be there: no address of it is known")
    return found


def _each_once(texts: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(filter(None, texts))
