"""Projects, their members and the secrets of their hooks."""

import base64
import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import cast

from ciserver.git.address import Addresses, repository_key, without_password
from ciserver.model.account import Actor, Member, Right
from ciserver.model.errors import AlreadyExists, Complaint, Invalid
from ciserver.model.frozen import frozen
from ciserver.model.ports import Clock
from ciserver.model.project import (
    DECLARING,
    DEFAULT_WATCH,
    Credential,
    Declaration,
    Input,
    Jobset,
    JobsetSettings,
    Project,
    ProjectSettings,
)
from ciserver.model.request import Action
from ciserver.model.secret import Holder
from ciserver.service.access import name_complaints
from ciserver.service.audit import Audit
from ciserver.service.declared_jobsets import DeclaredJobsets
from ciserver.service.jobset_faults import GLOB_FAULT, is_glob
from ciserver.service.jobsets import Jobsets
from ciserver.service.rights import Rights
from ciserver.store.projects import name_taken
from ciserver.store.store import Store

MAIN = "main"
SOURCE = "source"


@frozen
class Watched:
    """A repository that is watched, and the key for its hook."""

    jobset: Jobset
    hook_secret: str


class Projects:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        rights: Rights,
        audit: Audit,
        jobsets: Jobsets,
        declared: DeclaredJobsets,
        addresses: Addresses,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rights = rights
        self._audit = audit
        self._jobsets = jobsets
        self._declared = declared
        self._addresses = addresses

    # -- watched ----------------------------------------------------------------------------------

    def watch(
        self,
        actor: Actor,
        name: str,
        uri: str,
        *,
        refs: tuple[str, ...] = DEFAULT_WATCH,
        credential: Credential | None = None,
        local: bool = False,
        owner: str = "",
    ) -> Watched:
        """Make a project whose jobset `main` builds pushes to one repository. Watching the same
        repository under the same name again gives a new hook secret and, where one is given,
        renews the credential. Only administrators name a path of this machine or another owner.
        Raises Invalid, BadAddress, AlreadyExists (the name stands for another repository).
        """
        told = without_password(uri)
        with self._audit.record(actor, Action.ADD_PROJECT, project=name, uri=told):
            self._rights.require_project_maker(actor)
            if local or owner:
                self._rights.require_admin(actor)
            self._check(name, refs)
            uri = self._addresses.check(uri, local=local)
            project = self._store.projects.find(name)
            if project is None:
                source = Input(SOURCE, uri, watch=refs, local=local)
                self._add_watched(name, owner or actor.name, source, credential)
            elif repository_key(uri) in self._repositories(actor, project):
                self._renew(name, uri, credential)
            else:
                raise AlreadyExists(
                    f"the project {name} watches another repository",
                    hint="choose another name: ciserver watch REPOSITORY --name NAME",
                )
            secret = self._add_secret(name, "")
        return Watched(self._store.jobsets.get_by_name(name, MAIN), secret)

    def _repositories(self, actor: Actor, project: Project) -> Iterable[str]:
        """What a project watches, told to whoever may change it."""
        if not self._rights.sees(actor, project):
            raise name_taken(project.name)
        self._rights.check_project(actor, project, Right.EDIT)
        return self._store.jobsets.repository_keys(project.name)

    def add_hook_secret(self, actor: Actor, project: str, value: str = "") -> str:
        """One more secret for the project's hooks; a new one when no value is given."""
        with self._audit.record(actor, Action.ADD_HOOK_SECRET, project=project):
            self._rights.project(actor, project, Right.EDIT)
            if value and len(value) < 16:
                raise Invalid(
                    "the hook secret cannot be used",
                    complaints=[Complaint("value", "must have at least 16 characters")],
                )
            return self._add_secret(project, value)

    def signing_secret(self, actor: Actor, project: str) -> str:
        """The secret that the project's outgoing webhooks are signed with."""
        self._rights.project(actor, project, Right.EDIT)
        return self._store.projects.signing_secret(project)

    # -- projects ---------------------------------------------------------------------------------

    def put_project(
        self,
        actor: Actor,
        name: str,
        settings: ProjectSettings,
        *,
        new_name: str = "",
        owner: str = "",
        faults: Iterable[Complaint] = (),
        only_new: bool = False,
    ) -> tuple[Project, bool]:
        """Make a project, or replace the settings of one; answers it and whether it is new.
        Another owner is named by administrators only. `faults` are those that the caller found in
        what was asked: they are told with the others; with `only_new` no project is replaced.
        Raises Invalid with every fault, Forbidden, AlreadyExists for a name that is taken. One that
        the actor may not see is refused as one that is not there is, and to whoever makes projects
        as a name that is taken.
        """
        wanted = new_name or name
        if not settings.declaration.file:
            settings = replace(settings, declaration=Declaration())
        known = self._store.projects.find(name)
        is_there = known is not None and not only_new and self._rights.sees(actor, known)
        action = Action.CHANGE_PROJECT if is_there else Action.ADD_PROJECT
        with self._audit.record(actor, action, project=name):
            if known is None or not is_there:
                self._rights.require_project_maker(actor)
            else:
                self._rights.check_project(actor, known, Right.EDIT)
            self._check_project(actor, known if is_there else None, wanted, owner, settings, faults)
            if known is not None and not is_there:
                raise name_taken(name)
            project = self._save(actor, known, wanted, owner, settings)
        return project, known is None

    def _save(
        self, actor: Actor, known: Project | None, name: str, owner: str, settings: ProjectSettings
    ) -> Project:
        store, renames = self._store.projects, self._store.renames
        if known is None:
            owner, now = owner or actor.name, self._clock.now()
            project_id = store.add(name, owner, settings, signing_secret=new_secret(), now=now)
        else:
            project_id = known.id
            store.change(known.id, name, owner or known.owner, settings)
            if known.name != name:
                renames.add_project(known.id, known.name)
        renames.forget_project(name)
        saved = cast("Project", store.find_by_id(project_id))
        self._redeclare(actor, known, saved)
        return saved

    def _redeclare(self, actor: Actor, before: Project | None, now: Project) -> None:
        if now.is_declarative:
            self._declared.declare(actor, before, now)
        elif before is not None and before.is_declarative:
            declaring = self._store.jobsets.get_by_name(now.name, DECLARING)
            self._jobsets.stop(actor, (declaring,))
            self._store.jobsets.remove(declaring.id)
            self._store.projects.set_declared_by(now.id, None)

    def _check_project(
        self,
        actor: Actor,
        known: Project | None,
        name: str,
        owner: str,
        settings: ProjectSettings,
        faults: Iterable[Complaint],
    ) -> None:
        complaints = [*faults]
        if known is None or name != known.name:
            complaints += name_complaints("name", name)
        current = known.owner if known else actor.name
        if owner and owner != current:
            self._rights.require_admin(actor, Right.EDIT.scope)
            if self._store.accounts.find(owner) is None:
                complaints.append(Complaint("owner", f"there is no user {owner}"))
        complaints += self._declared.faults(actor, known, settings.declaration)
        if complaints:
            if (known is None or name != known.name) and self._store.projects.find(name):
                complaints.append(Complaint("name", "another project has this name"))
            raise Invalid("the project cannot be saved", complaints=complaints)

    def remove_project(self, actor: Actor, name: str) -> None:
        """Take a project with all that it built out of every list, and free its name. What runs
        is canceled. Raises NotFound, Forbidden.
        """
        with self._audit.record(actor, Action.REMOVE_PROJECT, project=name):
            project = self._rights.project(actor, name, Right.EDIT)
            self._jobsets.stop(actor, self._store.jobsets.list_of_project(project.id))
            self._store.jobsets.remove_of_project(project.id)
            self._store.secrets.remove_of(Holder(project_id=project.id))
            self._store.projects.remove(project.id)

    def set_member(
        self, actor: Actor, name: str, user: str, rights: frozenset[Right]
    ) -> tuple[Member, ...]:
        """Give somebody exactly these rights in a project; none ends the membership. Answers all
        members. Raises Invalid, NotFound, Forbidden.
        """
        told = sorted(rights)
        with self._audit.record(actor, Action.SET_MEMBER, project=name, user=user, rights=told):
            project = self._rights.project(actor, name, Right.EDIT)
            if rights and self._store.accounts.find(user) is None:
                fault = Complaint("user", f"there is no user {user}")
                raise Invalid("the member cannot be set", complaints=[fault])
            self._store.members.set(project.id, user, rights)
        return self._store.members.list_of_project(project.id)

    def members(self, actor: Actor, name: str) -> tuple[Member, ...]:
        """Raises NotFound, Forbidden."""
        project = self._rights.project(actor, name, Right.EDIT)
        return self._store.members.list_of_project(project.id)

    # -- how it is done ---------------------------------------------------------------------------

    def _check(self, name: str, refs: tuple[str, ...]) -> None:
        complaints = name_complaints("name", name)
        complaints += [
            Complaint(f"refs[{index}]", GLOB_FAULT)
            for index, glob in enumerate(refs)
            if not is_glob(glob)
        ]
        if not refs:
            complaints.append(Complaint("refs", "at least one is needed"))
        if complaints:
            raise Invalid("the repository cannot be watched", complaints=complaints)

    def _add_watched(
        self, name: str, owner: str, source: Input, credential: Credential | None
    ) -> None:
        store = self._store.projects
        store.add(
            name, owner, ProjectSettings(), signing_secret=new_secret(), now=self._clock.now()
        )
        jobsets, made = self._store.jobsets, store.get(name)
        jobset_id = jobsets.add(made, MAIN, JobsetSettings(recipe_input=SOURCE))
        jobsets.add_input(
            jobset_id, source, repository_key=repository_key(source.uri), credential=credential
        )

    def _renew(self, project: str, uri: str, credential: Credential | None) -> None:
        if credential is not None:
            jobset = self._store.jobsets.get_by_name(project, MAIN)
            self._store.jobsets.set_credential(jobset.id, repository_key(uri), credential)

    def _add_secret(self, project: str, value: str) -> str:
        secret = value or new_secret()
        found = self._store.projects.get(project)
        self._store.projects.add_hook_secret(found.id, secret, self._clock.now())
        return secret


def new_secret() -> str:
    """A secret in the form of standard-webhooks."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
