"""The names of images."""

import re

RESERVED = frozenset({"host", "nix"})  # the machine's own root file system
MOST_NAME = 100
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")


def is_image_name(name: str) -> bool:
    return len(name) <= MOST_NAME and name not in RESERVED and _NAME.fullmatch(name) is not None
