"""XML that somebody hostile may have written, as a sequence of events."""

from collections.abc import Callable
from typing import NoReturn
from xml.parsers import expat

_MOST_DEPTH = 100
_PIECE = 1 << 16


class BadXml(Exception):
    """It is not XML, or more than is read; the message says what."""


def parse(
    content: bytes,
    *,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None] = lambda _: None,
) -> None:
    """Call these for each element and text, in order; names come without their namespaces.
    Raises BadXml, and what they raise.
    """
    depth = 0

    def on_start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MOST_DEPTH:
            raise BadXml(f"elements are nested more than {_MOST_DEPTH} deep")
        start(name.rpartition(":")[2], attributes)

    def on_end(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name.rpartition(":")[2])

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = on_start
    parser.EndElementHandler = on_end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse_document_type
    try:
        for at in range(0, len(content), _PIECE):
            parser.Parse(content[at : at + _PIECE], False)
        parser.Parse(b"", True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise BadXml(f"it is not XML: {error}") from error


def _refuse_document_type(*_: object) -> NoReturn:
    raise BadXml("it has a document type, which is not taken")
