"""What a failed fetch means: whether to try again, told without a secret."""

import re
from urllib.parse import quote

from ciserver.model.errors import NotFound, RemoteFailure
from ciserver.model.project import Credential

# Neither the library nor the program has codes for these; everything else may pass by itself.
_REFUSED_STATUS = re.compile(r"\b(status code|error):? (401|403|404)\b")
_REFUSALS = (
    "authenticat",
    "authorization failed",
    "certificate",
    "could not find repository",
    "could not read username",
    "could not read password",
    "does not appear to be a git repository",
    "does not exist",
    "dubious ownership",
    "failed to resolve path",
    "host key",
    "hostkey",
    "no such file",
    "not a git repository",
    "not found",
    "object format",
    "permission denied",
    "too many redirects",
    "unsupported url protocol",
)


def remote_failure(address: str, said: str, credential: Credential | None = None) -> RemoteFailure:
    """The error for a remote that answered badly or not at all."""
    said = _without_secrets(said, credential)
    temporary = not _is_refusal(said.lower())
    if "object format" in said:
        hint = "repositories with SHA-256 object names are not supported"
    elif "host key" in said.lower():
        hint = "compare the key of the host with its owner's, then put it into known_hosts"
    elif "certificate" in said.lower():
        hint = "if its authority is to be trusted, name it in SSL_CERT_FILE for the server"
    elif temporary:
        hint = "it is tried again; if it stays so, see whether the repository can be reached"
    else:
        hint = "check the address and the credential of the repository"
    return RemoteFailure(
        f"cannot fetch from {address}: {said or 'it gave no reason'}",
        temporary=temporary,
        hint=hint,
    )


def bad_user(address: str, user: str) -> RemoteFailure:
    return RemoteFailure(
        f"cannot fetch from {address}: {user!r} is no user name for ssh",
        temporary=False,
        hint="name the user in the address: ssh://USER@HOST/PATH",
    )


def no_answer(address: str, seconds: float) -> RemoteFailure:
    return RemoteFailure(
        f"cannot fetch from {address}: not done after {seconds:g} s",
        temporary=True,
        hint="it is tried again; a large repository may need a longer limit",
    )


def missing_ref(address: str, ref: str) -> NotFound:
    return NotFound(
        f"{ref or 'HEAD'} is not in {address}",
        hint="name a branch or tag that the repository has",
    )


def missing_revision(address: str, revision: str, ref: str) -> NotFound:
    of = f" of {ref}" if ref else ""
    return NotFound(
        f"revision {revision}{of} is not in {address}",
        hint="it was perhaps removed by a forced push; build the newest revision instead",
    )


def says_absent(said: str) -> bool:
    """Whether git says that it was reached and has no such revision (or will not give it)."""
    said = said.lower()
    return any(one in said for one in ("not our ref", "unadvertised object", "no such remote ref"))


def _is_refusal(said: str) -> bool:
    return bool(_REFUSED_STATUS.search(said)) or any(word in said for word in _REFUSALS)


def _without_secrets(text: str, credential: Credential | None) -> str:
    if credential:
        for secret in (credential.password, credential.passphrase, credential.ssh_key):
            if secret:
                text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
    return text
