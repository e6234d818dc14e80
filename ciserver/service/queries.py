"""Read-only views for pages and APIs, each in a bounded number of statements."""

from collections.abc import Iterable
from typing import IO, Any

from ciserver.model.account import Actor, Right, Sight
from ciserver.model.build import NO_LABEL, Build, Output, Product, Step
from ciserver.model.delivery import Delivery, DeliveryTry
from ciserver.model.errors import Gone, NotFound
from ciserver.model.ports import Clock, Engine
from ciserver.model.project import Project
from ciserver.model.view import (
    AttemptView,
    BuildPage,
    BuildRecord,
    BuildView,
    EvaluationView,
    JobsetSummary,
    JobsetView,
    ProjectSummary,
    QueueView,
    Related,
    Told,
)
from ciserver.recipe.text import job_from_json
from ciserver.service.pauses import list_pauses
from ciserver.service.rights import Rights
from ciserver.service.waiting import Holds, waiting_reason
from ciserver.store.belongings import Belonging
from ciserver.store.store import Store

PAGE = 50
BAD_TESTS = 200
RELATED = 100


class Queries:
    def __init__(self, store: Store, clock: Clock, rights: Rights) -> None:
        self._store = store
        self._clock = clock
        self._rights = rights
        self._engine: Engine | None = None

    def run_on(self, engine: Engine) -> None:
        """Name the engine that knows why a build waits."""
        self._engine = engine

    def list_projects(self, actor: Actor) -> tuple[ProjectSummary, ...]:
        sight = self._rights.sight(actor)
        projects = self._store.projects.list_all(sight)
        jobsets = self._store.jobsets.list_all(sight)
        latest = self._store.evaluations.list_latest(sight, (one.id for one in jobsets))
        return tuple(
            ProjectSummary(
                project,
                tuple(
                    JobsetSummary(one, latest.get(one.id))
                    for one in jobsets
                    if one.project_id == project.id
                ),
            )
            for project in projects
        )

    def project(self, actor: Actor, name: str) -> ProjectSummary:
        """Raises NotFound."""
        project = self._rights.project(actor, name)
        jobsets = self._store.jobsets.list_of_project(project.id)
        sight = self._rights.sight_of(actor, *jobsets)
        latest = self._store.evaluations.list_latest(sight, (one.id for one in jobsets))
        summaries = tuple(JobsetSummary(one, latest.get(one.id)) for one in jobsets)
        return ProjectSummary(project, summaries)

    def jobset(
        self, actor: Actor, project: str, name: str, *, before: int | None = None
    ) -> JobsetView:
        """A jobset with a page of evaluations; `before` is an evaluation number.
        Raises NotFound.
        """
        jobset = self._rights.jobset(actor, project, name)
        sight = self._rights.sight_of(actor, jobset)
        return JobsetView(
            jobset=jobset,
            evaluations=self._store.evaluations.list_of_jobset(
                sight, jobset.id, before=before, limit=PAGE
            ),
            results=self._store.jobs.list_results(sight, jobset.id),
            ignored=self._store.pushes.list_ignored(jobset.project_id, 10),
        )

    def evaluation(self, actor: Actor, evaluation_id: int) -> EvaluationView:
        """Raises NotFound."""
        evaluation = self._rights.evaluation(actor, evaluation_id)
        reused = self._store.evaluations.reused_ids(evaluation_id)
        builds = self._store.builds.list_of_evaluation(evaluation_id)
        return EvaluationView(
            evaluation,
            builds,
            reused=self._store.listings.of_ids(reused) if reused else (),
            reasons=self.reasons(actor, builds),
            needs=self._store.gates.needs_of_evaluation(evaluation_id),
        )

    def builds(
        self,
        actor: Actor,
        *,
        before: int | None = None,
        limit: int = PAGE,
        project: str = "",
        jobset: str = "",
    ) -> BuildPage:
        """Builds, newest first, of all jobsets or of one. Raises NotFound."""
        sight, jobset_id = self._rights.sight(actor), None
        if project:
            found = self._rights.jobset(actor, project, jobset)
            sight, jobset_id = self._rights.sight_of(actor, found), found.id
        return self._store.builds.list_newest(
            sight, before=before, limit=limit, jobset_id=jobset_id
        )

    def build(self, actor: Actor, build_id: int) -> BuildView:
        """Raises NotFound."""
        build, project = self._rights.seen_build(actor, build_id)
        is_final, may = build.status.is_final, self._rights.may_with
        return BuildView(
            **vars(self._record(actor, build, project)),
            evaluation=self._store.evaluations.get(build.evaluation_id),
            job=job_from_json(self._store.builds.job_text(build_id)),
            may_cancel=not is_final and may(actor, Right.CANCEL, build, project),
            may_rerun=is_final and may(actor, Right.RESTART, build, project),
        )

    def build_record(self, actor: Actor, build_id: int) -> BuildRecord:
        """Raises NotFound."""
        return self._record(actor, *self._rights.seen_build(actor, build_id))

    def _record(self, actor: Actor, build: Build, project: Project) -> BuildRecord:
        store, build_id = self._store, build.id
        has = store.builds.belongings(build_id)
        label = NO_LABEL
        if Belonging.LABEL in has:
            label = store.labels.of([build_id])[build_id]
        shows_deliveries = Belonging.DELIVERIES in has and self._rights.is_member_of(actor, project)
        return BuildRecord(
            build=build,
            attempts=self._attempts(build_id) if Belonging.ATTEMPTS in has else (),
            products=store.products.list_of_build(build_id) if Belonging.PRODUCTS in has else (),
            deliveries=store.outbox.list_of_build(build_id) if shows_deliveries else (),
            waiting_for=self.reasons(actor, [build]).get(build_id, ""),
            note=label.note,
            tags=label.tags,
            told=self._told(build) if Belonging.REPORTS in has else Told(),
            needs=self._related(store.gates.needed(build_id) if Belonging.NEEDS in has else []),
            needed_by=self._related(
                store.gates.dependents(build_id) if Belonging.DEPENDENTS in has else []
            ),
            output=store.products.output(build_id, build.attempt)
            if Belonging.OUTPUT in has
            else Output(),
        )

    def _attempts(self, build_id: int) -> tuple[AttemptView, ...]:
        steps = self._store.builds.list_steps(build_id)
        return tuple(
            AttemptView(one, tuple(step for step in steps if step.attempt == one.number))
            for one in self._store.builds.list_attempts(build_id)
        )

    def _related(self, ids: list[int]) -> Related:
        return Related(tuple(ids), self._store.listings.of_ids(ids[:RELATED]) if ids else ())

    def _told(self, build: Build) -> Told:
        reports, newest = self._store.reports, (build.id, build.attempt)
        counts, notes = reports.summary(*newest)
        return Told(
            counts=counts,
            bad=reports.list_bad(*newest, BAD_TESTS) if counts.bad else (),
            metrics=reports.list_metrics(*newest),
            notes=notes,
        )

    @staticmethod
    def recipe_schema() -> dict[str, Any]:
        """What a recipe may hold, as JSON Schema."""
        from ciserver.recipe.json_schema import manifest_schema  # noqa: PLC0415  slow

        return manifest_schema()

    def recipe(self, actor: Actor, build_id: int) -> str:
        """The recipe of a build exactly as it was written. Raises NotFound."""
        return self._store.builds.recipe_text(self._rights.build(actor, build_id).id)

    def queue(self, actor: Actor, *, before: int | None = None) -> QueueView:
        sight = self._rights.sight(actor)
        waiting = self._store.builds.list_waiting(sight, before=before, limit=PAGE)
        return QueueView(
            running=self._store.builds.list_running(sight),
            waiting=waiting,
            waiting_total=self._waiting_total(sight, waiting, before),
            reasons=self.reasons(actor, waiting.builds),
            evaluations=self._store.evaluations.list_open(sight, PAGE),
        )

    def _waiting_total(self, sight: Sight, page: BuildPage, before: int | None) -> int | None:
        """Everything is counted for those who see everything; to count what others see would be
        to look at each, so for them it is what one page holds.
        """
        if sight.everything:
            return self._store.builds.count_waiting()
        return len(page.builds) if before is None and page.next is None else None

    def step(self, actor: Actor, build_id: int, step: int | str, attempt: int | None) -> Step:
        """One step by number or name; of the newest attempt unless one is named.
        Raises NotFound.
        """
        build = self._rights.build(actor, build_id)
        wanted = attempt or build.attempt
        if isinstance(step, int):
            return self._store.builds.get_step(build_id, wanted, step)
        return self._store.builds.find_step(build_id, wanted, step)

    def product(self, actor: Actor, build_id: int, product_id: int) -> Product:
        """Raises NotFound."""
        self._rights.build(actor, build_id)
        return self._store.products.get(build_id, product_id)

    def open_product(self, product: Product) -> IO[bytes]:
        """Raises Gone for one that was cleaned away, and NotFound when its file is not there."""
        if product.removed_at is not None:
            raise Gone(
                f"{product.name} was removed on {product.removed_at:%Y-%m-%d}:"
                f" {product.removed_why}",
                hint="a new run of its build makes it again",
            )
        try:
            return self._store.files.open_product(product.sha256)
        except FileNotFoundError:
            raise NotFound(f"the content of {product.name} was removed") from None

    def deliveries(self, actor: Actor, *, limit: int = PAGE) -> tuple[Delivery, ...]:
        """What builds of one's own projects told, newest first. Raises NotSignedIn, Forbidden."""
        self._rights.require_scope(actor, Right.READ.scope)
        return self._store.outbox.list_newest(self._rights.sight(actor), limit)

    def delivery(self, actor: Actor, delivery_id: str) -> tuple[Delivery, tuple[DeliveryTry, ...]]:
        """Raises NotFound, NotSignedIn, Forbidden."""
        self._rights.require_scope(actor, Right.READ.scope)
        delivery = self._store.outbox.get(delivery_id)
        self._rights.check_event_of_member(actor, delivery.event)
        return delivery, self._store.outbox.list_tries(delivery_id)

    def hook_secrets(self, project: str) -> tuple[str, ...]:
        """The secrets that may sign the project's hooks; empty for an unknown project."""
        return self._store.projects.hook_secrets(project)

    def check_ready(self) -> None:
        """Touch the database; raises what it raises."""
        self._store.builds.list_newest(Sight(), before=None, limit=1)

    def reasons(self, actor: Actor, builds: Iterable[Build]) -> dict[int, str]:
        """Why each of these waits; in a bounded number of statements."""
        waiting = [one for one in builds if one.status.is_waiting]
        if not waiting:
            return {}
        engine = self._engine.state() if self._engine else None
        pauses = list_pauses(self._store, actor, self._clock.now())
        blockers = self._store.gates.blockers(one.id for one in waiting if one.waiting)
        jobsets = self._store.pauses.jobsets({one.jobset_id for one in waiting})
        inactive = self._store.systems.inactive()
        return {
            one.id: waiting_reason(
                one,
                engine,
                Holds(
                    pauses,
                    is_jobset_paused=one.jobset_id in jobsets,
                    blockers=blockers.get(one.id, ()),
                    inactive=inactive,
                ),
            )
            for one in waiting
        }
