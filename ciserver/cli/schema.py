"""`ciserver migrate`: the schema brought up to date by hand, and everything moved elsewhere."""

import sys

import click

from ciserver.cli.options import place_options
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.opening import open_store
from ciserver.store.database import Database
from ciserver.store.moving import move


@click.command()
@click.option("--from", "source", metavar="ADDRESS", help="Move all rows from this database,")
@click.option("--to", "target", metavar="ADDRESS", help="to this one, which must be empty.")
@place_options
def migrate(
    *, data: DataDirectory, settings: Settings, source: str | None, target: str | None
) -> None:
    """Bring the database's schema up to date (`serve` does it too), or move it elsewhere.

    An address is sqlite:FILE or postgresql://HOST/NAME. Nothing is removed from the database that
    is moved; set `database.url` to the new one before the server starts again.
    """
    if (source is None) != (target is None):
        raise click.UsageError("--from and --to belong together")
    data.make()
    data.hold()
    if source is not None and target is not None:
        _move(Database(source), Database(target))
        return
    database = open_store(settings, data).database
    for name in database.migrate():
        click.echo(f"applied {name}")
    click.echo(f"{database.place} is up to date")


def _move(source: Database, target: Database) -> None:
    told = ""

    def tell(table: str, rows: int) -> None:
        nonlocal told
        if sys.stderr.isatty():
            click.echo(f"\r\033[K{table}: {rows} rows", nl=False, err=True)
        elif told != table:
            click.echo(table, err=True)
        told = table

    try:
        rows = move(source, target, tell)
    finally:
        if sys.stderr.isatty():
            click.echo(err=True)
    click.echo(f"moved {rows} rows to {target.place}, and compared them; set database.url to it")
