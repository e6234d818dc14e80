"""The application: every address that it knows, and nothing else."""

from pathlib import Path
from typing import Any, TypeAlias

import falcon

from ciserver.service.services import Services
from ciserver.web.api import Api, Health
from ciserver.web.failures import Failures
from ciserver.web.hooks import HookDoor
from ciserver.web.log_pages import LogPages
from ciserver.web.middleware import AccessLog, Authentication, BrowserRules, HeadAsGet
from ciserver.web.pages import Pages, no_such_page
from ciserver.web.schedules import ScheduleApi
from ciserver.web.sign_in import SignIn
from ciserver.web.view import View

App: TypeAlias = "falcon.App[falcon.Request, falcon.Response]"


def create_app(services: Services, templates: Path, *, server_name: str, base_url: str) -> App:
    """A WSGI application over these services. `base_url` empty: the Host of each request."""
    view = View(templates, server_name=server_name)
    around: list[Any] = [
        AccessLog(),
        HeadAsGet(),
        Authentication(services.access, services.clock),
        BrowserRules(base_url),
    ]
    app: App = falcon.App(middleware=around)
    Failures(view).register(app)
    _add_pages(app, services, view, secure=base_url.startswith("https://"))
    _add_api(app, services, base_url)
    app.add_route("/hooks/{door}/{project}", HookDoor(services, base_url))
    app.add_sink(no_such_page, "/")
    return app


def _add_pages(app: App, services: Services, view: View, *, secure: bool) -> None:
    pages, logs = Pages(services, view), LogPages(services, view)
    sign_in = SignIn(services, view, secure=secure)
    app.add_route("/", pages, suffix="home")
    app.add_route("/project/{project}", pages, suffix="project")
    app.add_route("/jobset/{project}/{jobset}", pages, suffix="jobset")
    app.add_route("/jobset/{project}/{jobset}/schedules", pages, suffix="schedules")
    app.add_route("/schedule/{schedule_id}", pages, suffix="schedule")
    app.add_route("/schedule/{schedule_id}/{change}", pages, suffix="change_schedule")
    app.add_route("/eval/{evaluation_id}", pages, suffix="evaluation")
    app.add_route("/build/{build_id}", pages, suffix="build")
    app.add_route("/build/{build_id}/cancel", pages, suffix="cancel")
    app.add_route("/build/{build_id}/rerun", pages, suffix="rerun")
    app.add_route("/queue", pages, suffix="queue")
    app.add_route("/static/{name}", pages, suffix="static")
    app.add_route("/build/{build_id}/step/{step}", logs, suffix="log")
    app.add_route("/build/{build_id}/step/{step}/lines", logs, suffix="lines")
    app.add_route("/build/{build_id}/log/{name}", logs, suffix="raw")
    app.add_route("/build/{build_id}/product/{product_id}/{name}", logs, suffix="product")
    app.add_route("/login", sign_in, suffix="login")
    app.add_route("/logout", sign_in, suffix="logout")
    app.add_route("/welcome/{token}", sign_in, suffix="welcome")


def _add_api(app: App, services: Services, base_url: str) -> None:
    api, health = Api(services, base_url), Health(services)
    app.add_route("/ci/v1/projects", api, suffix="projects")
    app.add_route("/ci/v1/projects/{name}/hook-secrets", api, suffix="hook_secret")
    app.add_route("/ci/v1/projects/{name}/signing-secret", api, suffix="signing_secret")
    app.add_route("/ci/v1/evaluations/{evaluation_id}", api, suffix="evaluation")
    app.add_route("/ci/v1/builds", api, suffix="builds")
    app.add_route("/ci/v1/builds/{build_id}", api, suffix="build")
    app.add_route("/ci/v1/builds/{build_id}/cancel", api, suffix="cancel")
    app.add_route("/ci/v1/builds/{build_id}/rerun", api, suffix="rerun")
    app.add_route("/ci/v1/builds/{build_id}/steps/{step}/log", api, suffix="log")
    app.add_route("/ci/v1/queue", api, suffix="queue")
    app.add_route("/ci/v1/deliveries", api, suffix="deliveries")
    app.add_route("/ci/v1/deliveries/{delivery_id}", api, suffix="delivery")
    app.add_route("/ci/v1/deliveries/{delivery_id}/resend", api, suffix="resend")
    app.add_route("/ci/v1/users", api, suffix="users")
    app.add_route("/ci/v1/users/{name}/links", api, suffix="link")
    app.add_route("/ci/v1/users/{name}/tokens", api, suffix="tokens")
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
    app.add_route("/healthz", health, suffix="alive")
    app.add_route("/readyz", health, suffix="ready")
    app.add_route("/version", health, suffix="version")
