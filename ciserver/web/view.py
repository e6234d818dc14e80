"""Pages for people: the templates, how they tell time, and the addresses they link to.

A page gets values of the model and says nothing the model does not know.
"""

import mimetypes
from datetime import datetime
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from markupsafe import Markup

from ciserver.model.account import Actor
from ciserver.model.build import Step
from ciserver.model.errors import NotFound
from ciserver.model.frozen import frozen
from ciserver.model.status import StepStatus
from ciserver.model.view import BuildView
from ciserver.web.words import Look

if TYPE_CHECKING:
    from jinja2 import Environment

_LOOKS = 256  # those with numbers in them are many


@frozen
class PageContext:
    """What every page knows beside its own values. `notice` is a sentence about what was just
    done; `path` is the address of the page itself.
    """

    actor: Actor
    csrf: str
    now: datetime
    path: str
    version: str
    notice: str = ""


@frozen
class StaticFile:
    """A file beside the templates, and the version that its address carries."""

    content: bytes
    media_type: str
    version: str


class Urls:
    """The addresses of pages and of what they show. Every part that comes from outside is quoted,
    so a name never leaves its place in the path.
    """

    def __init__(self, versions: dict[str, str]) -> None:
        self._versions = versions
        self.home, self.queue, self.requests = "/", "/queue", "/requests"
        self.new_project, self.secrets = "/create-project", "/secrets"
        self.login, self.logout, self.evaluations = "/login", "/logout", "/evals"
        self.submit = "/submit"
        self.search, self.queue_summary = "/search", "/queue-summary"
        self.status, self.steps, self.machines = "/status", "/steps", "/machines"

    def project(self, project: str) -> str:
        return _path("project", project)

    def secrets_of(self, project: str) -> str:
        return _path("project", project, "secrets")

    def jobset(self, project: str, jobset: str) -> str:
        return _path("jobset", project, jobset)

    def job(self, project: str, jobset: str, job: str, *rest: str) -> str:
        """A job, or what lies beneath its address."""
        return _path("job", project, jobset, job, *rest)

    def all_builds(self, project: str = "", jobset: str = "", job: str = "") -> str:
        """The list of every build of a place."""
        kind = "job" if job else "jobset" if jobset else "project" if project else ""
        return _path(*filter(None, (kind, project, jobset, job, "all")))

    def evaluation(self, evaluation_id: int) -> str:
        return _path("eval", evaluation_id)

    def evaluation_act(self, evaluation_id: int, act: str) -> str:
        return _path("eval", evaluation_id, act)

    def compared(self, evaluation_id: int, against: object) -> str:
        return _path("eval", evaluation_id, compare=against)

    def evaluations_of_build(self, build_id: int) -> str:
        return _path("build", build_id, "evals")

    def schedule(self, schedule_id: int) -> str:
        return _path("schedule", schedule_id)

    def build(self, build_id: int) -> str:
        return f"/build/{build_id:d}"  # lists have hundreds of these, and a number needs no quotes

    def cancel(self, build_id: int) -> str:
        return _path("build", build_id, "cancel")

    def rerun(self, build_id: int) -> str:
        return _path("build", build_id, "rerun")

    def rebuild(self, build_id: int) -> str:
        return _path("build", build_id, "rebuild")

    def resubmit(self, build_id: int) -> str:
        return _path("build", build_id, "resubmit")

    def edit_submission(self, build_id: int) -> str:
        """The form with what a build was submitted with."""
        return _path("submit", build=build_id)

    def start(self, build_id: int) -> str:
        return _path("build", build_id, "start")

    def bump(self, build_id: int) -> str:
        return _path("build", build_id, "bump")

    def keep(self, build_id: int, kept: int) -> str:
        return _path("build", build_id, "keep", kept)

    def build_part(self, build_id: int, name: str) -> str:
        """What is told of a build at an address beneath its own."""
        return _path("build", build_id, name)

    def step(self, step: Step) -> str:
        return _path("build", step.build_id, "step", step.number, attempt=step.attempt)

    def lines(self, step: Step) -> str:
        """Where static/log.js asks for what follows; it adds `offset`, `line`, `state`, `wait`."""
        return _path("build", step.build_id, "step", step.number, "lines", attempt=step.attempt)

    def step_log(self, step: Step, *mode: str) -> str:
        """The log of a step at the address that names it so, or in a mode."""
        return _path("build", step.build_id, "step", step.number, "log", *mode)

    def text_log(self, name: str) -> str:
        """The log of a whole build, or of a derivation."""
        return _path("log", name)

    def build_log(self, build_id: int, *mode: str) -> str:
        """The page of the log of a whole build."""
        return _path("build", build_id, "log", *mode)

    def raw_log(self, step: Step) -> str:
        return _path("build", step.build_id, "log", step.name, attempt=step.attempt)

    def product(self, build_id: int, product_id: int, name: str) -> str:
        return _path("build", build_id, "product", product_id, name)

    def results(self, build_id: int) -> str:
        return _path("build", build_id, "results", "")

    def download(self, build_id: int, number: int, *parts: str) -> str:
        """A product by its number in its build, and what lies in it."""
        return _path("build", build_id, "download", number, *parts)

    def contents(self, build_id: int, number: int) -> str:
        """What lies in a product that is an archive."""
        return _path("build", build_id, "contents", number)

    def sign_in(self, following: str) -> str:
        return _path("login", next=following)

    def static(self, name: str) -> str:
        """The address of a file in `static/`; it changes with the content, so it may be cached
        for ever. An unknown name is a KeyError: the template is wrong.
        """
        return _path("static", name, v=self._versions[name])


