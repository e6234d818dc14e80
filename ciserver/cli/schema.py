"""`ciserver migrate`: the schema of the database, brought up to date by hand."""

import click

from ciserver.cli.options import place_options
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.store.store import Store


@click.command()
@place_options
def migrate(*, data: DataDirectory, settings: Settings) -> None:  # noqa: ARG001
    """Bring the database's schema up to date (`serve` does it too)."""
    data.make()
    data.hold()
    database = Store(data.root).database
    for name in database.migrate():
        click.echo(f"applied {name}")
    click.echo(f"{database.path} is up to date")
