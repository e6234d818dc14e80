"""Where the broker is: known without Celery, which takes long to load and may not be there."""

from dataclasses import field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from ciserver.model.errors import BadConfiguration
from ciserver.model.frozen import frozen

EXAMPLE = "amqps://ciserver@mq.example.org/ciserver"


def is_address(text: str) -> bool:
    """Whether it can be that of a broker."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in {"amqp", "amqps"} and bool(parts.hostname) and port != 0


def require_celery() -> None:
    """Raises BadConfiguration without the extra."""
    if find_spec("celery") is None:
        raise BadConfiguration(
            "a message broker needs Celery, which is not installed",
            hint="install ciserver with its extra: ciserver[distributed]",
        )


@frozen
class Broker:
    """Where the broker is, and what the queues of this installation begin with. With `amqps` its
    certificate must be of an authority in `ca_file`, or of one that this machine knows.
    """

    url: str = field(repr=False)
    prefix: str = "ciserver"
    ca_file: Path | None = None

    @property
    def place(self) -> str:
        """The address without the password."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        at = f"{parts.username}@{host}" if parts.username else host
        return urlunsplit((parts.scheme, at, parts.path, "", ""))

    def without_secrets(self, text: str) -> str:
        """What a library said about the broker, without the password."""
        password = urlsplit(self.url).password or ""
        for one in (password, unquote(password)):
            text = text.replace(one, "***") if one else text
        return text

    def name_of(self, queue: str) -> str:
        """What the queue SYSTEM/TRUST is called there."""
        return f"{self.prefix}.{queue.replace('/', '.')}"

    @property
    def dead(self) -> str:
        """The queue of messages that nobody could take."""
        return f"{self.prefix}.dead"
