"""The data directory: what lies in it, who may read it, and which server holds it."""

import fcntl
import json
import os
import time
from pathlib import Path
from typing import IO

from ciserver.model.errors import BadConfiguration, Conflict
from ciserver.model.frozen import frozen


@frozen
class RunningServer:
    """Where a running server is reached, and what local commands prove themselves with."""

    url: str
    token: str
    pid: int


class DataDirectory:
    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.configuration = self.root / "ciserver.toml"
        self._address = self.root / "server.json"
        self._lock: IO[str] | None = None

    def make(self) -> None:
        """Make the directory, for this user alone."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.root.chmod(0o700)
        except OSError as error:
            raise BadConfiguration(
                f"the data directory {self.root} cannot be made: {error.strerror}",
                hint="choose another with --data, or mend its owner and mode",
            ) from error

    def hold(self) -> None:
        """Be the one server of this directory until the process ends. Raises Conflict."""
        lock = (self.root / "server.lock").open("a")
        if not _is_locked(lock):
            lock.close()
            raise Conflict(
                f"another server already uses {self.root}",
                hint="stop it, or choose another directory with --data",
            )
        self._lock = lock

    def announce(self, url: str, token: str) -> None:
        """Say where this server is reached, to whoever may read the directory."""
        text = json.dumps({"url": url, "token": token, "pid": os.getpid()})
        fresh = self._address.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
        fresh.replace(self._address)

    def withdraw(self) -> None:
        self._address.unlink(missing_ok=True)

    def running_server(self) -> RunningServer | None:
        """The server that holds this directory; None when nobody does."""
        try:
            with (self.root / "server.lock").open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return self._read_address()
        except PermissionError as error:
            raise _not_ours(self.root) from error
        return None

    def _read_address(self) -> RunningServer | None:
        try:
            return RunningServer(**json.loads(self._address.read_text()))
        except FileNotFoundError:
            raise Conflict(
                f"the server of {self.root} is starting or stopping", hint="try again in a moment"
            ) from None
        except PermissionError as error:
            raise _not_ours(self._address) from error


def _not_ours(path: Path) -> Conflict:
    return Conflict(
        f"{path} may not be read by this user",
        hint="run the command as the user that runs the server",
    )


def _is_locked(lock: IO[str]) -> bool:
    """Take the lock, past commands that hold it for an instant to see whether a server runs."""
    for _ in range(20):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False
