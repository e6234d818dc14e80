"""The pages: every template with full values, hostile names, addresses, words for states."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import Markup

from ciserver.model.account import ANONYMOUS, Actor, Member, Right, Visibility
from ciserver.model.breakage import Breakage
from ciserver.model.build import Attempt, Build, Job, Output, Product, Step, Task
from ciserver.model.comparison import (
    Change,
    ChangedInput,
    Comparison,
    InputLog,
    JobChange,
    JobResult,
    LoggedCommit,
)
from ciserver.model.delivery import Delivery
from ciserver.model.errors import Complaint, NotFound
from ciserver.model.evaluation import Evaluation, Kind, PinnedInput, SkippedJob
from ciserver.model.event import BuildFinished
from ciserver.model.ports import BrokerState
from ciserver.model.project import (
    Input,
    InputType,
    Jobset,
    JobsetMode,
    JobsetSettings,
    Project,
    ProjectSettings,
)
from ciserver.model.push import Trust
from ciserver.model.request import Action, JobRequest, RequestStatus
from ciserver.model.secret import Secret, SecretType
from ciserver.model.status import BuildStatus, DeliveryStatus, EvaluationStatus, Reason, StepStatus
from ciserver.model.storage import Kept, ProjectStorage
from ciserver.model.view import (
    AttemptView,
    BuildIds,
    BuildPage,
    BuildView,
    EvaluationPage,
    EvaluationSummary,
    EvaluationView,
    IgnoredPush,
    JobsetSummary,
    JobsetView,
    LogChunk,
    Needed,
    Pause,
    ProjectSummary,
    QueueView,
    Related,
)
from ciserver.service.build_logs import WholeLog
from ciserver.service.keeping import Outlook
from ciserver.service.product_files import ProductFiles
from ciserver.store.archives import Entry, EntryKind, Listing
from ciserver.web import words
from ciserver.web.evaluation_pages import sections
from ciserver.web.log_lines import PAGE_LINES, more_lines, tail_lines
from ciserver.web.project_forms import form_of_jobset, form_of_project
from ciserver.web.secret_pages import SecretForm
from ciserver.web.submit_pages import Form
from ciserver.web.view import PageContext, View, step_to_show

TEMPLATES = Path(__file__).parents[2] / "templates"
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
REVISION = "4f2c9e1ab37d5560812e9c44d0b1a7f3e6c85d92"
HOSTILE = '<script>alert(\'x\')</script>"onload="y"&{{7*7}}'


def before(**distance):
    return NOW - timedelta(**distance)


def make_jobset(name="main", project="hello"):
    source = Input("source", "/srv/git/hello.git", local=True)
    tools = Input("tools", "https://git.example.org/tools.git", ref="refs/tags/v1")
    deep = Input("deep", type=InputType.BOOLEAN, value="true")
    files = Input("files", "/srv/files", type=InputType.PATH, refresh_seconds=90)
    settings = JobsetSettings(recipe_path=(".build.yml", ".builds/*.yml"))
    return Jobset(1, 1, project, "anna", name, (source, tools, deep, files), settings=settings)


def make_evaluation(text="Teach the parser to count", **changes):
    whole = Evaluation(
        *(7, 1, "hello", "main", 12, EvaluationStatus.SUCCEEDED, Kind.PUSH),
        *("refs/heads/main", REVISION, ("ci.skip=docs",), "anna", before(minutes=6)),
        started_at=before(minutes=6),
        finished_at=before(minutes=5, seconds=59),
        subject=text,
        author="Anna Lind",
        committed_at=before(minutes=9),
        inputs=(PinnedInput("source", "/srv/git/hello.git", "refs/heads/main", REVISION),),
        skipped=(SkippedJob("nightly", "its recipe asks for kind nightly, this was a push"),),
        builds_total=4,
        builds_finished=3,
        builds_good=2,
    )
    return replace(whole, **changes)


def make_build(status=BuildStatus.FAILED, **changes):
    whole = Build(
        *(42, 7, 1, "hello", "main", "unit-tests", 31, "x86_64-linux", "debian/12", status),
        *(Reason.NONE, "", 0, False, Kind.PUSH, "refs/heads/main", REVISION, "anna", "", 2),
        queued_at=before(minutes=5),
        updated_at=before(minutes=2, seconds=48),
        group_id=42,
        started_at=None if status.is_waiting else before(minutes=4),
        finished_at=before(minutes=2, seconds=48) if status.is_final else None,
        subject="Teach the parser to count",
    )
    return replace(whole, **changes)


def make_steps(attempt=2, *, last=StepStatus.FAILED):
    times = (before(minutes=4), before(minutes=3, seconds=57))
    ended = None if last is StepStatus.RUNNING else before(minutes=2, seconds=48)
    code = None if last is StepStatus.RUNNING else 1
    return (
        Step(42, attempt, 0, "setup", StepStatus.SUCCEEDED, 0, *times),
        Step(42, attempt, 1, "compile", StepStatus.SUCCEEDED, 0, times[1], before(minutes=3)),
        Step(42, attempt, 2, "test", last, code, before(minutes=3), ended),
        Step(42, attempt, 3, "package", StepStatus.PENDING, None, None, None),
    )


def make_delivery(ident, status, detail, target="anna@example.org"):
    event = BuildFinished(
        *(42, 2, 31, "hello", "main", "unit-tests", "x86_64-linux", "debian/12", "failed"),
        *("exit-code", "", "", "push", "refs/heads/main", REVISION, "", "", "anna", ""),
        *("", "", "", 72.0, "", ""),
    )
    sent = before(minutes=2) if status is DeliveryStatus.SENT else None
    due = NOW + timedelta(minutes=5)
    return Delivery(
        *(ident, "email", target, {}, event, status, 1, due, before(minutes=3), sent, detail)
    )


def make_build_view(build=None, *, last=StepStatus.FAILED, **changes):
    build = build or make_build(reason=Reason.EXIT_CODE, detail="step test ended with status 1")
    span = (before(minutes=4), build.finished_at)
    newest = Attempt(42, 2, "local-1", "bubblewrap", build.status, build.reason, "", *span)
    lost = BuildStatus.ERRORED, Reason.WORKER_LOST, "no word for 90 s"
    earlier = Attempt(42, 1, "local-2", "bubblewrap", *lost, before(minutes=5), before(minutes=4))
    whole = BuildView(
        build=build,
        evaluation=make_evaluation(),
        attempts=(
            AttemptView(newest, make_steps(last=last)),
            AttemptView(earlier, make_steps(1)),
        ),
        products=(Product(3, 42, 2, "hello.tar.gz", "out/hello.tar.gz", 48_213_004, "9f" * 32),),
        deliveries=(
            make_delivery("d1", DeliveryStatus.SENT, "accepted by mail.example.org"),
            make_delivery("d2", DeliveryStatus.PENDING, "connection refused"),
            make_delivery("d3", DeliveryStatus.BURIED, "no such mailbox"),
        ),
        waiting_for="",
        may_cancel=not build.status.is_final,
        may_rerun=build.status.is_final,
        job=Job("unit-tests", ".build.yml", "debian/12", "x86_64-linux", (Task("test", "make"),)),
        note="Does it still count?\nTry it.",
        tags=("counting", "parser"),
        needs=Related((40,), (make_build(BuildStatus.SUCCEEDED, id=40, job="compile"),)),
        needed_by=Related((50, 51), (make_build(BuildStatus.QUEUED, id=50, job="deploy"),)),
    )
    return replace(whole, **changes)


def make_jobset_view(**changes):
    evaluations = (
        make_evaluation(),
        make_evaluation(id=6, number=11, builds_finished=4, builds_good=4),
        make_evaluation(id=5, number=10, status=EvaluationStatus.FAILED, builds_total=0),
    )
    tag = ("refs/tags/v0.9",)
    reason = "no input of any jobset watches refs/tags/v0.9"
    whole = JobsetView(
        make_jobset(),
        EvaluationPage(evaluations, 5),
        (make_build(), make_build(BuildStatus.SUCCEEDED, id=43, job="docs")),
        (IgnoredPush(before(hours=2), "github", tag, "anna", reason),),
    )
    return replace(whole, **changes)


def make_comparison():
    """One job in every class, and inputs that came, moved, went back and went away."""
    was = JobResult(30, "unit-tests", "x86_64-linux", BuildStatus.SUCCEEDED)
    pairs = {
        Change.NOW_FAIL: JobChange(replace(was, build_id=42, status=BuildStatus.FAILED), was),
        Change.REMOVED: JobChange(None, replace(was, job="old-job")),
        Change.STILL_SUCCEED: JobChange(replace(was, build_id=12, job="lint"), was),
        Change.UNFINISHED: JobChange(replace(was, build_id=43, job="docs"), was),
    }
    old = PinnedInput("tools", "/srv/git/tools.git", "refs/heads/main", "0" * 40)
    new = replace(old, revision=REVISION)
    commit = LoggedCommit(REVISION, "Sharpen the saw", "Bert <bert@example.org>", before(days=2))
    inputs = (
        ChangedInput(old, new, InputLog((commit,), more=True)),
        ChangedInput(new, old, InputLog((commit,), more=False, went_back=True)),
        ChangedInput(None, PinnedInput("deep", type=InputType.BOOLEAN, value="true")),
        ChangedInput(old, None),
    )
    other = make_evaluation(id=5, number=9, jobset_id=2, jobset="stable")
    return Comparison(other, {change: (one,) for change, one in pairs.items()}, inputs)


def make_evaluation_page(view, comparison=None, most=None, **changes):
    comparison = comparison or make_comparison()
    values = {
        "view": view,
        "comparison": comparison,
        "against": "stable",
        "sections": tuple(sections(view, comparison, most)),
        "jobsets": ("stable",),
        "acts": frozenset({"cancel", "restart-aborted", "restart-failed", "bump"}),
    }
    return {**values, **changes}


def make_queue_view():
    waiting = make_build(BuildStatus.QUEUED, id=44, system="riscv64-linux")
    return QueueView(
        (make_build(BuildStatus.RUNNING), make_build(BuildStatus.CANCELING, id=45, job="docs")),
        BuildPage((waiting, replace(waiting, id=46, status=BuildStatus.HELD)), 46),
        9,
        {44: "no worker offers system riscv64-linux"},
        (make_evaluation(status=EvaluationStatus.RUNNING),),
    )


def make_log(content=b"one\ntwo\n", *, complete=True):
    return tail_lines(LogChunk(0, content, len(content), complete))


def make_summary(project="hello", description="Says hello"):
    settings = ProjectSettings("Hello!", description, "https://hello.example.org")
    made = Project(1, project, "anna", before(days=40), settings)
    off = JobsetSettings(mode=JobsetMode.OFF)
    quiet = replace(make_jobset("nightly", project), settings=off)
    jobset = make_jobset(project=project)
    return ProjectSummary(
        made, (JobsetSummary(jobset, make_evaluation()), JobsetSummary(quiet, None))
    )


def make_request(action=Action.CANCEL_BUILD, **changes):
    status = RequestStatus.DONE
    whole = JobRequest(
        5, action, "cancel", "anna", {"build": 42}, before(minutes=3), status, NOW, "Ok", (43,)
    )
    return replace(whole, **changes)


def make_requests():
    """One about each sort of thing."""
    about = ({"jobset": "hello:main", "schedule": 3}, {"project": "hello", "rights": ["edit"]})
    return (
        make_request(),
        *(make_request(Action.SET_MEMBER, what=one) for one in about),
        make_request(
            Action.CHANGE_USER, what={"user": "bert"}, status=RequestStatus.FAILED, message="no"
        ),
    )


def make_page(**changes):
    anna = Actor("anna", scopes=("*",))
    return replace(PageContext(anna, "c5rf", NOW, "/build/42", "0.1"), **changes)


FULL = ProjectStorage("hello", Kept(products=900_000, logs=200_000), 1)


def build_values(shown, **others):
    """What the page of a build is made of; of what is not named there is nothing."""
    return {
        "view": shown,
        **dict.fromkeys(("step", "log", "breakage")),
        "parts_of": shown.needs,
        "products": ProductFiles.of_view(shown),
        "reads": (),
        "outlook": Outlook(),
        "log_gone": "",
        **dict.fromkeys(("may_ask", "may_bump", "may_keep", "may_resubmit", "may_edit"), False),
        **others,
    }


def page_values():
    """Each template with values that fill every part of it."""
    broken = make_evaluation(
        status=EvaluationStatus.FAILED,
        note="The recipe could not be read.",
        complaints=(Complaint("tasks[0]", "a task is a name and a script", ".build.yml"),),
        builds_total=0,
        builds_finished=0,
    )
    build = make_build_view()
    step = step_to_show(build)
    builds = (make_build(), make_build(BuildStatus.RUNNING, id=43, job="docs"))
    fault = {"title": "Not found", "message": "There is no build 9.", "hint": "Look in the queue."}
    return {
        "home.html": {"projects": (make_summary(),)},
        "project.html": {
            "project": make_summary(),
            "storage": FULL,
            "members": (Member("bert", frozenset({Right.CANCEL, Right.READ})),),
            "may_change": True,
            "rights": tuple(Right),
        },
        "project_form.html": {
            "project": make_summary().project,
            "form": form_of_project(make_summary().project),
            "visibilities": tuple(Visibility),
            "input_types": tuple(InputType),
        },
        "jobset_form.html": {
            "project": "hello",
            "jobset": make_jobset(),
            "form": form_of_jobset("main", make_jobset().settings, make_jobset().inputs),
            "modes": tuple(JobsetMode),
            "input_types": tuple(InputType),
        },
        "jobset.html": {"view": make_jobset_view()},
        "evaluation.html": make_evaluation_page(
            EvaluationView(
                replace(broken, builds_total=4),
                (*builds, make_build(BuildStatus.QUEUED, id=44, job="deploy")),
                reused=(make_build(BuildStatus.SUCCEEDED, id=12, job="lint"),),
                reasons={44: "it needs docs (build 43, running)"},
                needs={44: (42, 43)},
            )
        ),
        "evaluations.html": {
            "evaluations": (
                EvaluationSummary(make_evaluation(), make_evaluation(builds_good=1), BuildIds()),
                EvaluationSummary(make_evaluation(), None, BuildIds()),
            ),
            "build": make_build(),
            "older": "?page=2",
            "is_first": True,
        },
        "build.html": build_values(
            build,
            step=step,
            log=make_log(),
            breakage=Breakage(build.build, make_build(), make_comparison().inputs),
            reads=ProductFiles.of_view(build),
            may_ask=True,
            may_bump=True,
            may_keep=True,
        ),
        "build_log.html": {
            "log": WholeLog(build.build, build.steps, (9, 9), complete=False),
            "shown": make_log(),
            "raw": "/log/build-42",
            "lines": 50,
        },
        "contents.html": {
            "build": build.build,
            "found": ProductFiles.of_view(build)[0],
            "listing": Listing((Entry("<i>/a.txt", EntryKind.FILE, 9),), is_cut=True),
        },
        "build_deps.html": {
            "build": build.build,
            "found": Needed(build.build, ((1, make_build()), (2, builds[1])), is_cut=True),
        },
        "runtime_deps.html": {
            "build": build.build,
            "view": replace(build, output=Output("", "/nix/x.drv", {"out": "/nix/<b>"})),
        },
        "log.html": {"build": build.build, "step": step, "attempt": 2, "log": make_log()},
        "queue.html": {
            "view": make_queue_view(),
            "paused": (Pause("", "bert"), Pause("local", "")),
            "may_pause": True,
            "broker": BrokerState("amqp://mq", "the message broker has not answered", "<refused>"),
        },
        "secrets.html": {
            "secrets": (
                Secret("6f1c", SecretType.SSH_KEY, "deploy", "", 0o600, NOW, None),
                Secret("6f1d", SecretType.PLAINTEXT_FILE, "", ".netrc", 0o640, NOW, NOW),
            ),
            "form": SecretForm({"name": "ab"}, faults=(Complaint("name", "no"),)),
            "types": tuple(SecretType),
            "project": "hello",
        },
        "submit.html": {
            "form": Form({"manifest": "image: host", "note": "For x"}, (Complaint("note", "no"),)),
            "is_foreign": True,
            "visibilities": tuple(Visibility),
        },
        "requests.html": {"requests": make_requests(), "next": 100, "offset": 0},
        "login.html": {"name": "anna", "next": "/queue", "error": "Name or password is wrong."},
        "welcome.html": {"user": "anna", "error": "The password is too short."},
        "error.html": {"status": 404, "incident": "a81f", **fault},
    }


class Page(HTMLParser):
    """What a browser would see: tags with attributes, and text."""

    void = frozenset({"br", "meta", "link", "img", "input", "path", "circle"})

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def view():
    return View(TEMPLATES, server_name="ci.example.org")


def hostile(value):
    """The same value with every free text in it replaced by an attack."""
    if isinstance(value, str) and not isinstance(value, (StrEnum, Markup)):
        return HOSTILE
    if isinstance(value, tuple):
        return tuple(map(hostile, value))
    if isinstance(value, dict):
        return {key: hostile(one) for key, one in value.items()}
    if isinstance(value, BuildFinished):
        return value
    if hasattr(value, "__dataclass_fields__"):
        names = value.__dataclass_fields__
        return replace(value, **{name: hostile(getattr(value, name)) for name in names})
    return value


@pytest.mark.parametrize("template", page_values())
def test_every_page_renders(view, template):
    """Each template takes its values and gives well-formed HTML with a heading and a skip link."""
    page = Page(view.render(template, make_page(notice="Done."), **page_values()[template]))
    assert page.open == []
    assert len(page.all("h1")) == 1
    assert {"class": "skip", "href": "#main"} in page.all("a")
    assert "Done." in page.text
    assert all(one["scope"] for one in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))


@pytest.mark.parametrize("template", page_values())
def test_hostile_names_stay_text(view, template):
    """Markup and template syntax in any name, message or address is shown, not obeyed."""
    values = hostile(page_values()[template])
    page = Page(view.render(template, make_page(notice=HOSTILE), **values))
    assert HOSTILE in page.text
    assert [set(one) for one in page.all("script")] == [{"src", "defer"}]
    assert not [name for _, attributes in page.tags for name in attributes if name[:2] == "on"]


@pytest.mark.parametrize("template", page_values())
def test_pages_obey_the_content_policy(view, template):
    """No page carries inline script or style, or anything from elsewhere."""
    page = Page(view.render(template, make_page(), **page_values()[template]))
    assert not page.all("style")
    assert not [attributes for _, attributes in page.tags if "style" in attributes]
    sources = [one["src"] for tag in ("script", "img") for one in page.all(tag)]
    assert all(one.startswith("/static/") for one in sources)
    assert all(one["href"].startswith("/static/") for one in page.all("link"))


def render_build(view, shown, page=None, **others):
    return view.render("build.html", page or make_page(), **build_values(shown, **others))


def posted(page):
    """The forms that change something."""
    return [one for one in page.all("form") if one["method"] == "post"]


def text_of(html):
    """What the page says, with a space between its parts."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def render_queue(view, shown, *paused, may_pause=False):
    page = make_page()
    return view.render(
        "queue.html", page, view=shown, paused=paused, may_pause=may_pause, broker=None
    )


