"""Private keys for tests, made when the tests run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PGP = (
    b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBGVr2xABCADNq0c5mUqk3mY7\n"
    b"-----END PGP PRIVATE KEY BLOCK-----\n"
)


def need(program: str, package: str) -> None:
    """Skip where a program is not installed; in CI that is a fault."""
    if shutil.which(program) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{program} is missing: install {package}")
        pytest.skip(f"{program} is not installed ({package})")


def ssh_key(folder: Path, *, passphrase: str = "", pem: bool = False) -> bytes:
    """A private key as ssh-keygen writes it."""
    need("ssh-keygen", "openssh-client")
    path = folder / f"key-{len(list(folder.iterdir()))}"
    form = ("-m", "PEM", "-t", "rsa", "-b", "1024") if pem else ("-t", "ed25519")
    command = ["ssh-keygen", "-q", *form, "-N", passphrase, "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path.read_bytes()
