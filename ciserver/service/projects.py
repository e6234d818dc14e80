"""Projects, jobsets and the secrets of their hooks."""

import base64
import secrets
from dataclasses import dataclass

from ciserver.git.address import Addresses, repository_key
from ciserver.model.account import Actor
from ciserver.model.errors import AlreadyExists, Complaint, Invalid
from ciserver.model.ports import Clock
from ciserver.model.project import DEFAULT_RECIPE, DEFAULT_WATCH, Credential, Input, Jobset
from ciserver.service.access import Access, name_complaints
from ciserver.store.store import Store

MAIN = "main"
SOURCE = "source"


@dataclass(frozen=True)
class Watched:
    """A repository that is watched, and the key for its hook."""

    jobset: Jobset
    hook_secret: str


class Projects:
    def __init__(self, store: Store, clock: Clock, addresses: Addresses) -> None:
        self._store = store
        self._clock = clock
        self._addresses = addresses

    def watch(
        self,
        actor: Actor,
        name: str,
        uri: str,
        *,
        refs: tuple[str, ...] = DEFAULT_WATCH,
        credential: Credential | None = None,
        local: bool = False,
    ) -> Watched:
        """Make a project whose jobset `main` builds pushes to one repository. Watching the same
        repository under the same name again gives a new hook secret and, where one is given,
        renews the credential.
        Raises Invalid, BadAddress, AlreadyExists (the name stands for another repository).
        """
        Access.require_admin(actor)
        self._check(name, refs)
        uri = self._addresses.check(uri, local=local)
        with self._store.transaction():
            project = self._store.projects.find(name)
            if project is None:
                self._add(name, Input(SOURCE, uri, watch=refs, local=local), credential)
            elif repository_key(uri) in self._store.projects.repository_keys(name):
                self._renew(name, uri, credential)
            else:
                raise AlreadyExists(
                    f"the project {name} watches another repository",
                    hint="choose another name: ciserver watch REPOSITORY --name NAME",
                )
            secret = self._add_secret(name, "")
        return Watched(self._store.projects.find_jobset(name, MAIN), secret)

    def add_hook_secret(self, actor: Actor, project: str, value: str = "") -> str:
        """One more secret for the project's hooks; a new one when no value is given."""
        Access.require_admin(actor)
        if value and len(value) < 16:
            raise Invalid(
                "the hook secret cannot be used",
                complaints=[Complaint("value", "must have at least 16 characters")],
            )
        with self._store.transaction():
            return self._add_secret(project, value)

    def signing_secret(self, actor: Actor, project: str) -> str:
        """The secret that the project's outgoing webhooks are signed with."""
        Access.require_admin(actor)
        return self._store.projects.signing_secret(project)

    def _check(self, name: str, refs: tuple[str, ...]) -> None:
        complaints = name_complaints("name", name)
        complaints += [
            Complaint(f"refs[{index}]", "must be a glob of full ref names such as refs/heads/*")
            for index, glob in enumerate(refs)
            if not glob.startswith("refs/") or set(glob) & set(" \t\r\n~^:\\")
        ]
        if not refs:
            complaints.append(Complaint("refs", "at least one is needed"))
        if complaints:
            raise Invalid("the repository cannot be watched", complaints=complaints)

    def _add(self, name: str, source: Input, credential: Credential | None) -> None:
        store = self._store.projects
        project_id = store.add(
            name, description="", signing_secret=new_secret(), now=self._clock.now()
        )
        jobset_id = store.add_jobset(
            project_id, MAIN, recipe_input=source.name, recipe_path=DEFAULT_RECIPE
        )
        store.add_input(
            jobset_id, source, repository_key=repository_key(source.uri), credential=credential
        )

    def _renew(self, project: str, uri: str, credential: Credential | None) -> None:
        if credential is not None:
            jobset = self._store.projects.find_jobset(project, MAIN)
            self._store.projects.set_credential(jobset.id, repository_key(uri), credential)

    def _add_secret(self, project: str, value: str) -> str:
        secret = value or new_secret()
        found = self._store.projects.get(project)
        self._store.projects.add_hook_secret(found.id, secret, self._clock.now())
        return secret


def new_secret() -> str:
    """A secret in the form of standard-webhooks."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