def test_every_form_that_changes_something_carries_the_token(view):
    """Cancel, run again and sign out are POST forms with the page's token."""
    running = make_build_view(make_build(BuildStatus.RUNNING), may_rerun=True)
    html = render_build(view, running)
    forms = posted(Page(html))
    assert {one["action"] for one in forms} == {"/logout", "/build/42/cancel", "/build/42/rerun"}
    assert html.count('name="csrf" value="c5rf"') == len(forms)


def test_buttons_are_only_for_those_who_may(view):
    """Someone who may neither cancel nor run again sees no such button, but where to sign in."""
    quiet = make_build_view(may_cancel=False, may_rerun=False)
    anybody = make_page(actor=ANONYMOUS)
    page = Page(render_build(view, quiet, anybody))
    assert posted(page) == []
    assert {"href": "/login?next=%2Fbuild%2F42"} in page.all("a")


@pytest.mark.parametrize(
    ("status", "buttons"),
    [
        (BuildStatus.HELD, {"/build/42/start"}),
        (BuildStatus.QUEUED, set()),
        (BuildStatus.RUNNING, set()),
        (BuildStatus.FAILED, {"/build/42/rebuild"}),
    ],
)
def test_who_may_ask_for_builds_starts_what_is_held(view, status, buttons):
    """A held build can be started, a finished one built again; nobody else sees the buttons."""
    shown = make_build_view(make_build(status), may_cancel=False, may_rerun=False)
    page = Page(render_build(view, shown, make_page(actor=ANONYMOUS), may_ask=True))
    assert {one["action"] for one in posted(page)} == buttons
    assert not posted(Page(render_build(view, shown, make_page(actor=ANONYMOUS))))


