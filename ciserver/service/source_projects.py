"""Projects for sources that are sent in: with one jobset, which has no repository."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypedDict

from ciserver.model.account import Actor, Right
from ciserver.model.errors import AlreadyExists, BuildNotFinished, Complaint, Invalid, NotFound
from ciserver.model.project import Jobset, JobsetSettings, ProjectSettings
from ciserver.model.request import Action
from ciserver.model.source import SourceSettings, SourceSystem
from ciserver.service.audit import Audit
from ciserver.service.jobsets import Jobsets
from ciserver.service.projects import MAIN, Projects
from ciserver.service.rights import Rights
from ciserver.store.store import Store


class SourceChanges(TypedDict, total=False):
    """What is to be changed of the `SourceSettings`."""

    instructions: str
    contact: str
    repositories: tuple[str, ...]
    network: bool
    makes_index: bool


class SourceProjects:
    """Each act is done whole or not at all; a jobset stands for its project where it is alone."""

    def __init__(
        self, store: Store, rights: Rights, audit: Audit, projects: Projects, jobsets: Jobsets
    ) -> None:
        self._store = store
        self._rights = rights
        self._audit = audit
        self._projects = projects
        self._jobsets = jobsets

    # -- projects ---------------------------------------------------------------------------------

    def make(
        self,
        actor: Actor,
        name: str,
        *,
        description: str = "",
        homepage: str = "",
        told: SourceChanges,
        systems: Iterable[str] | None = None,
    ) -> int:
        """Make a project that builds its sources for these systems, of those that are active, or
        without a word for all; answers the id of its jobset. Raises Invalid, NotSignedIn,
        Forbidden, AlreadyExists.
        """
        refusals = self._audit.refusals(actor, Action.ADD_PROJECT, project=name)
        with refusals, self._store.transaction():
            self._projects.put_project(
                actor, name, ProjectSettings(homepage=homepage), only_new=True
            )
            settings = JobsetSettings(description=description, recipe_path=())
            jobset, _ = self._jobsets.put(actor, name, MAIN, settings, (), only_new=True)
            if told:
                self._store.source_projects.set_settings(jobset.id, SourceSettings(**told))
            if systems is not None:
                wanted = set(systems)
                chosen = [one for one in _active(self._store) if one in wanted]
                self._store.source_projects.choose(jobset.id, chosen)
        return jobset.id

    def change(
        self,
        actor: Actor,
        jobset_id: int,
        *,
        description: str | None = None,
        homepage: str | None = None,
        told: SourceChanges,
    ) -> None:
        """Change what is given: the description of the jobset, the homepage of its project, and
        how its sources are built. Raises Invalid, NotFound, NotSignedIn, Forbidden.
        """
        jobset = self._rights.jobset_of_id(actor, jobset_id)
        refusals = self._audit.refusals(actor, Action.CHANGE_JOBSET, jobset=jobset.full_name)
        with refusals, self._store.transaction():
            self._rights.jobset_of_id(actor, jobset_id, Right.EDIT)
            if description is not None:
                settings = replace(jobset.settings, description=description)
                self._jobsets.put(actor, jobset.project, jobset.name, settings, jobset.inputs)
            if homepage is not None:
                project = self._rights.project(actor, jobset.project)
                changed = replace(project.settings, homepage=homepage)
                self._projects.put_project(actor, project.name, changed)
            if told:
                self._tell(actor, jobset, told)

    def _tell(self, actor: Actor, jobset: Jobset, told: SourceChanges) -> None:
        what = {"jobset": jobset.full_name, "sources": sorted(told)}
        with self._audit.record(actor, Action.CHANGE_JOBSET, **what):
            before = self.settings([jobset])[jobset.id]
            self._store.source_projects.set_settings(jobset.id, replace(before, **told))

    def settings(self, jobsets: Iterable[Jobset]) -> dict[int, SourceSettings]:
        """How these build their sources, by the id of each."""
        ids = [one.id for one in jobsets]
        known = self._store.source_projects.settings(ids)
        return {one: known.get(one, SourceSettings()) for one in ids}

    def remove(self, actor: Actor, jobset_id: int) -> None:
        """Take a jobset out of every list, and its project with the last one. Raises
        BuildNotFinished, NotFound, NotSignedIn, Forbidden.
        """
        jobset = self._rights.jobset_of_id(actor, jobset_id)
        refusals = self._audit.refusals(actor, Action.REMOVE_JOBSET, jobset=jobset.full_name)
        with refusals, self._store.transaction():
            self._rights.jobset_of_id(actor, jobset_id, Right.EDIT)
            unfinished = self._store.builds.list_open_of_jobset(jobset_id)
            if unfinished:
                raise BuildNotFinished(
                    f"{jobset.full_name} has builds that have not finished: {len(unfinished)}",
                    hint="cancel them first, or wait",
                )
            if len(self._store.jobsets.list_of_project(jobset.project_id)) > 1:
                self._jobsets.remove(actor, jobset.project, jobset.name)
            else:
                self._projects.remove_project(actor, jobset.project)

    # -- their systems ----------------------------------------------------------------------------

    def systems(self, jobset: Jobset) -> tuple[SourceSystem, ...]:
        """Those that the sources of a jobset are built for."""
        return systems_of(self._store, jobset.id)

    def add_system(self, actor: Actor, jobset_id: int, system: SourceSystem) -> None:
        """Build for one more system. Raises Invalid for one that is not active, AlreadyExists,
        NotFound, NotSignedIn, Forbidden.
        """
        with self._audit.record(actor, Action.CHANGE_JOBSET, **self._what(jobset_id, system)):
            jobset = self._rights.jobset_of_id(actor, jobset_id, Right.EDIT)
            if system.system not in _active(self._store):
                fault = Complaint("name", f"there is no active system {system.system}")
                raise Invalid("the system cannot be chosen", complaints=[fault])
            if self._find(jobset, system.system) is not None:
                raise AlreadyExists(f"{jobset.full_name} is built for {system.system} already")
            self._choose(jobset)
            self._store.source_projects.put_system(jobset_id, system)

    def change_system(self, actor: Actor, jobset_id: int, system: SourceSystem) -> None:
        """Give a system of a jobset what is stated here. Raises NotFound, NotSignedIn,
        Forbidden.
        """
        with self._audit.record(actor, Action.CHANGE_JOBSET, **self._what(jobset_id, system)):
            jobset = self._rights.jobset_of_id(actor, jobset_id, Right.EDIT)
            self.system(jobset, system.system)
            self._choose(jobset)
            self._store.source_projects.put_system(jobset_id, system)

    def remove_system(self, actor: Actor, jobset_id: int, name: str) -> None:
        """Build for a system no more; safe to repeat. Raises NotFound, NotSignedIn, Forbidden."""
        what = self._what(jobset_id, SourceSystem(name))
        with self._audit.record(actor, Action.CHANGE_JOBSET, **what):
            jobset = self._rights.jobset_of_id(actor, jobset_id, Right.EDIT)
            self._choose(jobset)
            self._store.source_projects.remove_system(jobset_id, name)

    def system(self, jobset: Jobset, name: str) -> SourceSystem:
        """One of the systems of a jobset. Raises NotFound."""
        found = self._find(jobset, name)
        if found is None:
            raise NotFound(f"{jobset.full_name} is not built for {name}")
        return found

    def _find(self, jobset: Jobset, name: str) -> SourceSystem | None:
        return next((one for one in self.systems(jobset) if one.system == name), None)

    def _what(self, jobset_id: int, system: SourceSystem) -> dict[str, str]:
        jobset = self._store.jobsets.get(jobset_id)
        return {"jobset": jobset.full_name, "system": system.system}

    def _choose(self, jobset: Jobset) -> None:
        """Whoever changes one of them has chosen the others."""
        names = [one.system for one in self.systems(jobset)]
        self._store.source_projects.choose(jobset.id, names)


def systems_of(store: Store, jobset_id: int) -> tuple[SourceSystem, ...]:
    """The systems that a jobset chose for its sources; without a choice all that are active."""
    chosen = store.source_projects.systems(jobset_id)
    return chosen if chosen is not None else tuple(map(SourceSystem, _active(store)))


def _active(store: Store) -> list[str]:
    return [one.name for one in store.systems.list_all() if one.active]
