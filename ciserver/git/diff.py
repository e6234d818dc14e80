"""What lies between two revisions, as text: the log, and the changes of the files."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone

import pygit2

from ciserver.git.between import commits_between
from ciserver.git.commit import Commit
from ciserver.git.mirror import Mirror
from ciserver.git.refs import commit_at
from ciserver.model.frozen import frozen

_CUT = "\n[{}]\n"


@frozen
class DiffLimits:
    """How much is told at most. The changes of a file that is larger are not looked for."""

    commits: int = 500
    files: int = 2_000
    characters: int = 4 << 20
    file_bytes: int = 1 << 20


LIMITS = DiffLimits()


def log_and_diff(
    mirror: Mirror,
    old: str,
    new: str,
    *,
    may_go_on: Callable[[], bool],
    limits: DiffLimits = LIMITS,
) -> str:
    """The commits that `new` has and `old` has not, newest first, and then what differs between
    their files, as git prints both. What goes beyond the limits, or is not done when `may_go_on`
    says no, is left out, and the text says so at that place. Nothing is fetched. Raises Invalid,
    and NotFound where one of the two is not here.
    """
    parts, size = [], 0
    for part in _parts(mirror, old, new, limits):
        if size + len(part) > limits.characters:
            parts.append(_CUT.format("the rest is left out: it is too long"))
            break
        if not may_go_on():
            parts.append(_CUT.format("the rest is left out: it takes too long"))
            break
        parts.append(part)
        size += len(part)
    return "".join(parts)


def _parts(mirror: Mirror, old: str, new: str, limits: DiffLimits) -> Iterator[str]:
    repository = mirror.repository()
    before, after = mirror.find(repository, old), mirror.find(repository, new)
    found = commits_between(mirror, old, new, most=limits.commits)
    for one in found.commits:
        yield _entry(repository, one)
    if found.more:
        yield _CUT.format("older commits are left out")
    yield from _changes(repository, before.tree.diff_to_tree(after.tree), limits)


def _entry(repository: pygit2.Repository, one: Commit) -> str:
    commit = commit_at(repository, one.revision)
    at = _local(commit.author.time, commit.author.offset) if commit else one.committed_at
    message = "".join(f"    {line}\n" for line in one.message.strip().splitlines())
    date = at.strftime("%a %b %e %H:%M:%S %Y %z").replace("  ", " ")
    return f"commit {one.revision}\nAuthor: {one.author}\nDate:   {date}\n\n{message}\n"


def _local(seconds: int, minutes: int) -> datetime:
    """The time on the author's clock; what no calendar has is the beginning of time."""
    try:
        return datetime.fromtimestamp(seconds, timezone(timedelta(minutes=minutes)))
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _changes(repository: pygit2.Repository, diff: pygit2.Diff, limits: DiffLimits) -> Iterator[str]:
    for index, delta in enumerate(diff.deltas):
        if index == limits.files:
            yield _CUT.format("changes of further files are left out")
            return
        if any(
            _size(repository, one) > limits.file_bytes for one in (delta.old_file, delta.new_file)
        ):
            name = delta.new_file.raw_path.decode("utf-8", "replace")
            yield f"diff --git a/{name} b/{name}\nLarge files differ\n"
            continue
        patch = diff[index]
        if patch is not None:
            yield patch.data.decode("utf-8", "replace")


def _size(repository: pygit2.Repository, file: pygit2.DiffFile) -> int:
    """Told by the header of the object; nothing for a submodule, and for what is not there."""
    if file.id not in repository:
        return 0
    _, size = repository.odb.read_header(file.id)
    return int(size)
