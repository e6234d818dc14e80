"""Commands about the systems that builds are made for."""

from collections.abc import Callable, Iterable
from typing import Any

import click

from ciserver.cli.client import Client, path_of
from ciserver.cli.options import client_options, json_output
from ciserver.cli.output import print_json, print_table
from ciserver.model.errors import Complaint, Invalid

_images = click.option(
    "--image", "images", multiple=True, help="One that workers have for it; may be repeated."
)


def _labels(told: str) -> Callable[[Any], Any]:
    return click.option(
        *("--label", "labels"), multiple=True, metavar="NAME=TEXT", help=f"{told}; may be repeated."
    )


@click.group()
def system() -> None:
    """The systems that builds are made for."""


@system.command("list")
@json_output
@client_options
def list_systems(*, client: Client, output: str) -> None:
    """List the systems, with the workers that run builds for them."""
    found = client.get("/systems")
    if output == "json":
        print_json(found)
        return
    rows = [
        (
            one["name"],
            "active" if one["active"] else "not active",
            " ".join(one["workers"]),
            " ".join(f"{name}={text}" for name, text in one["labels"].items()),
            " ".join(one["images"]),
        )
        for one in found
    ]
    print_table(("SYSTEM", "STATE", "WORKERS", "LABELS", "IMAGES"), rows)


@system.command()
@click.argument("name")
@_labels("What is to be known of it, such as os_release=fedora")
@_images
@click.option("--inactive", is_flag=True, help="Begin nothing for it yet.")
@client_options
def add(
    *, client: Client, name: str, labels: tuple[str, ...], images: tuple[str, ...], inactive: bool
) -> None:
    """Make a system known. Those of this server's workers are known already."""
    body = {"name": name, "labels": _read(labels), "images": images, "active": not inactive}
    click.echo(f"the system {client.post('/systems', body)['name']} is known")


@system.command("set")
@click.argument("name")
@_labels("Set this one and keep the others; an empty text takes it away")
@_images
@click.option("--active/--inactive", default=None, help="Whether anything new is begun for it.")
@client_options
def set_system(
    *,
    client: Client,
    name: str,
    labels: tuple[str, ...],
    images: tuple[str, ...],
    active: bool | None,
) -> None:
    """Change what is given; images take the place of those before."""
    body: dict[str, Any] = {}
    if labels:
        known = client.get(path_of("systems", name))["labels"] | _read(labels)
        body["labels"] = {label: text for label, text in known.items() if text}
    if images:
        body["images"] = images
    if active is not None:
        body["active"] = active
    found = client.patch(path_of("systems", name), body)
    click.echo(f"the system {name} is {'active' if found['active'] else 'not active'}")


@system.command()
@click.argument("name")
@client_options
def remove(*, client: Client, name: str) -> None:
    """Forget a system for which nothing was ever built."""
    client.delete(path_of("systems", name))
    click.echo(f"the system {name} is removed")


def _read(labels: Iterable[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in labels]
    bad = [Complaint("--label", f"{name} must be NAME=TEXT") for name, sign, _ in pairs if not sign]
    if bad:
        raise Invalid("the labels cannot be used", complaints=bad)
    return {name: text for name, _, text in pairs}
