"""How a task ended, in words."""

import signal

from ciserver.executor.limits import Limits
from ciserver.model.build import Task
from ciserver.model.status import Reason

_SIGNAL = 128  # a shell adds the number of the signal that ended a program


def exit_code(status: int) -> int:
    """The exit status as a shell tells it, of a program that a signal may have ended."""
    return _SIGNAL - status if status < 0 else status


def exit_text(task: Task, code: int) -> str:
    number = code - _SIGNAL
    if number in set(signal.Signals):
        name = signal.Signals(number).name
        return f"task {task.name} was killed by signal {number} ({name})"
    return f"task {task.name} exited with status {code}"


def limit_text(task: Task, reason: Reason, limits: Limits) -> str:
    """Of a task that one of its limits ended."""
    return {
        Reason.TIME_LIMIT: f"the build ran longer than its limit of {limits.timeout_seconds} s",
        Reason.SILENCE_LIMIT: f"task {task.name} wrote nothing for {limits.silence_seconds} s",
        Reason.LOG_LIMIT: f"the log grew over its limit of {limits.log_bytes} bytes",
        Reason.MEMORY_LIMIT: f"task {task.name} needed more memory than its limit of "
        f"{limits.memory_mb} MiB",
        Reason.PIDS_LIMIT: f"task {task.name} had more processes and threads than its limit of "
        f"{limits.pids}",
        Reason.DISK_LIMIT: "the files of the build took more disk space than its limit of "
        f"{limits.disk_mb} MiB",
    }[reason]
