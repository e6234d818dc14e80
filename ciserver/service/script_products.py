"""Jobsets that are there for their script: made of the repository that their project has."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ciserver.model.account import Actor, Right
from ciserver.model.errors import Complaint
from ciserver.model.frozen import frozen
from ciserver.model.project import Input, Jobset, JobsetSettings, Project, ScriptDefaults
from ciserver.model.request import Action
from ciserver.model.schedule import ScheduleKind, Timing
from ciserver.service.audit import Audit
from ciserver.service.jobsets import Jobsets
from ciserver.service.rights import Rights
from ciserver.service.schedules import Schedules
from ciserver.service.scripts import limit_faults, path_faults, read_parameters
from ciserver.store.store import Store


@frozen
class Autostart:
    """When the script is run by itself, None for never, and whether only of what is new. It takes
    the place of the schedules of the script that `replaces` names by their timing.
    """

    timing: Timing | None
    replaces: Callable[[Timing], bool]
    only_if_changed: bool = False


@frozen
class ProductGiven:
    """What somebody wants of one; None stays as it is, or is left to the server."""

    name: str | None = None
    description: str | None = None
    ref: str | None = None
    script: str | None = None
    parameters: str | None = None
    timeout_minutes: int | None = None
    autostart: Autostart | None = None


class ScriptProducts:
    """All raise Invalid with every fault, NotSignedIn, Forbidden, NotFound, and AlreadyExists for a
    name that is taken.
    """

    def __init__(
        self, store: Store, rights: Rights, audit: Audit, jobsets: Jobsets, schedules: Schedules
    ) -> None:
        self._store = store
        self._rights = rights
        self._audit = audit
        self._jobsets = jobsets
        self._schedules = schedules

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
        with self._change(actor, Action.ADD_JOBSET, f"{project.name}:{given.name}"):
            made, _ = self._jobsets.put(
                actor,
                project.name,
                given.name or "",
                settings,
                inputs,
                faults=faults,
                only_new=True,
            )
            self._start_by_itself(actor, made, given.autostart)
        return made

    @contextmanager
    def _change(self, actor: Actor, action: Action, jobset: str) -> Iterator[None]:
        """All of it or nothing; a refusal is remembered as that of the whole."""
        with (
            self._audit.refusals(actor, action, jobset=jobset),
            self._store.transaction(),
        ):
            yield

    def _start_by_itself(self, actor: Actor, jobset: Jobset, wanted: Autostart | None) -> None:
        """Schedules that are as they shall be stay, with their history."""
        if wanted is None:
            return
        missing = wanted.timing
        for one in self._store.schedules.list_of_jobset(jobset.id):
            if not one.runs_script or not wanted.replaces(one.timing):
                continue
            is_as_wanted = one.only_if_changed == wanted.only_if_changed and not one.paused
            if one.timing == missing and is_as_wanted:
                missing = None
            else:
                self._schedules.remove(actor, one.id)
        if missing is not None:
            self._schedules.add(
                actor,
                jobset.project,
                jobset.name,
                ScheduleKind.PERIODIC,
                missing,
                only_if_changed=wanted.only_if_changed,
                runs_script=True,
                declared_by="api",
            )

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
        with self._change(actor, Action.CHANGE_JOBSET, jobset.full_name):
            changed, _ = self._jobsets.put(
                actor,
                jobset.project,
                jobset.name,
                settings,
                inputs,
                new_name=new_name,
                faults=faults,
            )
            self._start_by_itself(actor, changed, given.autostart)
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
    faults = [*_faults(given)]
    if given.autostart and given.autostart.timing and not wanted.script and given.script is None:
        faults.append(Complaint("script", "can't be blank"))
    return replace(before, description=about, script=wanted), faults


def _faults(given: ProductGiven) -> Iterator[Complaint]:
    if given.script is not None:
        yield from path_faults(given.script)
    if given.parameters is not None:
        yield from read_parameters(given.parameters)[1]
    if given.timeout_minutes is not None:
        yield from limit_faults(given.timeout_minutes)
