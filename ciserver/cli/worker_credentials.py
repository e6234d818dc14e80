"""Commands about the credentials of workers on other machines."""

import click

from ciserver.cli.client import Client, path_of
from ciserver.cli.options import client_options, json_output
from ciserver.cli.output import print_json, print_table


@click.group("worker-credential")
def worker_credential() -> None:
    """What workers on other machines prove themselves with."""


@worker_credential.command()
@click.argument("name")
@click.option(
    *("--queue", "queues"),
    multiple=True,
    required=True,
    metavar="SYSTEM/TRUST",
    help="What it may build, such as x86_64-linux/trusted; may be repeated.",
)
@client_options
def add(*, client: Client, name: str, queues: tuple[str, ...]) -> None:
    """Let a worker claim builds, and print its credential, alone, this once."""
    click.echo(client.post("/workers", {"name": name, "queues": queues})["credential"])


@worker_credential.command("list")
@json_output
@client_options
def list_workers(*, client: Client, output: str) -> None:
    """List the workers that have a credential, and when each was seen."""
    found = client.get("/workers")
    if output == "json":
        print_json(found)
        return
    rows = [
        (one["name"], " ".join(one["queues"]), one["created_at"][:10], one["last_seen_at"] or "")
        for one in found
    ]
    print_table(("WORKER", "QUEUES", "CREATED", "LAST SEEN"), rows)


@worker_credential.command()
@click.argument("name")
@client_options
def remove(*, client: Client, name: str) -> None:
    """Believe a credential no more; what its worker runs is run again elsewhere."""
    client.delete(path_of("workers", name))
    click.echo(f"the worker {name} may not claim builds any more")
