"""How a server reads paths and URLs."""

from collections.abc import Callable

from ciserver.model.frozen import frozen
from ciserver.model.ports import Clock

Download = Callable[[str, int], bytes]
"""The content of a URL, of at most so many bytes. Raises RemoteFailure."""


@frozen
class ContentLimits:
    """How much one path may hold."""

    most_files: int = 100_000  # with links and directories
    most_bytes: int = 512 << 20


@frozen
class PathReader:
    clock: Clock
    download: Download
    limits: ContentLimits
