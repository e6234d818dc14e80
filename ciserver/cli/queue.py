"""Commands that hold back what waits; `list queue` shows it."""

import click

from ciserver.cli.client import Client
from ciserver.cli.options import client_options

_worker = click.option("--worker", default="", help="Only this one; default: the whole queue.")


@click.group()
def queue() -> None:
    """Hold back what waits, and let it go on."""


@queue.command()
@_worker
@click.option("--reason", default="", help="Why, for everybody whose builds wait.")
@client_options
def pause(*, client: Client, worker: str, reason: str) -> None:
    """Start no builds until somebody resumes it; what runs goes on."""
    client.post("/queue/pause", {"worker": worker, "reason": reason})
    click.echo(f"{_name(worker)} is paused")


@queue.command()
@_worker
@client_options
def resume(*, client: Client, worker: str) -> None:
    """Go on with what waits; a pause of something else stays."""
    left = client.post("/queue/resume", {"worker": worker})["paused"]
    rest = f"; {', '.join(_name(one['worker']) for one in left)} stays paused" if left else ""
    click.echo(f"{_name(worker)} goes on{rest}")


def _name(worker: str) -> str:
    return f"worker {worker}" if worker else "the queue"
