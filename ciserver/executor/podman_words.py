"""What podman is told of every container, so that no default of its own or of an image counts."""

import os
import resource
from collections.abc import Iterator

from ciserver.executor.bubblewrap import counts_alone
from ciserver.executor.sandbox import Bounds

_OWN_PROCESSES = 2  # the first one inside, and one that makes the difference seen
_MOST_PROCESSES = 32768  # of one user; a server without CAP_SYS_RESOURCE may give no more
_MOST_FILES = 1048576
SEPARATE = (
    *("--rm", "--pull=never", "--log-driver=passthrough", "--hostname=build"),
    *("--pid=private", "--ipc=private", "--uts=private", "--cgroupns=private"),
    *("--cap-drop=all", "--security-opt=no-new-privileges"),
    *("--read-only", "--read-only-tmpfs=false", "--tmpfs=/run:rw,nosuid,nodev,notmpcopyup"),
    *("--image-volume=ignore", "--no-healthcheck", "--systemd=false", "--sdnotify=ignore"),
    *("--unsetenv-all", "--http-proxy=false", "--passwd=false", "--umask=0022"),
)


def limit_words(bounds: Bounds) -> Iterator[str]:
    """As podman would ask for more than a server without rights may give, each is named. What holds
    the processes of a server that is root is a group of podman's; a container of any other is a
    user namespace, whose processes the kernel counts beside those of its user.
    """
    soft, hard = (_finite(one, _MOST_FILES) for one in resource.getrlimit(resource.RLIMIT_NOFILE))
    processes = _finite(resource.getrlimit(resource.RLIMIT_NPROC)[1], _MOST_PROCESSES)
    most = bounds.processes + _OWN_PROCESSES if bounds.processes else 0
    if os.geteuid() == 0:
        yield f"--pids-limit={most or -1}"
    elif most and counts_alone():
        processes = min(processes, most)
    yield f"--ulimit=nofile={soft}:{hard}"
    yield f"--ulimit=nproc={processes}:{processes}"
    if bounds.file_bytes:
        yield f"--ulimit=fsize={bounds.file_bytes}:{bounds.file_bytes}"
    # Of a size, so that what lies there can be measured: half of the memory, as the kernel has it.
    yield f"--shm-size={os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 2}b"


def _finite(limit: int, most: int) -> int:
    return most if limit == resource.RLIM_INFINITY else min(limit, most)
