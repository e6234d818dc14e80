"""Files of pinned repositories, for evaluators that need more than the text of the recipe."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from ciserver.git.mirrors import Mirrors
from ciserver.model.build import Source
from ciserver.model.evaluation import PinnedInput
from ciserver.model.project import Jobset
from ciserver.recipe.sources import repository_name
from ciserver.service.pinning import Pinned
from ciserver.store.store import Store

_PREFIX = "evaluation-"


class Exports:
    """`root` is where they lie for as long as they are needed; who evaluates must get there."""

    def __init__(self, store: Store, mirrors: Mirrors, root: Path) -> None:
        self._store = store
        self._mirrors = mirrors
        self._root = root

    def forget(self) -> None:
        """At start: remove what a killed server had left."""
        for left in self._root.glob(f"{_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)

    @contextmanager
    def lend(self, jobset: Jobset, pinned: Pinned) -> Iterator[Callable[[], Path]]:
        """A function that writes, when it is first called, the files of every repository of an
        evaluation, without their history, and answers the directory of the recipe's. They have the
        names, beside each other, that they have in the home of a build. It raises BadAddress,
        Invalid, NotFound, RemoteFailure.
        """
        with ExitStack() as stack:

            @cache
            def tree() -> Path:
                folder = TemporaryDirectory(
                    prefix=_PREFIX, dir=self._root, ignore_cleanup_errors=True
                )
                place = Path(stack.enter_context(folder))
                place.chmod(0o711)
                inputs = {repository_name(pinned.input.uri): pinned.input}
                for one in pinned.others:
                    if one.type.has_files:
                        inputs.setdefault(one.name, one)
                for name, one in inputs.items():
                    self._write(jobset, one, place / name)
                return place / next(iter(inputs))

            yield tree

    def _write(self, jobset: Jobset, one: PinnedInput, into: Path) -> None:
        credential, local = self._store.jobsets.credential(jobset.id, one.uri)
        source = Source(one.uri, into.name, one.ref, one.revision, type=one.type)
        self._mirrors.checkouts.make(source, into, credential=credential, local=local)
        for history in [*into.rglob(".git")]:
            if history.is_dir() and not history.is_symlink():
                shutil.rmtree(history)
            else:
                history.unlink()
