"""A job as text, for keeping, and back."""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ciserver.model.build import (
    Cache,
    Concurrency,
    Job,
    Policy,
    Reports,
    Resources,
    Source,
    Task,
    TriggerSpec,
)
from ciserver.model.errors import Invalid
from ciserver.model.evaluation import Kind
from ciserver.model.project import InputType

_SHORT, _JOBS = 10_000, 128  # bytes of a text, and how many of these are remembered
_READ: dict[str, Callable[[Any], Any]] = {
    "tasks": lambda given: tuple(Task(**one) for one in given),
    "sources": lambda given: tuple(
        Source(**{**one, "type": InputType(one.get("type", InputType.GIT))}) for one in given
    ),
    "triggers": lambda given: tuple(TriggerSpec(**one) for one in given),
    "kinds": lambda given: tuple(Kind(one) for one in given),
    "environment": lambda given: {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
    },
    "packages": tuple,
    "artifacts": tuple,
    "refs": tuple,
    "push_refs": tuple,
    "notes": tuple,
    "runs_on": tuple,
    "needs": tuple,
    "changed_paths": tuple,
    "paths": tuple,
    "concurrency": lambda given: given and Concurrency(given["group"], Policy(given["policy"])),
    "resources": lambda given: Resources(**given),
    "cache": lambda given: tuple(Cache(one["key"], tuple(one["paths"])) for one in given),
    "reports": lambda given: Reports(**{kind: tuple(globs) for kind, globs in given.items()}),
    "maintainers": tuple,
    "secrets": tuple,
}
# `vars` of each dataclass as it is met: `asdict` would copy everything first.
_text = json.JSONEncoder(default=vars, sort_keys=True, separators=(",", ":")).encode


def job_to_json(job: Job) -> str:
    """The job as JSON, the same text for equal jobs."""
    return _text(job)


def job_from_json(text: str) -> Job:
    """The job that `job_to_json` made this text of, which others may have as well: it is not to be
    changed. Raises Invalid for any other text.
    """
    return _read_often(text) if len(text) <= _SHORT else _read(text)


def _read(text: str) -> Job:
    try:
        values = json.loads(text)
        return Job(**{key: _READ.get(key, _same)(value) for key, value in values.items()})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Invalid(
            f"the text is not a stored job: {error}",
            hint="It was changed, or written by a newer version.",
        ) from error


# A build is claimed and ends with the same text, and often so are the next ones.
_read_often = lru_cache(_JOBS)(_read)


def _same(value: Any) -> Any:
    return value
