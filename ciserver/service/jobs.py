"""Jobs over time: links that lead to the newest good build, how a job fares, and stars."""

from dataclasses import replace

from ciserver.model.account import Actor, Right, Sight, Visibility
from ciserver.model.build import Build
from ciserver.model.errors import NotFound
from ciserver.model.job import (
    Address,
    Ended,
    GoodBuild,
    Health,
    JobHistory,
    Place,
    Point,
    Series,
    SystemOfJob,
)
from ciserver.model.status import BuildStatus
from ciserver.model.view import BuildPage
from ciserver.service.rights import Rights
from ciserver.store.store import Store

MOST_POINTS = 1_000  # of a series
CHARTED = 100  # builds that a chart shows
STARS = 100  # jobs that a first page shows
BUILD_TIME = "Build time"
SIZE = "Size of the products"
_HEALTH = {
    BuildStatus.SUCCEEDED: Health.PASSING,
    BuildStatus.PARTIAL: Health.PARTIAL,
    BuildStatus.CANCELED: Health.CANCELED,
}


class Jobs:
    """Everything here is what the actor may see; what is not there for them is NotFound.

    What is proposed by people who may not push is built like everything else and is in every list,
    but it never is what a link, a badge or a series speaks of: these are for whoever relies on it.
    """

    def __init__(self, store: Store, rights: Rights) -> None:
        self._store = store
        self._rights = rights

    # -- builds of a place ------------------------------------------------------------------------

    def latest(
        self, actor: Actor, address: Address, *, system: str = "", finished: bool = False
    ) -> int:
        """The newest build that succeeded; with `finished` one of an evaluation of which every
        build has ended.
        """
        place, sight = self._find(actor, address)
        found = self._store.jobs.newest_good(sight, place, system=system, finished=finished)
        if found is None:
            raise NotFound("There is no successful build to redirect to.")
        return found

    def builds(
        self, actor: Actor, address: Address, *, before: int | None, limit: int
    ) -> BuildPage:
        """Every build, newest first, from the build `before` on downwards."""
        place, sight = self._find(actor, address)
        found = self._store.jobs.list_builds(sight, place, before=before, limit=limit)
        if place.job and not found.builds:
            self._require_builds(sight, place, address)
        return found

    # -- one job ----------------------------------------------------------------------------------

    def job(self, actor: Actor, address: Address, *, before: int | None, limit: int) -> JobHistory:
        """A job as it fares, with a page of its builds."""
        place, sight = self._find(actor, address)
        jobset_id = _jobset_of(place)
        newest = self._require_builds(sight, place, address)
        page = self._store.jobs.list_builds(sight, place, before=before, limit=limit)
        good = self._store.jobs.newest_good_by_system(sight, jobset_id, place.job)
        measured = self._store.jobs.good_builds(sight, jobset_id, place.job, limit=CHARTED)
        return JobHistory(
            project=address.project,
            jobset=address.jobset,
            name=address.job,
            systems=tuple(SystemOfJob(one, good.get(one.system)) for one in newest),
            builds=page.builds,
            next=page.next,
            metrics=self._store.jobs.metric_names(measured),
            starred=bool(actor.name)
            and self._store.jobs.is_starred(actor.name, jobset_id, place.job),
        )

    def charts(self, actor: Actor, history: JobHistory, *, metrics: int) -> tuple[Series, ...]:
        """What its newest good builds tell: their times, sizes, and the first of their metrics."""
        address = Address(history.project, history.jobset, history.name)
        builds = self._good_builds(actor, address, CHARTED)
        told = [_times(builds), self._sizes(builds)]
        told += [self._metric(builds, name) for name in history.metrics[:metrics]]
        return tuple(one for one in told if one.points)

    def ended(self, actor: Actor, address: Address) -> Ended:
        """The build of a job that ended last."""
        place, sight = self._find(actor, address)
        build = self._store.jobs.newest_ended(sight, _jobset_of(place), place.job)
        if build is None:
            raise _nothing_ended(address)
        return Ended(build, self._store.jobs.sizes({build.id: build.attempt}).get(build.id, 0))

    def health(self, actor: Actor, address: Address) -> Health:
        """How the build of a job that ended last came out, or the newest evaluation of a jobset of
        which every build has ended.
        """
        place, sight = self._find(actor, address)
        if place.job:
            build = self._store.jobs.newest_ended(sight, _jobset_of(place), place.job)
            if build is None:
                raise _nothing_ended(address)
            return _HEALTH.get(build.status, Health.FAILING)
        counts = self._store.jobs.newest_evaluation(sight, _jobset_of(place))
        if counts is None:
            raise _nothing_ended(address)
        total, good = counts
        return Health.PASSING if good == total else Health.FAILING

    # -- series: of the newest good builds of a job, at most MOST_POINTS --------------------------

    def build_times(self, actor: Actor, address: Address) -> Series:
        """In seconds."""
        return _times(self._good_builds(actor, address, MOST_POINTS))

    def sizes(self, actor: Actor, address: Address) -> Series:
        """Of all products of a build together, in bytes; builds without one are left out."""
        return self._sizes(self._good_builds(actor, address, MOST_POINTS))

    def metric(self, actor: Actor, address: Address, name: str) -> Series:
        """What builds measured under this name; builds that did not are left out."""
        return self._metric(self._good_builds(actor, address, MOST_POINTS), name)

    def _good_builds(self, actor: Actor, address: Address, limit: int) -> tuple[GoodBuild, ...]:
        place, sight = self._find(actor, address)
        found = self._store.jobs.good_builds(sight, _jobset_of(place), place.job, limit=limit)
        if not found:
            self._require_builds(sight, place, address)
        return found

    def _sizes(self, builds: tuple[GoodBuild, ...]) -> Series:
        sizes = self._store.jobs.sizes({one.id: one.attempt for one in builds})
        points = (
            Point(one.id, one.queued_at, float(sizes[one.id]), "bytes")
            for one in builds
            if sizes.get(one.id)
        )
        return Series(SIZE, tuple(points))

    def _metric(self, builds: tuple[GoodBuild, ...], name: str) -> Series:
        found = self._store.jobs.metric(builds, name)
        return Series(name, tuple(found[one.id] for one in builds if one.id in found))

    # -- stars: everybody's own, so no business of the audit trail --------------------------------

    def star(self, actor: Actor, address: Address, *, starred: bool) -> None:
        """Show a job on the actor's first page, or no longer. Raises NotSignedIn, Forbidden."""
        self._rights.require_scope(actor, Right.EVALUATE.scope)
        place, sight = self._find(actor, address)
        self._require_builds(sight, place, address)
        with self._store.transaction():
            self._store.jobs.star(actor.name, _jobset_of(place), place.job, starred=starred)

    def starred(self, actor: Actor) -> tuple[Build, ...]:
        """The newest build of each job that the actor put a star at."""
        if not actor.name:
            return ()
        sight = self._rights.sight(actor)
        if not sight.everything:
            sight = replace(sight, unlisted=self._store.jobs.unlisted_of(actor.name))
        return self._store.jobs.starred(sight, actor.name, limit=STARS)

    # -- how it is found --------------------------------------------------------------------------

    def _find(self, actor: Actor, address: Address) -> tuple[Place, Sight]:
        if address.jobset:
            jobset = self._rights.jobset(actor, address.project, address.jobset)
            sight = self._rights.sight_of(actor, jobset)
            return Place(jobset.project_id, jobset.id, address.job), sight
        sight = self._rights.sight(actor)
        if address.project:
            project = self._rights.project(actor, address.project)
            if project.settings.visibility is Visibility.UNLISTED:
                sight = replace(sight, unlisted=(project.id,))
            return Place(project.id), sight
        return Place(), sight

    def _require_builds(self, sight: Sight, place: Place, address: Address) -> tuple[Build, ...]:
        """The newest build of each system; a job without one is not there."""
        found = self._store.jobs.newest_by_system(sight, _jobset_of(place), place.job)
        if not found:
            raise NotFound(f"there is no job {address}")
        return found


def _jobset_of(place: Place) -> int:
    if place.jobset_id is None:
        raise NotFound("this is asked of a jobset or of a job in one")
    return place.jobset_id


def _nothing_ended(address: Address) -> NotFound:
    return NotFound(f"nothing of {address} has been built to its end yet")


def _times(builds: tuple[GoodBuild, ...]) -> Series:
    return Series(
        BUILD_TIME, tuple(Point(one.id, one.queued_at, one.seconds, "s") for one in builds)
    )