@pytest.mark.parametrize(
    ("changes", "is_shown"),
    [({}, True), ({"bumped": True}, False), ({"status": BuildStatus.RUNNING}, False)],
    ids=["waiting", "bumped already", "running"],
)
def test_who_may_bump_a_waiting_build_does(view, changes, is_shown):
    """Once, while it waits; nobody else sees the button."""
    build = replace(make_build(BuildStatus.QUEUED), **changes)
    shown = make_build_view(build, may_cancel=False)
    actions = {one["action"] for one in posted(Page(render_build(view, shown, may_bump=True)))}
    assert ("/build/42/bump" in actions) is is_shown
    assert "/build/42/bump" not in render_build(view, shown)


def test_a_build_tells_what_it_needs_and_what_needs_it(view):
    """With a link and the status of each, how many more there are, and its group."""
    build = make_build(BuildStatus.QUEUED, concurrency="hello:deploys")
    page = Page(render_build(view, make_build_view(build)))
    links = {one["href"] for one in page.all("a")}
    assert {"/build/40", "/build/50"} <= links
    text = text_of(render_build(view, make_build_view(build)))
    assert "Needs compile Succeeded" in text
    assert "Needed by deploy Queued and 1 more" in text
    assert "Group deploys one at a time" in text


def test_a_build_names_what_it_needs_where_there_is_no_build_of_it(view):
    """There is nothing to link to."""
    job = Job("test", ".build.yml", "host", "x86_64-linux", (), needs=("compile", "docs"))
    html = render_build(view, make_build_view(needs=Related(), job=job))
    assert "Needs compile, docs" in text_of(html)


