"""What a server and its workers on other machines say to each other, as JSON: both sides use this.

Bytes go as base64, whether they are text or not.
"""

from functools import cache
from typing import Annotated, Any, TypeVar, cast

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ciserver.model.build import (
    PLAIN,
    BuildResult,
    LogPiece,
    Loss,
    Output,
    ProductKind,
    StepResult,
    Work,
)
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.ports import WorkerState
from ciserver.model.report import Counts, ReportKind
from ciserver.model.worker import Listing

Message = TypeVar("Message")
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(max_length=10_000)]
ClaimId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
# Made when the first worker speaks: most servers have none elsewhere.
_CONFIG = ConfigDict(
    extra="forbid", ser_json_bytes="base64", val_json_bytes="base64", defer_build=True
)
MOST_HAVE = 1_000  # revisions that a worker says it has
# Grows with every change of a message or an address; each request of a worker has it as header.
VERSION = 2
VERSION_HEADER = "Ciserver-Worker-Protocol"


@dataclass(frozen=True, config=_CONFIG)
class Hello:
    """Who a worker is to the server."""

    name: str
    queues: tuple[str, ...]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, config=_CONFIG)
class Listen:
    """Wait until the bell has rung since it was last heard; how the worker is meanwhile."""

    heard: Annotated[str, Field(max_length=100)]
    state: WorkerState


@dataclass(frozen=True, config=_CONFIG)
class Rung:
    """`heard` is to be sent with the next question. Of the builds that were canceled meanwhile the
    worker renews the lease at once, which tells it to stop. One that `is_paused` is given none.
    """

    heard: str
    canceled: tuple[int, ...] = ()
    is_paused: bool = False


@dataclass(frozen=True, config=_CONFIG)
class Claim:
    """A claim whose answer was lost is sent again under its id, and answered as the first time."""

    id: ClaimId
    queues: tuple[Text, ...]
    images: tuple[Text, ...] = ()
    labels: tuple[Text, ...] = ()


@dataclass(frozen=True, config=_CONFIG)
class Claimed:
    """`masked` are the secrets of the work, which need not be text; the work itself has none."""

    work: Work
    masked: tuple[bytes, ...]


@dataclass(frozen=True, config=_CONFIG)
class Renewed:
    cancel: bool


@dataclass(frozen=True, config=_CONFIG)
class Advance:
    """`log` is what the server lacks of the logs until then."""

    done: StepResult
    starting: int | None
    sandbox: Text
    log: tuple[LogPiece, ...] = ()


@dataclass(frozen=True, config=_CONFIG)
class Finish:
    """`log` is what the server lacks of the logs."""

    result: BuildResult
    steps: tuple[StepResult, ...]
    log: tuple[LogPiece, ...] = ()


@dataclass(frozen=True, config=_CONFIG)
class GiveBack:
    loss: Loss


@dataclass(frozen=True, config=_CONFIG)
class Tell:
    output: Output


@dataclass(frozen=True, config=_CONFIG)
class KeepProduct:
    sha256: Sha256
    path: Text
    kind: ProductKind = PLAIN
    name: Text = ""


@dataclass(frozen=True, config=_CONFIG)
class KeepReport:
    sha256: Sha256
    path: Text
    kind: ReportKind


@dataclass(frozen=True, config=_CONFIG)
class ReportKept:
    counts: Counts
    notes: tuple[str, ...]


@dataclass(frozen=True, config=_CONFIG)
class KeepCache:
    sha256: Sha256
    key: Text


@dataclass(frozen=True, config=_CONFIG)
class Uploaded:
    """How many bytes of a file are there."""

    size: int


@dataclass(frozen=True, config=_CONFIG)
class SourceAnswer:
    """What a source is made of; or why it cannot be had, and whether that may pass."""

    listing: Listing | None = None
    refused: str = ""
    hint: str = ""
    temporary: bool = False


@dataclass(frozen=True, config=_CONFIG)
class AskPack:
    """What a worker lacks of one mirror of a source."""

    mirror: Text
    have: Annotated[tuple[Revision, ...], Field(max_length=MOST_HAVE)] = ()


def write(message: Any) -> bytes:
    """The message as JSON."""
    return _adapter(cast("Any", type(message))).dump_json(message)


def read(kind: type[Message], text: bytes) -> Message:
    """The message of this kind. Raises Invalid naming every fault."""
    try:
        message: Message = _adapter(cast("Any", kind)).validate_json(text)
    except ValidationError as error:
        faults = [
            Complaint(".".join(map(str, one["loc"])), one["msg"].lower()) for one in error.errors()
        ]
        raise Invalid("the message cannot be used", complaints=faults) from None
    return message


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
