"""The application: every address that it knows, and nothing else."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import falcon

from ciserver.dialects.abf import Abf
from ciserver.dialects.copr import Copr
from ciserver.dialects.hydra import Hydra
from ciserver.dialects.srht import Srht
from ciserver.edge.addresses import Addresses
from ciserver.edge.dialect import DialectMaker, Dialects, Route, SharedDialectMaker
from ciserver.service.services import Services
from ciserver.web.build_pages import BuildPages
from ciserver.web.builds import BuildApi
from ciserver.web.deliveries import DeliveryApi
from ciserver.web.dialect_pages import DialectPages
from ciserver.web.downloads import Downloads
from ciserver.web.evaluation_pages import EvaluationPages
from ciserver.web.evaluations import ACTS, EvaluationApi
from ciserver.web.failures import Failures
from ciserver.web.front import Front
from ciserver.web.health import Health
from ciserver.web.hooks import HookDoor
from ciserver.web.job_pages import JobPages
from ciserver.web.log_pages import LogPages
from ciserver.web.metrics import Metrics, RequestCounters
from ciserver.web.middleware import AccessLog, Authentication, BrowserRules, HeadAsGet
from ciserver.web.other_sites import OtherSites
from ciserver.web.pages import Pages, no_such_page
from ciserver.web.project_pages import ProjectPages
from ciserver.web.projects import ProjectApi
from ciserver.web.queue import QueueApi
from ciserver.web.recipe_schema import RecipeSchema
from ciserver.web.renamed import Renamed
from ciserver.web.requests import RequestApi
from ciserver.web.results import Results
from ciserver.web.schedules import ScheduleApi
from ciserver.web.secret_pages import SecretPages
from ciserver.web.secrets import SecretApi
from ciserver.web.shared import add_shared_routes
from ciserver.web.sign_in import SignIn
from ciserver.web.status_pages import StatusPages
from ciserver.web.submit_pages import SubmitPages
from ciserver.web.systems import SystemApi
from ciserver.web.users import UserApi
from ciserver.web.view import View
from ciserver.web.webhook_keys import WebhookKeyApi
from ciserver.web.workers import WorkerApi

App: TypeAlias = "falcon.App[falcon.Request, falcon.Response]"


DIALECTS: tuple[DialectMaker, ...] = (Abf, Copr, Srht)  # but for those that have settings


def create_app(
    services: Services,
    templates: Path,
    *,
    server_name: str,
    base_url: str,
    dialects: Iterable[DialectMaker] = DIALECTS,
    shared: SharedDialectMaker = Hydra,
) -> App:
    """A WSGI application over these services. `base_url` empty: the Host of each request. Each
    dialect is made from the services and the `base_url`; `shared` makes the one that has the
    addresses of the pages too, which is not among `dialects`.
    """
    view = View(templates, server_name=server_name)
    twin = shared(services, base_url)
    spoken = Dialects([make(services, base_url) for make in dialects], twin)
    counted = RequestCounters()
    around: list[Any] = [
        counted,
        AccessLog(),
        HeadAsGet(),
        Front(),
        Authentication(services.access, services.clock, spoken),
        OtherSites(base_url, spoken),
        BrowserRules(base_url, spoken),
        DialectPages(view),
    ]
    addresses = Addresses()
    app: App = falcon.App(middleware=around, router=addresses)
    failures = Failures(view, spoken)
    failures.register(app)
    Renamed(services.renames, failures.refused).register(app)
    add_shared_routes(app, _pages(services, view, base_url), twin)
    _add_api(app, services, base_url)
    app.add_route("/hooks/{door}/{project}", HookDoor(services, base_url))
    addresses.add_later("worker", partial(_worker_routes, services))
    app.add_route("/metrics", Metrics(services, counted))
    spoken.add_routes(app)
    app.add_sink(no_such_page, "/")
    return app


def _pages(services: Services, view: View, base_url: str) -> Iterator[Route]:
    """The addresses for people."""
    pages = Pages(services, view)
    yield Route("/", pages, "home")
    yield from ProjectPages(services, view).routes()
    yield from SecretPages(services, view).routes()
    yield from EvaluationPages(services, view).routes()
    yield from BuildPages(services, view).routes()
    yield from SubmitPages(services, view).routes()
    yield Route("/schedule/{schedule_id}", pages, "schedule")
    yield Route("/schedule/{schedule_id}/{change}", pages, "change_schedule")
    yield Route("/queue", pages, "queue")
    yield Route("/queue/pause", pages, "pause_queue")
    yield Route("/queue/resume", pages, "resume_queue")
    yield Route("/requests", pages, "requests")
    yield Route("/static/{name}", pages, "static")
    sign_in = SignIn(services, view, secure=base_url.startswith("https://"))
    yield Route("/login", sign_in, "login")
    yield Route("/logout", sign_in, "logout")
    yield Route("/welcome/{token}", sign_in, "welcome")
    yield from LogPages(services, view).routes()
    yield from Downloads(services, view).routes()
    yield from JobPages(services, view, base_url).routes()
    yield from StatusPages(services, view).routes()
    results = Results(services, view)
    yield Route("/build/{build_id}/results/", results, "index")
    yield Route("/build/{build_id}/results/{name}", results, "file")


def _worker_routes(services: Services) -> Iterator[Route]:
    """Most servers have no workers elsewhere, and none of their messages."""
    from ciserver.web.worker import worker_routes  # noqa: PLC0415  slow to load

    return worker_routes(services)


def _add_workers(app: App, services: Services) -> None:
    workers = WorkerApi(services)
    app.add_route("/ci/v1/workers", workers, suffix="workers")
    app.add_route("/ci/v1/workers/{name}", workers, suffix="worker")
    app.add_route("/ci/v1/workers/{name}/credential", workers, suffix="credential")


def _add_api(app: App, services: Services, base_url: str) -> None:
    """The addresses for programs, but for those of dialects."""
    _add_projects(app, services, base_url)
    _add_schedules(app, services, base_url)
    _add_builds(app, services, base_url)
    _add_people(app, services, base_url)
    _add_secrets(app, services)
    queue = QueueApi(services, base_url)
    app.add_route("/ci/v1/queue", queue, suffix="queue")
    app.add_route("/ci/v1/queue/pause", queue, suffix="pause")
    app.add_route("/ci/v1/queue/resume", queue, suffix="resume")
    systems = SystemApi(services)
    app.add_route("/ci/v1/systems", systems, suffix="systems")
    app.add_route("/ci/v1/systems/{name}", systems, suffix="system")
    _add_workers(app, services)
    deliveries = DeliveryApi(services)
    app.add_route("/ci/v1/deliveries", deliveries, suffix="deliveries")
    app.add_route("/ci/v1/deliveries/{delivery_id}", deliveries, suffix="delivery")
    app.add_route("/ci/v1/deliveries/{delivery_id}/resend", deliveries, suffix="resend")
    keys = WebhookKeyApi(services)
    app.add_route("/ci/v1/webhook-keys", keys, suffix="keys")
    app.add_route("/ci/v1/webhook-keys/{key_id}", keys, suffix="key")
    app.add_route("/ci/v1/webhook-keys/{key_id}/use", keys, suffix="use")
    requests = RequestApi(services)
    app.add_route("/ci/v1/requests", requests, suffix="requests")
    app.add_route("/ci/v1/requests/{request_id}", requests, suffix="request")
    health = Health(services)
    app.add_route("/healthz", health, suffix="alive")
    app.add_route("/readyz", health, suffix="ready")
    app.add_route("/version", health, suffix="version")
    app.add_route("/recipe.schema.json", RecipeSchema(services.queries))


def _add_projects(app: App, services: Services, base_url: str) -> None:
    projects = ProjectApi(services, base_url)
    app.add_route("/ci/v1/projects", projects, suffix="projects")
    app.add_route("/ci/v1/projects/{name}", projects, suffix="project")
    app.add_route("/ci/v1/projects/{name}/hook-secrets", projects, suffix="hook_secret")
    app.add_route("/ci/v1/projects/{name}/signing-secret", projects, suffix="signing_secret")
    app.add_route("/ci/v1/projects/{name}/quota", projects, suffix="storage")
    app.add_route("/ci/v1/projects/{name}/members", projects, suffix="members")
    app.add_route("/ci/v1/projects/{name}/members/{user}", projects, suffix="member")
    app.add_route("/ci/v1/projects/{name}/jobsets/{jobset}", projects, suffix="jobset")
    for change in ("evaluate", "pause", "resume"):
        app.add_route(f"/ci/v1/jobsets/{{project}}/{{jobset}}/{change}", projects, suffix=change)


def _add_schedules(app: App, services: Services, base_url: str) -> None:
    schedules = ScheduleApi(services, base_url)
    app.add_route("/ci/v1/schedules", schedules, suffix="schedules")
    app.add_route("/ci/v1/schedules/{schedule_id}", schedules, suffix="schedule")
    app.add_route("/ci/v1/schedules/{schedule_id}/fire", schedules, suffix="fire")
    app.add_route("/ci/v1/schedules/{schedule_id}/remove", schedules, suffix="remove")
    app.add_route("/ci/v1/schedules/{schedule_id}/pause", schedules, suffix="pause")
    app.add_route("/ci/v1/schedules/{schedule_id}/resume", schedules, suffix="resume")
    app.add_route(
        "/ci/v1/jobsets/{project}/{jobset}/pgo-strategy", schedules, suffix="pgo_strategy"
    )


def _add_builds(app: App, services: Services, base_url: str) -> None:
    builds = BuildApi(services, base_url)
    evaluations = EvaluationApi(services, base_url)
    app.add_route("/ci/v1/evaluations/{evaluation_id}", evaluations, suffix="evaluation")
    app.add_route("/ci/v1/evaluations/{evaluation_id}/comparison", evaluations, suffix="comparison")
    for act in ACTS:
        path = f"/ci/v1/evaluations/{{evaluation_id}}/{act}"
        app.add_route(path, evaluations, suffix=act.replace("-", "_"))
    app.add_route("/ci/v1/builds", builds, suffix="builds")
    app.add_route("/ci/v1/builds/{build_id}", builds, suffix="build")
    for change in (
        *("cancel", "rerun", "rebuild", "start"),
        *("bump", "priority", "keep", "unkeep", "delete"),
    ):
        app.add_route(f"/ci/v1/builds/{{build_id}}/{change}", builds, suffix=change)
    app.add_route("/ci/v1/builds/{build_id}/steps/{step}/log", builds, suffix="log")


def _add_people(app: App, services: Services, base_url: str) -> None:
    users = UserApi(services, base_url)
    app.add_route("/ci/v1/users", users, suffix="users")
    app.add_route("/ci/v1/users/{name}", users, suffix="user")
    app.add_route("/ci/v1/users/{name}/links", users, suffix="link")
    app.add_route("/ci/v1/users/{name}/tokens", users, suffix="tokens")


def _add_secrets(app: App, services: Services) -> None:
    secrets = SecretApi(services)
    for place in ("", "/users/{name}"):
        app.add_route(f"/ci/v1{place}/secrets", secrets, suffix="own")
        app.add_route(f"/ci/v1{place}/secrets/{{uuid}}", secrets, suffix="one")
    of_project = "/ci/v1/projects/{name}/secrets"
    app.add_route(of_project, secrets, suffix="of_project")
    app.add_route(f"{of_project}/{{uuid}}", secrets, suffix="one_of_project")
