"""What builds left, as files: by number or name, by what they are, and within directories."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import IO

from ciserver.model.account import Actor
from ciserver.model.build import Build, Product
from ciserver.model.errors import Gone, NotFound
from ciserver.model.frozen import frozen
from ciserver.model.view import BuildView
from ciserver.service.queries import Queries
from ciserver.service.rights import Rights
from ciserver.store.archives import Entry, EntryKind, Listing, list_archive, walk_tar
from ciserver.store.store import Store
from ciserver.store.unpacking import BadArchive

_MOST_LINKS = 20
_ARCHIVES = (*(".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"), *(".zip", ".jar", ".whl"))
_MOST_KNOWN = 200_000  # entries of archives that are remembered


@frozen
class Found:
    """A product of the newest attempt of a build; they are numbered from 1."""

    build: Build
    number: int
    product: Product

    @property
    def is_archive(self) -> bool:
        """Whether it can be told what lies in it, by its name."""
        return self.product.name.lower().endswith(_ARCHIVES)


@frozen
class Content:
    """A file to read: `size` bytes from `offset`. `tag` is another one when the content is."""

    name: str
    file: IO[bytes]
    offset: int
    size: int
    tag: str


class ProductFiles:
    """All raise NotFound for what is not there, or not there for the actor."""

    def __init__(self, store: Store, rights: Rights, queries: Queries) -> None:
        self._store = store
        self._rights = rights
        self._queries = queries
        self._directories = _Directories()

    def list_all(self, actor: Actor, build_id: int) -> tuple[Found, ...]:
        build = self._rights.build(actor, build_id)
        return _numbered(build, self._store.products.of_builds([build])[build_id])

    @staticmethod
    def of_view(view: BuildView) -> tuple[Found, ...]:
        """The same of a build that was looked up."""
        return _numbered(view.build, view.results)

    def find(self, actor: Actor, build_id: int, word: str = "1") -> Found:
        """The product of this number, or the first of this name."""
        for one in self.list_all(actor, build_id):
            names = {one.product.name, one.product.title}
            if word == str(one.number) or (word in names and not word.isdigit()):
                return one
        raise NotFound(f"Build doesn't have a product {word}.")

    def find_by_type(self, actor: Actor, build_id: int, kind: str, subtype: str) -> Found:
        """The first product that is of this type and subtype."""
        for one in self.list_all(actor, build_id):
            if (one.product.type, one.product.subtype) == (kind, subtype):
                return one
        raise NotFound(f"Build doesn't have a build product with type {kind}/{subtype}.")

    def open(self, found: Found) -> Content:
        """A product as it is kept: of a directory the archive."""
        one = found.product
        return Content(one.name, self._queries.open_product(one), 0, one.size, one.sha256)

    def open_within(self, found: Found, path: Iterable[str]) -> Content | None:
        """A file of a directory; None where the path leads to a directory."""
        product = found.product
        file = self._queries.open_product(product)
        try:
            entry = self._directories.of(product, file).find(path)
            if entry.kind is EntryKind.FILE:
                tag = f"{product.sha256}-{entry.offset}"
                name = entry.name.rpartition("/")[2]
                return Content(name, file, entry.offset, entry.size, tag)
        except BaseException:
            file.close()
            raise
        file.close()
        return None

    def output(self, actor: Actor, build_id: int, name: str) -> Found | None:
        """The product that an output is as a whole; None where it is everything that the build
        left. Raises Gone for one that is not kept so.
        """
        build = self._rights.build(actor, build_id)
        paths = self._store.products.output(build_id, build.attempt).paths
        if not paths and name == "out" and build.status.is_good:
            return None
        if name not in paths:
            known = ", ".join(paths) or "none"
            raise NotFound(f"Build doesn't have an output {name}; known are {known}.")
        for one in self.list_all(actor, build_id):
            if one.product.path == paths[name]:
                return one
        raise Gone(
            f"the output {name} of build {build_id}, {paths[name]}, is not kept as a whole",
            hint="what is kept of the build are its products",
        )

    def contents(self, found: Found) -> Listing:
        """What lies in a product that is an archive, as far as that is cheap to tell."""
        with self._queries.open_product(found.product) as file:
            try:
                return list_archive(file)
            except BadArchive as error:
                raise NotFound(
                    f"what lies in {found.product.name} cannot be told: {error}",
                    hint="tar archives are read, also those packed by gzip, bzip2 and xz, and zip",
                ) from error


def _numbered(build: Build, products: Iterable[Product]) -> tuple[Found, ...]:
    return tuple(Found(build, number, one) for number, one in enumerate(products, 1))


class _Directory:
    """The archive of a directory, by the paths in it."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries

    @property
    def size(self) -> int:
        return len(self._entries)

    def find(self, path: Iterable[str]) -> Entry:
        """What lies there, when links were followed; none leads out. Raises NotFound."""
        wanted = [one for one in path if one]
        missing = NotFound(f"there is no {'/'.join(wanted)} in this product")
        if {".", ".."} & set(wanted):
            raise missing
        left, here, links = wanted[::-1], list[str](), 0
        found = Entry("", EntryKind.DIRECTORY, 0)
        while left:
            if found.kind is not EntryKind.DIRECTORY:
                raise missing
            part = left.pop()
            if part == "..":
                if not here:
                    raise missing
                here.pop()
                continue
            entry = self._entries.get("/".join([*here, part]))
            if entry is None or entry.kind is EntryKind.OTHER:
                raise missing
            if entry.kind is EntryKind.LINK:
                links += 1
                if links > _MOST_LINKS or entry.link.startswith("/"):
                    raise missing
                left += [one for one in entry.link.split("/")[::-1] if one not in {"", "."}]
                continue
            found = entry
            if entry.kind is EntryKind.DIRECTORY:
                here.append(part)
        return found


class _Directories:
    """The newest looked at are remembered: a page asks for many files of one."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Directory] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, product: Product, file: IO[bytes]) -> _Directory:
        with self._lock:
            known = self._known.get(product.sha256)
            if known is not None:
                self._known.move_to_end(product.sha256)
                return known
        read = _Directory(_by_path(product, file))
        with self._lock:
            self._known[product.sha256] = read
            while sum(one.size for one in self._known.values()) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return read


def _by_path(product: Product, file: IO[bytes]) -> dict[str, Entry]:
    top = f"{product.title}/"
    try:
        return {
            one.name.removeprefix(top).rstrip("/"): one
            for one in walk_tar(file)
            if one.name.startswith(top) and one.name != top
        }
    except BadArchive as error:
        raise NotFound(f"the archive of {product.name} cannot be read: {error}") from error
