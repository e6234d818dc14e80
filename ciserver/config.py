"""The configuration: one TOML file, read once, every key with a default good for one machine.

What a project's owner changes (jobsets, triggers, schedules) is data or recipe text, never here.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass, replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_type_hints

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from ciserver.broker.place import EXAMPLE, is_address
from ciserver.model.errors import BadConfiguration, Complaint
from ciserver.model.image import is_image_name
from ciserver.model.reach import Reach
from ciserver.model.worker import LABEL, MOST_LABELS

Count = Annotated[int, Field(ge=0)]
Span = Annotated[float, Field(ge=0)]
System = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+]*(-[A-Za-z0-9_.+]+)+$")]
Labels = Annotated[
    tuple[Annotated[str, Field(pattern=f"^(?:{LABEL})$")], ...], Field(max_length=MOST_LABELS)
]
Origin = Annotated[str, Field(pattern=r"^https?://[a-z0-9.\-\[\]:]+$")]
_WIDEST_BLOCK = 22  # one for each server of a machine
# Sections are made ready together with the whole, and not each by itself before.
_STRICT = ConfigDict(extra="forbid", strict=False, defer_build=True)


def _absolute(path: Path | None) -> Path | None:
    if path is not None and not path.is_absolute():
        raise PydanticCustomError("not_absolute", "must be an absolute path, such as /srv/ciserver")
    return path


def _image_name(name: str) -> str:
    if not is_image_name(name):
        raise PydanticCustomError("no_image_name", "is no name for an image, such as debian/stable")
    return name


# An empty text is no directory, neither the one that a command happens to be called in.
_Directory = Annotated[
    Path | None, BeforeValidator(lambda written: written or None), AfterValidator(_absolute)
]
_ImageName = Annotated[str, AfterValidator(_image_name)]
# With its registry and its tag, as `podman images` shows it, or its id.
_ImageReference = Annotated[
    str, Field(pattern=r"^([a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+:[\w.-]+|[0-9a-f]{64})$")
]
_SECRETS = {
    "smtp.password": "CISERVER_SMTP_PASSWORD",
    "database.url": "CISERVER_DATABASE_URL",
    "storage.s3_secret_key": "CISERVER_S3_SECRET_KEY",
    "engine.broker": "CISERVER_BROKER_URL",
}


@dataclass(frozen=True, config=_STRICT)
class Server:
    """The HTTP server."""

    listen: str = "127.0.0.1:8080"  # HOST:PORT
    base_url: str = ""  # how people reach this server; empty: http://LISTEN
    name: str = "ciserver"  # shown in titles and mails
    # Among several servers of one database; default: the name of the machine.
    node: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,62})?$")] = ""
    threads: Annotated[int, Field(ge=4, le=1000)] = 128  # open requests at once
    followers: Annotated[int, Field(ge=0, le=1000)] = (
        100  # live log readers at once; more are answered 503
    )


@dataclass(frozen=True, config=_STRICT)
class Database:
    """Where rows are kept."""

    # Such as postgresql://ciserver@db.example.org/ciserver, or CISERVER_DATABASE_URL; default:
    # SQLite in the data directory.
    url: Annotated[str, Field(pattern=r"^((postgres(ql)?://|sqlite:).+)?$")] = field(
        default="", repr=False
    )


@dataclass(frozen=True, config=_STRICT)
class Storage:
    """Where logs, products and what is sent in are kept."""

    directory: _Directory = None  # all servers of one database share it; default: DATA
    keys: _Directory = None  # of secret.key and webhook.key, which they share; default: DATA
    # A bucket that finished logs and products go to; empty: they stay in the directory.
    s3_bucket: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$")] = ""
    s3_endpoint: Annotated[str, Field(pattern=r"^(https?://[^/?#@\s]+)?$")] = ""  # empty: AWS
    s3_region: str = ""  # empty: what the programs of AWS find, or us-east-1 with an endpoint
    s3_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]*$")] = ""  # of all names there
    s3_access_key: str = ""  # empty: the credentials that the programs of AWS find
    s3_secret_key: str = field(default="", repr=False)  # or CISERVER_S3_SECRET_KEY, or by file
    s3_secret_key_file: Path | None = None

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        more = (self.s3_endpoint, self.s3_region, self.s3_prefix, self.s3_access_key)
        if any(more) and not self.s3_bucket:
            raise PydanticCustomError("no_bucket", "s3_bucket must be set where others of s3_ are")
        if bool(self.s3_access_key) != bool(self.s3_secret_key or self.s3_secret_key_file):
            raise PydanticCustomError(
                "half_a_key", "s3_access_key and s3_secret_key (or its file) belong together"
            )
        return self


def _reach(written: object) -> Reach:
    try:
        return Reach.parse(written)
    except ValueError as error:
        raise PydanticCustomError("not_reachable", "{why}", {"why": str(error)}) from None


def _roomy(pool: IPv4Network) -> IPv4Network:
    if pool.prefixlen > _WIDEST_BLOCK:
        raise PydanticCustomError("small_pool", f"must be /{_WIDEST_BLOCK} or wider")
    return pool


_Reach = Annotated[Reach, PlainValidator(_reach)]
_Pool = Annotated[IPv4Network, AfterValidator(_roomy)]


@dataclass(frozen=True, config=_STRICT)
class Builds:
    """How builds run on this machine."""

    slots: Count = 0  # builds at once; 0: one a processor, none on a server with engine.kind celery
    sandbox: Literal["auto", "bubblewrap", "podman", "plain"] = "auto"  # auto: bubblewrap
    # isolated: a network of each build's own, without private addresses; auto: that where it can be
    # had, and else the host's.
    network: Literal["auto", "isolated", "host", "none"] = "auto"
    # What is not trusted has none, or one of its own and never another.
    untrusted_network: Literal["none", "isolated"] = "none"
    network_allow: tuple[_Reach, ...] = ()  # private addresses that isolated builds reach
    network_pool: _Pool = IPv4Network("198.18.0.0/15")  # addresses for isolated builds
    user: str = "nobody"  # whom builds run as when the server runs as root
    readable: tuple[Path, ...] = ()  # more host directories that sandboxed builds may read
    work_directory: Path | None = None  # default: DATA/work; a tmpfs is faster
    systems: tuple[System, ...] = ()  # that the worker here runs beside the machine's own
    labels: Labels = ()  # that the worker here has; those elsewhere have their credential's
    timeout_minutes: Span = 240  # where the recipe says nothing
    silence_minutes: Span = 0  # 0: no limit
    log_limit_mb: Annotated[int, Field(ge=1)] = 1024  # of one build
    memory_mb: Count = 0  # of the tasks of one build, where the recipe says nothing; 0: no limit
    pids: Count = 0  # processes and threads, likewise
    disk_mb: Count = 0  # files of one build, likewise
    control_groups: tuple[Path, ...] = ()  # given to the server to hold memory and pids with
    products_mb: Count = 10240  # what is kept of the files of one build; 0: no limit
    project_quota_mb: Count = 0  # products and logs of a project that has no own quota; 0: no limit
    # Products stand at least so long, of builds by schedule or poll, and of others.
    keep_autostarted_days: Span = 14
    keep_days: Span = 90
    keep_logs_days: Span = 0  # 0: for good
    cache_quota_mb: Count = 5120  # what the builds of one project keep for each other
    nix_store_mb: Count = 10240  # the Nix store that builds of one project share; 0: none is shared
    recipes: Count = 100  # files read of one revision; 0: no limit
    retries: Count = 2  # after a lost worker
    # How long a worker may not be heard of before what it runs is lost.
    lease_seconds: Annotated[float, Field(ge=10, le=3600)] = 30
    drain_seconds: Span = 60  # how long a stopping server lets builds finish


@dataclass(frozen=True, config=ConfigDict(**_STRICT, validate_default=True))
class Engine:
    """How workers on other machines hear of builds."""

    kind: Literal["local", "celery"] = "local"  # celery: from a message broker, RabbitMQ
    # Such as amqps://ciserver@mq.example.org/ciserver, or CISERVER_BROKER_URL.
    broker: str = field(default="", repr=False)
    queue_prefix: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")] = "ciserver"
    ca_file: Path | None = None  # authorities of an amqps broker; default: the machine's

    @field_validator("broker")
    @classmethod
    def _address(cls, broker: str, others: ValidationInfo) -> str:
        """Without the text itself in what is said: it has a password."""
        if not broker and others.data.get("kind") == "celery":
            raise PydanticCustomError("no_broker", "must be set where engine.kind is celery")
        if broker and not is_address(broker):
            raise PydanticCustomError("no_address", f"must be such as {EXAMPLE}")
        return broker


@dataclass(frozen=True, config=_STRICT)
class ImageSettings:
    """The root file systems that builds name as their images."""

    directory: Path | None = None  # where they lie; default: DATA/images
    unknown: Literal["host", "refuse"] = "host"  # builds whose image is not here run so, or wait
    # Images of podman by the names that recipes say, such as NAME = "localhost/debian:12".
    podman: dict[_ImageName, _ImageReference] = field(default_factory=dict)


@dataclass(frozen=True, config=_STRICT)
class Git:
    """Which repository addresses are allowed, and how long a fetch may take."""

    local_roots: tuple[Path, ...] = ()  # repositories beneath these may be named by recipes
    allow_http: bool = False
    allow_git: bool = False  # the unencrypted git:// protocol
    timeout_seconds: Annotated[float, Field(gt=0)] = 600
    known_hosts: Path | None = None  # ssh host keys; default: the user's and the machine's files
    # A worker elsewhere removes mirrors that no build used for so long; 0: none. A server has the
    # only copy of what paths held, and keeps its own.
    unused_days: Count = 30
    path_limit_mb: Annotated[int, Field(ge=1)] = 512  # of what one path or URL input holds
    path_files: Annotated[int, Field(ge=1)] = 100_000  # files and directories of one path input


@dataclass(frozen=True, config=_STRICT)
class Smtp:
    """The mail server; without a host no mail is sent and deliveries say so."""

    host: str = ""
    port: Annotated[int, Field(ge=1, le=65535)] = 25
    username: str = ""
    password: str = field(default="", repr=False)  # or CISERVER_SMTP_PASSWORD, or password_file
    password_file: Path | None = None
    security: Literal["none", "starttls", "tls"] = "none"
    from_address: str = "ciserver@localhost"


@dataclass(frozen=True, config=_STRICT)
class Outgoing:
    """Where webhooks may go beside the public internet."""

    allow: tuple[str, ...] = ()  # host names, addresses or networks, such as 10.1.0.0/16


@dataclass(frozen=True, config=_STRICT)
class SelfServe:
    """The interface of Mozilla's buildapi."""

    # Pages of other sites that may ask, such as https://treeherder.example.org.
    allowed_origins: tuple[Origin, ...] = ()
    # Front ends whose header X-Remote-User is believed: addresses or networks.
    remote_user_from: tuple[IPv4Network | IPv6Network, ...] = ()
    most_rebuilds: Annotated[int, Field(ge=1, le=10_000)] = 100  # that one request may ask for


