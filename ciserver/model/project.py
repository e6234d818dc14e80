"""What is watched: a project has jobsets, a jobset has inputs."""

from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from ciserver.model.schedule import PgoStrategy

DEFAULT_WATCH = ("refs/heads/*", "refs/tags/*")
DEFAULT_RECIPE = (".build.yml", ".build.yaml", ".builds/*.yml", ".builds/*.yaml")


@dataclass(frozen=True)
class Input:
    """One git repository (later: string, path ...) that a jobset is evaluated from.

    `ref` is what is pinned when no push names a revision; `watch` are the globs of full ref names
    whose pushes are evaluated. `local` marks an address on this machine that an administrator
    registered.
    """

    name: str
    uri: str
    ref: str = "HEAD"
    watch: tuple[str, ...] = DEFAULT_WATCH
    local: bool = False

    def watches(self, ref: str) -> bool:
        return any(fnmatchcase(ref, glob) for glob in self.watch)


@dataclass(frozen=True)
class Credential:
    """How a private repository is read: a password or token, or an ssh key in memory."""

    username: str = ""
    password: str = ""
    ssh_key: str = ""
    passphrase: str = ""


@dataclass(frozen=True)
class Project:
    id: int
    name: str
    description: str
    enabled: bool
    created_at: datetime


@dataclass(frozen=True)
class Jobset:
    id: int
    project_id: int
    project: str
    name: str
    enabled: bool
    recipe_input: str
    recipe_path: tuple[str, ...]
    inputs: tuple[Input, ...]
    pgo_strategy: PgoStrategy = PgoStrategy.PERIODIC

    @property
    def source(self) -> Input:
        """The input that carries the recipe."""
        return next(one for one in self.inputs if one.name == self.recipe_input)
