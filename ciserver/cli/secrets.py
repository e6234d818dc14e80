"""Commands about the secrets that builds are given."""

import base64
from typing import BinaryIO

import click

from ciserver.cli.client import Client, path_of
from ciserver.cli.options import choice, client_options, json_output, place_options
from ciserver.cli.output import print_json, print_table
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.model.errors import Complaint, Invalid, NotFound
from ciserver.model.secret import MOST_BYTES, SecretType

_project = click.option("--project", help="That of a project; default: your own.")
_user = click.option("--user", help="That of a user; for administrators.")


@click.group()
def secret() -> None:
    """Secrets for builds: your own for what you submit, a project's for its pushes."""


@secret.command()
@click.argument("type_", metavar="TYPE", type=choice(SecretType))
@click.argument("file", type=click.File("rb"))
@click.option("--name", default="", help="What recipes may call it; else its UUID.")
@click.option("--path", default="", help="Where a file lies in the home, such as ~/.netrc.")
@click.option("--mode", default="", help="The permissions of a file; default 600.")
@_project
@_user
@client_options
def add(
    *,
    client: Client,
    type_: str,
    file: BinaryIO,
    name: str,
    path: str,
    mode: str,
    project: str | None,
    user: str | None,
) -> None:
    """Keep a secret, read from a file ("-": standard input), and print its UUID, alone."""
    if file.isatty():
        click.echo("reading the secret from the terminal; Ctrl-D ends it", err=True)
    value = file.read(MOST_BYTES + 1)
    body = {
        "type": type_,
        "name": name,
        "path": path,
        "mode": mode,
        "value_base64": base64.b64encode(value).decode(),
    }
    click.echo(client.post(_place(project, user), body)["uuid"])


@secret.command("list")
@_project
@_user
@json_output
@client_options
def list_secrets(*, client: Client, project: str | None, user: str | None, output: str) -> None:
    """List the secrets; their values are never shown."""
    found = client.get(_place(project, user))
    if output == "json":
        print_json(found)
        return
    rows = [
        (
            one["uuid"],
            one["type"],
            one["name"],
            f"{one['path']} {one['mode']}" if one["path"] else "",
            one["created_at"][:10],
            (one["last_used_at"] or "")[:10],
        )
        for one in found
    ]
    print_table(("UUID", "TYPE", "NAME", "PATH", "CREATED", "LAST USED"), rows)


@secret.command()
@click.argument("secret", metavar="SECRET")
@_project
@_user
@client_options
def remove(*, client: Client, secret: str, project: str | None, user: str | None) -> None:
    """Forget a secret, by its UUID or name, for good."""
    place = _place(project, user)
    found = [one["uuid"] for one in client.get(place) if secret in {one["uuid"], one["name"]}]
    if not found:
        raise NotFound(f"there is no secret {secret}", hint="see: ciserver secret list")
    client.delete(place + path_of(found[0]))
    click.echo(f"secret {secret} is removed")


@secret.command("rotate-key")
@place_options
def rotate_key(*, data: DataDirectory, settings: Settings) -> None:
    """Seal everything that is stored with a new key, also beside a running server."""
    from ciserver.opening import has_database, open_store  # noqa: PLC0415  slow, and only here

    if not has_database(settings, data):
        raise NotFound(f"there is no database in {data.root}", hint="name it with --data")
    store = open_store(settings, data)
    try:
        count = sum(store.resealing.run())
    finally:
        store.database.close()
    click.echo(f"{count} stored secrets are sealed with the new key in {store.seal_file}")


def _place(project: str | None, user: str | None) -> str:
    if project and user:
        fault = Complaint("--user", "a secret belongs to a project or to a user")
        raise Invalid("the secret cannot be found", complaints=[fault])
    if project:
        return path_of("projects", project, "secrets")
    return path_of("users", user, "secrets") if user else "/secrets"