@dataclass(frozen=True, config=_STRICT)
class SourceBuilds:
    """Builds of sources that are sent in through Copr's interface."""

    scripts: Path | None = None  # a directory with SYSTEM.sh or default.sh; none: rpmbuild
    upload_limit_mb: Annotated[int, Field(ge=1, le=10_240)] = 100


@dataclass(frozen=True, config=_STRICT)
class Log:
    """The server's own log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


@dataclass(frozen=True, config=_STRICT)
class Settings:
    server: Server = field(default_factory=Server)
    database: Database = field(default_factory=Database)
    storage: Storage = field(default_factory=Storage)
    builds: Builds = field(default_factory=Builds)
    engine: Engine = field(default_factory=Engine)
    images: ImageSettings = field(default_factory=ImageSettings)
    git: Git = field(default_factory=Git)
    smtp: Smtp = field(default_factory=Smtp)
    outgoing: Outgoing = field(default_factory=Outgoing)
    selfserve: SelfServe = field(default_factory=SelfServe)
    source_builds: SourceBuilds = field(default_factory=SourceBuilds)
    log: Log = field(default_factory=Log)


def load(path: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the file (none: all defaults) and the secrets of the environment.

    Raises BadConfiguration naming every fault: unknown keys with the nearest known one, values of
    the wrong type, files that cannot be read.
    """
    written = _parse(path) if path else {}
    for key, variable in _SECRETS.items():
        section, name = key.split(".")
        if variable in environ and isinstance(written.get(section, {}), dict):
            written.setdefault(section, {})[name] = environ[variable]
    try:
        settings = TypeAdapter(Settings).validate_python(written)
    except ValidationError as error:
        raise BadConfiguration(
            f"the configuration {path or ''} cannot be used".replace("  ", " "),
            complaints=[_complaint(one, str(path or "")) for one in error.errors()],
            hint="see the table of settings in the README",
        ) from None
    return _with_secret_files(settings)


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadConfiguration(
            f"the configuration {path} cannot be read: {error}", hint="it must be a TOML file"
        ) from error


