"""A PostgreSQL of the bench's own, with its usual promises: what is committed is on the disk."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.parts import fresh_place
from bench.processes import Lacking, free_port, run, started, until

PROGRAMS = Path("/usr/lib/postgresql")  # where Debian has them; elsewhere on the PATH
USER = "postgres"


@contextmanager
def cluster() -> Iterator[str]:
    """The address of an empty database, in a server of its own. As root that runs as another user,
    which it insists on. Raises Lacking where it is not installed.
    """
    with fresh_place() as place:
        data, port = place / "data", free_port()
        data.mkdir(mode=0o700)
        become: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(data, USER)
            place.chmod(0o711)
            become = ["runuser", "-u", USER, "--"]
        made = ("-D", str(data), "-U", USER, "-A", "trust", "--locale=C", "-E", "UTF8")
        run(*become, program("initdb"), *made)
        server = [*become, program("postgres"), "-D", str(data), "-k", "", "-p", str(port)]
        ready = [program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        with started([*server, "-h", "127.0.0.1"], place / "postgresql.log"):
            until(lambda: not subprocess.run(ready, check=False).returncode, 30, "PostgreSQL")
            yield f"postgresql://{USER}@127.0.0.1:{port}/{USER}"


def program(name: str) -> str:
    """Of the newest version."""
    found = sorted(PROGRAMS.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    path = str(found[-1]) if found else shutil.which(name)
    if not path:
        raise Lacking
    return path
