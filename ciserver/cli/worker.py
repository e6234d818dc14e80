"""`ciserver worker`: runs builds of a server that is somewhere else."""

import dataclasses
import signal
import ssl
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import click
import structlog

from ciserver import __version__
from ciserver.cli.journal import start_logging
from ciserver.cli.options import place_options
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.sandbox import SandboxBroken
from ciserver.executor.workdir import sweep
from ciserver.machine import (
    choose_sandbox,
    forget_abandoned_scratch,
    make_broker,
    make_networks,
    work_root,
)
from ciserver.model.errors import BadConfiguration, Complaint, Invalid
from ciserver.worker import introduce, make_worker, open_door

log = structlog.get_logger()
T = TypeVar("T")
_HERE = {"localhost", "127.0.0.1", "::1"}


@click.command()
@click.option("--server", "url", required=True, metavar="URL", help="Such as https://ci.example.")
@click.option(
    "--credential-file",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="What `ciserver worker-credential add` printed on the server.",
)
@click.option(
    *("--queue", "queues"),
    multiple=True,
    metavar="SYSTEM/TRUST",
    help="Claim builds of this queue only; may be repeated. Default: all that it may.",
)
@click.option(
    *("--label", "labels"),
    multiple=True,
    metavar="LABEL",
    help="Take what asks for this label; may be repeated. Default: all of its credential.",
)
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Trust the certificates in this file, and not those of the machine.",
)
@click.option(
    "--broker",
    default="",
    metavar="URL",
    help="Hear of builds from this message broker, RabbitMQ. Default: the setting engine.broker;"
    " without one the server itself is asked.",
)
@click.option("--slots", type=click.IntRange(1), help="Builds at once; default: one a processor.")
@place_options
def worker(
    *,
    url: str,
    credential_file: Path,
    queues: tuple[str, ...],
    labels: tuple[str, ...],
    ca_file: Path | None,
    broker: str,
    slots: int | None,
    data: DataDirectory,
    settings: Settings,
) -> None:
    """Run builds of a server elsewhere until told to stop (Ctrl-C or SIGTERM): those that run may
    finish then. Told again, it gives them back at once.
    """
    if slots:
        builds = dataclasses.replace(settings.builds, slots=slots)
        settings = dataclasses.replace(settings, builds=builds)
    start_logging(settings.log.level, as_json=settings.log.format == "json")
    _check(url)
    messages = make_broker(settings, broker)
    data.make()
    data.hold()
    forget_abandoned_scratch()
    sweep(work_root(settings, data))
    sandbox = _usable(choose_sandbox(settings, data))
    networks = _usable(make_networks(settings, sandbox))
    stopping, hurry = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: (hurry if stopping.is_set() else stopping).set())
    with closing(networks):
        _check_authorities(ca_file)
        door = open_door(data, url, _credential(credential_file), ca_file)
        hello = introduce(door, stopping)
        if hello is None:
            return
        made = make_worker(settings, data, sandbox, networks, door, hello, queues, labels, messages)
        claimed = ", ".join(made.offer.queues)
        click.echo(f"ciserver {__version__}, worker {hello.name} of {url}: builds of {claimed}")
        if messages:
            click.echo(f"told by {messages.place}")
        click.echo(f"sandbox: {sandbox.name}, network: {networks.about}")
        sys.stdout.flush()
        made.run(stopping, hurry)


def _usable(found: T | SandboxBroken) -> T:
    if isinstance(found, SandboxBroken):
        raise BadConfiguration(f"no build can run here: {found.reason}", hint=found.remedy)
    return found


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        fault = Complaint("--server", "must be an address such as https://ci.example.org")
        raise Invalid("the worker cannot begin", complaints=[fault])
    if parts.scheme == "http" and parts.hostname not in _HERE:
        log.warning("unencrypted-server", url=url, hint="secrets of builds go there, use https")


def _check_authorities(path: Path | None) -> None:
    if path is None:
        return
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # of which those about certificates are, too
        raise BadConfiguration(
            f"the certificates in {path} cannot be read: {error}",
            hint="name a file of certificates in PEM, such as that of your own authority",
        ) from error


def _credential(path: Path) -> str:
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"the credential in {path} cannot be read: {error}") from error
    if not text:
        raise BadConfiguration(f"there is no credential in {path}")
    return text
