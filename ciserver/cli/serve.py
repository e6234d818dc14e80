"""`ciserver serve`: the one process that does everything."""

import dataclasses
import gc
import resource
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any, NoReturn
from urllib.parse import urlsplit

import click
import structlog

from ciserver import __version__
from ciserver.background import Background
from ciserver.cli.journal import start_logging
from ciserver.cli.options import place_options
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.edge.bodies import HOOK_LIMIT
from ciserver.edge.server import Server
from ciserver.engines import make_engine
from ciserver.executor.sandbox import SandboxBroken
from ciserver.executor.workdir import sweep
from ciserver.machine import (
    choose_sandbox,
    forget_abandoned_scratch,
    make_networks,
    runs_builds,
    work_root,
)
from ciserver.model.errors import BadConfiguration
from ciserver.model.links import Links
from ciserver.service.nodes import FILES
from ciserver.wiring import Parts, make_parts

log = structlog.get_logger()
_DESCRIPTORS = 65_536
_ROOM = 1024 * 1024  # for what stands around a file that is uploaded


@click.command()
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; default 127.0.0.1:8080.")
@place_options
def serve(*, listen: str | None, data: DataDirectory, settings: Settings) -> None:
    """Run the server until it is told to stop (Ctrl-C or SIGTERM)."""
    if listen:
        server = dataclasses.replace(settings.server, listen=listen)
        settings = dataclasses.replace(settings, server=server)
    start_logging(settings.log.level, as_json=settings.log.format == "json")
    host, port = _host_and_port(settings.server.listen)
    _allow_descriptors()
    data.make()
    data.hold()
    forget_abandoned_scratch()
    http = _bind(settings, host, port)
    url = f"http://{_bracket(host)}:{http.effective_port}"
    with ThreadPoolExecutor() as beside:  # these wait for other programs, most of their time
        swept = beside.submit(sweep, work_root(settings, data))
        chosen = beside.submit(choose_sandbox, settings, data)
        parts = make_parts(settings, data, base_url=url)
        database = parts.store.database
        http.answer(parts.app, waits=database.is_shared, left=database.close)
        nodes = parts.services.nodes
        nodes.join()
        swept.result()
        _recover(parts)
        sandbox = chosen.result()
    networks = make_networks(settings, sandbox)
    engine = make_engine(parts, sandbox, networks)
    fleet = parts.services.fleet
    fleet.run_beside(engine)
    parts.services.run_on(fleet)
    background = Background(parts, engine)
    link = parts.services.access.make_first_administrator()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    background.start()
    engine.start()
    data.announce(url, parts.local_token)
    _greet(settings, url, sandbox, networks, background.broker, link)
    # What is there by now stays: looking for garbage in it held everything up for 80 ms at a time.
    gc.freeze()
    try:
        http.run()
    finally:
        data.withdraw()
        log.info("stopping", drain_seconds=settings.builds.drain_seconds)
        http.close()
        engine.drain(settings.builds.drain_seconds)
        background.stop()
        nodes.leave()
        background.close()
        if not isinstance(networks, SandboxBroken):
            networks.close()


def _host_and_port(listen: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{listen}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port is None or parts.path:
        raise BadConfiguration(f"server.listen must be HOST:PORT, not {listen}")
    return host, port


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _bind(settings: Settings, host: str, port: int) -> Server:
    try:
        return Server(
            _starting,
            host=host,
            port=port,
            threads=settings.server.threads,
            # Without a look ahead a client that leaves is noticed only when it is written to.
            channel_request_lookahead=1,
            connection_limit=1000,
            max_request_body_size=_most_bytes(settings),
            ident="ciserver",
        )
    except (OSError, ValueError) as error:
        raise BadConfiguration(
            f"cannot listen on {settings.server.listen}: {error}",
            hint="choose another address with --listen HOST:PORT",
        ) from error


def _most_bytes(settings: Settings) -> int:
    """Of one request: hooks and uploads are the largest, and say themselves what is too large."""
    return max(HOOK_LIMIT, settings.source_builds.upload_limit_mb << 20) + _ROOM


def _starting(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("503 Service Unavailable", [("Retry-After", "1")])
    return [b"starting\n"]


def _allow_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _recover(parts: Parts) -> None:
    """Bring what a killed server left behind back to a state in which it goes on; not what other
    servers of the database are doing.
    """
    services, alive = parts.services, parts.services.nodes.alive_beside()
    with services.nodes.alone(FILES) as is_alone:
        if is_alone:
            parts.caches.sweep()
    services.webhook_keys.prepare()
    services.stored_files.prepare()
    parts.mirrors.forget_access()
    builds = services.builds.recover(parts.worker)
    evaluations = services.evaluations.recover(alive=alive)
    deliveries = services.deliveries.recover(alive=alive)
    if builds or evaluations or deliveries:
        log.info("recovered", builds=builds, evaluations=evaluations, deliveries=deliveries)


def _greet(
    settings: Settings,
    url: str,
    sandbox: Any,
    networks: Any,
    broker: str,
    link: str | None,
) -> None:
    shown = Links(settings.server.base_url or url)
    click.echo(f"ciserver {__version__} is ready at {shown.home()}")
    if broker:
        click.echo(f"workers hear of builds from {broker}")
    if not runs_builds(settings):
        click.echo("no builds run here")
    elif isinstance(networks, SandboxBroken):
        click.secho(f"builds wait: {networks}", fg="yellow")
    else:
        click.echo(f"builds run here, sandbox: {sandbox.name}")
        click.echo(f"network of builds: {networks.about}")
    if link:
        click.echo(f"sign in as administrator, once, within a day: {shown.sign_in(link)}")
    sys.stdout.flush()


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