def test_an_evaluation_tells_what_became_of_each_job(view):
    """Built, waiting and for what, reused from which build, left out by which filter."""
    html = view.render("evaluation.html", make_page(), **page_values()["evaluation.html"])
    text = text_of(html)
    assert "Waiting: it needs docs (build 43, running)" in text
    assert "unit-tests, docs" in text
    assert "Reused" in text
    assert "Nothing changed for it since build 12" in text
    assert {"href": "/build/12"} in Page(html).all("a")
    assert "nightly its recipe asks for kind nightly" in text


def test_an_evaluation_tells_what_changed(view):
    """Which classes have how many jobs, what each job was, and the commits behind an input."""
    html = view.render("evaluation.html", make_page(), **page_values()["evaluation.html"])
    text, page = text_of(html), Page(html)
    assert "Compared with evaluation #9 of hello / stable" in text
    assert "Now failing 1 Builds of" in text
    assert "Removed 1 Builds of" in text
    assert "old-job x86_64-linux Succeeded \u2013 This evaluation has no such job." in text
    assert {"class": "through", "href": "/build/30"} in page.all("a")
    assert {"class": "through", "href": "#now-fail"} in page.all("a")
    assert "Built anew since 1" in text  # build 44, of which no comparison speaks
    assert "Changed inputs 4" in text
    assert "4f2c9e1ab3 Sharpen the saw Bert, 2 days ago and earlier ones" in text
    assert "It went back; these commits are gone: 4f2c9e1ab3 Sharpen the saw" in text
    assert "It is new." in text
    assert "It is gone." in text
    shown = {one["action"] for one in posted(page)}
    assert {f"/eval/7/{act}" for act in ("cancel", "bump", "restart-failed")} < shown


