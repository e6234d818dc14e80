"""Objects from one repository to another on this machine, as one pack; and packs joined."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from pygit2 import Commit, Oid, PackBuilder, Repository, Tag, Tree
from pygit2.enums import FileMode

from ciserver.git.program import Program

# More than this is faster by the git program, which copies packed objects as they are.
_SMALL = 500
_SUPERSEDED = "superseded-packs"


def copy_missing(source: Repository, mirror: Repository, tip: Oid, *, most: float = _SMALL) -> bool:
    """Bring `tip` with everything beneath it into the mirror, as one new pack.

    False, and nothing done, when that is more than so many objects or `source` lacks some of it.
    """
    try:
        missing = _missing(source, mirror, tip, most)
    except KeyError:
        return False
    if missing is None:
        return False
    if missing:
        pack = PackBuilder(source)
        for oid in missing:
            pack.add(oid)
        pack.write(str(objects_of(mirror) / "pack"))
    return True


def _missing(source: Repository, mirror: Repository, tip: Oid, most: float) -> list[Oid] | None:
    """What the mirror lacks. What it has, it has with all beneath, so the search ends there."""
    missing: list[Oid] = []
    seen: set[Oid] = set()
    waiting = [(tip, False)]
    while waiting:
        oid, is_blob = waiting.pop()
        if oid in seen or oid in mirror:
            continue
        seen.add(oid)
        missing.append(oid)
        if len(missing) > most:
            return None
        if not is_blob:
            waiting.extend(_beneath(source[oid]))
        elif oid not in source:
            raise KeyError(oid)
    return missing


def _beneath(thing: object) -> Iterator[tuple[Oid, bool]]:
    if isinstance(thing, Commit):
        yield thing.tree_id, False
        yield from ((parent, False) for parent in thing.parent_ids)
    elif isinstance(thing, Tree):
        for entry in thing:
            if entry.filemode != FileMode.COMMIT:
                yield entry.id, entry.filemode != FileMode.TREE
    elif isinstance(thing, Tag):
        yield thing.target, False


def objects_of(repository: Repository) -> Path:
    return Path(repository.path) / "objects"


def join_packs(repository: Path, program: Program, many_packs: int) -> None:
    """Join the small packs of a mirror when there are more than `many_packs`. Drops no object.

    A pack that was joined stays until the next joining, so that whoever reads it now, in this
    process or in a sandbox that borrows it, is not disturbed. Raises Failed or TimeoutError.
    """
    folder = repository / "objects" / "pack"
    record = repository / _SUPERSEDED
    old = set(record.read_text().split()) if record.exists() else set()
    packs = {one.stem: one.stat().st_size for one in folder.glob("pack-*.pack")}
    current = {name: size for name, size in packs.items() if name not in old}
    if len(current) <= many_packs:
        return
    for name in old:
        _remove_pack(folder, name)
    joined = _worth_joining(current)
    listing = "".join(f"{name}.pack\n" for name in joined)
    arguments = ["pack-objects", "--quiet", "--stdin-packs", str(folder / "pack")]
    made = program.run(repository, arguments, stdin=listing.encode()).decode().split()
    record.write_text("\n".join(joined - {f"pack-{name}" for name in made}))


def write_pack(
    repository: Path, program: Program, wanted: Iterable[str], have: Iterable[str], into: IO[bytes]
) -> None:
    """Write what is wanted, with everything beneath it that `have` is without. Whoever puts the
    pack in has the latter. Raises Failed or TimeoutError.
    """
    asked = "".join([*(f"{one}\n" for one in wanted), *(f"^{one}\n" for one in have)])
    arguments = ["pack-objects", "--quiet", "--revs", "--thin", "--stdout"]
    program.run(repository, arguments, stdin=asked.encode(), into=into)


def put_pack(repository: Path, program: Program, pack: IO[bytes]) -> None:
    """Put a pack in that leaves out what is here. Raises Failed or TimeoutError."""
    program.run(repository, ["index-pack", "--stdin", "--fix-thin"], stdin=pack)


def _worth_joining(sizes: dict[str, int]) -> set[str]:
    """All but the biggest, as long as it outweighs all others together."""
    biggest = max(sizes, key=lambda name: sizes[name])
    alone = 2 * sizes[biggest] > sum(sizes.values())
    return {name for name in sizes if not (alone and name == biggest)}


def _remove_pack(folder: Path, name: str) -> None:
    # The index goes first: without it nobody looks for the pack.
    for suffix in (".idx", ".rev", ".pack"):
        (folder / f"{name}{suffix}").unlink(missing_ok=True)
