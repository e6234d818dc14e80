"""Looking into the tree of a commit: files by glob, one file by path."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from pygit2 import Object, Oid, Repository, Tree
from pygit2.enums import FileMode

from ciserver.model.errors import NotFound, TooLarge

_FILES = (FileMode.BLOB, FileMode.BLOB_EXECUTABLE)


def list_files(tree: Tree, globs: Sequence[str]) -> tuple[str, ...]:
    """Paths of the files that match, glob by glob, each sorted, each once."""
    found: dict[str, None] = {}
    for glob in globs:
        found.update(dict.fromkeys(sorted(_matching(tree, glob.split("/"), ""))))
    return tuple(found)


def _matching(tree: Tree, parts: list[str], above: str) -> Iterator[str]:
    # Part by part: a star never reaches over a slash, and only directories that fit are read.
    for entry in tree:
        name = name_of(entry)
        if not fnmatchcase(name, parts[0]):
            continue
        if len(parts) == 1 and entry.filemode in _FILES:
            yield above + name
        elif len(parts) > 1 and isinstance(entry, Tree):
            yield from _matching(entry, parts[1:], f"{above}{name}/")


def read_file(repository: Repository, tree: Tree, path: str, *, limit: int) -> bytes:
    """The bytes of one file. Raises NotFound (also for what is no file) and TooLarge."""
    oid = _find_file(tree, path)
    if oid is None:
        raise NotFound(f"{path} is not a file of this revision", hint="check the path")
    # The size is in the header: a big file is not read to be refused.
    _, size = repository.odb.read_header(oid)
    if size > limit:
        raise TooLarge(
            f"{path} has {size} bytes, more than the {limit} allowed", hint="make it smaller"
        )
    _, content = repository.odb.read(oid)
    return content


def _find_file(tree: Tree, path: str) -> Oid | None:
    *folders, name = path.split("/")
    for folder in folders:
        below = entry_of(tree, folder)
        if not isinstance(below, Tree):
            return None
        tree = below
    found = entry_of(tree, name)
    return found.id if found is not None and found.filemode in _FILES else None


def entry_of(tree: Tree, name: str) -> Object | None:
    return tree[name] if name and name in tree else None


def name_of(entry: Object) -> str:
    return (entry.raw_name or b"").decode("utf-8", "surrogateescape")
