"""Jobsets that a file declares: it is looked at as a jobset of its own, whose evaluation makes the
others what the file says.

The file is data from a repository. What it names may be no more than what it is itself read from:
no other path of this machine, and no credential.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from ciserver.model.account import Actor
from ciserver.model.build import Build, Product
from ciserver.model.errors import CiError, Complaint, Invalid, NotFound, TooLarge
from ciserver.model.evaluation import NO_WISH, Evaluation, Kind, Wish
from ciserver.model.frozen import frozen
from ciserver.model.input_text import follows_same, read_input
from ciserver.model.ports import Clock
from ciserver.model.project import (
    DECLARATION,
    DECLARING,
    Declaration,
    Input,
    InputType,
    Jobset,
    JobsetMode,
    JobsetSettings,
    Project,
)
from ciserver.model.push import Trust, trust_of
from ciserver.model.status import EvaluationStatus
from ciserver.recipe.complaints import at_most
from ciserver.recipe.jobset_spec import (
    SPEC_LIMIT,
    Declared,
    JobsetSpec,
    read_declaration,
    read_jobsets,
)
from ciserver.service.access import name_complaints
from ciserver.service.jobset_faults import settings_faults
from ciserver.service.jobset_saving import JobsetSaving
from ciserver.service.pinning import Pinned, Pinning
from ciserver.store.store import Store

JOB = "jobsets"  # whose build leaves what is declared
PRODUCT = "jobsets.json"
PROJECT_NAME = "projectName"  # an input of the declaring jobset
_LOOK_SECONDS = 300
_NIX = "nix-build"
_MOST_NAMES = 20


@frozen
class Looked:
    """What came of a look at a declaration: how its evaluation ends, or as what it goes on."""

    pinned: Pinned
    status: EvaluationStatus = EvaluationStatus.SUCCEEDED
    note: str = ""
    complaints: tuple[Complaint, ...] = ()
    goes_on: tuple[Jobset, Evaluation] | None = None


class DeclaredJobsets:
    """`ring` wakes the evaluators."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        pinning: Pinning,
        saving: JobsetSaving,
        *,
        ring: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._pinning = pinning
        self._saving = saving
        self._ring = ring

    # -- said by people ---------------------------------------------------------------------------

    def faults(
        self, actor: Actor, known: Project | None, declaration: Declaration
    ) -> list[Complaint]:
        """What is wrong with where jobsets are to be declared."""
        return self._source(actor, known, declaration)[1] if declaration.file else []

    def declare(self, actor: Actor, before: Project | None, project: Project) -> None:
        """Make the declaring jobset that the project's settings ask for, and evaluate it; within
        the caller's transaction, and without faults.
        """
        declaration, known = project.settings.declaration, self._find(project)
        if known is None or before is None or before.settings.declaration != declaration:
            (source,), _ = self._source(actor, before, declaration)
            self._saving.save(project, known, DECLARING, _FIRST, (source,), is_evaluated=True)
            self._store.projects.set_declared_by(project.id, None)
            known = self._store.jobsets.get_by_name(project.name, DECLARING)
        if known.source is not None and project.enabled:
            self._store.evaluations.request(
                known.id,
                kind=Kind.API,
                ref=known.source.ref,
                revision="",
                options=(),
                requested_by=actor.name,
                push_id=None,
                now=self._clock.now(),
                trust=trust_of(known.source.ref),
            )
            self._store.after_commit(self._ring)

    def _find(self, project: Project) -> Jobset | None:
        try:
            return self._store.jobsets.get_by_name(project.name, DECLARING)
        except NotFound:
            return None

    def _source(
        self, actor: Actor, known: Project | None, declaration: Declaration
    ) -> tuple[tuple[Input, ...], list[Complaint]]:
        complaints = _path_faults(declaration.file)
        if not declaration.type.has_files:
            complaints.append(Complaint("declaration.type", "must be git or path"))
            return (), complaints
        try:
            source = read_input(DECLARATION, declaration.type, declaration.value)
        except ValueError as error:
            return (), [*complaints, Complaint("declaration.value", str(error))]
        declaring = self._find(known) if known else None
        before = declaring.inputs if declaring else ()
        registered = {(one.type, one.uri) for one in before if one.local}
        checked, wrong = self._saving.check_inputs(
            (source,), may_be_local=lambda one: actor.is_admin or (one.type, one.uri) in registered
        )
        wrong += [one for one in settings_faults(_FIRST, (source,)) if one.field != "recipe_input"]
        messages = dict.fromkeys(one.message for one in wrong)
        return checked, complaints + [Complaint("declaration.value", one) for one in messages]

    # -- looked at --------------------------------------------------------------------------------

    def look(self, jobset: Jobset, evaluation: Evaluation) -> Looked:
        """Read the file that an evaluation of a declaring jobset is about, and make the jobsets
        what it says, or set up the jobset itself, which is then evaluated as any other. Raises
        what pinning raises.
        """
        project = self._store.projects.find_of_jobset(jobset.id)
        source = next((one for one in jobset.inputs if one.name == DECLARATION), None)
        if project is None or source is None:
            raise NotFound(f"the project of {jobset.full_name} declares no jobsets")
        pinned = self._pin(jobset, source, evaluation)
        reason = _not_in_force(evaluation, pinned, source)
        if reason:
            return Looked(pinned, EvaluationStatus.SKIPPED, reason)
        file = project.settings.declaration.file
        try:
            declared = read_declaration(
                pinned.mirror.read(pinned.input.revision, file, limit=SPEC_LIMIT)
            )
        except (Invalid, NotFound, TooLarge) as error:
            complaint = Complaint("", error.message, file)
            return Looked(pinned, EvaluationStatus.FAILED, complaints=(complaint,))
        with self._store.transaction():
            if not self._comes_into_force(project, evaluation):
                note = "what a later evaluation declares is in force already"
                return Looked(pinned, EvaluationStatus.SKIPPED, note)
            if declared.itself is not None:
                return self._set_up(project, jobset, source, pinned, evaluation, declared.itself)
            note, complaints = self._apply(project, declared, source)
        complaints = tuple(replace(one, file=file) for one in complaints)
        return Looked(pinned, note=note, complaints=complaints)

    def _pin(self, jobset: Jobset, source: Input, evaluation: Evaluation) -> Pinned:
        """The file's input by itself. Where the recipe comes from another one, so does the
        evaluation's revision, and the file is read as it is now.
        """
        if jobset.recipe_input != DECLARATION:
            evaluation = replace(evaluation, ref=source.ref, revision="")
        settings = replace(jobset.settings, recipe_input=DECLARATION)
        alone = replace(jobset, inputs=(source,), settings=settings)
        return self._pinning.pin(alone, replace(evaluation, wish=NO_WISH, schedule_id=None))[0]

    def _comes_into_force(self, project: Project, evaluation: Evaluation) -> bool:
        now = self._store.projects.find_by_id(project.id)
        if now is None or (now.declared_by or 0) > evaluation.id:
            return False
        self._store.projects.set_declared_by(project.id, evaluation.id)
        return True

    def _set_up(
        self,
        project: Project,
        jobset: Jobset,
        source: Input,
        pinned: Pinned,
        evaluation: Evaluation,
        spec: JobsetSpec,
    ) -> Looked:
        own = (source, Input(PROJECT_NAME, type=InputType.STRING, value=project.name))
        spec = replace(spec, settings=replace(spec.settings, reuse_results=False))
        inputs, complaints = self._checked(spec, source, own)
        if complaints:
            file = project.settings.declaration.file
            told = tuple(replace(one, file=file) for one in complaints)
            return Looked(pinned, EvaluationStatus.FAILED, complaints=told)
        if (jobset.settings, jobset.inputs) != (spec.settings, (*own, *inputs)):
            inputs = (*own, *inputs)
            self._saving.save(project, jobset, DECLARING, spec.settings, inputs, is_evaluated=True)
        now = self._store.jobsets.get(jobset.id)
        return Looked(pinned, goes_on=(now, _evaluation_of(now, jobset, evaluation, pinned)))

    # -- built ------------------------------------------------------------------------------------

    def ended(self, build: Build) -> None:
        """What the build of a declaring jobset left is what its project's jobsets are from now on,
        if its evaluation is in force; within the transaction of its end. What is wrong with it is
        told by the evaluation.
        """
        if build.jobset != DECLARING or build.job != JOB or not build.status.is_good:
            return
        project = self._store.projects.find_of_jobset(build.jobset_id)
        if project is None or project.declared_by != build.evaluation_id:
            return
        place = f"{PRODUCT} of build {build.id}"
        jobset = self._store.jobsets.get(build.jobset_id)
        source = next(one for one in jobset.inputs if one.name == DECLARATION)
        try:
            note, complaints = self._apply(project, read_jobsets(self._left(build)), source)
        except CiError as error:
            note, complaints = "", (Complaint("", error.message),)
        before = self._store.evaluations.get(build.evaluation_id).complaints
        others = (one for one in before if one.file != place)
        told = (replace(one, file=place) for one in complaints)
        self._store.evaluations.tell(build.evaluation_id, note, (*others, *told))

    def _left(self, build: Build) -> bytes:
        """Raises NotFound, Invalid, TooLarge."""
        made = self._store.products.list_of_build(build.id)
        found = [one for one in made if one.attempt == build.attempt and _may_declare(one)]
        if len(found) != 1:
            raise Invalid(
                f"it must leave exactly one product {PRODUCT}, or be one file that Nix built, and"
                f" it left {len(found)}"
            )
        if found[0].size > SPEC_LIMIT:
            raise TooLarge(f"it is over {SPEC_LIMIT // 1024} KiB")
        try:
            with self._store.files.open_product(found[0].sha256) as content:
                return content.read(SPEC_LIMIT)
        except FileNotFoundError:
            raise NotFound("its content was removed") from None

    # -- applied ----------------------------------------------------------------------------------

    def _apply(
        self, project: Project, declared: Declared, source: Input
    ) -> tuple[str, tuple[Complaint, ...]]:
        """Make the jobsets what is declared; what is not declared any more is switched off and
        hidden. Answers what changed, and what is wrong with those that are left as they were.
        """
        found = self._store.jobsets.list_of_project(project.id)
        known = {one.name: one for one in found if not one.declares}
        complaints: list[Complaint] = []
        made: list[str] = []
        changed: list[str] = []
        for spec in declared.jobsets:
            before = known.get(spec.name)
            faults = self._save(project, before, spec, source, made if before is None else changed)
            complaints += faults
        names = {spec.name for spec in declared.jobsets}
        away = [one for one in known.values() if one.name not in names and _is_seen(one)]
        if away:
            self._store.jobsets.put_away(one.id for one in away)
        told = (
            ("made", made),
            ("changed", changed),
            ("switched off", [one.name for one in away]),
        )
        note = "; ".join(f"{word} {_listed(some)}" for word, some in told if some)
        return note or "the declared jobsets are as they were", tuple(at_most(complaints))

    def _save(
        self,
        project: Project,
        before: Jobset | None,
        spec: JobsetSpec,
        source: Input,
        saved: list[str],
    ) -> list[Complaint]:
        inputs, complaints = self._checked(spec, source, ())
        if complaints:
            return complaints
        settings = spec.settings
        if before is not None:
            kept = before.settings
            settings = replace(settings, script=kept.script, reuse_results=kept.reuse_results)
            is_same = (before.settings, before.inputs) == (settings, inputs)
            if is_same and not self._store.jobsets.list_credentials(before.id):
                return []
        with self._store.transaction():
            self._saving.save(project, before, spec.name, settings, inputs, keeps_credentials=False)
        saved.append(spec.name)
        return []

    def _checked(
        self, spec: JobsetSpec, source: Input, own: tuple[Input, ...]
    ) -> tuple[tuple[Input, ...], list[Complaint]]:
        """The inputs as they will be beside those that every declaring jobset has."""
        complaints = list(spec.complaints)
        if not own:
            complaints += name_complaints(spec.place, spec.name)
        inputs, wrong = self._saving.check_inputs(
            spec.inputs,
            may_be_local=lambda one: (
                source.local and (one.type, one.uri) == (source.type, source.uri)
            ),
        )
        wrong += settings_faults(spec.settings, (*own, *spec.inputs))
        return inputs, complaints + [spec.written(one) for one in wrong]


