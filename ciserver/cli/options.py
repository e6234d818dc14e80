"""The options that every command takes."""

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ciserver.datadir import DataDirectory

if TYPE_CHECKING:
    from ciserver.config import Settings

DEFAULT_DATA = Path("ciserver-data")
Command = TypeVar("Command", bound=Callable[..., Any])

_data = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA,
    show_default=True,
    envvar="CISERVER_DATA",
    show_envvar=True,
    help="The data directory.",
)
_config = click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The configuration file; default: DATA/ciserver.toml where there is one.",
)
json_output = click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print."
)


def choice(words: type[StrEnum]) -> "click.Choice[str]":
    """One of the words that the model has for something."""
    return click.Choice([one.value for one in words])


def place_options(command: Command) -> Command:
    """--data and --config, handed on as `data` (DataDirectory) and `settings`."""

    @wraps(command)
    def with_place(*, data: Path, config: Path | None, **rest: Any) -> Any:
        directory = DataDirectory(data)
        return command(data=directory, settings=_load(directory, config), **rest)

    return _data(_config(with_place))  # type: ignore[return-value]


def place_ignored(command: Command) -> Command:
    """--data and --config for a command that needs neither, so that all commands take them."""

    @wraps(command)
    def without_place(*, data: Path, config: Path | None, **rest: Any) -> Any:  # noqa: ARG001
        return command(**rest)

    return _data(_config(without_place))  # type: ignore[return-value]


def client_options(command: Command) -> Command:
    """--data and --config, handed on as `client`."""

    @wraps(command)
    def with_client(*, data: Path, config: Path | None, **rest: Any) -> Any:
        from ciserver.cli.client import connect  # noqa: PLC0415  a server needs none of it

        directory = DataDirectory(data)
        with connect(directory, lambda: _load(directory, config)) as client:
            return command(client=client, **rest)

    return _data(_config(with_client))  # type: ignore[return-value]


def _load(data: DataDirectory, config: Path | None) -> "Settings":
    from ciserver.config import load  # noqa: PLC0415  slow, and not needed with a server

    present = data.configuration if data.configuration.is_file() else None
    return load(config or present)
