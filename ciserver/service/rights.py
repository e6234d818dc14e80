"""Who may do what: one model for every door.

A project's owner and administrators may do everything in it; members what they were given; an
account's own roles hold in every project that it sees. A token narrows that to its scopes. What
somebody may not see is not there for them.
"""

from dataclasses import replace

from ciserver.model.account import (
    CREATE_PROJECTS,
    Actor,
    Right,
    Sight,
    Visibility,
)
from ciserver.model.build import Build
from ciserver.model.errors import Forbidden, NotFound, NotSignedIn
from ciserver.model.evaluation import Evaluation
from ciserver.model.event import Event, FaultsChanged
from ciserver.model.project import Jobset, Project
from ciserver.store.builds import no_build
from ciserver.store.projects import no_project
from ciserver.store.store import Store

_ALL = frozenset(Right)
_EVERYTHING = Sight(everything=True)


class Rights:
    def __init__(self, store: Store) -> None:
        self._store = store

    def sight(self, actor: Actor) -> Sight:
        """What lists may show to the actor."""
        if not _may_read(actor):
            return Sight()
        if actor.is_admin:
            return _EVERYTHING
        return Sight(projects=self._store.members.projects_of(actor.name), user=actor.name)

    def sight_of(self, actor: Actor, *jobsets: Jobset) -> Sight:
        """What is listed of jobsets that the actor may see: an unlisted project is listed to
        whoever knows its address.
        """
        sight = self.sight(actor)
        if sight.everything:
            return sight
        unlisted = {one.project_id for one in jobsets if one.visibility is Visibility.UNLISTED}
        return replace(sight, unlisted=tuple(unlisted))

    # Each of the following answers the thing, or raises NotFound for what the actor may not see,
    # NotSignedIn for nobody, and Forbidden for somebody without the scope or the right.

    def project(self, actor: Actor, name: str, right: Right = Right.READ) -> Project:
        return self.check_project(actor, self._store.projects.get(name), right)

    def check_project(self, actor: Actor, project: Project, right: Right = Right.READ) -> Project:
        granted = self._granted(actor, project)
        if Right.READ not in granted:
            raise no_project(project.name)
        _require(actor, right, granted, project.name)
        return project

    def sees(self, actor: Actor, project: Project) -> bool:
        """Whether the project is there for the actor."""
        return Right.READ in self._granted(actor, project)

    def jobset(self, actor: Actor, project: str, name: str, right: Right = Right.READ) -> Jobset:
        self.project(actor, project, right)
        return self._store.jobsets.get_by_name(project, name)

    def jobset_of_id(self, actor: Actor, jobset_id: int, right: Right = Right.READ) -> Jobset:
        jobset = self._store.jobsets.get(jobset_id)
        try:
            self.project(actor, jobset.project, right)
        except NotFound:
            # Whoever guesses a number learns no name.
            raise NotFound(f"there is no jobset {jobset_id}") from None
        return jobset

    def evaluation(self, actor: Actor, evaluation_id: int, right: Right = Right.READ) -> Evaluation:
        evaluation = self._store.evaluations.get(evaluation_id)
        if not self._sees(actor, evaluation.jobset_id, evaluation.id, evaluation.visibility):
            raise NotFound(f"there is no evaluation {evaluation_id}")
        self._check_built(actor, right, evaluation.jobset_id, evaluation.id)
        return evaluation

    def build(self, actor: Actor, build_id: int, right: Right = Right.READ) -> Build:
        build, project = self.seen_build(actor, build_id)
        self._check_in(actor, right, project, build.evaluation_id)
        return build

    def build_of_member(self, actor: Actor, build_id: int) -> Build:
        """A build whose addresses and messages the actor may know, having any right beyond what
        everybody has in its project.
        """
        build = self.build(actor, build_id)
        if not self.is_member(actor, build):
            raise Forbidden(f"you have no right in project {build.project}")
        return build

    def check_event_of_member(self, actor: Actor, event: Event) -> None:
        """The same of what an event is about: whom it was told to."""
        if not isinstance(event, FaultsChanged):
            self.build_of_member(actor, event.build_id)
            return
        evaluation = self.evaluation(actor, event.evaluation_id)
        project = self._store.projects.find_of_jobset(evaluation.jobset_id)
        if project is None or not self._granted(actor, project) - {Right.READ}:
            raise Forbidden(f"you have no right in project {evaluation.project}")

    def seen_build(self, actor: Actor, build_id: int) -> tuple[Build, Project]:
        """A build that the actor may see, with its project. Raises NotFound."""
        build, project = self._store.builds.get_with_project(build_id)
        if not self._sees_built(actor, project, build.evaluation_id, build.visibility):
            raise no_build(build_id)
        return build, project

    def is_member(self, actor: Actor, build: Build) -> bool:
        project = self._store.projects.find_of_jobset(build.jobset_id)
        return project is not None and self.is_member_of(actor, project)

    def is_member_of(self, actor: Actor, project: Project) -> bool:
        """Whether the actor has any right in it beyond what everybody has."""
        return bool(self._granted(actor, project) - {Right.READ})

    def may(self, actor: Actor, right: Right, build: Build) -> bool:
        """Whether the actor, who sees the build, may do this with it."""
        project = self._store.projects.find_of_jobset(build.jobset_id)
        return project is not None and self.may_with(actor, right, build, project)

    def may_with(self, actor: Actor, right: Right, build: Build, project: Project) -> bool:
        """The same where the build's project is at hand."""
        try:
            self._check_in(actor, right, project, build.evaluation_id)
        except (NotSignedIn, Forbidden):
            return False
        return True

    def may_change(self, actor: Actor, right: Right, evaluation: Evaluation) -> bool:
        """Whether the actor, who sees the evaluation, may do this with its builds."""
        try:
            self._check_built(actor, right, evaluation.jobset_id, evaluation.id)
        except (NotSignedIn, Forbidden, NotFound):
            return False
        return True

    def may_in(self, actor: Actor, right: Right, project: str) -> bool:
        """Whether the actor, who sees the project, may do this in it."""
        granted = self._granted(actor, self._store.projects.get(project))
        return right in granted and _has_proof(actor, right)

    # -- on the whole server ----------------------------------------------------------------------

    @staticmethod
    def require_admin(actor: Actor, scope: str = "users:write") -> None:
        if not actor.name:
            raise NotSignedIn("this needs an administrator")
        if not actor.is_admin or not actor.has_scope(scope):
            raise Forbidden("this needs an administrator")

    @staticmethod
    def require_scope(actor: Actor, scope: str) -> None:
        """For what is everybody's own, such as submitting a build."""
        if not actor.name:
            raise NotSignedIn("this needs a signed-in user or an API token")
        if not actor.has_scope(scope):
            raise Forbidden(f"the token lacks the scope {scope}", scope=scope)

    @staticmethod
    def may_make_projects(actor: Actor) -> bool:
        is_maker = actor.is_admin or CREATE_PROJECTS in actor.roles
        return is_maker and actor.has_scope(Right.EDIT.scope)

    def require_project_maker(self, actor: Actor) -> None:
        self.require_scope(actor, Right.EDIT.scope)
        if not self.may_make_projects(actor):
            raise Forbidden("this needs an administrator, or an account that may make projects")

    # -- how it is found --------------------------------------------------------------------------

    def _granted(self, actor: Actor, project: Project) -> frozenset[Right]:
        public = project.settings.visibility is not Visibility.PRIVATE
        seen = frozenset({Right.READ}) if public else frozenset[Right]()
        if not actor.name:
            return seen
        if actor.is_admin or actor.name == project.owner:
            return _ALL if _may_read(actor) else seen | (_ALL - {Right.READ})
        own = self._store.members.rights(project.id, actor.name)
        if own and _may_read(actor):
            seen |= {Right.READ}
        if Right.READ not in seen:
            return seen
        roles = frozenset(Right(one) for one in actor.roles if one != CREATE_PROJECTS)
        return seen | own | roles

    def _sees(
        self, actor: Actor, jobset_id: int, evaluation_id: int, visibility: Visibility
    ) -> bool:
        project = self._store.projects.find_of_jobset(jobset_id)
        return project is not None and self._sees_built(actor, project, evaluation_id, visibility)

    def _sees_built(
        self, actor: Actor, project: Project, evaluation_id: int, visibility: Visibility
    ) -> bool:
        if visibility is not Visibility.PRIVATE:
            return Right.READ in self._granted(actor, project) or self._is_shared(
                actor, evaluation_id
            )
        if not _may_read(actor):
            return False
        is_inside = (
            actor.is_admin
            or actor.name == project.owner
            or bool(self._store.members.rights(project.id, actor.name))
        )
        return is_inside or self._is_shared(actor, evaluation_id)

    def _is_shared(self, actor: Actor, evaluation_id: int) -> bool:
        if not _may_read(actor):
            return False
        return self._store.members.may_write_shared(evaluation_id, actor.name) is not None

    def _check_built(self, actor: Actor, right: Right, jobset_id: int, evaluation_id: int) -> None:
        if right is Right.READ:
            return
        project = self._store.projects.find_of_jobset(jobset_id)
        if project is None:
            raise NotFound(f"there is no jobset {jobset_id}")
        self._check_in(actor, right, project, evaluation_id)

    def _check_in(self, actor: Actor, right: Right, project: Project, evaluation_id: int) -> None:
        if right is Right.READ:
            return
        granted = self._granted(actor, project)
        if right not in granted and right is not Right.EDIT and actor.name:
            shared = self._store.members.may_write_shared(evaluation_id, actor.name)
            granted |= {right} if shared else frozenset()
        _require(actor, right, granted, project.name)


def _may_read(actor: Actor) -> bool:
    """Whether the actor's proof lets them see more than everybody does."""
    return bool(actor.name) and any(
        actor.has_scope(one) for one in ("builds:read", "projects:read")
    )


def _has_proof(actor: Actor, right: Right) -> bool:
    return right is Right.READ or (bool(actor.name) and actor.has_scope(right.scope))


def _require(actor: Actor, right: Right, granted: frozenset[Right], project: str) -> None:
    if right is Right.READ:
        return
    if not actor.name:
        raise NotSignedIn("this needs a signed-in user or an API token")
    if not actor.has_scope(right.scope):
        raise Forbidden(f"the token lacks the scope {right.scope}", scope=right.scope)
    if right not in granted:
        raise Forbidden(
            f"you lack the right to {right} in project {project}",
            hint="its owner can give it: ciserver member set",
            right=right.value,
        )
