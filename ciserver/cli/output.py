"""What commands print, and the codes they end with."""

import json
import sys
from typing import Any

import click

from ciserver.model.errors import CiError, Invalid

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INFRASTRUCTURE = 3
EXIT_NOT_FOUND = 4
EXIT_ACCESS = 5
EXIT_TIMEOUT = 124
EXIT_INTERRUPTED = 130

_BY_KIND = {
    "invalid": EXIT_USAGE,
    "conflict": EXIT_USAGE,
    "too_large": EXIT_USAGE,
    "not_found": EXIT_NOT_FOUND,
    "gone": EXIT_NOT_FOUND,
    "unauthenticated": EXIT_ACCESS,
    "forbidden": EXIT_ACCESS,
}
_BY_STATUS = {
    "succeeded": EXIT_OK,
    "partial": EXIT_OK,
    "failed": EXIT_FAILED,
    "dependency_failed": EXIT_FAILED,
    "timed_out": EXIT_TIMEOUT,
    "canceled": EXIT_INFRASTRUCTURE,
    "errored": EXIT_INFRASTRUCTURE,
}


def exit_code(error: CiError) -> int:
    return _BY_KIND.get(error.kind, EXIT_INFRASTRUCTURE)


def result_code(status: str) -> int:
    """The exit code that says how a build ended."""
    return _BY_STATUS.get(status, EXIT_INFRASTRUCTURE)


def print_error(error: CiError) -> None:
    click.secho(f"error: {error.message}", err=True, fg="red")
    if isinstance(error, Invalid):
        for complaint in error.complaints:
            click.echo(f"  {complaint}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def print_table(headings: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Columns as wide as their widest cell; the last one takes what it needs."""
    cells = [headings, *[tuple("" if one is None else str(one) for one in row) for row in rows]]
    widths = [max(len(row[index]) for row in cells) for index in range(len(headings))]
    for number, row in enumerate(cells):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.secho(line.rstrip(), bold=number == 0)


def without_none(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def write_bytes(chunk: bytes) -> None:
    """Log bytes, as they are, at once."""
    sys.stdout.flush()
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