# One that declares by a list alone: whatever else it is, the file says.
_FIRST = JobsetSettings(
    description="Declares the jobsets of this project",
    recipe_input=DECLARATION,
    check_interval_seconds=_LOOK_SECONDS,
    reuse_results=False,
)


def _path_faults(file: str) -> list[Complaint]:
    pure = PurePosixPath(file)
    if pure.is_absolute() or ".." in pure.parts or not file.isprintable() or not pure.parts:
        fault = "must be the path of a file inside the input, without '..'"
        return [Complaint("declaration.file", fault)]
    return []


def _not_in_force(evaluation: Evaluation, pinned: Pinned, source: Input) -> str:
    """Why this evaluation changes nothing: who may only evaluate, or propose, must not be able to
    change what is declared. Empty where it does.
    """
    if evaluation.trust is not Trust.TRUSTED:
        return "what is proposed is not put in force"
    if evaluation.wish != NO_WISH or (evaluation.revision and evaluation.kind is not Kind.PUSH):
        return "what is declared at a revision of choice is not put in force"
    if source.type is not InputType.GIT:
        return ""
    mirror = pinned.mirror
    followed = mirror.default_branch() if source.ref == "HEAD" else mirror.full_ref(source.ref)
    if mirror.full_ref(pinned.input.ref) != followed:
        return f"only what {followed} declares is put in force"
    return ""


