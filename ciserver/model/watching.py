"""A project as a push finds it: which of its jobsets watch which refs of which repositories."""

from fnmatch import fnmatchcase

from ciserver.model.frozen import frozen
from ciserver.model.project import DECLARING, JobsetMode


@frozen
class WatchedInput:
    """`ref` is what is pinned when no push names a revision; `watch` are globs of full ref names.
    The `repository_key` is empty for what is no repository.
    """

    name: str
    ref: str
    watch: tuple[str, ...]
    repository_key: str

    def watches(self, ref: str) -> bool:
        return any(fnmatchcase(ref, glob) for glob in self.watch)


@frozen
class WatchingJobset:
    """`source` is the input with the recipe; None where everything is submitted."""

    id: int
    name: str
    mode: JobsetMode
    source: WatchedInput | None
    inputs: tuple[WatchedInput, ...]

    @property
    def enabled(self) -> bool:
        return self.mode is not JobsetMode.OFF

    @property
    def declares(self) -> bool:
        """Whether it is the one that declares the others of its project."""
        return self.name == DECLARING

    def pushed(self, keys: frozenset[str]) -> WatchedInput | None:
        """The input that is in a repository of these keys: the one with the recipe, if that is."""
        source = self.source
        if source is None or not keys or source.repository_key in keys:
            return source
        return next((one for one in self.inputs if one.repository_key in keys), None)


@frozen
class WatchingProject:
    id: int
    name: str
    enabled: bool
    jobsets: tuple[WatchingJobset, ...]
