"""Read-only views for pages and APIs, each in a bounded number of statements."""

from typing import IO

from ciserver.model.account import Actor
from ciserver.model.build import Build, Product, Step
from ciserver.model.delivery import Delivery, DeliveryTry
from ciserver.model.errors import NotFound
from ciserver.model.ports import Engine
from ciserver.model.view import (
    AttemptView,
    BuildPage,
    BuildView,
    EvaluationView,
    JobsetSummary,
    JobsetView,
    ProjectSummary,
    QueueView,
)
from ciserver.service.access import Access
from ciserver.service.waiting import waiting_reason
from ciserver.store.store import Store

PAGE = 50


class Queries:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._engine: Engine | None = None

    def run_on(self, engine: Engine) -> None:
        """Name the engine that knows why a build waits."""
        self._engine = engine

    def list_projects(self, actor: Actor) -> tuple[ProjectSummary, ...]:
        projects = self._store.projects.list_all()
        jobsets = self._store.projects.list_jobsets()
        latest = self._store.evaluations.list_latest(one.id for one in jobsets)
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
        project = self._store.projects.get(name)
        jobsets = self._store.projects.list_jobsets(name)
        latest = self._store.evaluations.list_latest(one.id for one in jobsets)
        summaries = tuple(JobsetSummary(one, latest.get(one.id)) for one in jobsets)
        return ProjectSummary(project, summaries)

    def jobset(
        self, actor: Actor, project: str, name: str, *, before: int | None = None
    ) -> JobsetView:
        """A jobset with a page of evaluations; `before` is an evaluation number.
        Raises NotFound.
        """
        jobset = self._store.projects.find_jobset(project, name)
        return JobsetView(
            jobset=jobset,
            evaluations=self._store.evaluations.list_of_jobset(
                jobset.id, before=before, limit=PAGE
            ),
            results=self._store.builds.list_results(jobset.id),
            ignored=self._store.pushes.list_ignored(jobset.project_id, 10),
        )

    def evaluation(self, actor: Actor, evaluation_id: int) -> EvaluationView:
        """Raises NotFound."""
        evaluation = self._store.evaluations.get(evaluation_id)
        return EvaluationView(evaluation, self._store.builds.list_of_evaluation(evaluation_id))

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
        jobset_id = self._store.projects.find_jobset(project, jobset).id if project else None
        return self._store.builds.list_newest(before=before, limit=limit, jobset_id=jobset_id)

    def build(self, actor: Actor, build_id: int) -> BuildView:
        """Raises NotFound."""
        build = self._store.builds.get(build_id)
        steps = self._store.builds.list_steps(build_id)
        may_write = Access.may(actor, "builds:write")
        return BuildView(
            build=build,
            evaluation=self._store.evaluations.get(build.evaluation_id),
            attempts=tuple(
                AttemptView(one, tuple(step for step in steps if step.attempt == one.number))
                for one in self._store.builds.list_attempts(build_id)
            ),
            products=self._store.builds.list_products(build_id),
            deliveries=self._store.outbox.list_of_build(build_id),
            waiting_for=self._waiting_reason(build),
            may_cancel=may_write and not build.status.is_final,
            may_rerun=may_write and build.status.is_final,
        )

    def queue(self, actor: Actor, *, before: int | None = None) -> QueueView:
        waiting = self._store.builds.list_waiting(before=before, limit=PAGE)
        return QueueView(
            running=self._store.builds.list_running(),
            waiting=waiting,
            waiting_total=self._store.builds.count_waiting(),
            reasons={one.id: self._waiting_reason(one) for one in waiting.builds},
            evaluations=self._store.evaluations.list_open(PAGE),
        )

    def step(self, actor: Actor, build_id: int, step: int | str, attempt: int | None) -> Step:
        """One step by number or name; of the newest attempt unless one is named.
        Raises NotFound.
        """
        build = self._store.builds.get(build_id)
        wanted = attempt or build.attempt
        if isinstance(step, int):
            return self._store.builds.get_step(build_id, wanted, step)
        return self._store.builds.find_step(build_id, wanted, step)

    def product(self, actor: Actor, build_id: int, product_id: int) -> Product:
        """Raises NotFound."""
        return self._store.builds.get_product(build_id, product_id)

    def open_product(self, product: Product) -> IO[bytes]:
        """Raises NotFound when the file is gone."""
        try:
            return self._store.files.open_product(product.sha256)
        except FileNotFoundError:
            raise NotFound(f"the content of {product.name} was removed") from None

    def deliveries(self, actor: Actor, *, limit: int = PAGE) -> tuple[Delivery, ...]:
        Access.require(actor, "builds:read")
        return self._store.outbox.list_newest(limit)

    def delivery(self, actor: Actor, delivery_id: str) -> tuple[Delivery, tuple[DeliveryTry, ...]]:
        """Raises NotFound."""
        Access.require(actor, "builds:read")
        return self._store.outbox.get(delivery_id), self._store.outbox.list_tries(delivery_id)

    def hook_secrets(self, project: str) -> tuple[str, ...]:
        """The secrets that may sign the project's hooks; empty for an unknown project."""
        return self._store.projects.hook_secrets(project)

    def check_ready(self) -> None:
        """Touch the database; raises what it raises."""
        self._store.builds.list_newest(before=None, limit=1)

    def _waiting_reason(self, build: Build) -> str:
        return waiting_reason(build, self._engine.state() if self._engine else None)
