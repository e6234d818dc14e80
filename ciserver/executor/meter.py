"""Whether a task uses more of the machine than it may, looked at again and again while it runs."""

from pathlib import Path

from ciserver.executor.groups import TaskGroups
from ciserver.executor.limits import Limits
from ciserver.executor.sandbox import Process, Sandbox
from ciserver.executor.usage import DiskUsage, measure, measure_exactly
from ciserver.model.status import Reason


class Meter:
    """Memory and processes are measured, whether or not control groups hold them too: what a
    group can refuse it refuses at once, what is measured is found at the next look.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        process: Process,
        groups: TaskGroups,
        limits: Limits,
        places: tuple[Path, ...],
        disk_before: int = 0,
    ) -> None:
        """`disk_before` bytes lay in the places before the build."""
        self._sandbox = sandbox
        self._process = process
        self._groups = groups
        self._limits = limits
        self._disk = DiskUsage(places) if limits.disk_mb else None
        self._most_disk = disk_before + limits.disk_bytes
        self.is_needed = bool(limits.memory_mb or limits.pids or limits.disk_mb)

    def look(self) -> Reason:
        """The limit that the task is over, or NONE. For a task that runs."""
        return self._refused() or self._measured() or self._filled(last=False)

    def last(self) -> Reason:
        """The same for a task that has ended, of which only traces are left."""
        return self._refused() or self._filled(last=True)

    def close(self) -> None:
        if self._disk:
            self._disk.close()

    def _refused(self) -> Reason:
        if self._limits.memory_mb and self._groups.ran_out_of_memory():
            return Reason.MEMORY_LIMIT
        if self._limits.pids and self._groups.ran_out_of_pids():
            return Reason.PIDS_LIMIT
        return Reason.NONE

    def _measured(self) -> Reason:
        memory, most = self._limits.memory_bytes, self._limits.pids
        if not memory and not most:
            return Reason.NONE
        pids = self._sandbox.processes(self._process)
        used = measure(pids)
        if most and used.threads > most:
            return Reason.PIDS_LIMIT
        if memory:
            files = self._sandbox.in_memory_files(self._process)
            if used.own + max(used.shared, files) > memory:
                used = measure_exactly(pids)
                if used.own + max(used.shared, files) > memory:
                    return Reason.MEMORY_LIMIT
        return Reason.NONE

    def _filled(self, *, last: bool) -> Reason:
        if self._disk is None:
            return Reason.NONE
        used = self._disk.last() if last else self._disk.look()
        return Reason.DISK_LIMIT if used >= self._most_disk else Reason.NONE