def _complaint(error: Any, file: str) -> Complaint:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "unexpected_keyword_argument":
        near = difflib.get_close_matches(str(error["loc"][-1]), _known(error["loc"][:-1]), 1)
        return Complaint(
            where, "unknown key" + (f"; did you mean {near[0]}?" if near else ""), file
        )
    return Complaint(where, error["msg"].lower(), file)


def _known(section: tuple[Any, ...]) -> list[str]:
    table: Any = Settings
    for name in section:
        table = get_type_hints(table).get(str(name))
        if table is None or not is_dataclass(table):
            return []
    return [one.name for one in fields(table)]


def _with_secret_files(settings: Settings) -> Settings:
    smtp, storage = settings.smtp, settings.storage
    if smtp.password_file:
        smtp = replace(smtp, password=_read_secret("smtp.password_file", smtp.password_file))
    if storage.s3_secret_key_file:
        key = _read_secret("storage.s3_secret_key_file", storage.s3_secret_key_file)
        storage = replace(storage, s3_secret_key=key)
    return replace(settings, smtp=smtp, storage=storage)


def _read_secret(setting: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfiguration(
            f"{setting} cannot be read: {error}", hint="check its path and its mode"
        ) from error


def effective(settings: Settings) -> dict[str, dict[str, str]]:
    """Every setting in force, section by section, with secrets hidden."""
    shown: dict[str, dict[str, str]] = {}
    for section in fields(settings):
        values = getattr(settings, section.name)
        shown[section.name] = {
            one.name: _show(f"{section.name}.{one.name}", getattr(values, one.name))
            for one in fields(values)
        }
    return shown


def _show(key: str, value: Any) -> str:
    if key in _SECRETS and value:
        return "(hidden)"
    if isinstance(value, dict):
        return ", ".join(f"{one} = {value[one]}" for one in sorted(value)) or "(none)"
    if isinstance(value, tuple):
        return ", ".join(str(one) for one in value) or "(none)"
    return str(value) if value not in {"", None} else "(none)"
