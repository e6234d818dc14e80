"""What the machine and the settings give a server: system, sandbox, limits, room."""

import hashlib
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from ciserver.broker.place import EXAMPLE, Broker, is_address, require_celery
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.bubblewrap import Bubblewrap
from ciserver.executor.choice import choose
from ciserver.executor.containers import sweep as sweep_containers
from ciserver.executor.groups import ControlGroups
from ciserver.executor.images import Images
from ciserver.executor.limits import Limits
from ciserver.executor.local import LocalEngine
from ciserver.executor.network import Networks
from ciserver.executor.network_choice import choose_networks
from ciserver.executor.nix_stores import NixStores
from ciserver.executor.podman import Podman
from ciserver.executor.podman_images import PodmanImages
from ciserver.executor.podman_roots import PodmanRoots
from ciserver.executor.removal import remove_tree
from ciserver.executor.roots import RootProvider, Roots, overlay_fault
from ciserver.executor.run import Runner
from ciserver.executor.sandbox import BuildUser, Sandbox, SandboxBroken, find_build_user
from ciserver.executor.sources import SourceProvider
from ciserver.git.address import Addresses
from ciserver.git.mirrors import Mirrors
from ciserver.git.paths import ContentLimits, PathReader
from ciserver.model.build import Offer
from ciserver.model.errors import BadConfiguration, Complaint, Invalid
from ciserver.model.ports import Clock, Reporter
from triggers.email import Smtp
from triggers.outgoing import Outgoing

SomeEngine = TypeVar("SomeEngine", bound=LocalEngine)
_CACHE = Path("/var/cache/ciserver")
_OWNER = "data-directory"


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
        with suppress(FileNotFoundError):  # another server that starts now removes it, too
            if not Path(os.fsdecode(owner.read_bytes())).exists():
                remove_tree(owner.parent)


def work_root(settings: Settings, data: DataDirectory) -> Path:
    """The directory of work trees, which builds pass through and cannot list."""
    root = settings.builds.work_directory or scratch_root(settings, data) / "work"
    if not root.exists():
        root.mkdir(parents=True)
        root.chmod(0o711)
    return root


def own_directories(settings: Settings, data: DataDirectory) -> tuple[Path, ...]:
    """Where nobody has business but the server: builds do not see them, and nobody names them."""
    keys = settings.storage.keys
    roots = (
        data.root,
        storage_root(settings, data),
        scratch_root(settings, data),
        *((keys.resolve(),) if keys else ()),
    )
    return tuple(dict.fromkeys(roots))


def make_images(settings: Settings, data: DataDirectory) -> Images:
    """The images of the settings; as builds must reach them, they lie where work trees do."""
    directory = settings.images.directory or scratch_root(settings, data) / "images"
    return Images(directory, build_user(settings))


def image_host(settings: Settings, data: DataDirectory) -> Bubblewrap:
    """The sandbox in which images are made. Raises BadConfiguration where there can be none."""
    user = build_user(settings)
    sandbox = Bubblewrap(user=user, hidden=own_directories(settings, data))
    if broken := sandbox.diagnose():
        raise BadConfiguration(
            f"images are made in a sandbox, and {broken.reason}", hint=broken.remedy
        )
    return sandbox


def make_roots(
    settings: Settings, data: DataDirectory, sandbox: Sandbox, work: Path
) -> RootProvider | None:
    """What gives builds, which work beneath that directory, the images that they name; None where
    the sandbox has no use for any.
    """
    images, refuses = make_images(settings, data), settings.images.unknown == "refuse"
    if isinstance(sandbox, Podman):
        of_podman = PodmanImages(settings.images.podman)
        return PodmanRoots(images, sandbox, of_podman, refuses_unknown=refuses)
    if not isinstance(sandbox, Bubblewrap):
        return None
    return Roots(
        images,
        sandbox,
        try_overlay=partial(overlay_fault, work, build_user(settings)),
        refuses_unknown=refuses,
    )


def make_image_ids(settings: Settings, data: DataDirectory) -> Callable[[str], str]:
    """Answers another id for each making of an image, and nothing for a name that has none."""
    of_server = make_images(settings, data).id_of
    if settings.builds.sandbox != "podman":
        return of_server
    of_podman = PodmanImages(settings.images.podman)
    return lambda name: of_podman.id_of(name) if name in of_podman.given else of_server(name)


def storage_root(settings: Settings, data: DataDirectory) -> Path:
    """Where the files lie that belong to rows: logs, products, and what is sent in."""
    directory = settings.storage.directory
    return directory.resolve() if directory else data.root


def runs_builds(settings: Settings) -> bool:
    """Whether a server with these settings builds by itself, too."""
    return settings.engine.kind == "local" or settings.builds.slots > 0


def make_broker(settings: Settings, url: str = "") -> Broker | None:
    """The message broker at this address, else that of the settings; None where there is none.
    Raises Invalid for what is no address, and BadConfiguration when what it needs is not installed.
    """
    address = url or settings.engine.broker
    if not address:
        return None
    if not is_address(address):
        fault = Complaint("--broker", f"must be an address such as {EXAMPLE}")
        raise Invalid("the broker cannot be used", complaints=[fault])
    require_celery()
    return Broker(address, settings.engine.queue_prefix, settings.engine.ca_file)


