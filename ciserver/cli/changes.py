"""Commands that ask for builds and change them."""

from typing import TextIO

import click

from ciserver.cli.builds import follow_build
from ciserver.cli.client import Client
from ciserver.cli.options import choice, client_options
from ciserver.model.account import Visibility

_build = click.argument("build_id", type=int, metavar="BUILD")


@click.command()
@click.argument("file", type=click.File(encoding="utf-8", errors="replace"))
@click.option("--note", default="", help="What it is for.")
@click.option("--tag", "tags", multiple=True, help="What sorts it; repeatable.")
@click.option("--visibility", type=choice(Visibility), default="public")
@click.option("--hold", is_flag=True, help="Wait until somebody starts it.")
@click.option("--no-secrets", is_flag=True, help="Give it none of the secrets that it names.")
@click.option("-f", "--follow", is_flag=True, help="Follow its log; exit status = result.")
@client_options
def submit(
    *,
    client: Client,
    file: TextIO,
    note: str,
    tags: tuple[str, ...],
    visibility: str,
    hold: bool,
    no_secrets: bool,
    follow: bool,
) -> None:
    """Build a recipe that is in no repository ("-": standard input); print the build's address."""
    body = {
        "manifest": file.read(),
        "note": note,
        "tags": list(tags),
        "visibility": visibility,
        "hold": hold,
        "secrets": not no_secrets,
    }
    made = client.post("/builds", body)
    click.echo(made["url"], err=follow)
    if follow:
        raise SystemExit(follow_build(client, made["id"]))


@click.group()
def build() -> None:
    """What can be done with a build beside cancel and rerun."""


@build.command()
@_build
@click.option("--count", type=int, default=1, show_default=True, help="How many.")
@click.option("--priority", type=int, default=0, show_default=True)
@client_options
def rebuild(*, client: Client, build_id: int, count: int, priority: int) -> None:
    """Make new builds of the same and print their addresses."""
    body = {"count": count, "priority": priority}
    for one in client.post(f"/builds/{build_id}/rebuild", body)["builds"]:
        click.echo(one["url"])


@build.command()
@_build
@client_options
def start(*, client: Client, build_id: int) -> None:
    """Let a held build go."""
    click.echo(f"build {build_id} is {client.post(f'/builds/{build_id}/start')['status']}")


@build.command()
@_build
@client_options
def bump(*, client: Client, build_id: int) -> None:
    """Move a waiting build to the front of the queue."""
    client.post(f"/builds/{build_id}/bump")
    click.echo(f"build {build_id} goes first")


@build.command()
@_build
@click.argument("priority", type=int)
@client_options
def priority(*, client: Client, build_id: int, priority: int) -> None:
    """Give a waiting build another priority; higher goes first."""
    changed = client.post(f"/builds/{build_id}/priority", {"priority": priority})
    click.echo(f"build {build_id} has priority {changed['priority']}")


@build.command()
@_build
@client_options
def keep(*, client: Client, build_id: int) -> None:
    """Protect its products from being cleaned away."""
    client.post(f"/builds/{build_id}/keep")
    click.echo(f"build {build_id} is kept")


@build.command()
@_build
@client_options
def unkeep(*, client: Client, build_id: int) -> None:
    """Protect its products no more."""
    client.post(f"/builds/{build_id}/unkeep")
    click.echo(f"build {build_id} is not kept any more")


@build.command()
@_build
@client_options
def delete(*, client: Client, build_id: int) -> None:
    """Take a finished build out of every list, for good."""
    client.post(f"/builds/{build_id}/delete")
    click.echo(f"build {build_id} is deleted")
