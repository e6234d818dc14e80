"""`ciserver worker`: runs builds of a server that is somewhere else."""

import dataclasses
import signal
import sys
import threading
from pathlib import Path
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
from ciserver.machine import choose_sandbox, forget_abandoned_scratch, work_root
from ciserver.model.errors import BadConfiguration, Complaint, Invalid
from ciserver.worker import introduce, make_worker, open_door

log = structlog.get_logger()
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
@click.option("--slots", type=click.IntRange(1), help="Builds at once; default: one a processor.")
@place_options
def worker(
    *,
    url: str,
    credential_file: Path,
    queues: tuple[str, ...],
    slots: int | None,
    data: DataDirectory,
    settings: Settings,
) -> None:
    """Run builds of a server elsewhere until told to stop (Ctrl-C or SIGTERM)."""
    if slots:
        builds = dataclasses.replace(settings.builds, slots=slots)
        settings = dataclasses.replace(settings, builds=builds)
    start_logging(settings.log.level, as_json=settings.log.format == "json")
    _check(url)
    data.make()
    data.hold()
    forget_abandoned_scratch()
    sweep(work_root(settings, data))
    sandbox = choose_sandbox(settings, data)
    if isinstance(sandbox, SandboxBroken):
        raise BadConfiguration(f"no build can run here: {sandbox.reason}", hint=sandbox.remedy)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    door = open_door(data, url, _credential(credential_file))
    hello = introduce(door, stopping)
    if hello is None:
        return
    made = make_worker(settings, data, sandbox, door, hello, queues)
    claimed = ", ".join(made.offer.queues)
    click.echo(f"ciserver {__version__}, worker {hello.name} of {url}: builds of {claimed}")
    sys.stdout.flush()
    made.run(stopping)


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        fault = Complaint("--server", "must be an address such as https://ci.example.org")
        raise Invalid("the worker cannot begin", complaints=[fault])
    if parts.scheme == "http" and parts.hostname not in _HERE:
        log.warning("unencrypted-server", url=url, hint="secrets of builds go there, use https")


def _credential(path: Path) -> str:
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"the credential in {path} cannot be read: {error}") from error
    if not text:
        raise BadConfiguration(f"there is no credential in {path}")
    return text
