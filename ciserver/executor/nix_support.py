"""The files in which an output says what it holds, as Nix expressions write them for Hydra."""

import re
from pathlib import PurePosixPath

from ciserver.model.build import ProductKind
from ciserver.model.frozen import frozen

PRODUCTS, METRICS = "hydra-build-products", "hydra-metrics"
RELEASE_NAME, FAILED = "hydra-release-name", "failed"
_LINE = re.compile(
    r"""([\w.+-]{1,100}) \s+ ([\w.+-]{1,100}) \s+ ("[^"]+"|[^\s"]+) (?: \s+ ("[^"]+"|[^\s"]+) )?""",
    re.ASCII | re.VERBOSE,
)
_RELEASE_NAME = re.compile(r"[\w.+~:@-]{1,200}", re.ASCII)
_MOST_LINE = 4000


@frozen
class Declared:
    """A line about a product: what it is, and its path as the build sees it."""

    path: str
    kind: ProductKind


def read_products(text: bytes) -> tuple[tuple[Declared, ...], tuple[str, ...]]:
    """What the lines `type subtype path [defaultpath]` declare, and what is wrong with others."""
    declared, faults = [], []
    for number, line in enumerate(text.decode("utf-8", "surrogateescape").split("\n"), start=1):
        if not line.strip():
            continue
        one = _declared(line.strip())
        if isinstance(one, Declared):
            declared.append(one)
        else:
            faults.append(f"line {number} {one}")
    return tuple(declared), tuple(faults)


def read_release_name(text: bytes) -> str:
    """The one word of the file; empty where it is something else."""
    name = text.decode("utf-8", "replace").strip()
    return name if _RELEASE_NAME.fullmatch(name) else ""


def _declared(line: str) -> Declared | str:
    found = _LINE.fullmatch(line) if len(line) <= _MOST_LINE else None
    if found is None:
        return "is not `type subtype path [defaultpath]`"
    path, default = found[3].strip('"'), (found[4] or "").strip('"')
    if not path.isprintable() or not default.isprintable():
        return "has a path that is not text"
    if not path.startswith("/"):
        return f"has a path that is not absolute: {path}"
    if default.startswith("/") or ".." in PurePosixPath(default).parts:
        return f"has a default path that leads out of the product: {default}"
    return Declared(path, ProductKind(found[1], found[2], default))
