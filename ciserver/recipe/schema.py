"""The keys of a manifest. One class for each map with fixed keys."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from ciserver.model.build import Job, Policy
from ciserver.model.schedule import Timing
from ciserver.recipe.checks import (
    NOT_EMPTY,
    Line,
    Switch,
    Text,
    fault_at,
    must_be,
    not_one_of,
    up_to,
)
from ciserver.recipe.fields import (
    VARIABLE,
    AddressLines,
    Artifacts,
    AxisValues,
    CacheKey,
    CachePaths,
    Condition,
    DayParts,
    Environment,
    Globs,
    GroupName,
    Kinds,
    Machine,
    Maintainers,
    Mebibytes,
    Minutes,
    NeededNames,
    Packages,
    PartialCombinations,
    PathGlobs,
    PolicyWord,
    Priority,
    Processes,
    Retries,
    ScheduleWord,
    SecretNames,
    Sources,
    Systems,
    Tasks,
    WebAddress,
    WorkerLabels,
)

ACTIONS = ("email", "webhook")
# Also taken, for manifests of builds.sr.ht; a package may bring them, and a delivery says so.
FURTHER_ACTIONS = ("irc", "job")
MOST_TRIGGERS = 20


class _Keys(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def _with_known_action(value: Any) -> Any:
    if isinstance(value, dict) and value.get("action") not in (*ACTIONS, *FURTHER_ACTIONS):
        action = value.get("action")
        raise fault_at("action", "is required" if action is None else not_one_of(action, ACTIONS))
    return value


def _action_tag(value: Any) -> str:
    return f"<{value['action']}>" if value["action"] in ACTIONS else "<further>"


class EmailTrigger(_Keys):
    action: Literal["email"]
    condition: Condition = "change"
    to: AddressLines = ()
    cc: AddressLines = ()
    in_reply_to: Line | None = None


class WebhookTrigger(_Keys):
    action: Literal["webhook"]
    condition: Condition = "always"
    url: WebAddress


class FurtherTrigger(BaseModel):
    """What its other keys mean is the business of whoever brings it."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    action: Literal["irc", "job"]
    condition: Condition = "always"


Trigger = Annotated[
    Annotated[EmailTrigger, Tag("<email>")]
    | Annotated[WebhookTrigger, Tag("<webhook>")]
    | Annotated[FurtherTrigger, Tag("<further>")],
    Discriminator(_action_tag),
    BeforeValidator(_with_known_action),
    must_be("a map with an action", dict),
]


Triggers = Annotated[
    tuple[Trigger, ...], up_to(MOST_TRIGGERS, "triggers"), must_be("a list of maps", list)
]


class TriggerList(_Keys):
    """Triggers that stand beside a manifest."""

    triggers: Triggers = ()


class When(_Keys):
    kinds: Kinds = Job.kinds
    refs: Annotated[Globs, NOT_EMPTY] = ()
    paths: Annotated[PathGlobs, NOT_EMPTY] = ()


class MatrixKeys(_Keys):
    """Beside its one fixed key the author's own: variables, each with a list of values."""

    model_config = ConfigDict(
        extra="allow", json_schema_extra={"propertyNames": {"pattern": f"^(?:{VARIABLE})$"}}
    )
    __pydantic_extra__: dict[str, AxisValues]

    exclude: PartialCombinations = ()

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        return self.__pydantic_extra__


class ConcurrencyKeys(_Keys):
    group: GroupName
    policy: PolicyWord = Policy.QUEUE


class ResourceKeys(_Keys):
    memory: Mebibytes | None = None
    pids: Processes | None = None
    disk: Mebibytes | None = None


class CacheEntry(_Keys):
    key: CacheKey
    paths: CachePaths


class ReportKeys(_Keys):
    junit: PathGlobs = ()
    tap: PathGlobs = ()
    coverage: PathGlobs = ()


