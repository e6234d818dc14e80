"""Files that were sent in for builds to begin with."""

import re

from ciserver.model.frozen import frozen

_URI = re.compile(r"upload:([0-9a-f]{32})/([A-Za-z0-9_][A-Za-z0-9_.+~^-]{0,254})")


@frozen
class Upload:
    """`id` says where it is kept, `name` what it was called."""

    id: str
    name: str

    @property
    def uri(self) -> str:
        """How a job names it among its sources. No address that people may write looks like it."""
        return f"upload:{self.id}/{self.name}"


def upload_of(uri: str) -> Upload | None:
    """What a source names, when it names an upload."""
    found = _URI.fullmatch(uri)
    return Upload(found[1], found[2]) if found else None
