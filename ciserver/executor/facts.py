"""What the log of the setup step says first: what runs where, and what will not be as expected."""

from collections.abc import Iterator
from datetime import datetime

from ciserver.executor.limits import Limits
from ciserver.executor.mask import SHORTEST
from ciserver.executor.network import HOST, Network
from ciserver.executor.sandbox import Sandbox
from ciserver.executor.script import bad_names
from ciserver.model.build import OWN_IMAGES, Source, Work


def setup_lines(
    work: Work,
    sandbox: Sandbox,
    network: Network,
    limits: Limits,
    started_at: datetime,
    unmasked: int,
) -> Iterator[str]:
    """The facts of an attempt; `unmasked` secrets are too short to be hidden."""
    job = work.job
    moment = f"{started_at:%Y-%m-%d %H:%M:%S} UTC"
    yield f"build {work.lease.build_id}, attempt {work.lease.attempt}, {moment}"
    yield f"sandbox: {sandbox.about}"
    yield f"system: {job.system}, image: {job.image or '(none named)'}"
    if job.image not in OWN_IMAGES and not sandbox.image:
        yield f"note: there is no image {job.image} here: the build runs on the machine's own files"
    yield _network(sandbox, network)
    yield from _limits(limits)
    yield from (f"note: {note}" for note in job.notes)
    names = ", ".join(sorted({*job.environment, *work.environment}))
    yield f"environment: {names or '(empty)'}"
    if bad := bad_names(job.environment):
        yield f"environment: left out, no shell takes them as names: {', '.join(bad)}"
    if work.given.note:
        yield work.given.note
    if unmasked:
        yield (
            f"warning: {unmasked} secrets are shorter than {SHORTEST} characters "
            "and are not hidden in logs"
        )


def _limits(limits: Limits) -> Iterator[str]:
    told = [
        words
        for number, words in (
            (limits.memory_mb, f"memory {limits.memory_mb} MiB"),
            (limits.pids, f"{limits.pids} processes and threads"),
            (limits.disk_mb, f"disk {limits.disk_mb} MiB"),
        )
        if number
    ]
    if told:
        yield f"limits: {', '.join(told)}"


def source_line(source: Source) -> str:
    wanted = f" ({source.ref})" if source.ref else ""
    return f"source: {source.uri}{wanted} at {source.revision or 'its newest revision'}"


def _network(sandbox: Sandbox, network: Network) -> str:
    if network is HOST or sandbox.closes_network:
        return f"network: {network.about}"
    return f"warning: network: none was asked for, but {sandbox.name} cannot close it"