def test_an_evaluation_without_another_tells_its_builds(view):
    """There is nothing to compare with, or what was named is not there."""
    values = page_values()["evaluation.html"]
    alone = {
        **values,
        "comparison": None,
        "sections": tuple(sections(values["view"], None, 2)),
        "acts": frozenset(),
    }
    html = view.render("evaluation.html", make_page(), **{**alone, "against": ""})
    assert "This is the first one, so there is nothing to compare with." in text_of(html)
    assert "Builds 4 Builds of this evaluation" in text_of(html)
    assert "The first 2 of 4. Show all" in text_of(html)
    assert {"href": "?compare=&full=1"} in Page(html).all("a")
    assert [one["action"] for one in posted(Page(html))] == ["/logout"]
    html = view.render("evaluation.html", make_page(), **alone)
    assert "There is no such evaluation to compare with." in text_of(html)


def test_the_list_of_evaluations_tells_what_became_better(view):
    """Beside the inputs that changed; a list without one says why it may be empty."""
    values = page_values()["evaluations.html"]
    text = text_of(view.render("evaluations.html", make_page(), **values))
    assert "Evaluations with build 42" in text
    assert "2 +1 1 1 6 minutes ago" in text  # good and by how many, bad, to do
    values = {**values, "evaluations": (), "build": None, "older": None}
    text = text_of(view.render("evaluations.html", make_page(actor=ANONYMOUS), **values))
    assert "Nothing was evaluated yet that made a build. Some are only shown" in text


