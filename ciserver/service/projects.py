"""Projects, jobsets and the secrets of their hooks."""

import base64
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import cast

from ciserver.git.address import (
    Addresses,
    is_local,
    repository_key,
    without_password,
)
from ciserver.model.account import Actor, Member, Right
from ciserver.model.errors import AlreadyExists, BadAddress, Complaint, Invalid, NotFound
from ciserver.model.ports import Clock
from ciserver.model.project import (
    DEFAULT_WATCH,
    Credential,
    Input,
    InputType,
    Jobset,
    JobsetSettings,
    Project,
    ProjectSettings,
)
from ciserver.model.request import Action
from ciserver.service.access import name_complaints
from ciserver.service.audit import Audit
from ciserver.service.builds import Builds
from ciserver.service.jobset_faults import GLOB_FAULT, input_faults, is_glob, settings_faults
from ciserver.service.rights import Rights
from ciserver.store.store import Store

MAIN = "main"
SOURCE = "source"


@dataclass(frozen=True)
class Watched:
    """A repository that is watched, and the key for its hook."""

    jobset: Jobset
    hook_secret: str


class Projects:
    """`ring_polls` says that some repository may have to be looked at earlier than was planned."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rights: Rights,
        audit: Audit,
        builds: Builds,
        addresses: Addresses,
        *,
        ring_polls: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._rights = rights
        self._audit = audit
        self._builds = builds
        self._addresses = addresses
        self._ring_polls = ring_polls

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
        return Watched(self._store.projects.find_jobset(name, MAIN), secret)

    def _repositories(self, actor: Actor, project: Project) -> Iterable[str]:
        """What a project watches, told to whoever may change it."""
        self._rights.check_project(actor, project, Right.EDIT)
        return self._store.projects.repository_keys(project.name)

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
    ) -> tuple[Project, bool]:
        """Make a project, or replace the settings of one; answers it and whether it is new.
        Another owner is named by administrators only. `faults` are those that the caller found in
        what was asked: they are told with the others. Raises Invalid with every fault, Forbidden,
        NotFound for one that the actor may not see, AlreadyExists for a new name that is taken.
        """
        wanted = new_name or name
        known = self._store.projects.find(name)
        action = Action.CHANGE_PROJECT if known else Action.ADD_PROJECT
        with self._audit.record(actor, action, project=name):
            if known is None:
                self._rights.require_project_maker(actor)
            else:
                self._rights.check_project(actor, known, Right.EDIT)
            self._check_project(actor, known, wanted, owner, faults)
            if known is None:
                store = self._store.projects
                project_id = store.add(
                    wanted,
                    owner or actor.name,
                    settings,
                    signing_secret=new_secret(),
                    now=self._clock.now(),
                )
            else:
                project_id = known.id
                self._store.projects.change(known.id, wanted, owner or known.owner, settings)
        found = self._store.projects.find_by_id(project_id)
        return cast("Project", found), known is None

    def _check_project(
        self,
        actor: Actor,
        known: Project | None,
        name: str,
        owner: str,
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
        if complaints:
            raise Invalid("the project cannot be saved", complaints=complaints)

    def remove_project(self, actor: Actor, name: str) -> None:
        """Take a project with all that it built out of every list, and free its name. What runs
        is canceled. Raises NotFound, Forbidden.
        """
        with self._audit.record(actor, Action.REMOVE_PROJECT, project=name):
            project = self._rights.project(actor, name, Right.EDIT)
            self._stop_all(actor, self._store.projects.jobsets_of_project(project.id))
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

    # -- jobsets ----------------------------------------------------------------------------------

    def put_jobset(
        self,
        actor: Actor,
        project: str,
        name: str,
        settings: JobsetSettings,
        inputs: tuple[Input, ...],
        *,
        new_name: str = "",
        faults: Iterable[Complaint] = (),
    ) -> tuple[Jobset, bool]:
        """Make a jobset, or replace the settings and inputs of one; answers it and whether it is
        new. An input that stays at its address keeps its credential, and its leave to be a path of
        this machine, which only administrators give. `faults` are those that the caller found in
        what was asked: they are told with the others. Raises Invalid with every fault, NotFound,
        Forbidden, AlreadyExists for a new name that is taken.
        """
        wanted = new_name or name
        known = self._find_jobset(project, name)
        action = Action.CHANGE_JOBSET if known else Action.ADD_JOBSET
        with self._audit.record(actor, action, jobset=f"{project}:{name}"):
            owner = self._rights.project(actor, project, Right.EDIT)
            before = known.inputs if known else ()
            faults = [*faults, *settings_faults(settings, inputs)]
            if known is None or wanted != known.name:
                faults += name_complaints("name", wanted)
            checked = self._check_inputs(actor, inputs, before, faults)
            if known is None:
                jobset_id = self._store.projects.add_jobset(owner, wanted, settings)
            else:
                jobset_id = known.id
                self._store.projects.change_jobset(known.id, wanted, settings)
            self._replace_inputs(jobset_id, checked)
            interval = settings.check_interval_seconds
            self._store.checks.plan(jobset_id, self._clock.now() if interval else None)
        self._store.after_commit(self._ring_polls)
        return self._store.projects.get_jobset(jobset_id), known is None

    def _find_jobset(self, project: str, name: str) -> Jobset | None:
        try:
            return self._store.projects.find_jobset(project, name)
        except NotFound:
            return None

    def _check_inputs(
        self,
        actor: Actor,
        inputs: tuple[Input, ...],
        before: tuple[Input, ...],
        faults: Iterable[Complaint],
    ) -> tuple[Input, ...]:
        """The inputs as they will be. Raises Invalid with these faults and every one of theirs."""
        complaints = [*faults]
        checked = []
        registered = {one.uri for one in before if one.local}
        for one in inputs:
            complaints += input_faults(one)
            try:
                checked.append(self._check_input(actor, one, registered))
            except BadAddress as error:
                complaints.append(Complaint(f"inputs.{one.name}", error.message))
        if complaints:
            raise Invalid("the jobset cannot be saved", complaints=complaints)
        return tuple(checked)

    def _check_input(self, actor: Actor, one: Input, registered: set[str]) -> Input:
        if one.type is not InputType.GIT:
            return one
        local = actor.is_admin or one.uri in registered
        uri = self._addresses.check(one.uri, local=local)
        return replace(one, uri=uri, local=local and is_local(uri))

    def _replace_inputs(self, jobset_id: int, inputs: tuple[Input, ...]) -> None:
        credentials = self._store.projects.remove_inputs(jobset_id)
        for one in inputs:
            key = repository_key(one.uri) if one.type is InputType.GIT else ""
            self._store.projects.add_input(
                jobset_id, one, repository_key=key, credential=credentials.get(one.uri)
            )

    def remove_jobset(self, actor: Actor, project: str, name: str) -> None:
        """Take a jobset with all that it built out of every list, and free its name. What runs is
        canceled. Raises NotFound, Forbidden.
        """
        with self._audit.record(actor, Action.REMOVE_JOBSET, jobset=f"{project}:{name}"):
            jobset = self._rights.jobset(actor, project, name, Right.EDIT)
            self._stop_all(actor, (jobset,))
            self._store.projects.remove_jobset(jobset.id)

    def _stop_all(self, actor: Actor, jobsets: tuple[Jobset, ...]) -> None:
        now = self._clock.now()
        for jobset in jobsets:
            self._store.requests.drop_waiting(jobset.id, now)
            self._store.evaluations.drop_open(jobset.id, now)
            for build_id in self._store.builds.list_open_of_jobset(jobset.id):
                self._builds.stop(build_id, actor.name)

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
        jobset_id = store.add_jobset(store.get(name), MAIN, JobsetSettings(recipe_input=SOURCE))
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
