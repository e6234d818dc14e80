"""Giving up what the evaluation of a stranger's text does not need; and, as a program, doing so
before becoming another program: `MEMORY_BYTES SECONDS COMMAND ...`.
"""

import os
import resource
import sys

_NOBODY = 65534


def confine(memory_bytes: int, seconds: int) -> None:
    """From here on this process has so much memory and time, writes no files, and is nobody."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    for limit, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(limit, (most, most))


def main() -> None:
    memory_bytes, seconds, *command = sys.argv[1:]
    confine(int(memory_bytes), int(seconds))
    os.execv(command[0], command)  # noqa: S606  no shell is wanted


if __name__ == "__main__":
    main()
