"""`ciserver doctor`: what this machine and configuration can do, and what to mend."""

import os
import smtplib
import subprocess
import sys
from collections.abc import Callable, Iterator

import click

from ciserver.cli.options import json_output, place_options
from ciserver.cli.output import EXIT_INFRASTRUCTURE, print_json
from ciserver.config import Settings, effective
from ciserver.datadir import DataDirectory
from ciserver.executor.bubblewrap import counts_alone
from ciserver.executor.choice import SandboxKind
from ciserver.executor.groups import ControlGroups
from ciserver.executor.network import OneForAll
from ciserver.executor.sandbox import SandboxBroken
from ciserver.machine import (
    choose_sandbox,
    make_broker,
    make_images,
    make_networks,
    make_roots,
    work_root,
)
from ciserver.model.errors import Busy, CiError, StorageAway
from ciserver.model.frozen import frozen
from ciserver.opening import has_database, open_store
from ciserver.store.signing import KEY_FILE, SigningKeys
from ciserver.upkeep import (
    compare_logs,
    compare_products,
    look_at_files,
    look_at_storage,
    remove_orphaned_files,
)

_NAMED = 3
_SYMBOLS = {"ok": "ok  ", "note": "note", "bad": "BAD "}


@frozen
class Finding:
    level: str  # ok, note, bad
    what: str


@click.command()
@click.option("--remove-orphans", is_flag=True, help="Remove files that belong to no row.")
@json_output
@place_options
def doctor(*, data: DataDirectory, settings: Settings, output: str, remove_orphans: bool) -> None:
    """Show the effective settings (secrets hidden) and try what the server needs."""
    if remove_orphans:
        removed = remove_orphaned_files(data, settings)
        click.echo(f"removed {removed} files that belong to no product and no step", err=True)
    findings = list(_examine(settings, data))
    if output == "json":
        print_json(
            {
                "settings": effective(settings),
                "findings": [vars(one) for one in findings],
            }
        )
    else:
        _print(settings, findings)
    if any(one.level == "bad" for one in findings):
        raise SystemExit(EXIT_INFRASTRUCTURE)


def _print(settings: Settings, findings: list[Finding]) -> None:
    for section, values in effective(settings).items():
        click.secho(f"[{section}]", bold=True)
        for name, value in values.items():
            click.echo(f"  {name} = {value}")
    for one in findings:
        click.echo(f"{_SYMBOLS[one.level]}  {one.what}")


def _examine(settings: Settings, data: DataDirectory) -> Iterator[Finding]:
    checks: tuple[Callable[[Settings, DataDirectory], Finding], ...] = (
        _python,
        _git,
        _server,
        _database,
        _storage,
        _products,
        _logs,
        _quotas,
        _webhook_keys,
        _sandbox,
        _network,
        _control_groups,
        _base_url,
        _mail,
    )
    for check in checks:
        try:
            yield check(settings, data)
        except CiError as error:
            yield Finding("bad", error.message + (f" ({error.hint})" if error.hint else ""))
    yield from _broker(settings, data)
    yield from _images(settings, data)


def _python(_settings: Settings, _data: DataDirectory) -> Finding:
    return Finding("ok", f"Python {sys.version.split()[0]}")


def _git(_settings: Settings, _data: DataDirectory) -> Finding:
    try:
        said = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return Finding("bad", f"the git program does not run: {error}; install git")
    return Finding("ok", said.stdout.strip())


def _server(_settings: Settings, data: DataDirectory) -> Finding:
    server = data.running_server()
    if server is None:
        return Finding("note", f"no server runs over {data.root}")
    return Finding("ok", f"a server runs over {data.root} at {server.url} (process {server.pid})")


def _database(settings: Settings, data: DataDirectory) -> Finding:
    if not has_database(settings, data):
        return Finding("note", f"{data.root / 'ciserver.db'} will be made at the first start")
    database = open_store(settings, data).database
    try:
        pending = database.pending_migrations()
    except Busy as refusal:
        return Finding("bad", f"{refusal.message}; {refusal.hint}")
    if pending:
        return Finding("note", f"migrations wait: {', '.join(pending)}; run ciserver migrate")
    return Finding("ok", f"the database {database.place} is up to date")


