"""Which packages this machine has, for builds that run on its own file system."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from ciserver.executor.sandbox import PATH
from ciserver.model.frozen import frozen

_OS_RELEASE = Path("/etc/os-release")
_LINE = re.compile(r"^(ID|ID_LIKE)=(.*)$", re.MULTILINE)
_VERSION = re.compile(r"[=<>/:].*")
_INSTALLED = ("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Provides}\n")


@frozen
class Host:
    """`distributions` are what this machine is and what that is like, the nearest first;
    `installed` is None where nobody here can tell.
    """

    distributions: tuple[str, ...]
    installed: frozenset[str] | None

    @classmethod
    def of_machine(cls) -> "Host":
        try:
            text = _OS_RELEASE.read_text(errors="replace")
        except OSError:
            text = ""
        found = {name: value.strip("\"' ") for name, value in _LINE.findall(text)}
        names = (found.get("ID", ""), *found.get("ID_LIKE", "").split())
        return cls(tuple(name for name in names if name), _installed())

    @property
    def distribution(self) -> str:
        return self.distributions[0] if self.distributions else ""

    def missing(self, packages: Iterable[str]) -> tuple[str, ...]:
        """Those that are not known to be installed, as they were written."""
        installed = self.installed or frozenset()
        return tuple(name for name in packages if _VERSION.sub("", name) not in installed)

    def names_are_of(self, image: str) -> bool:
        """Whether packages of an image have the names that they have here, so that what is not
        found is not there.
        """
        if self.installed is None:
            return False
        return image in {"", "host"} or image.partition("/")[0] in self.distributions

    def how_to_install(self, packages: Iterable[str]) -> str:
        return f"apt-get install {' '.join(packages)}"


def _installed() -> frozenset[str] | None:
    try:
        done = subprocess.run(
            _INSTALLED, capture_output=True, text=True, check=True, env={"PATH": PATH}
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    names = set()
    for line in done.stdout.splitlines():
        status, _, rest = line.partition(" ")
        if status == "installed":
            names.update(re.findall(r"(?:^|[ ,])([a-z0-9][a-z0-9+.-]*)", rest))
    return frozenset(names)
