"""The outputs of a build, in which it says what is to be kept of them: those of its derivation,
and a directory that every build has.
"""

import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from ciserver.executor.archive import write_archive
from ciserver.executor.nix_support import (
    FAILED,
    METRICS,
    PRODUCTS,
    RELEASE_NAME,
    Declared,
    read_products,
    read_release_name,
)
from ciserver.executor.products import BadArtifact, Keeper, Tree, as_file
from ciserver.executor.telling import ReportFiles
from ciserver.model.build import Lease, Output, ProductKind
from ciserver.model.frozen import frozen
from ciserver.model.ports import Reporter

OUT = ".out"
_MADE = ".nix-outputs"  # written by the task of a Nix job
_MOST_OUTPUTS = 100
_MOST_PRODUCTS = 1000
_MOST_LINES = 20  # of the log, about products that are not kept
_MOST_TEXT = 1_000_000
_NAME = re.compile(r"[\w.+?=-]{1,200}", re.ASCII)
_HASH = re.compile(r"[0-9a-z]{32}-")


@frozen
class _Place:
    """An output: its name, its path as tasks see it, and the tree that it lies in."""

    name: str
    path: str
    tree: Tree
    is_product: bool  # as a whole, where nothing in it says otherwise

    def support(self, name: str) -> str:
        return f"{self.path}/nix-support/{name}"

    def says_something(self) -> bool:
        return self.tree.has(f"{self.path}/nix-support")


class Outputs:
    """Whatever the build wrote, it is told in lines for the log. The tasks have ended.

    `home` is the build's, `store` that of its Nix, of whose entries its outputs may be any.
    """

    def __init__(self, reporter: Reporter, lease: Lease, home: Tree, store: Tree) -> None:
        self._reporter = reporter
        self._lease = lease
        self._store = store
        drv_path, paths = _made(home, store)
        self._output = Output(drv_path=drv_path, paths=paths)
        self._places = [
            *(_Place(name, path, store, is_product=True) for name, path in paths.items()),
            _Place("", f"{home.inside}/{OUT}", home, is_product=False),
        ]
        self._telling = [one for one in self._places if one.says_something()]

    def tell(self, reports: ReportFiles) -> Iterator[str]:
        """Hand in what they tell beside products: also of a build that failed. Raises what the
        reporter raises.
        """
        for place in self._telling:
            name = self._text(place, RELEASE_NAME)
            if name is not None:
                self._output = replace(self._output, release_name=read_release_name(name))
                if not self._output.release_name:
                    yield f"outputs: {place.support(RELEASE_NAME)} is not one word"
            try:
                content = as_file(place.tree.open(place.support(METRICS)))
            except BadArtifact:
                continue
            with content:
                path = f"{place.name or OUT}/nix-support/{METRICS}"
                yield from reports.hand_in_metrics(path, content)
        if self._output != Output():
            self._reporter.set_output(self._lease, self._output)

    def say_failed(self) -> bool:
        """Whether one of them says that the build failed."""
        return any(place.tree.has(place.support(FAILED)) for place in self._telling)

    def keep(self, keeper: Keeper, spool: Path, goes_on: Callable[[], bool]) -> Iterator[str]:
        """Keep the products that they declare, directories as archives, which are made in `spool`;
        gives the lines to say. It stops before the next one when the build does not go on. Raises
        TooLarge, OSError and what the reporter raises.
        """
        refused: list[str] = []
        kept: set[str] = set()
        for place, one in self._declared(refused):
            if not goes_on():
                return
            if len(kept) == _MOST_PRODUCTS:
                refused.append(f"only {_MOST_PRODUCTS} of a build are kept")
                break
            if one.path in kept:
                refused.append(f"{one.path} is declared twice")
                continue
            try:
                self._keep(keeper, place, one, spool)
            except BadArtifact as error:
                refused.append(f"{one.path} is not kept: {error}")
            else:
                kept.add(one.path)
        yield from (f"outputs: {fault}" for fault in refused[:_MOST_LINES])
        if len(refused) > _MOST_LINES:
            yield f"outputs: and {len(refused) - _MOST_LINES} more lines like these"
        if kept:
            yield f"outputs: {len(kept)} product{'s' if len(kept) > 1 else ''} kept"

    def _declared(self, faults: list[str]) -> list[tuple[_Place, Declared]]:
        """All that the outputs declare, or where none declares anything, the outputs themselves."""
        found: list[tuple[_Place, Declared]] = []
        is_told = False
        for place in self._telling:
            text = self._text(place, PRODUCTS)
            if text is not None:
                is_told = True
                declared, wrong = read_products(text)
                faults += [f"{place.support(PRODUCTS)}: {one}" for one in wrong]
                found += [(place, one) for one in declared]
        if is_told:
            return found
        return [(one, _whole(one)) for one in self._places if one.is_product]

    def _keep(self, keeper: Keeper, place: _Place, one: Declared, spool: Path) -> None:
        opened = place.tree.open(one.path)
        name = self._name(one.path)
        if not stat.S_ISDIR(os.fstat(opened).st_mode):
            with as_file(opened) as content:
                keeper.keep(one.path, content, kind=one.kind, name=name)
            return
        try:
            with tempfile.TemporaryFile(dir=spool) as archive:
                write_archive(opened, name, archive, most_bytes=keeper.room)
                archive.seek(0)
                keeper.keep(one.path, archive, kind=one.kind, name=f"{name}.tar")
        finally:
            os.close(opened)

    def _name(self, path: str) -> str:
        """The last part, of an entry of the store without its hash."""
        pure = PurePosixPath(path)
        if str(pure.parent) != self._store.inside:
            return pure.name
        found = _HASH.match(pure.name)
        return pure.name[found.end() :] if found else pure.name

    @staticmethod
    def _text(place: _Place, name: str) -> bytes | None:
        """A small file of an output; None where there is none."""
        try:
            with as_file(place.tree.open(place.support(name))) as file:
                return file.read(_MOST_TEXT)
        except BadArtifact:
            return None


def _whole(place: _Place) -> Declared:
    subtype = "" if place.name == "out" else place.name
    return Declared(place.path, ProductKind("nix-build", subtype))


def _made(home: Tree, store: Tree) -> tuple[str, dict[str, str]]:
    """The derivation, and its outputs by name, as far as they are entries of the store."""
    try:
        with as_file(home.open(_MADE)) as file:
            told = json.loads(file.read(_MOST_TEXT))
    except (BadArtifact, ValueError, RecursionError):
        return "", {}
    match told:
        case [str(drv_path), dict(paths)]:
            outputs = {
                name: path
                for name, path in list(paths.items())[:_MOST_OUTPUTS]
                if _NAME.fullmatch(name) and _is_entry(path, store)
            }
            return (drv_path if _is_entry(drv_path, store) else ""), outputs
    return "", {}


def _is_entry(path: Any, store: Tree) -> bool:
    if not isinstance(path, str):
        return False
    pure = PurePosixPath(path)
    return str(pure.parent) == store.inside and _NAME.fullmatch(pure.name) is not None