def _storage(settings: Settings, data: DataDirectory) -> Finding:
    waiting, place, away = look_at_files(data, settings)
    if waiting is None:
        return Finding("ok", f"logs and products lie in {place}")
    if away:
        said = f"{away.message} ({away.hint})" if away.hint else away.message
        return Finding("bad", f"{said}; {waiting.files} files wait in {place}")
    if waiting.files:
        return Finding(
            "note",
            f"{waiting.files} files of {waiting.size} bytes in {place} are to go to the object"
            " storage; a running server moves them, or ciserver storage move bucket",
        )
    return Finding("ok", f"the object storage answers, and no file waits for it in {place}")


def _products(settings: Settings, data: DataDirectory) -> Finding:
    if _database(settings, data).level != "ok":
        return Finding("note", "the files of products are compared once the database is up to date")
    try:
        lost, orphans = compare_products(data, settings)
    except StorageAway:
        return Finding("note", "the files of products are compared once the object storage answers")
    if lost:
        some = ", ".join(f"{one.name} of build {one.build_id}" for one in lost[:_NAMED])
        return Finding(
            "bad",
            f"{len(lost)} products have no file: {some}; bring it back from a backup or run"
            " their builds again",
        )
    if orphans:
        size = sum(one.size for one in orphans)
        return Finding(
            "note",
            f"{len(orphans)} files of {size} bytes in products belong to no product; ciserver"
            " doctor --remove-orphans removes them",
        )
    return Finding("ok", "every product has its file, and every file its product")


def _logs(settings: Settings, data: DataDirectory) -> Finding:
    if _database(settings, data).level != "ok":
        return Finding("note", "the files of logs are compared once the database is up to date")
    try:
        lost, orphans = compare_logs(data, settings)
    except StorageAway:
        return Finding("note", "the files of logs are compared once the object storage answers")
    if lost:
        some = ", ".join(
            f"build {build_id}, attempt {number}" for build_id, number in lost[:_NAMED]
        )
        return Finding(
            "bad", f"{len(lost)} attempts have no logs: {some}; bring them back from a backup"
        )
    if orphans:
        return Finding(
            "note",
            f"{len(orphans)} packed logs belong to no build; ciserver doctor --remove-orphans"
            " removes them",
        )
    return Finding("ok", "every log that is kept has its files, and every packed log its build")


def _quotas(settings: Settings, data: DataDirectory) -> Finding:
    if _database(settings, data).level != "ok":
        return Finding("note", "what projects keep is counted once the database is up to date")
    full, wrong = look_at_storage(data, settings)
    if wrong:
        some = ", ".join(wrong[:_NAMED])
        return Finding("bad", f"what {len(wrong)} projects keep is counted wrongly: {some}")
    if full:
        some = ", ".join(f"{one.project} ({one.quota_mb} MiB)" for one in full[:_NAMED])
        return Finding(
            "note",
            f"{len(full)} projects keep as much as they may: {some}; their builds fail when they"
            " hand in products; ciserver project quota NAME --mb MIB allows more",
        )
    return Finding("ok", "no project keeps as much as it may")


def _webhook_keys(settings: Settings, data: DataDirectory) -> Finding:
    path = (settings.storage.keys or data.root) / KEY_FILE
    if not path.exists():
        return Finding("note", f"{path} will be made at the first start")
    if path.stat().st_mode & 0o077:
        return Finding("bad", f"others may read {path}: chmod 600, and change the key")
    signing = SigningKeys(path).list_all()[0]
    return Finding("ok", f"webhooks are signed with the key {signing.id}: {signing.public_key}")


def _sandbox(settings: Settings, data: DataDirectory) -> Finding:
    sandbox = choose_sandbox(settings, data)
    if isinstance(sandbox, SandboxBroken):
        return Finding("bad", f"builds wait: {sandbox.reason}; {sandbox.remedy}")
    if sandbox.name == "plain":
        return Finding("note", "builds run without a sandbox, as plain processes")
    return Finding("ok", f"builds run in {sandbox.about}")


