"""What a commit says of itself."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ciserver.model.frozen import frozen

if TYPE_CHECKING:
    import pygit2


@frozen
class Commit:
    revision: str
    subject: str
    message: str
    author: str  # "Name <mail>", as the commit says
    committed_at: datetime


def described(commit: "pygit2.Commit") -> Commit:
    """What a commit says of itself; bytes that are no text are replaced."""
    message = commit.raw_message.decode(_encoding(commit), "replace")
    subject = message.strip().partition("\n")[0].strip()
    return Commit(str(commit.id), subject, message, _author(commit), _moment(commit.commit_time))


def _encoding(commit: "pygit2.Commit") -> str:
    try:
        "".encode(commit.message_encoding or "utf-8")
    except (LookupError, UnicodeError):
        return "utf-8"
    return commit.message_encoding or "utf-8"


def _author(commit: "pygit2.Commit") -> str:
    name = commit.author.raw_name.decode("utf-8", "replace")
    return f"{name} <{commit.author.raw_email.decode('utf-8', 'replace')}>"


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)
