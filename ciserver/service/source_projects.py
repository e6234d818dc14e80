"""Projects for sources that are sent in: with one jobset, which has no repository."""

from dataclasses import replace

from ciserver.model.account import Actor, Right
from ciserver.model.errors import BuildNotFinished
from ciserver.model.project import JobsetSettings, ProjectSettings
from ciserver.model.request import Action
from ciserver.service.audit import Audit
from ciserver.service.jobsets import Jobsets
from ciserver.service.projects import MAIN, Projects
from ciserver.service.rights import Rights
from ciserver.store.store import Store


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

    def make(self, actor: Actor, name: str, *, description: str = "", homepage: str = "") -> int:
        """Make a project; answers the id of its jobset. Raises Invalid, NotSignedIn, Forbidden,
        AlreadyExists.
        """
        refusals = self._audit.refusals(actor, Action.ADD_PROJECT, project=name)
        with refusals, self._store.transaction():
            self._projects.put_project(
                actor, name, ProjectSettings(homepage=homepage), only_new=True
            )
            settings = JobsetSettings(description=description, recipe_path=())
            jobset, _ = self._jobsets.put(actor, name, MAIN, settings, (), only_new=True)
        return jobset.id

    def change(
        self,
        actor: Actor,
        jobset_id: int,
        *,
        description: str | None = None,
        homepage: str | None = None,
    ) -> None:
        """Change what is given: the description of the jobset, the homepage of its project.
        Raises Invalid, NotFound, NotSignedIn, Forbidden.
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