def native_system() -> str:
    return f"{platform.machine()}-{platform.system().lower()}"


def offered_systems(settings: Settings) -> tuple[str, ...]:
    """The systems that the worker of this machine runs, its own first."""
    return tuple(dict.fromkeys((native_system(), *settings.builds.systems)))


def choose_sandbox(
    settings: Settings, data: DataDirectory, *, hidden: tuple[Path, ...] = ()
) -> Sandbox | SandboxBroken:
    """The sandbox of the settings, tried out. `hidden` is covered beside the data directory."""
    return choose(
        settings.builds.sandbox,
        user=build_user(settings),
        place=scratch_root(settings, data) / "podman",
        readable=settings.builds.readable,
        hidden=(*own_directories(settings, data), *hidden),
    )


def make_networks(settings: Settings, sandbox: Sandbox | SandboxBroken) -> Networks | SandboxBroken:
    """What builds in this sandbox have of the network, tried out; what is broken stays so."""
    if isinstance(sandbox, SandboxBroken):
        return sandbox
    builds = settings.builds
    return choose_networks(
        builds.network, sandbox, allowed=builds.network_allow, pool=builds.network_pool
    )


def make_addresses(settings: Settings, data: DataDirectory) -> Addresses:
    work = settings.builds.work_directory
    own = (*own_directories(settings, data), *((work,) if work else ()))
    return Addresses(
        local_roots=settings.git.local_roots,
        forbidden=own,
        allow_http=settings.git.allow_http,
        allow_git=settings.git.allow_git,
    )


def make_mirrors(
    settings: Settings,
    data: DataDirectory,
    addresses: Addresses,
    clock: Clock,
    *,
    key: bytes | None = None,
) -> Mirrors:
    """Those of this machine, named with the key, or with one of their own."""
    user = build_user(settings)
    return Mirrors(
        scratch_root(settings, data) / "mirrors",
        addresses,
        timeout_seconds=settings.git.timeout_seconds,
        group_id=user.gid if user else None,
        known_hosts=settings.git.known_hosts,
        paths=_make_path_reader(settings, addresses, clock),
        key=key,
    )


def _make_path_reader(settings: Settings, addresses: Addresses, clock: Clock) -> PathReader:
    outgoing = Outgoing(allow=settings.outgoing.allow, timeout_seconds=settings.git.timeout_seconds)
    return PathReader(
        clock,
        partial(outgoing.get, schemes=addresses.content_schemes),
        ContentLimits(settings.git.path_files, settings.git.path_limit_mb << 20),
    )


def make_local_engine(
    kind: type[SomeEngine],
    settings: Settings,
    data: DataDirectory,
    offer: Offer,
    sandbox: Sandbox,
    networks: Networks,
    reporter: Reporter,
    sources: SourceProvider,
    clock: Clock,
) -> SomeEngine:
    """The slots of this machine, for builds that the reporter has and sources that come from
    there.
    """
    work = work_root(settings, data)
    roots = make_roots(settings, data, sandbox, work)
    if isinstance(sandbox, Podman):
        sweep_containers(work)
    if roots:
        roots.sweep()
    groups = ControlGroups(settings.builds.control_groups)
    groups.prepare()
    runner = Runner(
        reporter,
        sandbox,
        sources,
        clock,
        work_root=work,
        limits=make_limits(settings),
        groups=groups,
        stores=_make_stores(settings, data),
        roots=roots,
        networks=networks,
    )
    return kind(
        reporter,
        runner,
        offer,
        slots=settings.builds.slots or os.cpu_count() or 1,
        images=roots.names if roots else tuple,
        takes_any_image=settings.images.unknown == "host",
    )


def _make_stores(settings: Settings, data: DataDirectory) -> NixStores | None:
    """Those that builds share, without what nobody uses any more."""
    if not settings.builds.nix_store_mb:
        return None
    stores = NixStores(
        scratch_root(settings, data) / "nix",
        build_user(settings),
        quota=settings.builds.nix_store_mb * 1024 * 1024,
    )
    stores.sweep()
    return stores


def most_upload(settings: Settings) -> int:
    """How large a file of a build may be that a worker elsewhere hands in; 0: no limit."""
    products, caches = settings.builds.products_mb, settings.builds.cache_quota_mb
    return max(products, caches) << 20 if products else 0


def most_log(settings: Settings) -> int:
    """How large the log of a step may be that a worker elsewhere writes; its last words, about the
    limit, are beyond that.
    """
    return (settings.builds.log_limit_mb + 1) << 20


def make_limits(settings: Settings) -> Limits:
    return Limits(
        timeout_seconds=settings.builds.timeout_minutes * 60,
        silence_seconds=settings.builds.silence_minutes * 60,
        log_bytes=settings.builds.log_limit_mb * 1024 * 1024,
        memory_mb=settings.builds.memory_mb,
        pids=settings.builds.pids,
        disk_mb=settings.builds.disk_mb,
        products_bytes=settings.builds.products_mb * 1024 * 1024,
    )


def make_smtp(settings: Settings) -> Smtp:
    smtp = settings.smtp
    return Smtp(
        host=smtp.host,
        port=smtp.port,
        username=smtp.username,
        password=smtp.password,
        security=smtp.security,
        from_address=smtp.from_address,
    )
