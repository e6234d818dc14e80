"""What a build may use where its recipe does not say otherwise."""

from dataclasses import replace
from typing import Self

from ciserver.model.build import Job
from ciserver.model.frozen import frozen

_MIB = 1024 * 1024


@frozen
class Limits:
    """Limits of every attempt; 0 means no limit.

    `grace_seconds` lie between TERM and KILL. `memory_mb` and `pids` are for the processes of a
    task together, `disk_mb` is for all files of the build, `products_bytes` for what of them is
    kept.
    """

    timeout_seconds: float = 3600
    silence_seconds: float = 0
    log_bytes: int = 1 << 30
    memory_mb: int = 0
    pids: int = 0
    disk_mb: int = 0
    products_bytes: int = 0
    grace_seconds: float = 10

    @property
    def memory_bytes(self) -> int:
        return self.memory_mb * _MIB

    @property
    def disk_bytes(self) -> int:
        return self.disk_mb * _MIB

    def of_job(self, job: Job) -> Self:
        """These limits, with what the job says of its own in their place."""
        return replace(
            self,
            timeout_seconds=job.timeout_seconds or self.timeout_seconds,
            silence_seconds=job.silence_seconds or self.silence_seconds,
            memory_mb=job.resources.memory_mb or self.memory_mb,
            pids=job.resources.pids or self.pids,
            disk_mb=job.resources.disk_mb or self.disk_mb,
        )
