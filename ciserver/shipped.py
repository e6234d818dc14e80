"""Finds the data that travels with the program: templates and hooks."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def shipped(name: str) -> Path:
    """The directory `templates` or `hooks`: inside an installed package, or in the checkout."""
    installed = _PACKAGE / "shipped" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
