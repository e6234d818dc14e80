"""The only module that knows every class: it puts a server together from its settings."""

import hashlib
import os
import platform
import secrets
from dataclasses import dataclass
from pathlib import Path

from ciserver.bells import Bells
from ciserver.clock import SystemClock
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.choice import choose
from ciserver.executor.disk import DiskGuard
from ciserver.executor.groups import ControlGroups
from ciserver.executor.idle import IdleEngine
from ciserver.executor.limits import Limits
from ciserver.executor.local import LocalEngine
from ciserver.executor.run import Runner
from ciserver.executor.sandbox import BuildUser, Sandbox, SandboxBroken, find_build_user
from ciserver.executor.workdir import remove_tree
from ciserver.git.address import Addresses
from ciserver.git.checkout import Checkouts
from ciserver.git.mirror import Mirrors
from ciserver.model.build import Offer
from ciserver.model.links import Links
from ciserver.model.ports import Clock, Trigger
from ciserver.service.access import Access
from ciserver.service.audit import Audit
from ciserver.service.building import Building
from ciserver.service.builds import Builds
from ciserver.service.caches import Caches
from ciserver.service.deliveries import Deliveries
from ciserver.service.earlier import Earlier
from ciserver.service.ends import Ends
from ciserver.service.evaluations import Evaluations
from ciserver.service.exports import Exports
from ciserver.service.lists import Lists
from ciserver.service.logs import Logs
from ciserver.service.pauses import Pauses
from ciserver.service.pinning import Pinning
from ciserver.service.polls import Polls
from ciserver.service.projects import Projects
from ciserver.service.pushes import Pushes
from ciserver.service.queries import Queries
from ciserver.service.reporter import LocalReporter
from ciserver.service.requests import Requests
from ciserver.service.rights import Rights
from ciserver.service.schedules import Schedules
from ciserver.service.services import Services
from ciserver.service.sources import MirrorSources
from ciserver.service.submissions import Submissions
from ciserver.shipped import shipped
from ciserver.store.store import Store
from ciserver.ticker import Ticker
from ciserver.web.app import App, create_app
from triggers import make_triggers
from triggers.email import Smtp
from triggers.outgoing import Outgoing

WORKER = "local"
_CACHE = Path("/var/cache/ciserver")
_OWNER = "data-directory"


@dataclass(frozen=True)
class Parts:
    """A server's parts without anything that runs: enough for commands when no server does."""

    settings: Settings
    data: DataDirectory
    store: Store
    services: Services
    app: App
    mirrors: Mirrors
    reporter: LocalReporter
    caches: Caches
    bells: Bells
    local_token: str


def make_parts(
    settings: Settings, data: DataDirectory, *, clock: Clock | None = None, base_url: str = ""
) -> Parts:
    """Open the store (bringing its schema up to date) and build the services over it."""
    clock = clock or SystemClock()
    data.make()
    store = Store(data.root)
    store.database.migrate()
    links = Links(settings.server.base_url or base_url or f"http://{settings.server.listen}")
    bells, token = Bells(), secrets.token_urlsafe(32)
    addresses = make_addresses(settings, data)
    mirrors = _make_mirrors(settings, data, addresses)
    retries, followers = settings.builds.retries, settings.server.followers
    rights, audit = Rights(store), Audit(store, clock)
    ends = Ends(
        store, clock, links, ring_deliveries=bells.deliveries.ring, ring_engine=bells.builds.ring
    )
    builds = Builds(store, clock, rights, audit, ends, retries=retries)
    pinning = Pinning(store, clock, mirrors, Earlier(store, rights, links))
    building = Building(store, clock, pinning, ends, stop=builds.stop_running)
    evaluations = Evaluations(
        store,
        clock,
        pinning,
        Exports(store, mirrors, scratch_root(settings, data)),
        building,
        rights,
        audit,
        system=native_system(),
        ring=bells.evaluations.ring,
        ring_engine=bells.builds.ring,
        wake_schedules=bells.schedules.ring,
    )
    services = Services(
        clock=clock,
        access=Access(store, clock, audit, local_token=token),
        rights=rights,
        projects=Projects(
            store, clock, rights, audit, builds, addresses, ring_polls=bells.polls.ring
        ),
        pushes=Pushes(store, clock, bells.evaluations.ring),
        evaluations=evaluations,
        builds=builds,
        deliveries=Deliveries(
            store,
            clock,
            rights,
            audit,
            _make_triggers(settings, store, clock),
            ring=bells.deliveries.ring,
        ),
        logs=Logs(store, followers=followers),
        queries=Queries(store, rights),
        lists=Lists(store, rights, timeout_seconds=settings.builds.timeout_minutes * 60),
        schedules=Schedules(
            store, clock, rights, audit, ring=bells.evaluations.ring, wake=bells.schedules.ring
        ),
        submissions=Submissions(
            store,
            clock,
            rights,
            audit,
            mirrors,
            system=native_system(),
            ring=bells.builds.ring,
        ),
        polls=Polls(store, clock, pinning, ring=bells.evaluations.ring),
        pauses=Pauses(store, clock, rights, audit, ring_engine=bells.builds.ring),
        requests=Requests(
            store, clock, rights, audit, builds, evaluations, ring=bells.requests.ring
        ),
    )
    with store.transaction():
        store.systems.add(native_system())
    app = create_app(
        services,
        shipped("templates"),
        server_name=settings.server.name,
        base_url=settings.server.base_url,
    )
    caches = Caches(store, clock, quota=settings.builds.cache_quota_mb * 1024 * 1024)
    reporter = LocalReporter(store, clock, services.builds, services.logs, caches, links)
    return Parts(settings, data, store, services, app, mirrors, reporter, caches, bells, token)


