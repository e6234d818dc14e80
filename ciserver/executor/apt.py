"""Installing packages in an image whose packages are Debian's."""

import re
import shlex
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_URL = re.compile(r"https?://[!-~]+")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9./+~_-]*")
_KEY_ID = re.compile(r"(?:0x)?([0-9A-Fa-f]{16}|[0-9A-Fa-f]{40})")
_KEY_SERVER = "https://keyserver.ubuntu.com/pks/lookup?op=get&options=mr&search=0x"
_KEYS = "/etc/apt/keyrings"
_BEGIN = """set -e
export HOME=/root DEBIAN_FRONTEND=noninteractive
"""
_INSTALL = """apt-get -q -o Acquire::Retries=3 update
if [ "$#" -gt 0 ]; then
  apt-get -q -y -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 install -- "$@"
fi
"""
# Ends well when every package is installed; a name with a version or a suite is never found.
CHECK = """for name; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' -- "$name" 2>/dev/null)" = installed ] || exit 1
done
"""


def read_repositories(
    repositories: Mapping[str, str],
) -> tuple[tuple[tuple[str, str, str], ...], tuple[str, ...]]:
    """Of values `URL DISTRIBUTION COMPONENT... [KEY]` the name, the line for apt and the address of
    the key (empty: apt has it already), and what is wrong with others. A key is the address of a
    file or the id of a key, of at least 16 digits.
    """
    lines, faults = [], []
    for name, value in repositories.items():
        read = _read(name, value)
        if isinstance(read, str):
            faults.append(f"repositories: {name}: {read}")
        else:
            lines.append(read)
    return tuple(lines), tuple(faults)


def install_script(lines: tuple[tuple[str, str, str], ...]) -> str:
    """A script for sh that adds the repositories and installs its arguments."""
    return _BEGIN + "".join(_add(*one) for one in lines) + _INSTALL


def _read(name: str, value: str) -> tuple[str, str, str] | str:
    if not _NAME.fullmatch(name):
        return "the name of a repository has letters, digits, `.`, `_` and `-` only"
    words = value.split()
    key = ""
    if len(words) > 3 and (found := _KEY_ID.fullmatch(words[-1])):
        key = _KEY_SERVER + found[1].upper()
        words = words[:-1]
    elif len(words) > 1 and _URL.fullmatch(words[-1]):
        key = words.pop()
    flat = len(words) == 2 and words[1].endswith("/")
    if not words or not _URL.fullmatch(words[0]) or not (flat or len(words) > 2):
        return "must be `URL DISTRIBUTION COMPONENT [KEY]`, with a key's id or address"
    if not all(_WORD.fullmatch(one) for one in words[1:] if one != "./"):
        return "has a distribution or component that is none"
    signed = f"[signed-by={_KEYS}/{name}.asc] " if key else ""
    return name, f"deb {signed}{' '.join(words)}", key


def _add(name: str, line: str, key: str) -> str:
    words = []
    if key:
        target = f"{_KEYS}/{name}.asc"
        words += [
            f"mkdir -p {_KEYS}",
            f"/usr/lib/apt/apt-helper download-file {shlex.quote(key)} {target}",
            f"chmod 644 {target}",
        ]
    words.append(f"echo {shlex.quote(line)} >/etc/apt/sources.list.d/{name}.list")
    return "".join(f"{one}\n" for one in words)
