"""The git program, for what the library cannot do, kept away from every setting of this machine."""

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlsplit

from ciserver.git.address import is_local, is_ssh, is_user
from ciserver.git.failure import bad_user, no_answer, remote_failure
from ciserver.model.frozen import frozen
from ciserver.model.project import Credential

_SAFEGUARDS = (
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.symlinks=false",
    "credential.helper=",
    "fetch.unpackLimit=1",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.version=2",
)
_FETCH = ("fetch", "--quiet", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-gc")
_PATH = "/usr/local/bin:/usr/bin:/bin"
# The whole configuration of ssh. What an address says of the user stands above it. No key but the
# credential's is offered: who names a repository in a recipe does not borrow the service's own
# keys. A passphrase could answer the other side's question for a password, so none is answered.
_SSH = """\
User {user}
IdentityFile {key}
IdentitiesOnly yes
PreferredAuthentications publickey
BatchMode {batch}
StrictHostKeyChecking yes
ConnectTimeout 60
ServerAliveInterval 15
"""
# What our own caller trusts, by the names that the library reads, and by git's.
_TRUST = {"SSL_CERT_FILE": "GIT_SSL_CAINFO", "SSL_CERT_DIR": "GIT_SSL_CAPATH"}


class Failed(Exception):
    """git ended badly; the text is what it said."""


@frozen
class Program:
    """Runs git. Nothing of the caller's environment, home or configuration reaches it, but for
    which certificates and, without `known_hosts`, which ssh host keys the caller trusts.
    """

    timeout_seconds: float
    schemes: frozenset[str] = frozenset()  # that may leave this machine
    known_hosts: Path | None = None
    private: Path | None = None  # where what lets git in lies for as long as it runs

    def run(
        self,
        repository: Path,
        arguments: Sequence[str],
        *,
        stdin: bytes | IO[bytes] = b"",
        into: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
        settings: Sequence[str] = (),
    ) -> bytes:
        """Run one git command on a bare repository and return what it prints, unless that goes
        into a file.

        Raises Failed when git says no and TimeoutError when the time is over.
        """
        options = [part for one in (*_SAFEGUARDS, *settings) for part in ("-c", one)]
        with subprocess.Popen(
            ["git", f"--git-dir={repository}", *options, *arguments],
            stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin,
            stdout=into or subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_plain_environment() | dict(environment or {}),
            cwd=repository,
            start_new_session=True,
        ) as running:
            given = stdin if isinstance(stdin, bytes) else None
            output, said = self._finish(running, given)
        if running.returncode:
            raise Failed(said.decode("utf-8", "replace").strip())
        return output or b""

    def fetch(
        self, repository: Path, address: str, credential: Credential | None, refspec: str
    ) -> None:
        """Fetch one refspec into a mirror. Raises RemoteFailure."""
        with self._access(address, credential) as (environment, settings):
            self._ask(
                repository,
                address,
                credential,
                [*_FETCH, "--end-of-options", address, refspec],
                environment=environment,
                settings=settings,
            )

    def list_refs(
        self, repository: Path, address: str, credential: Credential | None
    ) -> tuple[dict[str, str], str]:
        """The refs of the remote with their objects, and which of them HEAD is.

        Raises RemoteFailure.
        """
        with self._access(address, credential) as (environment, settings):
            listing = self._ask(
                repository,
                address,
                credential,
                ["ls-remote", "--symref", "--end-of-options", address],
                environment=environment,
                settings=settings,
            )
        return _read_listing(listing.decode("utf-8", "surrogateescape"))

    def _ask(
        self,
        repository: Path,
        address: str,
        credential: Credential | None,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        settings: Sequence[str],
    ) -> bytes:
        try:
            return self.run(repository, arguments, environment=environment, settings=settings)
        except Failed as err:
            raise remote_failure(address, str(err), credential) from None
        except TimeoutError as err:
            raise no_answer(address, self.timeout_seconds) from err

    def _finish(self, running: subprocess.Popen[bytes], stdin: bytes | None) -> tuple[bytes, bytes]:
        try:
            return running.communicate(stdin, timeout=self.timeout_seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"git took longer than {self.timeout_seconds:g} s") from None
        finally:
            # ssh and the http helper are children of git: the whole group goes.
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)

    @contextmanager
    def _access(
        self, address: str, credential: Credential | None
    ) -> Iterator[tuple[dict[str, str], list[str]]]:
        """What git needs to be let in, in files only we can read, gone afterwards."""
        with (
            tempfile.TemporaryDirectory(prefix="git-access-", dir=self.private) as folder,
            _lent(credential.ssh_key if credential else "") as key,
        ):
            home = Path(folder)
            environment = {"HOME": folder, "GIT_ALLOW_PROTOCOL": ":".join(sorted(self.schemes))}
            settings: list[str] = []
            if is_local(address):
                # The other end is a second git, which hears of this through its home only.
                environment |= {"GIT_ALLOW_PROTOCOL": "file", "GIT_CONFIG_GLOBAL": f"{home}/config"}
                _write(home / "config", "[safe]\n\tdirectory = *\n")
            elif is_ssh(address):
                environment |= self._ssh(home, key, address, credential or Credential())
            elif credential and credential.password:
                _write(home / "passwords", _stored(address, credential))
                settings.append(f"credential.helper=store --file={home / 'passwords'}")
            yield environment, settings

    def _ssh(
        self, home: Path, key: Path | None, address: str, credential: Credential
    ) -> dict[str, str]:
        config = home / "ssh_config"
        user = credential.username or "git"
        if not is_user(user):  # it would be a line of the configuration
            raise bad_user(address, user)
        settings = _SSH.format(
            user=user,
            key=_ssh_path(key) if key else "none",
            batch="no" if credential.passphrase else "yes",
        )
        if self.known_hosts is not None:
            settings += f"UserKnownHostsFile {_ssh_path(self.known_hosts.absolute())}\n"
            settings += "GlobalKnownHostsFile /dev/null\n"
        _write(config, settings)
        environment = {
            "GIT_SSH_VARIANT": "ssh",
            "GIT_SSH_COMMAND": f"ssh -F {shlex.quote(str(config))}",
        }
        if credential.passphrase:
            _write(home / "passphrase", credential.passphrase + "\n")
            _write(home / "ask", f"#!/bin/sh\ncat {shlex.quote(f'{home}/passphrase')}\n", 0o700)
            environment |= {"SSH_ASKPASS": f"{home}/ask", "SSH_ASKPASS_REQUIRE": "force"}
        return environment


