"""Builds that are submitted as a whole: their rows are made within the request.

A manifest goes to the submitter's own project `~NAME`; a script of a repository to the jobset that
the caller names. What a submission leaves open is pinned when the build starts.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ciserver.git.address import is_revision
from ciserver.git.commit import Commit
from ciserver.git.mirrors import Mirrors
from ciserver.model.account import Actor, Right, Visibility
from ciserver.model.build import Build, Job, Label
from ciserver.model.errors import Busy, CiError, Complaint, Invalid, RemoteFailure
from ciserver.model.evaluation import PinnedInput
from ciserver.model.frozen import frozen
from ciserver.model.ports import Clock
from ciserver.model.project import (
    SUBMITTED,
    Input,
    InputType,
    Jobset,
    JobsetSettings,
    Project,
    ProjectSettings,
    ScriptDefaults,
)
from ciserver.model.request import Action
from ciserver.recipe.text import job_to_json
from ciserver.service.audit import Audit
from ciserver.service.pinning import require_source
from ciserver.service.projects import new_secret
from ciserver.service.rights import Rights
from ciserver.service.script_jobs import at_revision, script_job
from ciserver.service.scripts import limit_faults, with_secrets
from ciserver.service.secrets import READ_SCOPE
from ciserver.store.arrivals import Texts
from ciserver.store.store import Store

MANIFEST_LIMIT = 16_384
NOTE_LIMIT = 4_096
MOST_NAMED = 100  # tags, and people
_FILE = ".build.yml"
_TAG = re.compile(r"[A-Za-z0-9_.:-]{1,200}")
_LOOK_SECONDS = 5.0


@frozen
class ManifestSubmission:
    """A manifest as somebody sends it. Who may see it is its `visibility` and the readers by name;
    the writers may also cancel it and the like. `triggers` are maps as in a manifest. Without
    `secrets` it is given none of those that it names.
    """

    manifest: str
    note: str = ""
    tags: tuple[str, ...] = ()
    visibility: Visibility = Visibility.PUBLIC
    readers: tuple[str, ...] = ()
    writers: tuple[str, ...] = ()
    triggers: tuple[Any, ...] = ()
    execute: bool = True
    secrets: bool = True


@frozen
class ScriptSubmission:
    """A script of a repository, at a revision, or at what a ref names now. The jobset's defaults
    stand for what is None; `project` names another repository than the jobset's own.
    """

    revision: str = ""
    ref: str = ""
    project: Project | None = None
    script: str | None = None
    parameters: str | None = None
    timeout_minutes: int | None = None
    system: str = ""


class Submissions:
    """`system` is what runs here, for submissions that name none; `ring` wakes the workers."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rights: Rights,
        audit: Audit,
        mirrors: Mirrors,
        *,
        system: str,
        ring: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._rights = rights
        self._audit = audit
        self._mirrors = mirrors
        self._system = system
        self._ring = ring
        self._looks = ThreadPoolExecutor(4, thread_name_prefix="look")

    # -- manifests --------------------------------------------------------------------------------

    def submit(
        self, actor: Actor, given: ManifestSubmission, *, faults: Sequence[Complaint] = ()
    ) -> Build:
        """Make a build of a manifest; a person starts it later unless `execute`. Where the caller
        has found `faults` already, nothing is made, and the fields that have one need not be right.
        Raises Invalid with every fault, NotSignedIn, Forbidden.
        """
        with self._audit.record(actor, Action.SUBMIT_BUILD, tags=list(given.tags)) as outcome:
            self._rights.require_scope(actor, Right.EVALUATE.scope)
            job = self._with_secrets(actor, self._read(given, faults), given)
            jobset = self._own_jobset(actor)
            evaluation_id = self._store.evaluations.add_submitted(
                jobset.id,
                requested_by=actor.name,
                visibility=given.visibility,
                now=self._clock.now(),
                note=given.note.partition("\n")[0][:200],
            )
            build_id = self._add(evaluation_id, job, given.manifest, held=not given.execute)
            self._store.labels.add([build_id], actor.name, Label(given.note, given.tags))
            for name in dict.fromkeys((*given.readers, *given.writers)):
                may_write = name in given.writers
                self._store.members.share(evaluation_id, name, may_write=may_write)
            outcome.created.append(build_id)
        self._ring()
        return self._store.builds.get(build_id)

    def _with_secrets(self, actor: Actor, job: Job, given: ManifestSubmission) -> Job:
        """Those that a submitted job names are the submitter's own, whoever runs it again."""
        if not job.secrets:
            return job
        if given.secrets:
            self._rights.require_scope(actor, READ_SCOPE)
        return replace(job, secrets_of=actor.name, secrets_off=not given.secrets)

    def _read(self, given: ManifestSubmission, found: Sequence[Complaint]) -> Job:
        from ciserver.recipe.manifest import (  # noqa: PLC0415  slow to load
            read_manifest,
            read_triggers,
        )

        complaints = [*_submission_faults(given)]
        triggers, faults = read_triggers(list(given.triggers))
        complaints += faults
        job = None
        if len(given.manifest) < MANIFEST_LIMIT:
            reading = read_manifest(_FILE, given.manifest, default_system=self._system)
            complaints += [
                Complaint("manifest", str(replace(one, file=""))) for one in reading.complaints
            ]
            complaints += [] if reading.complaints else _not_one_job(given.manifest)
            job = next(iter(reading.jobs), None)
        complaints += self._people_faults("readers", given.readers)
        complaints += self._people_faults("writers", given.writers)
        told = {one.field for one in found}
        complaints = [*found, *(one for one in complaints if one.field not in told)]
        if job is None or complaints:
            raise Invalid("the build cannot be submitted", complaints=complaints)
        return replace(job, triggers=(*job.triggers, *triggers))

    def _people_faults(self, field: str, names: tuple[str, ...]) -> Iterator[Complaint]:
        if len(names) > MOST_NAMED:
            yield Complaint(field, f"must be at most {MOST_NAMED}")
            return
        for name in names:
            if self._store.accounts.find(name) is None:
                yield Complaint(field, f"there is no user {name}")

    def _own_jobset(self, actor: Actor) -> Jobset:
        """The jobset of what somebody submits, made when they first do."""
        name = f"~{actor.name}"
        if self._store.projects.find(name) is None:
            self._store.projects.add(
                name,
                actor.name,
                ProjectSettings(description=f"What {actor.name} submits"),
                signing_secret=new_secret(),
                now=self._clock.now(),
            )
        project = self._store.projects.get(name)
        jobsets = self._store.jobsets.list_of_project(project.id)
        if not any(one.name == SUBMITTED for one in jobsets):
            self._store.jobsets.add(project, SUBMITTED, JobsetSettings(recipe_path=()))
        return self._store.jobsets.get_by_name(name, SUBMITTED)

    # -- scripts ----------------------------------------------------------------------------------

    def require_script_right(self, actor: Actor, jobset: Jobset) -> None:
        """Whether the actor may run scripts for a jobset, for doors that say so before they look
        at the rest. Raises NotSignedIn, Forbidden, NotFound.
        """
        with self._audit.refusals(actor, Action.SUBMIT_BUILD, jobset=jobset.full_name):
            self._rights.project(actor, jobset.project, Right.EVALUATE)

    def run_script(self, actor: Actor, jobset: Jobset, given: ScriptSubmission) -> Build:
        """Make a build that runs a script of the jobset's repository, or of another project's.
        Raises Invalid with every fault, Busy when the repository takes too long to answer,
        RemoteFailure when it cannot be asked, NotSignedIn, Forbidden, NotFound.
        """
        self.require_script_right(actor, jobset)
        source_jobset, source = self._repository(actor, jobset, given.project)
        job = self._script_job(jobset, source, given)
        if source_jobset.id != jobset.id:
            job = replace(job, script_jobset=source_jobset.id)
        commit, ref = self._look(source_jobset, source, given)
        named = "" if given.revision and not given.ref else ref
        job = at_revision(job, source_jobset, named, commit.revision)
        what = {"jobset": jobset.full_name, "revision": commit.revision}
        with self._audit.record(actor, Action.SUBMIT_BUILD, **what) as outcome:
            now = self._clock.now()
            evaluation_id = self._store.evaluations.add_submitted(
                jobset.id,
                requested_by=actor.name,
                visibility=Visibility.PUBLIC,
                now=now,
                note=commit.subject[:200],
            )
            self._store.evaluations.set_revision(evaluation_id, ref, commit.revision)
            self._store.evaluations.add_input(
                evaluation_id,
                PinnedInput(source.name, source.uri, ref, commit.revision, type=source.type),
            )
            build_id = self._add(evaluation_id, job, None)
            outcome.created.append(build_id)
        self._ring()
        return self._store.builds.get(build_id)

    def _repository(
        self, actor: Actor, jobset: Jobset, project: Project | None
    ) -> tuple[Jobset, Input]:
        if project is None or project.id == jobset.project_id:
            return jobset, require_source(jobset)
        for other in self._store.jobsets.list_of_project(project.id):
            if other.source is not None:
                self._check_fetched(actor, project, other, other.source)
                return other, other.source
        fault = Complaint("project_id", f"the project {project.name} has no repository")
        raise Invalid("the build cannot be made", complaints=[fault])

    def _check_fetched(self, actor: Actor, project: Project, jobset: Jobset, source: Input) -> None:
        """What only this server can read is run for those who may build it."""
        credential, local = self._store.jobsets.credential(jobset.id, source.uri)
        is_ours = credential is not None or local or source.type is InputType.PATH
        needed = Right.EVALUATE if is_ours else Right.READ
        with self._audit.refusals(actor, Action.SUBMIT_BUILD, project=project.name):
            self._rights.check_project(actor, project, needed)

    def _script_job(self, jobset: Jobset, source: Input, given: ScriptSubmission) -> Job:
        defaults = jobset.settings.script
        minutes = (
            defaults.timeout_minutes if given.timeout_minutes is None else given.timeout_minutes
        )
        parameters = (
            defaults.parameters
            if given.parameters is None
            else with_secrets(given.parameters, defaults.parameters)
        )
        wanted = ScriptDefaults(
            defaults.script if given.script is None else given.script, parameters, minutes
        )
        job, complaints = script_job(
            source, wanted, system=given.system or self._system, ref=given.ref
        )
        complaints += self._submission_faults(given)
        if job is None or complaints:
            raise Invalid("the build cannot be made", complaints=complaints)
        return job

    def _submission_faults(self, given: ScriptSubmission) -> Iterator[Complaint]:
        """What is wrong beside the script itself."""
        if given.timeout_minutes == 0:
            yield from limit_faults(0)
        if given.revision and not is_revision(given.revision):
            yield Complaint("revision", f"{given.revision!r} is not a revision")
        known = {one.name: one.active for one in self._store.systems.list_all()}
        system = given.system or self._system
        if not known.get(system):
            fault = "is not active" if system in known else "is not known"
            yield Complaint("system", f"{system} {fault}")

    def _look(self, jobset: Jobset, source: Input, given: ScriptSubmission) -> tuple[Commit, str]:
        """The commit that is asked for, which the repository must have, and the full name of its
        ref; asked of it with a limit, since somebody waits for the answer.
        """
        credential, local = self._store.jobsets.credential(jobset.id, source.uri)
        mirror = self._mirrors.open_input(source, credential, local=local)
        ref = given.ref or source.ref
        looking: Future[str] = self._looks.submit(mirror.pin, ref, given.revision)
        try:
            commit = mirror.commit(looking.result(timeout=_LOOK_SECONDS))
            return commit, mirror.full_ref(ref)
        except TimeoutError:
            raise Busy(
                f"the repository {source.uri} takes long to answer", hint="ask again in a moment"
            ) from None
        except CiError as error:
            if isinstance(error, RemoteFailure) and error.temporary:
                raise
            wanted = given.revision or ref
            raise Invalid(
                "the build cannot be made",
                complaints=[Complaint("revision", f"{wanted} cannot be had: {error.message}")],
            ) from error

    # -- both -------------------------------------------------------------------------------------

    def _add(self, evaluation_id: int, job: Job, recipe: str | None, *, held: bool = False) -> int:
        queue = self._store.queue
        texts = Texts(queue.add_text(job_to_json(job)), queue.add_text(recipe) if recipe else None)
        self._store.evaluations.count_builds(evaluation_id, total=1)
        evaluation = self._store.evaluations.get(evaluation_id)
        return queue.add(evaluation, job, texts, self._clock.now(), held=held)


def _submission_faults(given: ManifestSubmission) -> list[Complaint]:
    faults = []
    if len(given.manifest) >= MANIFEST_LIMIT:
        faults.append(Complaint("manifest", f"must be less than {MANIFEST_LIMIT} bytes"))
    if len(given.note) > NOTE_LIMIT:
        faults.append(Complaint("note", f"must be at most {NOTE_LIMIT} characters"))
    if len(given.tags) > MOST_NAMED:
        faults.append(Complaint("tags", f"must be at most {MOST_NAMED}"))
    for index, tag in enumerate(given.tags[:MOST_NAMED]):
        if not _TAG.fullmatch(tag):
            fault = "must be letters, digits, '-', '_', '.' or ':'"
            faults.append(Complaint(f"tags[{index}]", fault))
    return faults


def _not_one_job(manifest: str) -> list[Complaint]:
    """What is submitted is one build, and knows of no other."""
    from ciserver.recipe.yaml_text import load  # noqa: PLC0415  slow, as yaml is

    keys = load(manifest)
    return [
        Complaint("manifest", f"{key}: a submission is one build, by itself")
        for key in ("systems", "matrix", "needs")
        if isinstance(keys, dict) and keys.get(key) is not None
    ]
