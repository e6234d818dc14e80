"""Commands about the credentials of workers on other machines."""

from typing import Any

import click

from ciserver.cli.client import Client, path_of
from ciserver.cli.options import client_options, json_output
from ciserver.cli.output import print_json, print_table

_labels = click.option(
    *("--label", "labels"),
    multiple=True,
    metavar="LABEL",
    help="It may take builds that ask for this one, such as gpu; may be repeated.",
)
_projects = click.option(
    *("--project", "projects"),
    multiple=True,
    metavar="PROJECT",
    help="It is for this project and takes no others; may be repeated.",
)


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
@_labels
@_projects
@client_options
def add(
    *,
    client: Client,
    name: str,
    queues: tuple[str, ...],
    labels: tuple[str, ...],
    projects: tuple[str, ...],
) -> None:
    """Let a worker claim builds, and print its credential, alone, this once."""
    body = {"name": name, "queues": queues, "labels": labels, "projects": projects}
    click.echo(client.post("/workers", body)["credential"])


@worker_credential.command()
@click.argument("name")
@click.option(
    *("--queue", "queues"), multiple=True, metavar="SYSTEM/TRUST", help="What it may build."
)
@_labels
@click.option("--no-labels", is_flag=True, help="It has no labels.")
@_projects
@click.option("--all-projects", is_flag=True, help="It is for all projects.")
@client_options
def change(
    *,
    client: Client,
    name: str,
    queues: tuple[str, ...],
    labels: tuple[str, ...],
    no_labels: bool,
    projects: tuple[str, ...],
    all_projects: bool,
) -> None:
    """Give a worker these in the place of those before; what is not named stays."""
    body: dict[str, Any] = {"queues": queues} if queues else {}
    if labels or no_labels:
        body["labels"] = () if no_labels else labels
    if projects or all_projects:
        body["projects"] = () if all_projects else projects
    found = client.patch(path_of("workers", name), body)
    said = [f"takes {', '.join(found['queues'])}"]
    said += [f"has the labels {', '.join(found['labels'])}"] if found["labels"] else []
    said += [f"is for {', '.join(found['projects'])} alone"] if found["projects"] else []
    click.echo(f"the worker {name} {', '.join(said)}")


@worker_credential.command()
@click.argument("name")
@client_options
def renew(*, client: Client, name: str) -> None:
    """Print another credential for a worker; the old one ends when this one is first used."""
    click.echo(client.post(path_of("workers", name, "credential"), {})["credential"])


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
        (
            one["name"],
            " ".join(one["queues"]),
            " ".join(one["labels"]),
            " ".join(one["projects"]) or "all",
            one["created_at"][:10],
            one["last_seen_at"] or "",
        )
        for one in found
    ]
    print_table(("WORKER", "QUEUES", "LABELS", "PROJECTS", "CREATED", "LAST SEEN"), rows)


@worker_credential.command()
@click.argument("name")
@client_options
def remove(*, client: Client, name: str) -> None:
    """Believe a credential no more; what its worker runs is run again elsewhere."""
    client.delete(path_of("workers", name))
    click.echo(f"the worker {name} may not claim builds any more")