def test_many_needs_are_told_shortly():
    """The first five, each name once, and how many more; a build nobody sees is not counted."""
    names = {number: f"job{number // 2}" for number in range(20)}
    needs = words.WORDS["needs"]
    assert needs((2, 3, 4), names) == "job1, job2"
    assert needs(range(30), names) == "job0, job1, job2, job3, job4 and 5 more"
    assert needs((), names) == ""


def test_a_paused_queue_says_so(view):
    """What is paused and by whom, where that is told; who may resume has a button for each."""
    pauses = (Pause("", "bert"), Pause("local<", ""))
    shown = Page(render_queue(view, make_queue_view(), *pauses, may_pause=True))
    text = " ".join(shown.text.split())
    assert "The queue is paused by bert: what runs goes on" in text
    assert "The worker local< is paused: what runs" in text
    workers = [one["value"] for one in shown.all("input") if one["name"] == "worker"]
    assert workers == ["", "local<"]
    actions = [one["action"] for one in shown.all("form") if "queue" in one["action"]]
    assert actions == ["/queue/resume", "/queue/resume"]
    assert "/queue/" not in render_queue(view, make_queue_view(), *pauses)
    assert "/queue/pause" in render_queue(view, make_queue_view(), pauses[1], may_pause=True)


@pytest.mark.parametrize(("paused", "button"), [(True, "resume"), (False, "pause")])
def test_a_jobset_is_paused_by_who_may_change_it(view, paused, button):
    """A paused one says so; the button is for the other way."""
    jobset = replace(make_jobset(), paused=paused)
    values = {"view": make_jobset_view(jobset=jobset), "faults": (), "written": {}}
    page = Page(view.render("jobset.html", make_page(), may_change=True, **values))
    actions = {one["action"] for one in posted(page)}
    assert f"/jobset/hello/main/{button}" in actions
    assert ("pushes are evaluated, and its builds wait" in page.text) is paused
    assert "/pause" not in view.render("jobset.html", make_page(), **values)


def test_a_submitted_build_says_what_it_came_with(view):
    """Note, tags, who asked, and that not everybody sees it; no empty commit or branch."""
    build = make_build(kind=Kind.API, revision="", ref="", visibility=Visibility.PRIVATE, kept=True)
    html = render_build(view, make_build_view(build))
    for text in ("Does it still count?", "counting", "parser", "Private", "Kept", "anna"):
        assert text in html
    assert "Asked for by" in html
    assert "<dt>Commit</dt>" not in html
    assert "<dt>Branch</dt>" not in html


def test_an_untrusted_build_says_so(view):
    """Whoever looks at it must know why it has no network."""
    assert "Untrusted" in render_build(view, make_build_view(make_build(trust=Trust.UNTRUSTED)))
    assert "Untrusted" not in render_build(view, make_build_view())


def test_a_homepage_is_a_link_only_to_the_web(view):
    """Another scheme would run a script in the reader's browser."""
    for homepage, is_link in (("https://a.example", True), ("javascript:alert(1)", False)):
        summary = make_summary()
        settings = replace(summary.project.settings, homepage=homepage)
        shown = replace(summary, project=replace(summary.project, settings=settings))
        page = Page(
            view.render("project.html", make_page(), project=shown, members=None, storage=FULL)
        )
        assert homepage in page.text
        assert (homepage in {one["href"] for one in page.all("a")}) is is_link


