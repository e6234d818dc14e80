"""A fetch by the library, over https (http and git where they are allowed)."""

import time

import pygit2
from pygit2 import Oid, RemoteCallbacks, Repository, UserPass
from pygit2.enums import CredentialType
from pygit2.remotes import RemoteHead, TransferProgress

from ciserver.git.address import host_of, is_ref_name
from ciserver.git.failure import no_answer, remote_failure
from ciserver.git.refs import choose, clear_the_way, note_default, target
from ciserver.model.errors import RemoteFailure
from ciserver.model.project import Credential

# What the library raises for a remote, whatever went wrong there.
_LIBRARY_ERRORS = (pygit2.GitError, KeyError, ValueError, OSError)


class LibraryFetch:
    """One fetch: connect, choose the ref among those offered, bring it."""

    def __init__(self, address: str, credential: Credential | None, timeout_seconds: float) -> None:
        self._address = address
        self._credential = credential
        self._callbacks = _Callbacks(address, credential, timeout_seconds)

    def bring(self, mirror: Repository, name: str) -> Oid | None:
        """Bring the ref that `name` means; None when there is none. Raises RemoteFailure."""
        try:
            return self._bring(mirror, name)
        except _LIBRARY_ERRORS as err:
            raise remote_failure(self._address, str(err), self._credential) from err

    def _bring(self, mirror: Repository, name: str) -> Oid | None:
        remote = mirror.remotes.create_anonymous(self._address)
        remote.connect(callbacks=self._callbacks)
        heads = remote.list_heads(connect=False)
        default = next((head.symref_target for head in heads if head.name == "HEAD"), None)
        note_default(mirror, default or "")
        full = _chosen(name, heads, default or "")
        if full is None:
            return None
        tags = _new_tags(mirror, heads)
        for one in (full, *tags):
            clear_the_way(mirror, one)
        # The library follows no tags of a remote without a name, so new ones are asked for.
        refspecs = [f"+{full}:{full}"] + (["+refs/tags/*:refs/tags/*"] if tags else [])
        remote.fetch(refspecs, callbacks=self._callbacks)
        return target(mirror, full)


def _chosen(name: str, heads: list[RemoteHead], default: str) -> str | None:
    refs = {head.name: str(head.oid) for head in heads if head.name}
    return choose(name, refs, default)


def _new_tags(mirror: Repository, heads: list[RemoteHead]) -> list[str]:
    offered = {head.name for head in heads if head.name and head.name.startswith("refs/tags/")}
    new = offered - set(mirror.listall_references())
    return sorted(name for name in new if is_ref_name(name))


class _Callbacks(RemoteCallbacks):
    """Gives the credential once, to the asked host only, and ends a fetch that takes too long."""

    def __init__(self, address: str, credential: Credential | None, timeout_seconds: float) -> None:
        super().__init__()
        self._address = address
        self._credential = credential
        self._timeout_seconds = timeout_seconds
        self._deadline = time.monotonic() + timeout_seconds
        self._is_given = False

    def credentials(
        self, url: str, username_from_url: str | None, allowed_types: CredentialType
    ) -> UserPass:
        if self._credential is None:
            raise self._refusal("authentication is required and no credential is stored")
        if self._is_given:
            raise self._refusal("authentication failed, the credential was refused")
        if host_of(url) != host_of(self._address):
            raise self._refusal("authentication was asked for by another host")
        self._is_given = True
        if not allowed_types & CredentialType.USERPASS_PLAINTEXT or not self._credential.password:
            raise self._refusal("authentication needs another kind of credential")
        user = self._credential.username or username_from_url or "git"
        return UserPass(user, self._credential.password)

    def sideband_progress(self, string: str) -> None:
        self._keep_time()

    def transfer_progress(self, stats: TransferProgress) -> None:
        self._keep_time()

    def _keep_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise no_answer(self._address, self._timeout_seconds)

    def _refusal(self, reason: str) -> RemoteFailure:
        return remote_failure(self._address, reason)
