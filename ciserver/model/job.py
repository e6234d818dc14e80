"""Jobs over time: where their builds are looked for, and what these tell one after another."""

from datetime import datetime
from enum import StrEnum

from ciserver.model.build import Build
from ciserver.model.frozen import frozen


@frozen
class Address:
    """Whose builds are meant: everybody's, those of a project, of a jobset, or of a job in one."""

    project: str = ""
    jobset: str = ""
    job: str = ""

    def __str__(self) -> str:
        return ":".join(filter(None, (self.project, self.jobset, self.job)))


EVERYWHERE = Address()


@frozen
class Place:
    """An address that was looked up: of a job, its jobset is named too."""

    project_id: int | None = None
    jobset_id: int | None = None
    job: str = ""


class Health(StrEnum):
    """How a job or a jobset ended the last time, in one word."""

    PASSING = "passing"
    PARTIAL = "partial"
    FAILING = "failing"
    CANCELED = "canceled"


@frozen
class GoodBuild:
    """What a series needs to know of a build that succeeded."""

    id: int
    attempt: int
    queued_at: datetime
    seconds: float


@frozen
class Point:
    """One number that a good build is known by; `at` is when the build was asked for."""

    build_id: int
    at: datetime
    value: float
    unit: str = ""


@frozen
class Series:
    """A number over the builds of a job, oldest first."""

    name: str
    points: tuple[Point, ...]

    @property
    def unit(self) -> str:
        """That of the newest build."""
        return self.points[-1].unit if self.points else ""


@frozen
class SystemOfJob:
    """A system that a job is built for: its newest build, and the newest good one."""

    newest: Build
    good: int | None

    @property
    def name(self) -> str:
        return self.newest.system


@frozen
class JobHistory:
    """A job as it fares: by system, and its newest builds. `metrics` are the names of what its
    good builds measured lately.
    """

    project: str
    jobset: str
    name: str
    systems: tuple[SystemOfJob, ...]
    builds: tuple[Build, ...]
    next: int | None  # the build before which older ones come
    metrics: tuple[str, ...]
    starred: bool

    @property
    def full_name(self) -> str:
        return f"{self.project}:{self.jobset}:{self.name}"


@frozen
class Ended:
    """The build of a job that ended last, and how large its products are together."""

    build: Build
    size: int
