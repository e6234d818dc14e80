"""`ciserver image`: the root file systems that builds on this machine run on."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

import click

from ciserver.cli.options import json_output, place_options
from ciserver.cli.output import print_json, print_table
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.image_making import Debootstrap, ImageMaker
from ciserver.executor.images import Images, describe
from ciserver.executor.sandbox import SandboxFailed
from ciserver.machine import image_host, make_images
from ciserver.model.errors import BadConfiguration, Complaint, Invalid

_INCLUDED = (
    "build-essential,ca-certificates,curl,git,gnupg,locales,openssh-client,rsync,wget,xz-utils"
)


@click.group()
def image() -> None:
    """Root file systems that builds name as their image."""


@image.command()
@click.argument("name")
@click.option("--debootstrap", "suite", metavar="SUITE", help="Make it of a release of Debian.")
@click.option("--mirror", default="", metavar="URL", help="Where debootstrap finds packages.")
@click.option(
    "--include",
    default=_INCLUDED,
    show_default=True,
    metavar="PACKAGES",
    help="What debootstrap installs beside the least.",
)
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
    help="Make it of a directory or a tar file; - is standard input.",
)
@click.option(
    "--packages-hook",
    "hook",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A program that installs packages in it.",
)
@click.option("--replace", is_flag=True, help="In the place of the one that has the name.")
@place_options
def add(
    *,
    data: DataDirectory,
    settings: Settings,
    name: str,
    suite: str | None,
    mirror: str,
    include: str,
    source: Path | None,
    hook: Path | None,
    replace: bool,
) -> None:
    """Make an image. Until it is whole, builds know nothing of it."""
    if (suite is None) == (source is None):
        raise Invalid(
            "the image cannot be made",
            complaints=[Complaint("--debootstrap, --from", "give exactly one of them")],
        )
    data.make()
    images = make_images(settings, data)
    images.sweep()
    maker = ImageMaker(images, image_host(settings, data), _progress)
    try:
        made = maker.make(name, _source(suite, mirror, include, source), hook=hook, replace=replace)
    except SandboxFailed as error:
        raise BadConfiguration(f"the image {name} could not be made: {error}") from error
    except OSError as error:
        raise BadConfiguration(f"the image {name} could not be made: {error}") from error
    click.echo(f"made {name}: {describe(made)}")


@image.command("list")
@json_output
@place_options
def list_images(*, data: DataDirectory, settings: Settings, output: str) -> None:
    """List the images of this machine."""
    images = make_images(settings, data)
    rows = [_row(images, name) for name in images.all_names()]
    if output == "json":
        print_json(rows)
    else:
        keys = ("name", "made_at", "origin", "packages", "fault")
        print_table(
            ("NAME", "MADE", "OF", "PACKAGES", "FAULT"),
            [tuple(row[key] for key in keys) for row in rows],
        )


@image.command()
@click.argument("name")
@place_options
def remove(*, data: DataDirectory, settings: Settings, name: str) -> None:
    """Remove an image. Builds that run on it go on."""
    is_gone = make_images(settings, data).remove(name)
    later = "" if is_gone else "; its files go when no build uses it any more"
    click.echo(f"removed {name}{later}")


def _source(
    suite: str | None, mirror: str, include: str, source: Path | None
) -> Debootstrap | Path | IO[bytes]:
    if suite is not None:
        words = {"SUITE": suite, "--mirror": mirror, "--include": include}
        faults = [
            Complaint(field, f"{word!r} cannot be given to debootstrap")
            for field, word in words.items()
            if word.startswith("-") or not word.isprintable() or " " in word
        ]
        if faults or not suite:
            raise Invalid("the image cannot be made", complaints=faults)
        return Debootstrap(suite, mirror, tuple(filter(None, include.split(","))))
    return sys.stdin.buffer if source is None or str(source) == "-" else source


def _row(images: Images, name: str) -> dict[str, str]:
    found = images.get(name)
    row = {"name": name, "made_at": "", "origin": "", "packages": "", "fault": "is not whole"}
    if found:
        facts = found.facts
        row |= {
            "made_at": facts.made_at,
            "origin": facts.origin,
            "packages": facts.packages,
            "fault": images.owner_fault(found),
        }
    return row


def _progress(line: str) -> None:
    with suppress(BrokenPipeError):
        click.echo(line, err=True)
