"""What mirrors are read and written with."""

from pathlib import Path

from ciserver.git import library
from ciserver.git.content import PathRemote
from ciserver.git.mirror import Mirror
from ciserver.git.paths import PathReader
from ciserver.git.program import Program
from ciserver.git.remote import Remote, remote_for
from ciserver.model.project import Credential


class Repositories:
    def __init__(self, program: Program, paths: PathReader | None, timeout_seconds: float) -> None:
        library.prepare(timeout_seconds)
        self._program = program
        self._paths = paths

    def remote(self, address: str, credential: Credential | None) -> Remote:
        return remote_for(address, credential, self._program)

    def path(self, address: str, refresh_seconds: int) -> Remote:
        return PathRemote(address, self._paths, refresh_seconds)

    def mirror(self, folder: Path, lock: Path, address: str, remote: Remote) -> Mirror:
        return Mirror(folder, lock, address, remote, self._program)
