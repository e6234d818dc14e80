"""All local mirrors: what they are called, where they lie, and who may open one."""

import hashlib
import shutil
from dataclasses import astuple
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ciserver.git.address import Addresses, is_ssh
from ciserver.git.paths import PathReader
from ciserver.git.place import (
    locked,
    make_folder,
    make_mirror,
    naming_key,
    remove_unused,
    used_file,
)
from ciserver.git.program import Program
from ciserver.model.build import Source
from ciserver.model.project import Credential, Input, InputType

if TYPE_CHECKING:
    from ciserver.git.checkout import Checkouts
    from ciserver.git.mirror import Mirror
    from ciserver.git.remote import Remote
    from ciserver.git.repositories import Repositories


class Mirrors:
    """All mirrors beneath `root`. Threads and processes may share it.

    A mirror belongs to an address together with the credential it was read with: knowing a
    revision of a private repository does not open it to those who hold no credential. `key` goes
    into their names, so that these tell nothing; without one `root` has its own. pygit2 is loaded
    when the first is opened.
    """

    def __init__(
        self,
        root: Path,
        addresses: Addresses,
        *,
        timeout_seconds: float = 600,
        group_id: int | None = None,
        known_hosts: Path | None = None,
        paths: PathReader | None = None,
        key: bytes | None = None,
    ) -> None:
        make_folder(root, group_id)
        self.addresses = addresses
        self._paths = paths
        self._timeout_seconds = timeout_seconds
        self._root = root.resolve()
        self._group_id = group_id
        self._key = key or naming_key(self._root)
        self._private = self._root / "access"
        self._private.mkdir(mode=0o700, exist_ok=True)
        self.program = Program(timeout_seconds, addresses.schemes, known_hosts, self._private)

    @cached_property
    def _repositories(self) -> "Repositories":
        from ciserver.git.repositories import Repositories  # noqa: PLC0415  slow, as pygit2 is

        return Repositories(self.program, self._paths, self._timeout_seconds)

    @cached_property
    def checkouts(self) -> "Checkouts":
        """Work trees of what these mirrors hold."""
        from ciserver.git.checkout import Checkouts  # noqa: PLC0415  slow, as pygit2 is

        return Checkouts(self)

    def get_ready(self) -> bool:
        """Load, where there are mirrors, what the first push would have to wait for. Answers
        whether there are.
        """
        if not self.names():
            return False
        _ = self._repositories, self.checkouts
        return True

    def forget_access(self) -> None:
        """At start: remove the keys that a killed server had lent to git."""
        for left in self._private.iterdir():
            shutil.rmtree(left, ignore_errors=True)

    def open(
        self, uri: str, credential: Credential | None = None, *, local: bool = False
    ) -> "Mirror":
        """The mirror of a repository, made empty if it is not there; does not fetch.

        `local` says that an administrator registered the address. Raises BadAddress.
        """
        address = self.addresses.check(uri, local=local)
        parts = (address, *astuple(credential)) if credential else (address,)
        return self._open(address, parts, self._repositories.remote(address, credential))

    def open_path(self, uri: str, *, local: bool = False, refresh_seconds: int = 0) -> "Mirror":
        """The mirror of what a path or URL holds, its HEAD, read again after `refresh_seconds` at
        the earliest; else as `open`. Raises BadAddress.
        """
        address = self.addresses.check_path(uri, local=local)
        remote = self._repositories.path(address, refresh_seconds)
        return self._open(address, ("path", address), remote)

    def open_source(
        self, source: Source, credential: Credential | None = None, *, local: bool = False
    ) -> "Mirror":
        """The mirror of what a job wants in its home. Raises BadAddress."""
        if source.type is InputType.PATH:
            return self.open_path(source.uri, local=local)
        return self.open(source.uri, credential, local=local)

    def key_for(self, source: Source, ssh_key: str, *, local: bool = False) -> Credential | None:
        """How a source is read with a key that its build has: not at all, unless by ssh.
        Raises BadAddress.
        """
        if not ssh_key or source.type is not InputType.GIT:
            return None
        address = self.addresses.check(source.uri, local=local)
        return Credential(ssh_key=ssh_key) if is_ssh(address) else None

    def open_input(
        self, one: Input, credential: Credential | None = None, *, local: bool = False
    ) -> "Mirror":
        """The mirror of what a jobset is evaluated from. Raises BadAddress."""
        if one.type is InputType.PATH:
            return self.open_path(one.uri, local=local, refresh_seconds=one.refresh_seconds)
        return self.open(one.uri, credential, local=local)

    def _open(self, address: str, parts: tuple[str, ...], remote: "Remote") -> "Mirror":
        return self.open_by_name(self._name(parts), address, remote)

    def open_by_name(
        self, name: str, address: str, remote: "Remote", *, is_use: bool = True
    ) -> "Mirror":
        """The mirror that is called so, of what `remote` has, made empty if it is not there. It is
        used by that, unless this is said to be no use.
        """
        folder, lock = self._root / f"{name}.git", self._root / f"{name}.lock"
        if is_use:
            used_file(folder).touch(mode=0o600)
        if not folder.exists():
            with locked(lock):
                if not folder.exists():
                    make_mirror(folder, self._group_id)
        return self._repositories.mirror(folder, lock, address, remote)

    def names(self) -> list[str]:
        """Of all mirrors."""
        return sorted(one.stem for one in self._root.glob("*.git"))

    def remove_unused(self, name: str, since: datetime) -> bool:
        """Remove a mirror that nobody opened since then; False when somebody did."""
        with locked(self._root / f"{name}.lock"):
            return remove_unused(self._root / f"{name}.git", since)

    def _name(self, parts: tuple[str, ...]) -> str:
        named = "\0".join(f"{len(part)}:{part}" for part in parts)
        encoded = named.encode("utf-8", "surrogateescape")
        return hashlib.blake2b(encoded, key=self._key, digest_size=20).hexdigest()