def _evaluation_of(
    jobset: Jobset, before: Jobset, evaluation: Evaluation, pinned: Pinned
) -> Evaluation:
    """The same evaluation, of the input that carries the recipe, with the file as it was read."""
    source, declared = jobset.source, pinned.input
    if source is None or source.name == DECLARATION:
        return replace(evaluation, ref=declared.ref, revision=declared.revision)
    wish = Wish(revisions={DECLARATION: declared.revision})
    mine = next(one for one in jobset.inputs if one.name == DECLARATION)
    if before.recipe_input == DECLARATION and follows_same(source, mine):
        return replace(evaluation, ref=declared.ref, revision=declared.revision, wish=wish)
    if before.source is not None and follows_same(source, before.source):
        return replace(evaluation, wish=wish)
    return replace(evaluation, ref=source.ref, revision="", wish=wish)


def _may_declare(one: Product) -> bool:
    return one.name == PRODUCT or (one.type == _NIX and not one.name.endswith(".tar"))


def _is_seen(one: Jobset) -> bool:
    """Whether it can be put away: what is only submitted is nobody's to declare."""
    is_off = one.settings.mode is JobsetMode.OFF and one.settings.hidden
    return one.source is not None and not is_off


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    more = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    return ", ".join(known[:_MOST_NAMES]) + more
