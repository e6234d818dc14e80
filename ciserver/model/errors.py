"""Every refusal the product can give, by reason.

`kind` says what sort of refusal it is (the edge turns it into a status code), `code` is a stable
kebab-case name that scripts may match, the message says what failed and `hint` what to do next.
Outcomes (a push ignored, a recipe broken, a build failed) are data, not errors.
"""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from ciserver.model.frozen import frozen

Kind = Literal[
    "invalid",
    "unauthenticated",
    "forbidden",
    "not_found",
    "gone",
    "conflict",
    "too_large",
    "busy",
    "internal",
]


class CiError(Exception):
    """Something was asked that cannot be done; says what, to which thing, and what to do next."""

    kind: ClassVar[Kind] = "internal"
    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details


@frozen
class Complaint:
    """One fault in something a person wrote: where it stands and what is wrong with it."""

    field: str
    message: str
    file: str = ""

    def __str__(self) -> str:
        where = (
            f"{self.file}: {self.field}" if self.file and self.field else self.file or self.field
        )
        return f"{where}: {self.message}" if where else self.message


class Invalid(CiError):
    """The input is wrong; `complaints` names every fault, not only the first."""

    kind, code = "invalid", "invalid"

    def __init__(
        self, message: str, *, complaints: Iterable[Complaint] = (), hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.complaints = tuple(complaints)


class NotSignedIn(CiError):
    """The caller did not say who they are, or the proof is wrong."""

    kind, code = "unauthenticated", "not-signed-in"


class Forbidden(CiError):
    """The caller is known and may not do this."""

    kind, code = "forbidden", "forbidden"


class BadSignature(CiError):
    """A hook request is not signed by a secret of the project it names."""

    kind, code = "forbidden", "bad-signature"


class NotFound(CiError):
    """There is no such thing, or the caller may not see it."""

    kind, code = "not_found", "not-found"


class NoCommit(NotFound):
    """A revision that is something else than a commit, such as a tag of a single file."""

    def __init__(self, revision: str, ref: str) -> None:
        super().__init__(f"{ref or revision} is no commit", hint="only commits can be built")
        self.revision = revision


class Gone(CiError):
    """It was made, and is not kept, or not any more."""

    kind, code = "gone", "gone"


class Conflict(CiError):
    """The thing is not in a state in which this can be done."""

    kind, code = "conflict", "conflict"


class AlreadyExists(Conflict):
    """A thing of that name is already there."""

    code = "already-exists"


class BuildAlreadyFinished(Conflict):
    """The build reached a final status, so it cannot be canceled."""

    code = "build-already-finished"


class BuildAlreadyStarted(Conflict):
    """The build is under way, so it can no longer be held back or put elsewhere in the queue."""

    code = "build-already-started"


class BuildNotFinished(Conflict):
    """The build has not reached a final status, so it cannot be run again."""

    code = "build-not-finished"


class LeaseLost(Conflict):
    """The attempt no longer owns its build: stop quietly and clean up."""

    code = "lease-lost"


class OtherVersion(Conflict):
    """Server and worker do not speak the same protocol."""

    code = "other-version"


class TooLarge(CiError):
    """The body or file is over the limit."""

    kind, code = "too_large", "too-large"


class OverQuota(CiError):
    """A project keeps as much as it may."""

    kind, code = "too_large", "over-quota"


class Busy(CiError):
    """The server cannot do this right now; asking again later is right."""

    kind, code = "busy", "busy"


class StorageAway(Busy):
    """The object storage with logs and products does not answer, or refuses; with `is_fault` no
    waiting mends it.
    """

    code = "storage-away"

    def __init__(self, message: str, *, hint: str | None = None, is_fault: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.is_fault = is_fault


class BadAddress(CiError):
    """A repository address or an outgoing URL that the rules of this server refuse."""

    kind, code = "invalid", "bad-address"


class BadConfiguration(Invalid):
    """The configuration cannot be used; every fault is named."""

    code = "bad-configuration"


class RemoteFailure(CiError):
    """Another system failed us. `temporary` says whether trying again may help;
    `retry_after_seconds` is that system's own wish, when it had one;
    `disable` says that it asked not to be called any more.
    """

    kind, code = "internal", "remote-failure"

    def __init__(
        self,
        message: str,
        *,
        temporary: bool,
        retry_after_seconds: float | None = None,
        disable: bool = False,
        hint: str | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, hint=hint, **details)
        self.temporary = temporary
        self.retry_after_seconds = retry_after_seconds
        self.disable = disable
