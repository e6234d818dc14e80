"""What secrets must look like: where a file may lie, and what is a key that a build can use."""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Iterator
from pathlib import PurePosixPath

from ciserver.model.errors import Complaint
from ciserver.model.secret import FILE_MODE, OpenSecret, SecretType

_HOMES = ("~/", "/home/build/")
_LONGEST_PATH, _LONGEST_PART = 1024, 255
_MODE = re.compile(r"(?:0o?)?([0-7]{3})")
_PRIVATE_KEY = re.compile(r"-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----")
_PGP_KEY = "-----BEGIN PGP PRIVATE KEY BLOCK-----"
# TOKEN=abc, "token": "abc", and `password abc` as in ~/.netrc.
_NAMED = re.compile(
    r"""(?:token|passw|secret|key|auth|credential)[\w.-]{0,40}["']?"""
    r"""(?:\s{0,4}[=:]\s{0,4}|[ \t]{1,4})"""
    r"""(?:"([^"\n]{6,})"|'([^'\n]{6,})'|([^\s"'{\[][^\s]{5,}))""",
    re.IGNORECASE,
)
_OPENSSH = b"openssh-key-v1\0"
_NO_CIPHER = b"\0\0\0\4none"


def home_path(text: str) -> tuple[str, list[Complaint]]:
    """The path of a file relative to the home of a build, in which it must lie; with what is wrong
    with it.
    """
    within = next((text.removeprefix(one) for one in _HOMES if text.startswith(one)), text)
    path = PurePosixPath(within)
    if not text:
        fault = "is required: where the file lies in the home of a build, such as ~/.netrc"
    elif not text.isprintable() or len(text.encode(errors="replace")) > _LONGEST_PATH:
        fault = f"must be one line of at most {_LONGEST_PATH} bytes"
    elif path.is_absolute() or within.startswith("~"):
        fault = "must lie in the home of a build, such as ~/.netrc"
    elif ".." in path.parts or not path.parts or within.endswith("/"):
        fault = "must name a file, without '..'"
    elif any(len(part.encode(errors="replace")) > _LONGEST_PART for part in path.parts):
        fault = f"must have no name of more than {_LONGEST_PART} bytes"
    else:
        return str(path), []
    return "", [Complaint("path", fault)]


def file_mode(text: str) -> tuple[int, list[Complaint]]:
    """The permissions that octal digits say; those of a private file where there are none."""
    if not text:
        return FILE_MODE, []
    found = _MODE.fullmatch(text)
    if found is None:
        return 0, [Complaint("mode", "must be three octal digits, such as 600")]
    return int(found[1], 8), []


def key_faults(kind: str, value: bytes) -> Iterator[Complaint]:
    """What is wrong with a key. The key itself is never repeated."""
    text = value.decode("ascii", "replace").strip()
    if kind == SecretType.SSH_KEY:
        begin = _PRIVATE_KEY.match(text)
        if begin is None:
            yield Complaint("value", "is not a private key, as ssh-keygen writes it")
        elif _is_locked(begin[1], text):
            yield Complaint("value", "has a passphrase, which no build can type; remove it")
    elif kind == SecretType.PGP_KEY and not text.startswith(_PGP_KEY):
        yield Complaint("value", f"is not an armored private key, which begins {_PGP_KEY}")


def hidden_texts(one: OpenSecret) -> Iterator[str]:
    """What must not stand in a log: the value, whose lines are hidden too, and of a file what it
    gives by a name that sounds secret, because tasks use that without its line.
    """
    yield one.text
    if one.type is SecretType.PLAINTEXT_FILE:
        for quoted, in_apostrophes, bare in _NAMED.findall(one.text):
            yield quoted or in_apostrophes or bare.rstrip(",;")


def _is_locked(kind: str, text: str) -> bool:
    if kind != "OPENSSH ":
        return kind == "ENCRYPTED " or "Proc-Type: 4,ENCRYPTED" in text
    body = "".join(line for line in text.splitlines() if not line.startswith("-----"))
    try:
        content = b64decode(body, validate=True)
    except (Error, ValueError):
        return False
    return content.startswith(_OPENSSH) and not content.startswith(_OPENSSH + _NO_CIPHER)
