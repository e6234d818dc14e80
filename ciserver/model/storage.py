"""How much a project keeps, and how much it may."""

from ciserver.model.frozen import frozen

MIB = 1 << 20


@frozen
class Kept:
    """In bytes, as the rows of the database have them. `quota_mb` is what was set for the project;
    None leaves it to the server.
    """

    products: int = 0
    logs: int = 0
    quota_mb: int | None = None

    @property
    def total(self) -> int:
        return self.products + self.logs


@frozen
class ProjectStorage:
    """What a project keeps, with the quota in force in MiB; 0: no limit."""

    project: str
    kept: Kept
    quota_mb: int

    @property
    def quota(self) -> int:
        """In bytes."""
        return self.quota_mb * MIB

    @property
    def is_full(self) -> bool:
        return bool(self.quota_mb) and self.kept.total >= self.quota


@frozen
class Waiting:
    """Files that are to go to the object storage, and are in the directory. `fault` says why the
    storage did not answer the last time; empty when it did, or there is none.
    """

    files: int = 0
    size: int = 0
    fault: str = ""