def _network(settings: Settings, data: DataDirectory) -> Finding:
    networks = make_networks(settings, choose_sandbox(settings, data))
    if isinstance(networks, SandboxBroken):
        return Finding("bad", f"builds wait: {networks}")
    networks.close()
    is_second_best = isinstance(networks, OneForAll) and networks.instead
    return Finding("note" if is_second_best else "ok", f"network of builds: {networks.about}")


def _images(settings: Settings, data: DataDirectory) -> Iterator[Finding]:
    names = {*make_images(settings, data).all_names(), *settings.images.podman}
    if not names:
        then = "wait" if settings.images.unknown == "refuse" else "run on this machine's own files"
        yield Finding("note", f"there are no images: builds that name one {then}")
        return
    try:
        sandbox = choose_sandbox(settings, data)
        roots = None
        if not isinstance(sandbox, SandboxBroken):
            roots = make_roots(settings, data, sandbox, work_root(settings, data))
    except CiError:
        return  # said of the sandbox already
    if roots is None:
        listed = ", ".join(sorted(names))
        yield Finding("bad", f"images need bubblewrap or podman, and are not used: {listed}")
        return
    is_best, how = roots.changes()
    yield Finding("ok" if is_best else "note", how)
    for name in roots.all_names():
        if fault := roots.fault(name):
            yield Finding("bad", f"image {name}: {fault}; {roots.remedy(name)}")
        else:
            yield Finding("ok", f"image {name}: {roots.describe(name)}")
    if unused := set(settings.images.podman).difference(roots.all_names()):
        yield Finding("note", f"images.podman is for podman alone: {', '.join(sorted(unused))}")


def _holds_processes(sandbox: SandboxKind) -> bool:
    """Whether the kernel counts the processes of a task without any control group of ours."""
    if sandbox == "podman":
        return os.geteuid() == 0 or counts_alone()
    return sandbox != "plain" and counts_alone()


def _broker(settings: Settings, data: DataDirectory) -> Iterator[Finding]:
    """That of the settings: one of a worker, too."""
    try:
        broker = make_broker(settings)
        if broker is None:
            return
        from ciserver.broker.examination import examine  # noqa: PLC0415  Celery is an extra

        for level, what in examine(broker, _queues(settings, data)):
            yield Finding(level, what)
    except CiError as error:
        yield Finding("bad", error.message + (f" ({error.hint})" if error.hint else ""))


def _queues(settings: Settings, data: DataDirectory) -> list[str]:
    """Those that workers elsewhere have credentials for."""
    if _database(settings, data).level != "ok":
        return []
    workers = open_store(settings, data).workers.list_all()
    return sorted({str(queue) for one in workers for queue in one.queues})


def _control_groups(settings: Settings, _data: DataDirectory) -> Finding:
    faults = ControlGroups(settings.builds.control_groups).faults()
    if faults:
        return Finding("bad", f"limits are only measured: {'; '.join(faults)}")
    if settings.builds.control_groups:
        return Finding("ok", "limits of memory and processes are held by control groups")
    held = _holds_processes(settings.builds.sandbox)
    return Finding(
        "note",
        "limits of memory and disk are measured four times a second, those of processes "
        + ("held by the kernel" if held else "too")
        + "; builds.control_groups makes the kernel hold them",
    )


def _base_url(settings: Settings, _data: DataDirectory) -> Finding:
    if settings.server.base_url:
        return Finding("ok", f"people reach this server at {settings.server.base_url}")
    return Finding(
        "note",
        "server.base_url is not set: links in mails and webhooks use"
        f" http://{settings.server.listen}",
    )


def _mail(settings: Settings, _data: DataDirectory) -> Finding:
    if not settings.smtp.host:
        return Finding("note", "no mail server is configured: smtp.host is empty")
    place = f"{settings.smtp.host}:{settings.smtp.port}"
    kind = smtplib.SMTP_SSL if settings.smtp.security == "tls" else smtplib.SMTP
    try:
        with kind(settings.smtp.host, settings.smtp.port, timeout=5) as server:
            server.noop()
    except (OSError, smtplib.SMTPException) as error:
        return Finding("bad", f"the mail server {place} does not answer: {error}")
    return Finding("ok", f"the mail server {place} answers")
