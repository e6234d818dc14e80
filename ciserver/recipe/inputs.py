"""What is given to recipes that are programs."""

from collections.abc import Callable, Mapping
from pathlib import Path

from ciserver.model.frozen import frozen


@frozen
class Expression:
    """A value that Nix makes of a text."""

    text: str


Inputs = Mapping[str, str | bool | Expression]
Tree = Callable[[], Path]
