"""`ciserver storage`: finished logs and products moved to the object storage, or back."""

import sys

import click

from ciserver.cli.options import place_options
from ciserver.cli.output import EXIT_INFRASTRUCTURE
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.store.objects import Kept
from ciserver.upkeep import move_files

_NAMED = 3


@click.group()
def storage() -> None:
    """Where finished logs and products lie."""


@storage.command()
@click.argument("target", type=click.Choice(["bucket", "directory"]))
@place_options
def move(*, data: DataDirectory, settings: Settings, target: str) -> None:
    """Move everything to the bucket that the settings name, or from it to the directory.

    A server with a bucket moves to it by itself; this does it at once, and reads again what it
    sent. Nothing is removed from a bucket that is moved from. A move that is broken off goes on
    when it is begun again. No server may run over the directory.
    """
    data.make()
    data.hold()
    count, size = 0, 0

    def tell(one: Kept) -> None:
        nonlocal count, size
        count, size = count + 1, size + one.size
        if sys.stderr.isatty():
            click.echo(f"\r\033[K{count} files, {size} bytes", nl=False, err=True)

    try:
        moved = move_files(data, settings, target, tell)
    finally:
        if sys.stderr.isatty():
            click.echo(err=True)
    click.echo(f"moved {moved.files} files of {moved.size} bytes, and compared them")
    if moved.damaged:
        some = ", ".join(moved.damaged[:_NAMED])
        click.echo(
            f"{len(moved.damaged)} files are damaged and stay where they are: {some}", err=True
        )
        raise SystemExit(EXIT_INFRASTRUCTURE)
    if target == "directory":
        click.echo("take storage.s3_bucket and what belongs to it out of the settings now")
