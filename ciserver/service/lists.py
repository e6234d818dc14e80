"""Lists of builds as other programs ask for them: by revision, by day, by change, by group."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from ciserver.model.account import Actor, Right, Sight
from ciserver.model.build import NO_LABEL, Build, Job, Product
from ciserver.model.errors import NotFound
from ciserver.model.job import EVERYWHERE, Address
from ciserver.model.project import Jobset, Project
from ciserver.model.status import BuildStatus
from ciserver.model.view import GroupView, NumberedPage, Submitted, SubmittedPage, System
from ciserver.recipe.text import job_from_json
from ciserver.service.rights import Rights
from ciserver.store.store import Store

MOST = 10_000


class Lists:
    """Everything here is what the actor may see; what is asked for by name raises NotFound.
    `timeout_seconds` is the limit of jobs that state none, `lease_seconds` how long a worker has
    what it claims, from each time it is heard of.
    """

    def __init__(
        self, store: Store, rights: Rights, *, timeout_seconds: float, lease_seconds: float
    ) -> None:
        self._store = store
        self._rights = rights
        self._timeout_seconds = timeout_seconds
        self._lease = timedelta(seconds=lease_seconds)

    # -- jobsets ----------------------------------------------------------------------------------

    def branches(self, actor: Actor) -> tuple[Jobset, ...]:
        """Every jobset that has a repository."""
        jobsets = self._store.jobsets.list_all(self._rights.sight(actor))
        return tuple(one for one in jobsets if one.source is not None)

    def branch(self, actor: Actor, name: str) -> Jobset:
        """The jobset of a branch name or of PROJECT:JOBSET."""
        jobset = self._store.jobsets.get_by_branch(name)
        try:
            self._rights.project(actor, jobset.project)
        except NotFound:
            raise NotFound(f"there is no branch {name}") from None
        return jobset

    def jobset(self, actor: Actor, jobset_id: int, right: Right = Right.READ) -> Jobset:
        return self._rights.jobset_of_id(actor, jobset_id, right)

    def project(self, actor: Actor, project_id: int) -> Project:
        project = self._store.projects.find_by_id(project_id)
        try:
            if project is not None:
                return self._rights.check_project(actor, project)
        except NotFound:
            pass  # its text has the name, which whoever guesses a number shall not learn
        raise NotFound(f"there is no project {project_id}")

    def projects(self, actor: Actor) -> tuple[Project, ...]:
        return self._store.projects.list_all(self._rights.sight(actor))

    def jobsets_of_owner(self, actor: Actor, owner: str) -> tuple[Jobset, ...]:
        """Of the projects of one owner that are listed."""
        return self._store.jobsets.list_of_owner(self._rights.sight(actor), owner)

    def jobsets(self, actor: Actor) -> tuple[Jobset, ...]:
        return self._store.jobsets.list_all(self._rights.sight(actor))

    def job_names(self, actor: Actor, jobset: Jobset) -> tuple[str, ...]:
        """Every job of the jobset of which a build was made. What is submitted may be private, so
        the names of that are for those who see all of it.
        """
        project = self._rights.project(actor, jobset.project)
        if project.is_implicit or jobset.source is None:
            sight = self._rights.sight(actor)
            if not sight.everything and project.id not in sight.projects:
                return ()
        return self._store.listings.job_names(jobset.id)

    def systems(self, *, active_only: bool = False) -> tuple[System, ...]:
        """The systems that builds are made for; only those that new ones are made for."""
        found = self._store.systems.list_all()
        return tuple(one for one in found if one.active or not active_only)

    def evaluations(
        self, actor: Actor, project: str, name: str, *, page: int, size: int, built: bool
    ) -> NumberedPage:
        """Page 1, 2 ... of a jobset's evaluations; only those that made builds with `built`."""
        jobset = self._rights.jobset(actor, project, name)
        sight = self._rights.sight_of(actor, jobset)
        found, total = self._store.evaluation_lists.list_page(
            jobset.id, sight, page=page, size=size, built=built
        )
        builds = self._store.evaluation_lists.build_ids(one.id for one in found)
        return NumberedPage(found, builds, total)

    # -- builds -----------------------------------------------------------------------------------

    def of_revision(self, actor: Actor, jobset: Jobset, prefix: str) -> tuple[Build, ...]:
        """Builds of a jobset at the revisions that begin with these hexadecimal digits."""
        sight = self._rights.sight_of(actor, jobset)
        return self._store.listings.of_revision(sight, jobset.id, prefix, limit=MOST)

    def of_days(
        self, actor: Actor, jobset: Jobset, since: datetime, until: datetime
    ) -> tuple[Build, ...]:
        """Builds of a jobset that started, or wait since, in this time."""
        sight = self._rights.sight_of(actor, jobset)
        return self._store.listings.of_days(sight, jobset.id, since, until, limit=MOST)

    def of_requester(
        self, actor: Actor, jobset: Jobset, name: str, *, limit: int
    ) -> tuple[Build, ...]:
        """Builds of a jobset that somebody asked for."""
        sight = self._rights.sight_of(actor, jobset)
        return self._store.listings.of_requester(sight, name, limit=limit, jobset_id=jobset.id)

    def waiting(self, actor: Actor, jobset: Jobset | None = None) -> tuple[Build, ...]:
        """Builds that wait, newest first; of one jobset or of all."""
        if jobset is None:
            sight = self._rights.sight(actor)
            return self._store.builds.list_waiting(sight, before=None, limit=MOST).builds
        sight = self._rights.sight_of(actor, jobset)
        return self._store.listings.waiting(sight, jobset.id, limit=MOST)

    def running(self, actor: Actor, jobset: Jobset | None = None) -> tuple[Build, ...]:
        """Builds that a worker has, oldest first; of one jobset or of all."""
        if jobset is None:
            return self._store.builds.list_running(self._rights.sight(actor))
        found = self._store.builds.list_running(self._rights.sight_of(actor, jobset))
        return tuple(one for one in found if one.jobset_id == jobset.id)

    def heartbeats(self, builds: Iterable[Build]) -> dict[int, datetime]:
        """When the workers of these builds were last heard of."""
        leases = self._store.listings.leases(one.id for one in builds)
        return {build_id: until - self._lease for build_id, until in leases.items()}

    def own(self, actor: Actor, *, up_to: int | None, limit: int) -> SubmittedPage:
        """What the actor asked for and may see, from the build `up_to` on downwards. Raises
        NotSignedIn, Forbidden.
        """
        self._rights.require_scope(actor, Right.READ.scope)
        sight = self._rights.sight(actor)
        found = self._store.listings.of_requester(sight, actor.name, up_to=up_to, limit=limit + 1)
        page = found[:limit]
        return SubmittedPage(
            self.submitted(page),
            found[limit].id if len(found) > limit else None,
            self._store.listings.count_of_requester(actor.name),
        )

    def submitted(self, builds: Iterable[Build]) -> tuple[Submitted, ...]:
        """These builds with their steps, notes and tags, in a bounded number of statements."""
        builds = tuple(builds)
        steps = self._store.builds.steps_of(builds)
        labels = self._store.labels.of(one.id for one in builds)
        return tuple(
            Submitted(one, steps[one.id], label.note, label.tags)
            for one in builds
            for label in (labels.get(one.id, NO_LABEL),)
        )

    def by_update(
        self, actor: Actor, *, page: int, size: int, jobset: Jobset | None = None
    ) -> tuple[Build, ...]:
        """Page 1, 2 ... of the builds that changed last."""
        sight = self._rights.sight_of(actor, jobset) if jobset else self._rights.sight(actor)
        return self._store.listings.by_update(
            sight,
            limit=size,
            offset=(page - 1) * size,
            jobset_id=jobset.id if jobset else None,
        )

    def filtered(
        self,
        actor: Actor,
        *,
        page: int,
        size: int,
        jobset: Jobset | None = None,
        statuses: Sequence[BuildStatus] | None = None,
        name: str = "",
        build_id: int | None = None,
    ) -> tuple[tuple[Build, ...], bool]:
        """Page 1, 2 ... of the builds that changed last, of these only, and whether more follow:
        in one of these states, of jobsets with this in their name, of this number. After the first
        10 000 none is told.
        """
        sight = self._rights.sight_of(actor, jobset) if jobset else self._rights.sight(actor)
        offset = (page - 1) * size
        if offset + size > MOST:
            return (), False
        wanted = {jobset.id} if jobset else None
        if name:
            named = set(self._store.filtered.jobsets_named(sight, name))
            wanted = named if wanted is None else wanted & named
        found = self._store.filtered.by_update(
            sight,
            limit=size + 1,
            offset=offset,
            statuses=statuses,
            jobset_ids=wanted,
            build_id=build_id,
        )
        return found[:size], len(found) > size

    def by_end(
        self, actor: Actor, *, limit: int, place: Address = EVERYWHERE, system: str = ""
    ) -> tuple[Build, ...]:
        """Finished builds, the one that ended last first; of a place, and for a system."""
        sight = self._rights.sight(actor)
        return self._store.ended.list_builds(sight, place, system=system, limit=limit)

    def count(self, actor: Actor, *, jobset: Jobset | None = None, most: int = MOST) -> int | None:
        """How many builds `by_update` has in all; None when they are more than are counted."""
        sight = self._rights.sight_of(actor, jobset) if jobset else self._rights.sight(actor)
        jobset_id = jobset.id if jobset else None
        counted = self._store.listings.count(sight, most=most + 1, jobset_id=jobset_id)
        return counted if counted <= most else None

    def by_group(
        self,
        actor: Actor,
        *,
        limit: int,
        offset: int,
        jobsets: Iterable[Jobset] | None = None,
        statuses: Iterable[BuildStatus] = (),
    ) -> tuple[Build, ...]:
        """Builds by group and system, oldest first; of these jobsets, in these states."""
        sight, ids = self._sight_and_ids(actor, jobsets)
        return self._store.listings.by_group(
            sight, limit=limit, offset=offset, jobset_ids=ids, statuses=statuses
        )

    def newest_groups(
        self,
        actor: Actor,
        *,
        limit: int,
        offset: int = 0,
        jobsets: Iterable[Jobset] | None = None,
        finished: bool | None = None,
    ) -> tuple[tuple[Build, ...], ...]:
        """Groups, newest first, each with its builds by system; of these jobsets, only those of
        which every build has ended, or only the others.
        """
        sight, ids = self._sight_and_ids(actor, jobsets)
        return self._store.listings.newest_groups(
            sight, limit=limit, offset=offset, jobset_ids=ids, finished=finished
        )

    def _sight_and_ids(
        self, actor: Actor, jobsets: Iterable[Jobset] | None
    ) -> tuple[Sight, tuple[int, ...] | None]:
        if jobsets is None:
            return self._rights.sight(actor), None
        named = tuple(jobsets)
        return self._rights.sight_of(actor, *named), tuple(one.id for one in named)

    def group(self, actor: Actor, group_id: int) -> GroupView:
        """The builds of one job that were made together."""
        builds = self._store.listings.of_group(group_id)
        if not builds:
            raise NotFound(f"there is no group {group_id}")
        try:
            self._rights.build(actor, builds[0].id)  # all of them are of one evaluation
        except NotFound:
            raise NotFound(f"there is no group {group_id}") from None
        return GroupView(group_id, self._store.jobsets.get(builds[0].jobset_id), builds)

    def jobs(self, builds: Iterable[Build]) -> dict[int, Job]:
        """The job that each of these was made of."""
        texts = self._store.builds.job_texts(one.id for one in builds)
        return {build_id: job_from_json(text) for build_id, text in texts.items()}

    def products(self, builds: Iterable[Build]) -> dict[int, tuple[Product, ...]]:
        """What the newest attempt of each of these left, by the id of the build."""
        return self._store.products.of_builds(builds)

    def timeout_seconds(self, stated: float) -> float:
        """How long a build may run whose job states this; 0 without a limit."""
        return stated or self._timeout_seconds
