"""Single values as requests bring them: clients write numbers and booleans as text, too."""

import re
from typing import Any

_NUMBER = re.compile(r"-?[0-9]{1,18}")
_BOOLEANS: dict[Any, bool] = {
    True: True,  # and 1, which is equal to it
    False: False,
    "true": True,
    "false": False,
    "1": True,
    "0": False,
}


def whole(value: Any) -> int | None:
    """A whole number, or text that is one; None for anything else."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return value
    return None


def boolean(value: Any) -> bool | None:
    """True or false, or what clients write for it; None for anything else."""
    return _BOOLEANS.get(value) if isinstance(value, bool | int | str) else None
