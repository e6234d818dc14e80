"""Which variables a request may give to a build: none that change how its programs are run."""

import re
from collections.abc import Iterable, Iterator

from ciserver.model.errors import Complaint, Invalid

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What they change: where programs and their files are looked for; how the shell reads a script;
# what the loader, interpreters and git do first; what the server says of the build.
_RESERVED = frozenset(
    {
        *("PATH", "CDPATH", "HOME", "TMPDIR", "XDG_CONFIG_HOME"),
        *("SHELL", "IFS", "ENV", "SHELLOPTS", "PS4", "PROMPT_COMMAND", "POSIXLY_CORRECT"),
        *("GLOBIGNORE", "EXECIGNORE", "UID", "EUID", "PPID"),
        *("GCONV_PATH", "GLIBC_TUNABLES", "LOCPATH"),
        *("JAVA_TOOL_OPTIONS", "NODE_OPTIONS", "NODE_PATH", "RUBYLIB", "RUBYOPT"),
        *("CI", "CONTINUOUS_INTEGRATION"),
    }
)
_RESERVED_BEGINNINGS = (
    *("BASH", "LD_", "DYLD_", "GIT_", "PERL", "PYTHON"),
    *("CI_", "CISERVER", "BUILD_", "JOB_"),
)


def variable_faults(names: Iterable[str]) -> Iterator[Complaint]:
    """What is wrong with the names of the variables that a request gives."""
    for name in names:
        if not _NAME.fullmatch(name):
            fault = "is not a name of letters, digits and '_' that begins with no digit"
        elif name in _RESERVED or name.startswith(_RESERVED_BEGINNINGS):
            fault = "is reserved"
        else:
            continue
        yield Complaint("environment", f"{name!r} {fault}")


def check_variables(names: Iterable[str]) -> None:
    """Raises Invalid naming every fault."""
    faults = [*variable_faults(names)]
    if faults:
        raise Invalid("the variables cannot be given to a build", complaints=faults)
