"""Jobsets that are there for their script: made of the repository that their project has."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ciserver.model.account import Actor, Right
from ciserver.model.errors import Complaint
from ciserver.model.project import Input, Jobset, JobsetSettings, Project, ScriptDefaults
from ciserver.model.request import Action
from ciserver.service.audit import Audit
from ciserver.service.jobsets import Jobsets
from ciserver.service.rights import Rights
from ciserver.service.scripts import limit_faults, path_faults, read_parameters
from ciserver.store.store import Store


@dataclass(frozen=True)
class ProductGiven:
    """What somebody wants of one; None stays as it is, or is left to the server."""

    name: str | None = None
    description: str | None = None
    ref: str | None = None
    script: str | None = None
    parameters: str | None = None
    timeout_minutes: int | None = None


class ScriptProducts:
    """All raise Invalid with every fault, NotSignedIn, Forbidden, NotFound, and AlreadyExists for a
    name that is taken.
    """

    def __init__(self, store: Store, rights: Rights, audit: Audit, jobsets: Jobsets) -> None:
        self._store = store
        self._rights = rights
        self._audit = audit
        self._jobsets = jobsets

    def require_right(self, actor: Actor, project: Project) -> None:
        """Whether the actor may make one, for doors that say so before they look at the rest."""
        with self._audit.refusals(actor, Action.ADD_JOBSET, project=project.name):
            self._rights.check_project(actor, project, Right.EDIT)

    def create(self, actor: Actor, project: Project, given: ProductGiven) -> Jobset:
        """A jobset that no push is evaluated for, of the first repository of the project."""
        self.require_right(actor, project)
        settings, faults = _settings(JobsetSettings(), given)
        source = self._source(project)
        inputs: tuple[Input, ...] = ()
        if source is None:
            faults.append(Complaint("project_id", f"the project {project.name} has no repository"))
        else:
            inputs = (replace(source, name="source", ref=given.ref or source.ref, watch=()),)
        made, _ = self._jobsets.put(
            actor, project.name, given.name or "", settings, inputs, faults=faults, only_new=True
        )
        return made

    def _source(self, project: Project) -> Input | None:
        sources = (one.source for one in self._store.jobsets.list_of_project(project.id))
        return next((one for one in sources if one is not None), None)

    def update(self, actor: Actor, jobset_id: int, given: ProductGiven) -> Jobset:
        """Change what is given of it."""
        jobset = self._rights.jobset_of_id(actor, jobset_id, Right.EDIT)
        settings, faults = _settings(jobset.settings, given)
        inputs = tuple(
            replace(one, ref=given.ref) if given.ref and one == jobset.source else one
            for one in jobset.inputs
        )
        new_name = "" if given.name is None else given.name
        if given.name == "":
            faults.append(Complaint("name", "can't be blank"))
        changed, _ = self._jobsets.put(
            actor,
            jobset.project,
            jobset.name,
            settings,
            inputs,
            new_name=new_name,
            faults=faults,
        )
        return changed

    def remove(self, actor: Actor, jobset_id: int) -> None:
        """With all that it built."""
        jobset = self._rights.jobset_of_id(actor, jobset_id, Right.EDIT)
        self._jobsets.remove(actor, jobset.project, jobset.name)


def _settings(
    before: JobsetSettings, given: ProductGiven
) -> tuple[JobsetSettings, list[Complaint]]:
    """The settings as they will be, and the faults of what is given of the script."""
    script = before.script
    wanted = ScriptDefaults(
        script.script if given.script is None else given.script,
        script.parameters if given.parameters is None else given.parameters,
        script.timeout_minutes if given.timeout_minutes is None else given.timeout_minutes,
    )
    about = before.description if given.description is None else given.description
    return replace(before, description=about, script=wanted), [*_faults(given)]


def _faults(given: ProductGiven) -> Iterator[Complaint]:
    if given.script is not None:
        yield from path_faults(given.script)
    if given.parameters is not None:
        yield from read_parameters(given.parameters)[1]
    if given.timeout_minutes is not None:
        yield from limit_faults(given.timeout_minutes)
