"""Submissions once more: what was sent in before, to be sent in again as it is or changed."""

from ciserver.model.account import Actor, Right, Visibility
from ciserver.model.build import NO_LABEL, Build
from ciserver.model.errors import Conflict
from ciserver.model.frozen import frozen
from ciserver.model.project import SUBMITTED
from ciserver.recipe.text import job_from_json
from ciserver.service.rights import Rights
from ciserver.service.submissions import NOTE_LIMIT, ManifestSubmission, Submissions
from ciserver.store.store import Store

_SUFFIX = " (resubmitted)"


@frozen
class Again:
    """What a build was submitted with, by whom, and the notes that say so of a new one."""

    build: Build
    manifest: str
    note: str
    tags: tuple[str, ...]
    visibility: Visibility
    secrets: bool  # whether it was given those that it names

    @property
    def same_note(self) -> str:
        """Of one that is the same: which it repeats, and what was said of that."""
        told = f"Resubmission of build [#{self.build.id}](/build/{self.build.id})"
        rest = "" if self.note.startswith("Resubmission of build [") else self.note
        return f"{told}\n\n{rest}"[:NOTE_LIMIT] if rest else told

    @property
    def changed_note(self) -> str:
        """Of one that was edited: a single line says itself that it is another."""
        line = self.note.strip().removesuffix(_SUFFIX)
        if not line or "\n" in line:
            return self.same_note
        return line[: NOTE_LIMIT - len(_SUFFIX)] + _SUFFIX


class Resubmissions:
    def __init__(self, store: Store, rights: Rights, submissions: Submissions) -> None:
        self._store = store
        self._rights = rights
        self._submissions = submissions

    def look(self, actor: Actor, build_id: int) -> Again:
        """What a build was submitted with, which whoever sees it may know. Raises Conflict for
        one that was not submitted as a manifest, NotSignedIn, Forbidden, NotFound.
        """
        build = self._rights.build(actor, build_id)
        self._rights.require_scope(actor, Right.EVALUATE.scope)
        manifest = self._store.builds.recipe_text(build.id)
        if not self.is_submission(build) or not manifest:
            raise Conflict(
                f"build {build_id} was not submitted as a manifest", hint="build it again instead"
            )
        label = self._store.labels.of([build.id]).get(build.id, NO_LABEL)
        job = job_from_json(self._store.builds.job_text(build.id))
        return Again(
            build,
            manifest,
            label.note,
            label.tags,
            visibility=build.visibility,
            secrets=not job.secrets_off,
        )

    @staticmethod
    def may_repeat(actor: Actor, build: Build) -> bool:
        """Whether `resubmit` is for the actor, who sees the build. Only what one wrote oneself is
        run without another look: the scripts of others could ask for one's own secrets.
        """
        return build.jobset == SUBMITTED and build.project == f"~{actor.name}"

    @staticmethod
    def is_submission(build: Build) -> bool:
        """Whether the build was sent in as a manifest."""
        return build.jobset == SUBMITTED and build.project.startswith("~")

    def resubmit(self, actor: Actor, build_id: int) -> Build:
        """Submit the same manifest again, with the same tags, for the same people to see but those
        it was shared with by name. Raises what `look` raises, Conflict for what somebody else
        submitted, and Invalid.
        """
        again = self.look(actor, build_id)
        if not self.may_repeat(actor, again.build):
            raise Conflict(
                f"build {build_id} was submitted by somebody else",
                hint="read its manifest, and submit that",
            )
        return self._submissions.submit(
            actor,
            ManifestSubmission(
                again.manifest,
                again.same_note,
                again.tags,
                visibility=again.visibility,
                secrets=again.secrets,
            ),
        )