def _make_mirrors(settings: Settings, data: DataDirectory, addresses: Addresses) -> Mirrors:
    user = build_user(settings)
    return Mirrors(
        scratch_root(settings, data) / "mirrors",
        addresses,
        timeout_seconds=settings.git.timeout_seconds,
        group_id=user.gid if user else None,
        known_hosts=settings.git.known_hosts,
    )


def _make_triggers(settings: Settings, store: Store, clock: Clock) -> dict[str, Trigger]:
    return make_triggers(
        smtp=_smtp(settings),
        templates=shipped("templates"),
        http=Outgoing(allow=settings.outgoing.allow),
        secret_of=store.projects.signing_secret,
        clock=clock,
    )


def make_engine(parts: Parts, sandbox: Sandbox | SandboxBroken) -> LocalEngine | IdleEngine:
    """The engine that runs builds here; one that only says why it cannot when the sandbox is
    broken.
    """
    systems = (native_system(),)
    if isinstance(sandbox, SandboxBroken):
        return IdleEngine(systems, f"{sandbox.reason}; {sandbox.remedy}")
    groups = ControlGroups(parts.settings.builds.control_groups)
    groups.prepare()
    runner = Runner(
        parts.reporter,
        sandbox,
        MirrorSources(parts.store, parts.mirrors, Checkouts(parts.mirrors)),
        parts.services.clock,
        work_root=work_root(parts.settings, parts.data),
        limits=make_limits(parts.settings),
        groups=groups,
    )
    slots = parts.settings.builds.slots or os.cpu_count() or 1
    return LocalEngine(parts.reporter, runner, Offer(WORKER, systems), slots=slots)


def make_ticker(parts: Parts, engine: LocalEngine | IdleEngine) -> Ticker:
    disks = (parts.data.root, work_root(parts.settings, parts.data))
    return Ticker(
        parts.services,
        parts.bells,
        guard_disk=DiskGuard(disks, engine).check,
    )


def choose_sandbox(
    settings: Settings, data: DataDirectory, *, hidden: tuple[Path, ...] = ()
) -> Sandbox | SandboxBroken:
    """The sandbox of the settings, tried out. `hidden` is covered beside the data directory."""
    return choose(
        settings.builds.sandbox,
        user=build_user(settings),
        readable=settings.builds.readable,
        hidden=(data.root, scratch_root(settings, data), *hidden),
    )


def make_addresses(settings: Settings, data: DataDirectory) -> Addresses:
    return Addresses(
        local_roots=settings.git.local_roots,
        forbidden=(data.root,),
        allow_http=settings.git.allow_http,
        allow_git=settings.git.allow_git,
    )


def make_limits(settings: Settings) -> Limits:
    return Limits(
        timeout_seconds=settings.builds.timeout_minutes * 60,
        silence_seconds=settings.builds.silence_minutes * 60,
        log_bytes=settings.builds.log_limit_mb * 1024 * 1024,
        memory_mb=settings.builds.memory_mb,
        pids=settings.builds.pids,
        disk_mb=settings.builds.disk_mb,
    )


def build_user(settings: Settings) -> BuildUser | None:
    """Whom builds run as: only a server that runs as root can and must choose."""
    return find_build_user(settings.builds.user) if os.geteuid() == 0 else None


def scratch_root(settings: Settings, data: DataDirectory) -> Path:
    """Where mirrors and work trees lie, which can be made again: in the data directory. A server
    that runs as root keeps them in /var/cache: its builds are another user's, who must get there
    and must not get into the data directory.
    """
    if build_user(settings) is None:
        return data.root
    directory = _CACHE / hashlib.sha256(bytes(data.root)).hexdigest()[:16]
    if not directory.exists():
        for one in (_CACHE, directory):
            one.mkdir(exist_ok=True)
            one.chmod(0o711)
        (directory / _OWNER).write_bytes(bytes(data.root))
    return directory


def forget_abandoned_scratch() -> None:
    """Remove what belonged to data directories that are gone."""
    for owner in _CACHE.glob(f"*/{_OWNER}"):
        if not Path(os.fsdecode(owner.read_bytes())).exists():
            remove_tree(owner.parent)


def work_root(settings: Settings, data: DataDirectory) -> Path:
    """The directory of work trees, which builds pass through and cannot list."""
    root = settings.builds.work_directory or scratch_root(settings, data) / "work"
    if not root.exists():
        root.mkdir(parents=True)
        root.chmod(0o711)
    return root


def native_system() -> str:
    return f"{platform.machine()}-{platform.system().lower()}"


def _smtp(settings: Settings) -> Smtp:
    smtp = settings.smtp
    return Smtp(
        host=smtp.host,
        port=smtp.port,
        username=smtp.username,
        password=smtp.password,
        security=smtp.security,
        from_address=smtp.from_address,
    )
