"""What is watched: a project has jobsets, a jobset has inputs."""

from dataclasses import field
from datetime import datetime
from enum import StrEnum

from ciserver.model.account import Visibility
from ciserver.model.frozen import frozen
from ciserver.model.schedule import PgoStrategy

DEFAULT_WATCH = ("refs/heads/*", "refs/tags/*")
DEFAULT_RECIPE = (".build.yml", ".build.yaml", ".builds/*.yml", ".builds/*.yaml")
SUBMITTED = "jobs"
DECLARING = ".jobsets"  # the jobset that declares the others of its project
DECLARATION = "declInput"  # its input with the file that does
DEFAULT_REFRESH_SECONDS = 30


class InputType(StrEnum):
    """What the value of an input is: `build`, `sysbuild` and `eval` name results of earlier."""

    GIT = "git"
    PATH = "path"  # a directory or file of the server's machine, or a file behind a URL
    STRING = "string"
    BOOLEAN = "boolean"
    NIX = "nix"  # an expression, for recipes in Nix
    BUILD = "build"  # the newest success of [[PROJECT:]JOBSET:]JOB
    SYSBUILD = "sysbuild"  # the same, of each system its own
    EVAL = "eval"  # the newest finished evaluation of [PROJECT:]JOBSET, or a number

    @property
    def has_files(self) -> bool:
        """Whether it is files at a revision, not a value."""
        return self in {InputType.GIT, InputType.PATH}


class JobsetMode(StrEnum):
    """Whether a jobset is evaluated."""

    OFF = "off"
    ON = "on"
    ONE_SHOT = "one-shot"  # once, then off
    ONE_AT_A_TIME = "one-at-a-time"  # not while builds of it are unfinished


@frozen
class Input:
    """What a jobset is evaluated from: a git repository, a path, or a `value` that stands for
    itself.

    `ref` is what is pinned when no push names a revision; `watch` are the globs of full ref names
    whose pushes are evaluated. `local` marks an address on this machine that an administrator
    registered. A path is read again after `refresh_seconds` at the earliest.
    """

    name: str
    uri: str = ""
    ref: str = "HEAD"
    watch: tuple[str, ...] = DEFAULT_WATCH
    local: bool = False
    type: InputType = InputType.GIT
    value: str = ""
    refresh_seconds: int = DEFAULT_REFRESH_SECONDS


@frozen
class Credential:
    """How a private repository is read: a password or token, or an ssh key in memory."""

    username: str = ""
    password: str = field(default="", repr=False)
    ssh_key: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)


@frozen
class Declaration:
    """Where the jobsets of a project are declared: in a file of a repository or path, which is
    written as its type and `value` (see `ciserver.model.input_text`). Without a file people make
    them.
    """

    file: str = ""
    type: InputType = InputType.GIT
    value: str = ""


@frozen
class ProjectSettings:
    """What the owner of a project decides. A hidden one is left out of the overview for people."""

    display_name: str = ""
    description: str = ""
    homepage: str = ""
    enabled: bool = True
    hidden: bool = False
    visibility: Visibility = Visibility.PUBLIC
    declaration: Declaration = Declaration()


@frozen
class Project:
    """`declared_by` is the evaluation whose declarations are in force, if any is."""

    id: int
    name: str
    owner: str
    created_at: datetime
    settings: ProjectSettings
    declared_by: int | None = None

    @property
    def enabled(self) -> bool:
        return self.settings.enabled

    @property
    def is_declarative(self) -> bool:
        """Whether a file declares its jobsets, and nobody makes them by hand."""
        return bool(self.settings.declaration.file)

    @property
    def is_implicit(self) -> bool:
        """Made for what its owner submits, not by hand."""
        return self.name.startswith("~")


@frozen
class ScriptDefaults:
    """What a build of a script runs where the request leaves it open: a script of the jobset's
    repository, and `NAME=VALUE` words for its environment.
    """

    script: str = ""
    parameters: str = ""
    timeout_minutes: int = 0


@frozen
class JobsetSettings:
    """What the owner of a jobset decides, beside its inputs."""

    description: str = ""
    mode: JobsetMode = JobsetMode.ON
    hidden: bool = False
    recipe_input: str = "source"
    recipe_path: tuple[str, ...] = DEFAULT_RECIPE
    check_interval_seconds: int = 0
    reuse_results: bool = True  # of equal content, in place of a new build
    shares: int = 100
    keep_evaluations: int = 3
    tell_by_mail: bool = True
    mail_to: str = ""
    script: ScriptDefaults = ScriptDefaults()


@frozen
class Jobset:
    """`branch` is a name that is unique on the server, if it got one; `slug` is unique among the
    jobsets of the project's owner.
    """

    id: int
    project_id: int
    project: str
    owner: str
    name: str
    inputs: tuple[Input, ...]
    branch: str = ""
    slug: str = ""
    pgo_strategy: PgoStrategy = PgoStrategy.PERIODIC
    paused: bool = False
    checked_at: datetime | None = None
    settings: JobsetSettings = JobsetSettings()
    project_enabled: bool = True
    visibility: Visibility = Visibility.PUBLIC  # of its project

    @property
    def enabled(self) -> bool:
        return self.settings.mode is not JobsetMode.OFF

    @property
    def declares(self) -> bool:
        """Whether it is the one that declares the others of its project."""
        return self.name == DECLARING

    @property
    def full_name(self) -> str:
        return f"{self.project}:{self.name}"

    @property
    def recipe_input(self) -> str:
        return self.settings.recipe_input

    @property
    def recipe_path(self) -> tuple[str, ...]:
        return self.settings.recipe_path

    @property
    def source(self) -> Input | None:
        """The input that carries the recipe; None where everything is submitted."""
        return next((one for one in self.inputs if one.name == self.recipe_input), None)