def test_requests_tell_what_they_are_about(view):
    """Each leads to its thing, and to what came of it."""
    html = view.render("requests.html", make_page(), requests=make_requests(), next=None, offset=0)
    links = {one["href"] for one in Page(html).all("a")}
    assert {"/build/42", "/build/43", "/jobset/hello/main", "/project/hello"} <= links
    assert "/schedule/3" in links
    for text in ("Cancel a build", "rights: edit", "user: bert", "Not done", "as cancel"):
        assert text in html


def test_a_waiting_build_says_why(view):
    """The reason stands on the page of the build and in the queue."""
    reason = "no worker offers system riscv64-linux"
    waiting = make_build_view(make_build(BuildStatus.QUEUED), attempts=(), waiting_for=reason)
    assert reason in render_build(view, waiting)
    assert reason in render_queue(view, make_queue_view())


def test_a_stopped_build_says_who_or_what_stopped_it(view):
    """A canceled build names the person, a failed one the cause and the detail."""
    build = make_build(BuildStatus.CANCELED, reason=Reason.CANCELED_BY, canceled_by="bert")
    canceled = render_build(view, make_build_view(build))
    failed = render_build(view, make_build_view())
    assert "Canceled by bert." in canceled
    assert "A step failed. Step test ended with status 1" in failed


@pytest.mark.parametrize(("status", "again"), [(BuildStatus.RUNNING, True), (None, False)])
def test_only_unfinished_pages_load_again(view, status, again):
    """Without JavaScript a page of an unfinished build is refreshed; a final one stays."""
    shown = make_build_view(make_build(status) if status else None, deliveries=())
    html = render_build(view, shown)
    assert ('http-equiv="refresh"' in html) is again


def test_a_running_log_is_followed_from_where_the_page_ends(view):
    """The page carries all that static/log.js needs to ask for the next lines."""
    build = make_build_view(make_build(BuildStatus.RUNNING), last=StepStatus.RUNNING)
    log = make_log(b"one\n\x1b[1mtwo\nthr", complete=False)
    step = step_to_show(build)
    page = Page(render_build(view, build, step=step, log=log))
    box = next(one for one in page.all("div") if one.get("id") == "log")
    assert box["data-follow"] == "/build/42/step/2/lines?attempt=2"
    assert (box["data-offset"], box["data-line"], box["data-state"]) == ("12", "3", "1")
    assert "thr" in page.text


def test_empty_pages_say_what_to_do(view):
    """A new server explains how to watch a repository; empty lists have a sentence."""
    assert "ciserver watch" in view.render("home.html", make_page(), projects=())
    nothing = make_jobset_view(evaluations=EvaluationPage((), None), results=(), ignored=())
    page = Page(view.render("jobset.html", make_page(), view=nothing))
    assert "No evaluation yet" in page.text
    assert "Nothing was built yet" in page.text
    idle = QueueView((), BuildPage((), None), 0, {}, ())
    assert "Nothing is running" in render_queue(view, idle)


def test_every_state_has_a_word_a_symbol_and_a_tone():
    """No status of the model is without a look, and no reason without a sentence."""
    assert set(words.BUILD_LOOKS) == set(BuildStatus)
    assert set(words.STEP_LOOKS) == set(StepStatus)
    assert set(words.EVALUATION_LOOKS) == set(EvaluationStatus)
    assert set(words.DELIVERY_LOOKS) == set(DeliveryStatus)
    assert set(words.REASONS) == set(Reason)
    assert set(words.REQUEST_LOOKS) == set(RequestStatus)
    assert set(words.ACTIONS) == set(Action)


def test_the_log_shown_is_the_one_that_tells_most():
    """The running or broken step first, else the last that did anything, else none."""
    assert step_to_show(make_build_view()).name == "test"
    good = make_build_view(last=StepStatus.SUCCEEDED)
    assert step_to_show(good).name == "test"
    assert step_to_show(make_build_view(attempts=())) is None


def test_addresses_quote_what_comes_from_outside(view):
    """A name with slashes, dots, spaces or quotes stays one part of the path."""
    url = view.urls
    assert url.project("a/../b c") == "/project/a%2F..%2Fb%20c"
    assert url.jobset("p", 'x"?#') == "/jobset/p/x%22%3F%23"
    assert url.evaluation(7) == "/eval/7"
    assert (url.build(42), url.cancel(42), url.rerun(42)) == (
        *("/build/42", "/build/42/cancel", "/build/42/rerun"),
    )
    step = Step(42, 3, 1, "a/b", StepStatus.RUNNING, None, NOW, None)
    assert url.step(step) == "/build/42/step/1?attempt=3"
    assert url.raw_log(step) == "/build/42/log/a%2Fb?attempt=3"
    assert url.product(42, 9, "ä&b") == "/build/42/product/9/%C3%A4%26b"
    assert url.sign_in("/build/42?a=b&c") == "/login?next=%2Fbuild%2F42%3Fa%3Db%26c"


