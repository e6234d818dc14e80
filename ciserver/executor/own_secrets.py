"""The secrets of a build in its home: put there before anything of it runs, and taken away before
anything is kept of it, so that no artifact, report or cache holds one that a task did not copy.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from secrets import token_hex

from ciserver.executor.removal import remove_tree
from ciserver.executor.sandbox import BuildUser
from ciserver.model.secret import FILE_MODE, BuildSecrets, OpenSecret, SecretType

_SSH, _FIRST_KEY, _GNUPG = ".ssh", "id_rsa", ".gnupg"
_NO_GPG = 127
# The agent is ended in good order: what is killed leaves locks behind.
_IMPORT = f"""\
command -v gpg >/dev/null 2>&1 || exit {_NO_GPG}
gpg --batch --no-tty --quiet --import "$0"
status=$?
gpgconf --kill gpg-agent >/dev/null 2>&1
exit $status
"""
_PRIVATE = 0o700
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# Runs a program in the sandbox, in the home; gives its exit status, or None when the build has to
# end.
Run = Callable[[tuple[str, ...]], int | None]


class BadSecret(Exception):
    """A secret that the build cannot have; the message names it."""


class OwnSecrets:
    def __init__(
        self, secrets: BuildSecrets, home: Path, user: BuildUser | None, shell: str, run: Run
    ) -> None:
        self._secrets = secrets
        self._home = home
        self._user = user
        self._shell = shell
        self._run = run

    def put(self) -> Iterator[str]:
        """Put each where tasks look for it; gives lines for the log. Raises BadSecret, and OSError
        when the disk is full.
        """
        if self._secrets.refused:
            raise BadSecret(self._secrets.refused)
        for one in self._secrets.given:
            match one.type:
                case SecretType.SSH_KEY:
                    yield from self._put_ssh_key(one)
                case SecretType.PGP_KEY:
                    yield self._put_pgp_key(one)
                case SecretType.PLAINTEXT_FILE:
                    self._write(one, PurePosixPath(one.path), one.value, one.mode)
                    yield f"secret: {one.title} is ~/{one.path}"

    def take_away(self) -> Iterator[str]:
        """Remove what was put; gives a line for each that stays. The tasks have ended, and what
        they moved or copied elsewhere is theirs.
        """
        for one in self._secrets.given:
            path = _places(one)
            try:
                if one.type is SecretType.PGP_KEY:
                    self._remove_keyring()
                else:
                    self._unlink(path)
                if one.type is SecretType.SSH_KEY:
                    self._unlink(PurePosixPath(_SSH, _FIRST_KEY), link_to=one.uuid)
            except OSError as error:
                yield f"secret: {one.title} could not be removed from ~/{path}: {error.strerror}"

    def _put_ssh_key(self, one: OpenSecret) -> Iterator[str]:
        path = _places(one)
        # ssh wants lines to end as they do here, the last one too.
        lines = b"\n".join((*one.value.strip().splitlines(), b""))
        self._write(one, path, lines, FILE_MODE)
        yield f"secret: {one.title} is ~/{path}"
        first = next(key for key in self._secrets.given if key.type is SecretType.SSH_KEY)
        if one is first:
            self._link(one)
            yield f"secret: {one.title} is ~/{_SSH}/{_FIRST_KEY} too"

    def _link(self, one: OpenSecret) -> None:
        # A file of this very name may have been asked for.
        with self._folder((_SSH,)) as folder, suppress(FileExistsError):
            os.symlink(one.uuid, _FIRST_KEY, dir_fd=folder)
            self._hand_over(_FIRST_KEY, folder)

    def _put_pgp_key(self, one: OpenSecret) -> str:
        name = f".pgp-{token_hex(8)}"
        self._write(one, PurePosixPath(name), one.value, FILE_MODE)
        try:
            status = self._run((self._shell, "-c", _IMPORT, name))
        finally:
            self._unlink(PurePosixPath(name))
        if status is None:
            raise BadSecret(f"the secret {one.title} is not imported: the build has to end")
        if status == _NO_GPG:
            raise BadSecret(
                f"the secret {one.title} cannot be imported: there is no gpg where the build runs; "
                "install it there, or name an image that has it"
            )
        if status:
            raise BadSecret(
                f"the secret {one.title} cannot be imported: gpg exited with status {status}"
            )
        return f"secret: {one.title} is in the keyring of gpg"

    def _write(self, one: OpenSecret, path: PurePosixPath, content: bytes, mode: int) -> None:
        """A new file, with the directories above it."""
        try:
            with self._folder(path.parts[:-1]) as folder:
                self._write_in(folder, path.name, content, mode)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            why = "something is there already" if error.errno == errno.EEXIST else error.strerror
            raise BadSecret(f"the secret {one.title} cannot be put at ~/{path}: {why}") from error

    def _write_in(self, folder: int, name: str, content: bytes, mode: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(name, flags, FILE_MODE, dir_fd=folder)
        with os.fdopen(file, "wb") as target:
            target.write(content)
            target.flush()
            os.fchmod(file, mode)
            if self._user:
                os.fchown(file, self._user.uid, self._user.gid)

    @contextmanager
    def _folder(self, parts: tuple[str, ...], *, make: bool = True) -> Iterator[int]:
        """A directory of the home, reached without walking a link."""
        folder = os.open(self._home, _FOLDER)
        try:
            for part in parts:
                if make:
                    self._make(part, folder)
                inner = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)

    def _make(self, name: str, folder: int) -> None:
        with suppress(FileExistsError):
            os.mkdir(name, _PRIVATE, dir_fd=folder)
            self._hand_over(name, folder)

    def _hand_over(self, name: str, folder: int) -> None:
        if self._user:
            os.chown(name, self._user.uid, self._user.gid, dir_fd=folder, follow_symlinks=False)

    def _unlink(self, path: PurePosixPath, link_to: str = "") -> None:
        """Remove a file, if it is there; only if it is a link to this, where that is said."""
        with suppress(FileNotFoundError), self._folder(path.parts[:-1], make=False) as folder:
            if link_to and _link_at(path.name, folder) != link_to:
                return
            if self._user is None:
                os.fchmod(folder, _PRIVATE)  # a task may have made it read-only
            os.unlink(path.name, dir_fd=folder)

    def _remove_keyring(self) -> None:
        with suppress(FileNotFoundError), self._folder((_GNUPG,), make=False):
            remove_tree(self._home / _GNUPG)


def _link_at(name: str, folder: int) -> str:
    """Where a link leads; empty for what is none."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:
        return ""


def _places(one: OpenSecret) -> PurePosixPath:
    match one.type:
        case SecretType.SSH_KEY:
            return PurePosixPath(_SSH, one.uuid)
        case SecretType.PGP_KEY:
            return PurePosixPath(_GNUPG)
        case SecretType.PLAINTEXT_FILE:
            return PurePosixPath(one.path)
