"""Jobsets: made, changed and removed by people."""

from collections.abc import Iterable
from dataclasses import replace

from ciserver.model.account import Actor, Right
from ciserver.model.errors import Complaint, Forbidden, Invalid, NotFound
from ciserver.model.evaluation import Kind
from ciserver.model.ports import Clock
from ciserver.model.project import Input, Jobset, JobsetMode, JobsetSettings, Project
from ciserver.model.request import Action
from ciserver.service.access import name_complaints
from ciserver.service.audit import Audit
from ciserver.service.builds import Builds
from ciserver.service.evaluations import Evaluations
from ciserver.service.jobset_faults import settings_faults
from ciserver.service.jobset_saving import JobsetSaving
from ciserver.service.rights import Rights
from ciserver.service.scripts import with_secrets
from ciserver.store.store import Store


class Jobsets:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        rights: Rights,
        audit: Audit,
        builds: Builds,
        evaluations: Evaluations,
        saving: JobsetSaving,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rights = rights
        self._audit = audit
        self._builds = builds
        self._evaluations = evaluations
        self._saving = saving

    def put(
        self,
        actor: Actor,
        project: str,
        name: str,
        settings: JobsetSettings,
        inputs: tuple[Input, ...],
        *,
        new_name: str = "",
        faults: Iterable[Complaint] = (),
        evaluate: bool = False,
        only_new: bool = False,
    ) -> tuple[Jobset, bool]:
        """Make a jobset, or replace the settings and inputs of one; answers it and whether it is
        new. An input that stays at its address keeps its credential, and its leave to be a path of
        this machine, which only administrators give. `faults` are those that the caller found in
        what was asked: they are told with the others. With `evaluate` one that is looked at by the
        clock is evaluated at once, if the actor may ask for that; with `only_new` none is replaced.
        Raises Invalid with every fault, NotFound, Forbidden (also where a file declares the
        jobsets), AlreadyExists for a new name that is taken.
        """
        wanted, faults = new_name or name, tuple(faults)
        known = None if only_new else self._find(project, name)
        action = Action.CHANGE_JOBSET if known else Action.ADD_JOBSET
        with self._audit.record(actor, action, jobset=f"{project}:{name}"):
            place = self.require_editable(actor, project)
            if known is not None:
                settings = _with_secrets(settings, known.settings)
            # Of an input that is wrong it is not known whether it has a recipe.
            is_known = not _told_of(faults, settings.recipe_input)
            complaints = [
                *faults,
                *(
                    one
                    for one in settings_faults(settings, inputs)
                    if one.field != "recipe_input" or is_known
                ),
            ]
            if known is None or wanted != known.name:
                complaints += name_complaints("name", wanted)
            before = known.inputs if known else ()
            registered = {(one.type, one.uri) for one in before if one.local}
            checked, wrong = self._saving.check_inputs(
                inputs,
                may_be_local=lambda one: actor.is_admin or (one.type, one.uri) in registered,
            )
            complaints += wrong
            if complaints:
                if (known is None or wanted != known.name) and self._find(project, wanted):
                    complaints.append(Complaint("name", "the project has another of this name"))
                raise Invalid("the jobset cannot be saved", complaints=complaints)
            at_once = evaluate and self._is_looked_at(actor, place, settings)
            made = self._saving.save(place, known, wanted, settings, checked, is_evaluated=at_once)
        saved = self._store.jobsets.get(made)
        if at_once and saved.source is not None:
            # As the look would find it, so that the next one does not take it for news.
            self._evaluations.request(actor, saved, kind=Kind.PUSH)
        return saved, known is None

    def _find(self, project: str, name: str) -> Jobset | None:
        try:
            return self._store.jobsets.get_by_name(project, name)
        except NotFound:
            return None

    def require_editable(self, actor: Actor, project: str) -> Project:
        """The project, whose jobsets the actor may change. Raises NotFound, NotSignedIn, Forbidden,
        also where a file declares them.
        """
        found = self._rights.project(actor, project, Right.EDIT)
        if found.is_declarative:
            raise Forbidden(
                "can't modify jobset of declarative project",
                hint=f"they are declared in {found.settings.declaration.file}: change that",
            )
        return found

    def _is_looked_at(self, actor: Actor, project: Project, settings: JobsetSettings) -> bool:
        return (
            settings.mode is not JobsetMode.OFF
            and project.enabled
            and settings.check_interval_seconds > 0
            and self._rights.may_in(actor, Right.EVALUATE, project.name)
        )

    def remove(self, actor: Actor, project: str, name: str) -> None:
        """Take a jobset with all that it built out of every list, and free its name. What runs is
        canceled. Raises NotFound, Forbidden.
        """
        with self._audit.record(actor, Action.REMOVE_JOBSET, jobset=f"{project}:{name}"):
            jobset = self._rights.jobset(actor, project, name, Right.EDIT)
            self.require_editable(actor, project)
            self.stop(actor, (jobset,))
            self._store.jobsets.remove(jobset.id)

    def stop(self, actor: Actor, jobsets: Iterable[Jobset]) -> None:
        """Cancel what waits and runs of them, within the caller's transaction."""
        now = self._clock.now()
        for jobset in jobsets:
            self._store.requests.drop_waiting(jobset.id, now)
            self._store.evaluations.drop_open(jobset.id, now)
            self._builds.stop(self._store.builds.list_open_of_jobset(jobset.id), actor.name)


def _with_secrets(given: JobsetSettings, before: JobsetSettings) -> JobsetSettings:
    """Who was shown parameters with stars in them means what stood there."""
    parameters = with_secrets(given.script.parameters, before.script.parameters)
    return replace(given, script=replace(given.script, parameters=parameters))


def _told_of(complaints: Iterable[Complaint], name: str) -> bool:
    """Whether something is said to be wrong with the input of that name."""
    place = f"inputs.{name}"
    return any(one.field == place or one.field.startswith(f"{place}.") for one in complaints)