class View:
    """Renders the templates in a folder. Everything is escaped; a value that a template wants and
    does not get is an error, not an empty place. jinja2 is loaded for the first page.
    """

    def __init__(self, templates: Path, *, server_name: str) -> None:
        self._static = {one.name: _static_file(one) for one in (templates / "static").iterdir()}
        self.urls = Urls({name: file.version for name, file in self._static.items()})
        self._folder, self._server_name = templates, server_name

    @cached_property
    def _jinja(self) -> "Environment":
        from ciserver.web.templates import environment  # noqa: PLC0415  slow, as jinja2 is

        made = environment(self._folder)
        made.filters["status"] = lru_cache(_LOOKS)(self._status)
        made.globals.update(url=self.urls, server_name=self._server_name)
        return made

    def render(self, template: str, page: PageContext, **values: Any) -> str:
        """The page as HTML text. Raises jinja2's errors when template and values do not fit."""
        return self._jinja.get_template(template).render(page=page, **values)

    def _status(self, look: Look) -> Markup:
        """A status as pages show it. They have hundreds of a few, so these are remembered."""
        parts: Any = self._jinja.get_template("_parts.html").module
        shown: Markup = parts.status(look)
        return shown

    def static(self, name: str) -> StaticFile:
        """A file of `static/`, read once at the start; NotFound when there is none."""
        try:
            return self._static[name]
        except KeyError:
            raise NotFound(f"there is no file {name!r} among the page's own files") from None


def step_to_show(view: BuildView) -> Step | None:
    """The step of the newest attempt whose log belongs on the build's page: the one that runs, or
    the one that went wrong, or the last that did anything.
    """
    steps = [one for one in (view.attempts[0].steps if view.attempts else ()) if one.started_at]
    telling = {StepStatus.RUNNING, StepStatus.FAILED, StepStatus.CANCELED, StepStatus.LOST}
    return next((one for one in steps if one.status in telling), steps[-1] if steps else None)


def _path(*parts: object, **query: object) -> str:
    path = "".join("/" + quote(str(part), safe="") for part in parts)
    return f"{path}?{urlencode(query)}" if query else path


def _static_file(file: Path) -> StaticFile:
    content = file.read_bytes()
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return StaticFile(content, media_type, sha256(content).hexdigest()[:16])
