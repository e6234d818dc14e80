"""Commands about the keys that webhooks are signed with."""

import click

from ciserver.cli.client import Client, path_of
from ciserver.cli.options import client_options, json_output
from ciserver.cli.output import print_json, print_table


@click.group()
def key() -> None:
    """The keys that outgoing webhooks are signed with. To change: add, tell receivers, use, and
    remove the old one.
    """


@key.command("list")
@json_output
@client_options
def list_keys(*, client: Client, output: str) -> None:
    """List the public keys, the one that signs first. Receivers check with it."""
    found = client.get("/webhook-keys")
    if output == "json":
        print_json(found)
        return
    rows = [(one["id"], one["public_key"], "yes" if one["signs"] else "") for one in found["keys"]]
    print_table(("ID", "PUBLIC KEY", "SIGNS"), rows)


@key.command()
@client_options
def add(*, client: Client) -> None:
    """Make a key that signs nothing yet, and print its id and its public part."""
    made = client.post("/webhook-keys")
    click.echo(f"{made['id']} {made['public_key']}")


@key.command()
@click.argument("key_id", metavar="KEY")
@client_options
def use(*, client: Client, key_id: str) -> None:
    """Sign with this key from now on; the one before stays known."""
    made = client.post(f"{path_of('webhook-keys', key_id)}/use")
    click.echo(f"webhooks are signed with {made['id']}")


@key.command()
@click.argument("key_id", metavar="KEY")
@client_options
def remove(*, client: Client, key_id: str) -> None:
    """Forget a key that signs no more."""
    gone = client.delete(path_of("webhook-keys", key_id))
    click.echo(f"webhook key {gone['id']} is removed")
