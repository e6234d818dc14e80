"""Looking into the tree of a commit: files by glob, one file by path."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from pygit2 import Object, Oid, Repository, Tree
from pygit2.enums import FileMode, ObjectType

from ciserver.model.errors import NotFound, TooLarge

_WILD = frozenset("*?[")
_FILES = (FileMode.BLOB, FileMode.BLOB_EXECUTABLE)


def tree_bytes(entries: Iterable[tuple[bytes, FileMode, Oid]]) -> bytes:
    """One tree as an object. Its names are any bytes, which the library's builder does not take."""
    by_name = sorted(entries, key=lambda one: one[0] + b"/" * (one[1] == FileMode.TREE))
    return b"".join(b"%o %b\0%b" % (mode, name, oid.raw) for name, mode, oid in by_name)


def object_id(kind: ObjectType, content: bytes) -> Oid:
    """The id that an object has or would have."""
    header = f"{kind.name.lower()} {len(content)}\0".encode()
    digest = hashlib.sha1(header, usedforsecurity=False)
    digest.update(content)
    return Oid(raw=digest.digest())


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


def content_ids(tree: Tree, globs: Sequence[str]) -> tuple[str, ...]:
    """`PATH ID` of every file and whole directory that matches, so that equal lists mean equal
    content. A star does not match a slash, two stars alone match any number of directories.
    """
    found: dict[str, str] = {}
    for glob in globs:
        parts = tuple(part for part in glob.strip("/").split("/") if part)
        _Collecting(parts, found).walk(tree, 0, "")
    return tuple(f"{path} {oid}" for path, oid in sorted(found.items()))


class _Collecting:
    """One glob over one tree. Each directory is looked at once for each part of the glob, however
    many ways lead there.
    """

    def __init__(self, parts: tuple[str, ...], found: dict[str, str]) -> None:
        self._parts = parts
        self._found = found
        self._seen: set[tuple[str, int]] = set()

    def walk(self, tree: Tree, at: int, above: str) -> None:
        if at == len(self._parts) or (above, at) in self._seen:
            return
        self._seen.add((above, at))
        part, is_last = self._parts[at], at == len(self._parts) - 1
        if part == "**":
            if is_last:
                self._found[above or "/"] = str(tree.id)
                return
            self.walk(tree, at + 1, above)
        for entry in _entries(tree, part):
            name = name_of(entry)
            following = at if part == "**" else at + 1
            if is_last:
                self._found[f"{above}{name}"] = str(entry.id)
            elif isinstance(entry, Tree):
                self.walk(entry, following, f"{above}{name}/")


def _entries(tree: Tree, part: str) -> Iterator[Object]:
    """Those that a part of a glob matches."""
    if _WILD.isdisjoint(part):
        # Asked for by its name: the directory may hold thousands, and so may the recipe.
        found = entry_of(tree, part)
        return iter(()) if found is None else iter((found,))
    return (entry for entry in tree if part == "**" or fnmatchcase(name_of(entry), part))
