"""What may be said of a script that a build runs: its path, the words for it, its limit."""

import re
import shlex
from collections.abc import Iterator, Mapping

from ciserver.model.errors import Complaint
from ciserver.service.variables import variable_faults

PARAMETER_LIMIT = 30_000  # so that its UTF-8 fits into what Linux gives one variable
SHORTEST_MINUTES, LONGEST_MINUTES = 2, 720
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
HIDDEN = "***"
_SECRET = re.compile(
    "TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|KEYS?(?![A-Z])", re.IGNORECASE
)


def path_faults(script: str) -> Iterator[Complaint]:
    """What is wrong with the path of a script."""
    parts = script.split("/")
    if not script or len(script) > 255 or script.startswith(("/", "-")) or ".." in parts:
        fault = "must be a path inside the repository, of at most 255 characters"
        yield Complaint("script", fault)
    elif any(ord(mark) < 32 for mark in script):
        yield Complaint("script", "must have no control characters")


def limit_faults(minutes: int) -> Iterator[Complaint]:
    """What is wrong with a limit of time."""
    if not SHORTEST_MINUTES <= minutes <= LONGEST_MINUTES:
        fault = f"must be {SHORTEST_MINUTES} to {LONGEST_MINUTES} minutes"
        yield Complaint("timeout_minutes", fault)


def read_parameters(parameters: str) -> tuple[dict[str, str], list[Complaint]]:
    """The variables that `NAME=VALUE` words are, as a shell reads them, and what is wrong."""
    try:
        words = shlex.split(parameters) if parameters else []
    except ValueError as error:
        return {}, [Complaint("parameters", f"cannot be read: {error}")]
    variables, complaints = {}, []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not _NAME.fullmatch(name):
            complaints.append(Complaint("parameters", f"{word!r} is not NAME=VALUE"))
        elif faults := [*variable_faults([name])]:
            complaints += [Complaint("parameters", one.message) for one in faults]
        elif "\0" in value or len(word) > PARAMETER_LIMIT:
            fault = f"{name} must be at most {PARAMETER_LIMIT} characters without NUL"
            complaints.append(Complaint("parameters", fault))
        else:
            variables[name] = value
    return variables, complaints


def is_secret(name: str) -> bool:
    """Whether a variable of this name is taken to hold what nobody shall read."""
    return _SECRET.search(name) is not None


def secret_values(parameters: str) -> tuple[str, ...]:
    """The values among `NAME=VALUE` words that nobody shall read."""
    variables, _ = read_parameters(parameters)
    return tuple(value for name, value in variables.items() if value and is_secret(name))


def without_secrets(parameters: str) -> str:
    """The words as they may be shown: as they were written, or with stars in place of what nobody
    shall read.
    """
    variables, faults = read_parameters(parameters)
    if faults:
        return HIDDEN
    if not any(value and is_secret(name) for name, value in variables.items()):
        return parameters
    return _written(
        {name: HIDDEN if value and is_secret(name) else value for name, value in variables.items()}
    )


def with_secrets(given: str, before: str) -> str:
    """What somebody gives who was shown `before` without its secrets: where the stars came back,
    what stood there is meant.
    """
    variables, faults = read_parameters(given)
    known, _ = read_parameters(before)
    meant = {
        name: known[name]
        for name, value in variables.items()
        if value == HIDDEN and is_secret(name) and known.get(name)
    }
    return _written({**variables, **meant}) if meant and not faults else given


def _written(variables: Mapping[str, str]) -> str:
    """Stars are not quoted: they are read as they are by whoever splits words."""
    return " ".join(
        f"{name}={value if value == HIDDEN else shlex.quote(value)}"
        for name, value in variables.items()
    )
