"""The options that every command takes."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from ciserver.cli.client import Client, connect
from ciserver.config import Settings, load
from ciserver.datadir import DataDirectory

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


def place_options(command: Command) -> Command:
    """--data and --config, handed on as `data` (DataDirectory) and `settings`."""

    @wraps(command)
    def with_place(*, data: Path, config: Path | None, **rest: Any) -> Any:
        directory = DataDirectory(data)
        settings = load(config or _configuration_of(directory))
        return command(data=directory, settings=settings, **rest)

    return _data(_config(with_place))  # type: ignore[return-value]


def client_options(command: Command) -> Command:
    """--data and --config, handed on as `client`."""

    @place_options
    @wraps(command)
    def with_client(*, data: DataDirectory, settings: Settings, **rest: Any) -> Any:
        with connect(settings, data) as client:
            return command(client=client, **rest)

    return with_client  # type: ignore[return-value]


def _configuration_of(data: DataDirectory) -> Path | None:
    return data.configuration if data.configuration.is_file() else None


__all__ = ["Client", "client_options", "json_output", "place_options"]