@contextmanager
def _lent(ssh_key: str) -> Iterator[Path | None]:
    """Where ssh can read a key as long as this lasts: in memory only, so that nothing of it is left
    on a disk whenever this process is killed. None without a key.
    """
    if not ssh_key:
        yield None
        return
    descriptor = os.memfd_create("ssh-key", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "w", errors="surrogateescape") as file:
        os.fchmod(descriptor, 0o600)  # ssh takes no key that others could read
        # It also wants lines to end as they do here, the last one too.
        file.write("\n".join((*ssh_key.strip().splitlines(), "")))
        file.flush()
        # By the number of this process: ssh closes what it inherits.
        yield Path(f"/proc/{os.getpid()}/fd/{descriptor}")


def _ssh_path(path: Path) -> str:
    """As ssh's configuration has a path: in quotes, and a percent sign means itself."""
    return '"' + str(path).replace("%", "%%") + '"'


def _plain_environment() -> dict[str, str]:
    trust = {
        name: str(Path(os.environ[given]).absolute())
        for given, name in _TRUST.items()
        if os.environ.get(given)
    }
    return trust | {
        "PATH": _PATH,
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "GIT_PROTOCOL_FROM_USER": "0",
    }


def _stored(address: str, credential: Credential) -> str:
    """A line of git's credential store: it is handed to this very host only, not after a
    redirect to another.
    """
    parts = urlsplit(address)
    user = quote(credential.username or "git", safe="")
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{user}:{quote(credential.password, safe='')}@{host}\n"


def _write(path: Path, text: str, mode: int = 0o600) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _read_listing(listing: str) -> tuple[dict[str, str], str]:
    refs: dict[str, str] = {}
    head = ""
    for line in listing.splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: ") and name == "HEAD":
            head = value.removeprefix("ref: ")
        elif not value.startswith("ref: "):
            refs[name] = value
    return refs, head
