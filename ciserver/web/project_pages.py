"""Projects and jobsets for people: their pages, and the forms that make and change them."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

import falcon

from ciserver.edge.bodies import form_body, number_query
from ciserver.edge.dialect import Route
from ciserver.model.account import Right, Visibility
from ciserver.model.errors import AlreadyExists, Complaint, Invalid
from ciserver.model.project import (
    Input,
    InputType,
    Jobset,
    JobsetMode,
    JobsetSettings,
    Project,
    ProjectSettings,
)
from ciserver.model.schedule import ScheduleKind, Timing
from ciserver.service.services import Services
from ciserver.web.failures import page_context
from ciserver.web.middleware import check_csrf
from ciserver.web.project_forms import (
    Form,
    form_of_jobset,
    form_of_project,
    inputs_of,
    jobset_settings,
    project_settings,
    rights_of,
    rows_of,
    with_free_rows,
)
from ciserver.web.view import View

Saved = TypeVar("Saved", Project, Jobset)

_PROJECT, _JOBSET = "/project/{project}", "/jobset/{project}/{jobset}"
_CONFIGURATION = "#tabs-configuration"
_NEW = JobsetSettings()
_SOURCE = Input(_NEW.recipe_input)
_NO_NAME = Complaint("name", "must not be empty")


class ProjectPages:
    def __init__(self, services: Services, view: View) -> None:
        self._services = services
        self._view = view

    def routes(self) -> Iterator[Route]:
        yield Route("/create-project", self, "new_project")
        yield Route(_PROJECT, self, "project")
        yield Route(f"{_PROJECT}/edit", self, "edit_project")
        yield Route(f"{_PROJECT}/members", self, "members")
        yield Route(f"{_PROJECT}/create-jobset", self, "new_jobset")
        yield Route(_JOBSET, self, "jobset")
        yield Route(f"{_JOBSET}/errors", self, "errors")
        yield Route(f"{_JOBSET}/edit", self, "edit_jobset")
        yield Route(f"{_JOBSET}/schedules", self, "schedules")
        yield Route(f"{_JOBSET}/pause", self, "pause_jobset")
        yield Route(f"{_JOBSET}/resume", self, "resume_jobset")

    def _show(
        self, req: falcon.Request, resp: falcon.Response, template: str, **values: Any
    ) -> None:
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._view.render(template, page_context(req), **values)

    @staticmethod
    def _form(req: falcon.Request) -> dict[str, str]:
        form = form_body(req)
        check_csrf(req, form.pop("csrf", ""))
        return form

    # -- projects ---------------------------------------------------------------------------------

    def on_get_project(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        self._show_project(req, resp, project)

    def _show_project(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        project: str,
        written: Mapping[str, str] = MappingProxyType({}),
        faults: tuple[str, ...] = (),
    ) -> None:
        actor = req.context.actor
        found = self._services.queries.project(actor, project)
        may_change = self._services.rights.may_in(actor, Right.EDIT, project)
        self._show(
            req,
            resp,
            "project.html",
            project=found,
            may_change=may_change,
            members=self._services.projects.members(actor, project) if may_change else None,
            rights=tuple(Right),
            written=written,
            faults=faults,
            storage=self._services.storage.of_project(actor, project),
        )

    def on_get_new_project(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._services.rights.require_project_maker(req.context.actor)
        self._show_project_form(req, resp, None, form_of_project(None))

    def on_post_new_project(self, req: falcon.Request, resp: falcon.Response) -> None:
        written = self._form(req)
        self._services.rights.require_project_maker(req.context.actor)
        self._put_project(req, resp, None, written)

    def on_get_edit_project(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        found = self._services.rights.project(req.context.actor, project, Right.EDIT)
        self._show_project_form(req, resp, found, form_of_project(found))

    def on_post_edit_project(
        self, req: falcon.Request, resp: falcon.Response, project: str
    ) -> None:
        written = self._form(req)
        found = self._services.rights.project(req.context.actor, project, Right.EDIT)
        self._put_project(req, resp, found, written)

    def _put_project(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        known: Project | None,
        written: Mapping[str, str],
    ) -> None:
        actor = req.context.actor
        settings, faults = project_settings(written, known.settings if known else ProjectSettings())
        name = written.get("name", "").strip()
        if known is not None and not name:
            faults.append(_NO_NAME)
        saved = _saved(
            lambda: self._services.projects.put_project(
                actor,
                known.name if known else name,
                settings,
                new_name=name,
                owner=written.get("owner", "").strip() if actor.is_admin else "",
                faults=faults,
                only_new=known is None,
            )
        )
        if isinstance(saved, Project):
            raise falcon.HTTPSeeOther(self._view.urls.project(saved.name) + _CONFIGURATION)
        resp.status = falcon.HTTP_400
        self._show_project_form(req, resp, known, Form(written, faults=saved))

    def _show_project_form(
        self, req: falcon.Request, resp: falcon.Response, known: Project | None, form: Form
    ) -> None:
        self._show(
            req,
            resp,
            "project_form.html",
            project=known,
            form=form,
            visibilities=tuple(Visibility),
            input_types=[one for one in InputType if one.has_files],
        )

    def on_post_members(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        """Exactly these rights for somebody; none ends the membership."""
        written = self._form(req)
        user = written.get("user", "").strip()
        try:
            rights = rights_of(written)
            self._services.projects.set_member(req.context.actor, project, user, rights)
        except Invalid as error:
            resp.status = falcon.HTTP_400
            told = tuple(one.message for one in error.complaints)
            self._show_project(req, resp, project, written, told)
            return
        raise falcon.HTTPSeeOther(self._view.urls.project(project) + "#members")

    # -- jobsets ----------------------------------------------------------------------------------

    def on_get_jobset(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        self._show_jobset(req, resp, project, jobset)

    def on_get_errors(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        """The page of the jobset shows its evaluations, which have them."""
        found = self._services.rights.jobset(req.context.actor, project, jobset)
        raise falcon.HTTPFound(self._view.urls.jobset(found.project, found.name))

    def _show_jobset(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        project: str,
        jobset: str,
        written: Mapping[str, str] = MappingProxyType({}),
        faults: tuple[str, ...] = (),
    ) -> None:
        actor = req.context.actor
        found = self._services.queries.jobset(
            actor, project, jobset, before=number_query(req, "before")
        )
        self._show(
            req,
            resp,
            "jobset.html",
            view=found,
            declared_in=self._services.rights.project(actor, project).settings.declaration.file,
            schedules=self._services.schedules.list_of_jobset(actor, found.jobset),
            may_change=self._services.rights.may_in(actor, Right.EDIT, project),
            written=written,
            faults=faults,
        )

    def on_get_new_jobset(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        self._services.jobsets.require_editable(req.context.actor, project)
        form = form_of_jobset("", _NEW, (_SOURCE,))
        self._show_jobset_form(req, resp, project, None, form)

    def on_post_new_jobset(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        written = self._form(req)
        self._services.jobsets.require_editable(req.context.actor, project)
        self._put_jobset(req, resp, project, None, written)

    def on_get_edit_jobset(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        self._services.jobsets.require_editable(req.context.actor, project)
        found = self._services.rights.jobset(req.context.actor, project, jobset)
        form = form_of_jobset(found.name, found.settings, found.inputs)
        self._show_jobset_form(req, resp, project, found, form)

    def on_post_edit_jobset(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        written = self._form(req)
        self._services.jobsets.require_editable(req.context.actor, project)
        found = self._services.rights.jobset(req.context.actor, project, jobset)
        self._put_jobset(req, resp, project, found, written)

    def _put_jobset(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        project: str,
        known: Jobset | None,
        written: Mapping[str, str],
    ) -> None:
        settings, faults = jobset_settings(written, known.settings if known else _NEW)
        rows = rows_of(written)
        inputs, wrong = inputs_of(rows)
        name = written.get("name", "").strip()
        if known is not None and not name:
            faults.append(_NO_NAME)
        saved = _saved(
            lambda: self._services.jobsets.put(
                req.context.actor,
                project,
                known.name if known else name,
                settings,
                inputs,
                new_name=name,
                faults=[*faults, *wrong],
                evaluate=True,
                only_new=known is None,
            )
        )
        if isinstance(saved, Jobset):
            place = self._view.urls.jobset(project, saved.name)
            raise falcon.HTTPSeeOther(place + _CONFIGURATION)
        resp.status = falcon.HTTP_400
        form = Form(written, with_free_rows(rows), saved)
        self._show_jobset_form(req, resp, project, known, form)

    def _show_jobset_form(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        project: str,
        known: Jobset | None,
        form: Form,
    ) -> None:
        self._show(
            req,
            resp,
            "jobset_form.html",
            project=project,
            jobset=known,
            form=form,
            modes=tuple(JobsetMode),
            input_types=tuple(InputType),
        )

    def on_post_schedules(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        """Add a schedule to the jobset; a refused one comes back with what is wrong."""
        form = self._form(req)
        timing = Timing(cron=form.get("cron", ""), zone=form.get("zone", ""))
        try:
            kind = ScheduleKind(form.get("kind", ""))
            made = self._services.schedules.add(
                req.context.actor,
                project,
                jobset,
                kind,
                timing,
                runs_script=form.get("script", "") == "on",
                declared_by="page",
            )
        except (Invalid, ValueError) as error:
            faults = error.complaints if isinstance(error, Invalid) else ("unknown kind",)
            resp.status = falcon.HTTP_400
            self._show_jobset(req, resp, project, jobset, form, tuple(map(str, faults)))
            return
        raise falcon.HTTPSeeOther(self._view.urls.schedule(made.id))

    def on_post_pause_jobset(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        self._pause_jobset(req, project, jobset, paused=True)

    def on_post_resume_jobset(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        self._pause_jobset(req, project, jobset, paused=False)

    def _pause_jobset(
        self, req: falcon.Request, project: str, name: str, *, paused: bool
    ) -> NoReturn:
        self._form(req)
        self._services.pauses.pause_jobset(req.context.actor, project, name, paused=paused)
        raise falcon.HTTPSeeOther(self._view.urls.jobset(project, name))


def _saved(save: Callable[[], tuple[Saved, bool]]) -> Saved | tuple[Complaint, ...]:
    """What was saved, or all that is wrong with it."""
    try:
        return save()[0]
    except Invalid as error:
        return error.complaints
    except AlreadyExists as error:
        return (Complaint("name", error.message),)
