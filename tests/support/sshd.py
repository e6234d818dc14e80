"""A real ssh server on this machine, for the user that runs the tests."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from support.server import free_port
from support.waiting import until

CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
ForceCommand {folder}/command
AcceptEnv GIT_PROTOCOL
LogLevel VERBOSE
PasswordAuthentication yes
PidFile none
StrictModes no
UsePAM no
"""
# Every session waits while the file `hold` is there.
COMMAND = """\
#!/bin/sh
while test -e '{folder}/hold'; do sleep 0.02; done
exec sh -c "$SSH_ORIGINAL_COMMAND"
"""


def make_key(path: Path, passphrase: str = "") -> str:
    """Make a key pair; answers the private half."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-a", "1", "-N", passphrase, "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path.read_text()


class Sshd:
    """It lets in whoever has `key`, or `locked_key` with its passphrase."""

    passphrase = "pass; 'phrase' $HOME"

    def __init__(self, folder: Path) -> None:
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self.port = free_port()
        self.key = make_key(folder / "key")
        self.locked_key = make_key(folder / "locked", self.passphrase)
        self.wrong_key = make_key(folder / "wrong", self.passphrase)
        make_key(folder / "host")
        self.hold = folder / "hold"
        self.log = folder / "log"
        # A name that ssh would take apart or fill in, were it not quoted for it.
        self.known_hosts = self.trust(folder / "known hosts %h", folder / "host.pub")
        self.mistaken_hosts = self.trust(folder / "mistaken", folder / "wrong.pub")
        authorized = (folder / "key.pub").read_text() + (folder / "locked.pub").read_text()
        (folder / "authorized").write_text(authorized)
        (folder / "config").write_text(CONFIG.format(port=self.port, folder=folder))
        (folder / "command").write_text(COMMAND.format(folder=folder))
        (folder / "command").chmod(0o755)
        self._config = folder / "config"

    def trust(self, path: Path, public: Path) -> Path:
        kind, key, *_ = public.read_text().split()
        path.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")
        return path

    def uri(self, repository: Path, user: str | None = None) -> str:
        user = self.user if user is None else user
        return f"ssh://{user}@127.0.0.1:{self.port}{repository}".replace("//@", "//")

    def start(self, program: str) -> "Sshd":
        with self.log.open("ab") as log:
            command = [program, "-D", "-e", "-f", str(self._config)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._listens, what="sshd to listen")
        return self

    def _listens(self) -> bool:
        said = self.log.read_text()
        assert self.process.poll() is None, said
        return "Server listening" in said

    def stop(self) -> None:
        self.hold.unlink(missing_ok=True)
        self.process.terminate()
        self.process.wait(10)


def start_sshd(folder: Path) -> Sshd:
    """Start one, or skip where Debian's openssh-server is not installed; in CI that is a fault."""
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("sshd is missing: install openssh-server")
        pytest.skip("sshd is not installed (openssh-server)")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # else made by the init script
    return Sshd(folder).start(program)
