"""The content key of a job: equal keys mean that an earlier result can stand in for a new build."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from ciserver.model.build import Job
from ciserver.model.push import Trust

# Raised when the same job shall no longer be taken for the same as before.
VERSION = 1

# What tasks can notice, what decides whether they did well, and what is kept of them.
IN_KEY = (
    "name",  # tasks find it in JOB_NAME
    "system",
    "tasks",
    "sources",  # where they lie; what is in them is told by the trees
    "environment",
    "packages",
    "repositories",
    "artifacts",
    "reports",
    "network",
    "partial_exit_code",
    "script",
    "parameters",
    "paths",
    "resources",  # programs ask how much they may use and do other things with less
    "cache",  # a new key of a cache asks for a fresh beginning
    "runs_on",  # tasks can notice what a machine has
    "secrets",  # tasks find them in their home
)

NOT_IN_KEY = {
    "file": "where a job is written does not change it",
    "base": "the name has it",
    "image": "what its name stands for is given beside the job",
    "needs": "the keys of what it needs say more than their names",
    "kinds": "it filters when to build",
    "refs": "it filters when to build",
    "by_push": "it filters when to build",
    "push_refs": "it filters when to build",
    "changed_paths": "it filters when to build",
    "always": "it says whether to look for an earlier result at all",
    "timeout_seconds": "tasks cannot see it, and a result that was in time stays good",
    "silence_seconds": "tasks cannot see it, and a result that was in time stays good",
    "retries": "it tells how a result was reached, not which",
    "retry_on_failure": "it tells how a result was reached, not which",
    "priority": "it changes when a build starts",
    "concurrency": "it changes when a build starts",
    "triggers": "they are told of a result",
    "maintainers": "they are told of a result",
    "script_jobset": "it says with whose leave a repository is read",
    "notes": "they are for readers of the log",
    "secrets_of": "only what was submitted has it, and nothing stands for that",
    "secrets_off": "only what was submitted has it, and nothing stands for that",
    "nix": "the tasks say how it is built, and a shared store only saves time",
}

_text = json.JSONEncoder(default=vars, sort_keys=True, separators=(",", ":")).encode


def content_key(
    job: Job,
    *,
    image: str,
    trust: Trust,
    inputs: Mapping[str, str],
    needed_keys: Sequence[str],
    trees: Sequence[str],
) -> str:
    """SHA-256, in hexadecimal, over all that can change what a build of this job comes to.

    `image` is what the job's image stands for here, `inputs` the string and boolean inputs of its
    jobset. `trees` are the git tree and blob ids of what it depends on, source by source: ids of
    content, so that another commit with the same content has the same key.
    """
    meaning = {
        "version": VERSION,
        "job": _meaning(job),
        "image": image,
        "trust": trust,
        "inputs": dict(inputs),
        "needed": sorted(needed_keys),
        "trees": list(trees),
    }
    return sha256(_text(meaning).encode("ascii")).hexdigest()


def _meaning(job: Job) -> dict[str, Any]:
    # Addresses, refs and commits differ between branches and forks of the same content.
    sources = [[source.directory, source.submodules] for source in job.sources]
    return {name: getattr(job, name) for name in IN_KEY} | {"sources": sources}
