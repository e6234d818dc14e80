"""Ed25519 signatures, checked by a program that knows nothing of how we sign."""

import base64
import os
import shutil
import subprocess

import pytest

# What an Ed25519 public key has before its 32 bytes in the DER form.
_DER_HEAD = bytes.fromhex("302a300506032b6570032100")
_COMMAND = "openssl pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in message -sigfile sig"


def is_signed(place, public_key, message, signature):
    """Ask openssl, which gets its files in the directory `place`; the key is base64."""
    if shutil.which("openssl") is None and os.environ.get("CI") != "true":
        pytest.skip("openssl is not installed")
    given = {"key": _DER_HEAD + base64.b64decode(public_key), "message": message, "sig": signature}
    for name, content in given.items():
        (place / name).write_bytes(content)
    done = subprocess.run(_COMMAND.split(), cwd=place, capture_output=True, check=False)
    return done.returncode == 0