def test_static_files_are_addressed_by_content(view):
    """The address carries the hash of what is served, the type fits, and nothing else is served."""
    file = view.static("style.css")
    assert view.urls.static("style.css") == f"/static/style.css?v={file.version}"
    assert file.content == (TEMPLATES / "static" / "style.css").read_bytes()
    assert file.media_type == "text/css"
    assert view.static("favicon.svg").media_type == "image/svg+xml"
    with pytest.raises(NotFound):
        view.static("../base.html")


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (before(seconds=4), "just now"),
        (before(seconds=42), "42 seconds ago"),
        (before(minutes=1, seconds=59), "1 minute ago"),
        (before(days=3), "3 days ago"),
        (NOW + timedelta(hours=5), "in 5 hours"),
    ],
)
def test_times_are_relative_with_the_exact_time_beside(view, moment, text):
    """A time reads as a distance from now and keeps the exact moment as its title."""
    queue = QueueView(
        (), BuildPage((make_build(BuildStatus.QUEUED, queued_at=moment),), None), 1, {}, ()
    )
    html = render_queue(view, queue)
    exact = moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    assert f'<time datetime="{moment.isoformat()}" title="{exact}">{text}</time>' in html


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "&lt; 1 s"), (45, "45 s"), (72, "1 min 12 s"), (3600, "1 h"), (90_061, "1 d 1 h")],
)
def test_durations_are_two_units_at_most(view, seconds, text):
    """A duration is short enough to read at a glance."""
    build = make_build(started_at=before(seconds=seconds), finished_at=NOW)
    queue = QueueView((build,), BuildPage((), None), 0, {}, ())
    html = render_queue(view, queue)
    assert f'<td class="number">{text}</td>' in html


@pytest.mark.parametrize(
    ("ref", "text"),
    [
        ("refs/heads/topic/head", "topic/head"),
        ("refs/tags/v1", "tag v1"),
        ("refs/pull/5/head", "pull request 5"),
        ("refs/heads/*", "all branches"),
        ("HEAD", "HEAD"),
    ],
)
def test_refs_are_short_and_keep_their_full_name(view, ref, text):
    """A ref is shown as people say it, with the full name as its title."""
    queue = QueueView((make_build(ref=ref),), BuildPage((), None), 0, {}, ())
    html = render_queue(view, queue)
    assert f'title="{ref}">{text}</span>' in html


@pytest.mark.parametrize(
    ("size", "text"),
    [(1, "1 byte"), (999, "999 bytes"), (1_500, "1.5 kB"), (48_213_004, "48 MB"), (5e12, "5.0 TB")],
)
def test_sizes_are_rounded(view, size, text):
    """A size is shown in the unit that keeps it short."""
    product = Product(3, 42, 2, "hello", "hello", int(size), "9f" * 32)
    shown = make_build_view(products=(product,))
    html = render_build(view, shown)
    assert f'<td class="number">{text}</td>' in html


def test_a_tail_starts_at_a_whole_line_with_its_number():
    """The broken first line of a tail is left out and the rest keep their numbers."""
    log = tail_lines(LogChunk(1000, b"oken\nnext\nlast", 1014, complete=True), line=50)
    assert 'id="L50"' not in log.html
    assert '<a href="#L51" tabindex="-1">51</a>next' in log.html
    assert "last" in log.html
    assert (log.offset, log.line, log.skipped, log.complete) == (1014, 53, 1005, True)


def test_a_tail_of_too_many_lines_is_its_end():
    """A flood of short lines is cut to the last ones, with the right numbers."""
    count = PAGE_LINES + 10
    log = tail_lines(LogChunk(0, b"\n" * count, count, complete=True))
    assert log.html.startswith('<span class="l" id="L11">')
    assert (log.line, log.skipped) == (count + 1, 10)


def test_following_a_log_shows_each_line_once():
    """Asking on with what the answer before said gives the same lines as reading it whole."""
    content = "\x1b[32mone\ntw\u00f6\r\n\x1b[0mthree\nfour".encode()
    html, offset, line, state = "", 0, 1, ""
    for end in range(len(content) + 1):
        complete = end == len(content)
        answer = more_lines(LogChunk(offset, content[offset:end], end, complete), line, state)
        told = json.loads(json.dumps(answer.to_json()))
        html += told["html"]
        offset, line, state = told["offset"], told["line"], told["state"]
    assert told["complete"] is True
    assert html == tail_lines(LogChunk(0, content, len(content), complete=True)).html


def test_an_answer_holds_a_bounded_number_of_lines():
    """A flood is told in several answers; only the last is complete."""
    count = PAGE_LINES + 10
    first = more_lines(LogChunk(0, b"\n" * count, count, complete=True), 1, "")
    assert (first.offset, first.complete) == (PAGE_LINES, False)
    rest = more_lines(LogChunk(first.offset, b"\n" * 10, count, complete=True), first.line, "")
    assert (rest.offset, rest.line, rest.complete) == (count, count + 1, True)