class ScheduleEntry(_Keys):
    kind: ScheduleWord = "nightly"
    cron: Line = ""
    hours: DayParts = ()
    minutes: DayParts = (0,)
    every: Minutes | None = None
    zone: Line = "UTC"
    only_if_changed: Switch | None = None
    last_good: Switch = False

    @property
    def timing(self) -> Timing:
        return Timing(
            cron=self.cron,
            hours=self.hours,
            minutes=self.minutes,
            every_seconds=round(self.every * 60) if self.every else 0,
            zone=self.zone,
        )


class GitSubmitter(_Keys):
    enabled: Switch = True
    allow_refs: Globs = Field(default=(), alias="allow-refs")


class HubSubmitter(_Keys):
    enabled: Switch = True


_GIT, _HUB = GitSubmitter.model_validate({}), HubSubmitter.model_validate({})


class Submitter(_Keys):
    git: Annotated[GitSubmitter, must_be("a map", dict)] = Field(
        default_factory=lambda: _GIT, alias="git.sr.ht"
    )
    hub: Annotated[HubSubmitter, must_be("a map", dict)] = Field(
        default_factory=lambda: _HUB, alias="hub.sr.ht"
    )


_SUBMITTER = Submitter.model_validate({})


class Manifest(_Keys):
    """A builds.sr.ht manifest and this server's own keys."""

    image: Line
    arch: Machine | None = None
    packages: Packages = ()
    sources: Sources = ()
    environment: Environment = {}
    tasks: Tasks
    artifacts: Artifacts = ()
    secrets: SecretNames = ()
    triggers: Triggers = ()
    submitter: Annotated[Submitter, must_be("a map", dict)] = Field(
        default_factory=lambda: _SUBMITTER
    )
    # Known from builds.sr.ht and not acted on.
    repositories: Annotated[dict[str, Text], must_be("a map of names to addresses", dict)] = {}
    oauth: Text = ""
    shell: Switch = False
    # Our own.
    timeout: Minutes | None = None
    silence: Minutes | None = None
    priority: Priority = 0
    when: Annotated[When, must_be("a map with kinds, refs and paths", dict)] = When()
    network: Switch = True
    systems: Systems = ()
    runs_on: WorkerLabels = ()
    matrix: Annotated[MatrixKeys, must_be("a map of names to lists of values", dict)] | None = None
    needs: NeededNames = ()
    retries: Retries | None = None
    retry_on_failure: Retries = 0
    concurrency: Annotated[ConcurrencyKeys, must_be("a map with a group", dict)] | None = None
    paths: Annotated[PathGlobs, NOT_EMPTY] = ()
    resources: Annotated[ResourceKeys, must_be("a map with memory, pids and disk", dict)] = (
        ResourceKeys()
    )
    cache: Annotated[
        tuple[Annotated[CacheEntry, must_be("a map with key and paths", dict)], ...],
        up_to(20, "entries"),
        must_be("a list of maps", list),
    ] = ()
    reports: Annotated[ReportKeys, must_be("a map with junit, tap and coverage", dict)] = (
        ReportKeys()
    )
    maintainers: Maintainers = ()
    always: Switch = False
    schedules: Annotated[
        tuple[Annotated[ScheduleEntry, must_be("a map", dict)], ...],
        up_to(100, "schedules"),
        must_be("a list of maps", list),
    ] = ()


# Where extra keys can stand, by the keys that lead there.
MODELS: dict[tuple[str, ...], type[BaseModel]] = {
    (): Manifest,
    ("when",): When,
    ("matrix",): MatrixKeys,
    ("concurrency",): ConcurrencyKeys,
    ("resources",): ResourceKeys,
    ("cache",): CacheEntry,
    ("reports",): ReportKeys,
    ("schedules",): ScheduleEntry,
    ("submitter",): Submitter,
    ("submitter", "git.sr.ht"): GitSubmitter,
    ("submitter", "hub.sr.ht"): HubSubmitter,
    ("triggers", "<email>"): EmailTrigger,
    ("triggers", "<webhook>"): WebhookTrigger,
}


def known_keys(parents: tuple[str, ...]) -> tuple[str, ...]:
    fields = MODELS[parents].model_fields
    return tuple(field.alias or name for name, field in fields.items())
