"""What every door turns its payload into, and what became of it."""

from dataclasses import field
from datetime import datetime
from enum import StrEnum

from ciserver.model.frozen import frozen

ZERO = "0" * 40
# Where forges keep what people propose who may not push.
_PROPOSALS = ("refs/pull/", "refs/pull-requests/", "refs/merge-requests/", "refs/changes/")


class Trust(StrEnum):
    """Whether those who wrote what is built may write to the repository. What is untrusted is
    built without network and tells nobody.
    """

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"


def is_proposal(ref: str) -> bool:
    """Whether a ref holds what somebody without write access asks to be merged."""
    return ref.startswith(_PROPOSALS)


def trust_of(ref: str) -> Trust:
    """How far to trust what a ref holds, whoever asks for a build of it."""
    return Trust.UNTRUSTED if is_proposal(ref) else Trust.TRUSTED


@frozen
class RefChange:
    """One ref moved from `old` to `new`; all-zero ids mean created and deleted."""

    ref: str
    old: str
    new: str

    @property
    def is_deletion(self) -> bool:
        return not self.new.strip("0")

    @property
    def is_tag(self) -> bool:
        return self.ref.startswith("refs/tags/")


@frozen
class Push:
    """One push to one repository, as told by a hook.

    `repositories` are all names the payload has for the repository (https, ssh, path); empty means
    that the door is bound to one. `options` are the `git push -o` options, in order. `pusher` is a
    name to show: never a proof of identity.
    """

    changes: tuple[RefChange, ...]
    repositories: tuple[str, ...] = ()
    pusher: str = ""
    options: tuple[str, ...] = ()


@frozen
class Received:
    """A push at the door: which project, through which door, under which delivery id."""

    project: str
    door: str  # generic, github, gitea, gitlab
    delivery_id: str
    body_sha256: str
    received_at: datetime


@frozen
class RequestedEvaluation:
    id: int
    jobset: str
    ref: str


@frozen
class PushOutcome:
    """What became of a push: evaluations were requested, or `ignored` says why not.
    The same delivery always gets the same outcome; `is_known` says that it came before.
    """

    id: int
    evaluations: tuple[RequestedEvaluation, ...] = ()
    ignored: str = ""
    notes: tuple[str, ...] = field(default=())
    is_known: bool = field(default=False, compare=False)
