"""Every change that somebody asks for leaves one row: who, what, when, and what came of it."""

import json
from dataclasses import dataclass, replace

import pytest
from support.factories import ADMIN, ALL, MAIL
from support.repositories import git

from ciserver.model.account import ANONYMOUS, Actor, Right, Visibility
from ciserver.model.errors import (
    BuildAlreadyFinished,
    Forbidden,
    Invalid,
    NotFound,
    NotSignedIn,
)
from ciserver.model.project import Credential, Input, JobsetSettings, ProjectSettings
from ciserver.model.request import Action, RequestStatus
from ciserver.model.schedule import PgoStrategy, ScheduleKind, Timing
from ciserver.model.status import BuildStatus
from ciserver.service.job_groups import GivenGroup
from ciserver.service.submissions import ManifestSubmission, ScriptSubmission

B, DONE, FAILED = BuildStatus, RequestStatus.DONE, RequestStatus.FAILED
HOURLY = Timing(every_seconds=3600)
READER = Actor("eve", scopes=("builds:read",))
SECRETS = ("s3cret-of-the-hook", "s3cret-password", "s3cret-credential", "s3cret-in-address")
MANIFEST = "image: host\nenvironment:\n  KEY: s3cret-value\ntasks:\n  - build: echo built\n"


class Ground:
    """A watched project with a build in each state that a change needs."""

    def __init__(self, make, watched, revision):
        self.services, self.make, self.jobset = make.services, make, watched.jobset
        self.revision = revision
        make.user("olga")
        make.services.systems.add(ADMIN, "spare-linux")
        make.services.workers.add(ADMIN, "spare", ("spare-linux/trusted",))
        waiting = make.submitted(self.jobset)
        self.waiting, self.evaluation = waiting.id, waiting.evaluation_id
        self.ended = make.build(B.SUCCEEDED, jobset=self.jobset, triggers=(MAIL,)).id
        self.held = make.services.submissions.submit(
            ADMIN, ManifestSubmission(MANIFEST, execute=False)
        ).id
        self.schedule = self.services.schedules.add(
            ADMIN, "project", "main", ScheduleKind.NIGHTLY, HOURLY
        ).id

    @property
    def delivery(self):
        return self.services.queries.build(ADMIN, self.ended).deliveries[0].id

    def rows(self):
        return self.make.store.requests.list_newest(ALL, limit=1000)


@pytest.fixture
def ground(make, watched, repository):
    with make.store.transaction():
        return Ground(make, watched, git(repository.tree, "rev-parse", "HEAD"))


@dataclass(frozen=True)
class Change:
    action: Action
    what: str  # JSON; names in braces are those of the ground
    act: object


CHANGES = {
    "add worker": Change(
        Action.ADD_WORKER,
        '{"worker": "arm", "queues": ["aarch64-linux/trusted"]}',
        lambda g, a: g.services.workers.add(a, "arm", ("aarch64-linux/trusted",)),
    ),
    "change worker": Change(
        Action.CHANGE_WORKER,
        '{"worker": "spare", "labels": ["gpu"]}',
        lambda g, a: g.services.workers.change(a, "spare", labels=("gpu",)),
    ),
    "renew worker": Change(
        Action.RENEW_WORKER,
        '{"worker": "spare"}',
        lambda g, a: g.services.workers.renew(a, "spare"),
    ),
    "remove worker": Change(
        Action.REMOVE_WORKER,
        '{"worker": "spare"}',
        lambda g, a: g.services.workers.remove(a, "spare"),
    ),
    "set quota": Change(
        Action.SET_QUOTA,
        '{"project": "project", "quota_mb": 5}',
        lambda g, a: g.services.storage.set_quota(a, "project", 5),
    ),
    "add system": Change(
        Action.ADD_SYSTEM,
        '{"system": "riscv64-linux"}',
        lambda g, a: g.services.systems.add(a, "riscv64-linux"),
    ),
    "change system": Change(
        Action.CHANGE_SYSTEM,
        '{"system": "spare-linux", "active": false}',
        lambda g, a: g.services.systems.change(a, "spare-linux", active=False),
    ),
    "remove system": Change(
        Action.REMOVE_SYSTEM,
        '{"system": "spare-linux"}',
        lambda g, a: g.services.systems.remove(a, "spare-linux"),
    ),
    "cancel": Change(
        Action.CANCEL_BUILD,
        '{"build": WAITING}',
        lambda g, a: g.services.builds.cancel(a, g.waiting),
    ),
    "rerun": Change(
        Action.RERUN_BUILD, '{"build": ENDED}', lambda g, a: g.services.builds.rerun(a, g.ended)
    ),
    "rebuild": Change(
        Action.REBUILD,
        '{"build": ENDED, "count": 2, "priority": 3}',
        lambda g, a: g.services.builds.rebuild(a, g.ended, priority=3, count=2),
    ),
    "reprioritize": Change(
        Action.REPRIORITIZE,
        '{"build": WAITING, "priority": 7}',
        lambda g, a: g.services.builds.reprioritize(a, g.waiting, 7),
    ),
    "bump": Change(
        Action.BUMP_BUILD, '{"build": WAITING}', lambda g, a: g.services.builds.bump(a, g.waiting)
    ),
    "pause the queue": Change(
        Action.PAUSE, '{"worker": "*"}', lambda g, a: g.services.pauses.pause(a, paused=True)
    ),
    "resume a jobset": Change(
        Action.RESUME,
        '{"jobset": "project:main"}',
        lambda g, a: g.services.pauses.pause_jobset(a, "project", "main", paused=False),
    ),
    "start": Change(
        Action.START_BUILD, '{"build": HELD}', lambda g, a: g.services.builds.start(a, g.held)
    ),
    "join": Change(
        Action.JOIN_BUILDS,
        '{"builds": [HELD]}',
        lambda g, a: g.services.job_groups.join(a, GivenGroup((g.held,))),
    ),
    "keep": Change(
        Action.KEEP_BUILD,
        '{"build": ENDED, "kept": true}',
        lambda g, a: g.services.builds.keep(a, g.ended, kept=True),
    ),
    "delete": Change(
        Action.DELETE_BUILD, '{"build": ENDED}', lambda g, a: g.services.builds.delete(a, g.ended)
    ),
    "submit": Change(
        Action.SUBMIT_BUILD,
        '{"tags": ["tools"]}',
        lambda g, a: g.services.submissions.submit(
            a, ManifestSubmission(MANIFEST, tags=("tools",))
        ),
    ),
    "run script": Change(
        Action.SUBMIT_BUILD,
        '{"jobset": "project:main", "revision": "HEAD"}',
        lambda g, a: g.services.submissions.run_script(a, g.jobset, ScriptSubmission(script="x")),
    ),
    "evaluate": Change(
        Action.EVALUATE,
        '{"jobset": "project:main", "kind": "api", "revision": ""}',
        lambda g, a: g.services.evaluations.request(a, g.jobset),
    ),
    "watch": Change(
        Action.ADD_PROJECT,
        '{"project": "other", "uri": "https://example.org/other"}',
        lambda g, a: g.services.projects.watch(
            a, "other", "https://example.org/other", credential=Credential("ada", SECRETS[2])
        ),
    ),
    "add project": Change(
        Action.ADD_PROJECT,
        '{"project": "new"}',
        lambda g, a: g.services.projects.put_project(a, "new", ProjectSettings()),
    ),
    "change project": Change(
        Action.CHANGE_PROJECT,
        '{"project": "project"}',
        lambda g, a: g.services.projects.put_project(
            a, "project", ProjectSettings(description="Tools")
        ),
    ),
    "remove project": Change(
        Action.REMOVE_PROJECT,
        '{"project": "project"}',
        lambda g, a: g.services.projects.remove_project(a, "project"),
    ),
    "member": Change(
        Action.SET_MEMBER,
        '{"project": "project", "rights": ["bump", "cancel"], "user": "olga"}',
        lambda g, a: g.services.projects.set_member(
            a, "project", "olga", frozenset({Right.CANCEL, Right.BUMP})
        ),
    ),
    "hook secret": Change(
        Action.ADD_HOOK_SECRET,
        '{"project": "project"}',
        lambda g, a: g.services.projects.add_hook_secret(a, "project", SECRETS[0]),
    ),
    "add jobset": Change(
        Action.ADD_JOBSET,
        '{"jobset": "project:tools"}',
        lambda g, a: g.services.jobsets.put(a, "project", "tools", JobsetSettings(), ()),
    ),
    "change jobset": Change(
        Action.CHANGE_JOBSET,
        '{"jobset": "project:main"}',
        lambda g, a: g.services.jobsets.put(a, "project", "main", JobsetSettings(), ()),
    ),
    "remove jobset": Change(
        Action.REMOVE_JOBSET,
        '{"jobset": "project:main"}',
        lambda g, a: g.services.jobsets.remove(a, "project", "main"),
    ),
    "strategy": Change(
        Action.CHANGE_JOBSET,
        '{"jobset": "project:main", "pgo_strategy": "manual"}',
        lambda g, a: g.services.schedules.set_pgo_strategy(
            a, "project", "main", PgoStrategy.MANUAL
        ),
    ),
    "add schedule": Change(
        Action.ADD_SCHEDULE,
        '{"jobset": "project:main", "kind": "nightly"}',
        lambda g, a: g.services.schedules.add(a, "project", "main", ScheduleKind.NIGHTLY, HOURLY),
    ),
    "pause": Change(
        Action.CHANGE_SCHEDULE,
        '{"jobset": "project:main", "schedule": SCHEDULE}',
        lambda g, a: g.services.schedules.pause(a, g.schedule, paused=True),
    ),
    "fire": Change(
        Action.FIRE_SCHEDULE,
        '{"jobset": "project:main", "schedule": SCHEDULE}',
        lambda g, a: g.services.schedules.fire(a, g.schedule),
    ),
    **{
        name: Change(action, '{"evaluation": EVALUATION}', act)
        for name, action, act in (
            (
                "cancel evaluation",
                Action.CANCEL_EVALUATION,
                lambda g, a: g.services.evaluation_acts.cancel(a, g.evaluation),
            ),
            (
                "bump evaluation",
                Action.BUMP_EVALUATION,
                lambda g, a: g.services.evaluation_acts.bump(a, g.evaluation),
            ),
        )
    },
    "restart evaluation": Change(
        Action.RESTART_EVALUATION,
        '{"evaluation": EVALUATION, "which": "failed"}',
        lambda g, a: g.services.evaluation_acts.restart_failed(a, g.evaluation),
    ),
    "remove schedule": Change(
        Action.REMOVE_SCHEDULE,
        '{"jobset": "project:main", "schedule": SCHEDULE}',
        lambda g, a: g.services.schedules.remove(a, g.schedule),
    ),
    "resend": Change(
        Action.RESEND_DELIVERY,
        '{"build": ENDED, "delivery": "DELIVERY"}',
        lambda g, a: g.services.deliveries.resend(a, g.delivery),
    ),
    "add user": Change(
        Action.ADD_USER,
        '{"user": "mara"}',
        lambda g, a: g.services.access.add_user(
            a, "mara", email="", password=SECRETS[1], admin=False
        ),
    ),
    "change user": Change(
        Action.CHANGE_USER,
        '{"user": "olga"}',
        lambda g, a: g.services.access.change_user(a, "olga", roles=("bump",)),
    ),
    "add token": Change(
        Action.ADD_TOKEN,
        '{"scopes": ["builds:read"], "user": "olga"}',
        lambda g, a: g.services.access.add_token(a, "olga", ("builds:read",), None),
    ),
    "add link": Change(
        Action.ADD_LINK,
        '{"user": "olga"}',
        lambda g, a: g.services.access.add_sign_in_link(a, "olga"),
    ),
}
LATER = {
    "cancel": lambda g, a: g.services.requests.ask_cancel(a, g.waiting),
    "cancel revision": lambda g, a: g.services.requests.ask_cancel_revision(a, g.jobset, "22"),
    "rebuild": lambda g, a: g.services.requests.ask_rebuild(a, g.ended, priority=0, count=1),
    "reprioritize": lambda g, a: g.services.requests.ask_reprioritize(a, g.waiting, 1),
    "evaluate": lambda g, a: g.services.requests.ask_evaluation(a, g.jobset, g.revision),
}


def whole(change, ground):
    """What the change says of itself, with the numbers of this ground."""
    text = change.what.replace('"HEAD"', f'"{ground.revision}"').replace(
        "DELIVERY", ground.delivery
    )
    for name in ("waiting", "ended", "held", "schedule", "evaluation"):
        text = text.replace(name.upper(), str(getattr(ground, name)))
    return json.loads(text)


def test_every_action_is_here():
    """No kind of change is left out."""
    later = {Action.CANCEL_REVISION}
    # With tests of their own: what they say has names that are made up there, or only refusals are
    # on record.
    elsewhere = {one for one in Action if one.endswith(("-secret", "-webhook-key"))}
    elsewhere.add(Action.WORK_ON_BUILD)
    assert {one.action for one in CHANGES.values()} | later | elsewhere == set(Action)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_leaves_one_row(ground, clock, name):
    """Who, what, when and the outcome; no second row, no change without one."""
    change, before = CHANGES[name], ground.rows()
    now = clock.forward(minutes=1)
    what = whole(change, ground)
    change.act(ground, ADMIN)
    row, *rest = ground.rows()
    assert tuple(rest) == before
    assert (row.action, row.who, row.what) == (change.action, "root", what)
    assert (row.requested_at, row.completed_at) == (now, now)
    assert (row.status, row.message, row.asked_as) == (DONE, "Ok", "")


@pytest.mark.usefixtures("sqlite_alone")
@pytest.mark.parametrize("name", CHANGES)
def test_a_refused_change_leaves_one_row(ground, name):
    """Somebody who may not do it is on record, with the reason; nothing else has changed."""
    change, before = CHANGES[name], ground.rows()
    everything = dump(ground)
    with pytest.raises(Forbidden) as refused:
        change.act(ground, READER)
    row, *rest = ground.rows()
    assert tuple(rest) == before
    assert (row.action, row.who) == (change.action, "eve")
    assert (row.status, row.message) == (FAILED, refused.value.message)
    assert dump(ground) == everything


def dump(ground):
    """The whole database but for the audit trail."""
    lines = ground.make.store.database.connection().iterdump()
    return [one for one in lines if "job_requests" not in one]


@pytest.mark.parametrize("name", LATER)
def test_what_is_asked_and_refused_leaves_one_row(ground, name):
    """Also where it would have been performed later."""
    before = ground.rows()
    with pytest.raises(Forbidden) as refused:
        LATER[name](ground, READER)
    row, *rest = ground.rows()
    assert tuple(rest) == before
    assert (row.who, row.status, row.message) == ("eve", FAILED, refused.value.message)


@pytest.mark.parametrize("name", LATER)
def test_what_is_performed_later_leaves_one_row(ground, name):
    """The request itself is the row; performing it adds none."""
    before = ground.rows()
    request_id = LATER[name](ground, ADMIN)
    while ground.services.requests.perform_next() or ground.services.evaluations.evaluate_next():
        pass
    row, *rest = ground.rows()
    assert tuple(rest) == before
    assert (row.id, row.who, row.status) == (request_id, "root", DONE)


@pytest.mark.parametrize("name", CHANGES)
def test_nobody_leaves_no_row(ground, name):
    """Whoever did not say who they are fills no table."""
    before = ground.rows()
    with pytest.raises(NotSignedIn):
        CHANGES[name].act(ground, ANONYMOUS)
    assert ground.rows() == before


@pytest.mark.parametrize("name", LATER)
def test_nobody_asks(ground, name):
    """Nor for what is performed later."""
    before = ground.rows()
    with pytest.raises(NotSignedIn):
        LATER[name](ground, ANONYMOUS)
    assert ground.rows() == before


def test_what_came_of_it(ground):
    """Builds that were made are named; so is why something could not be."""
    made = ground.services.builds.rebuild(ADMIN, ground.ended, count=2)
    assert ground.rows()[0].created == made
    build = ground.services.submissions.submit(ADMIN, ManifestSubmission(MANIFEST))
    assert ground.rows()[0].created == (build.id,)
    with pytest.raises(BuildAlreadyFinished):
        ground.services.builds.cancel(ADMIN, ground.ended)
    row = ground.rows()[0]
    assert (row.status, row.message) == (FAILED, f"build {ground.ended} is succeeded")


def test_bad_input_leaves_no_row(ground):
    """What cannot be meant is answered and forgotten, and so is what is not there."""
    before = ground.rows()
    with pytest.raises(Invalid):
        ground.services.projects.put_project(ADMIN, "no name", ProjectSettings())
    with pytest.raises(Invalid):
        ground.services.submissions.submit(ADMIN, ManifestSubmission("tasks: none"))
    with pytest.raises(NotFound):
        ground.services.builds.cancel(ADMIN, 999)
    assert ground.rows() == before


def test_no_secret_is_on_record(ground):
    """Neither of those that were given, nor of those that were made."""
    services, told = ground.services, [*SECRETS, "s3cret-value"]
    for name in ("submit", "watch", "hook secret", "add user"):
        CHANGES[name].act(ground, ADMIN)
    told.append(services.projects.add_hook_secret(ADMIN, "project"))
    told.append(services.access.add_token(ADMIN, "olga", ("*",), None)[0])
    told.append(services.access.add_sign_in_link(ADMIN, "olga"))
    told.append(services.projects.signing_secret(ADMIN, "project"))
    address = f"https://ada:{SECRETS[3]}@example.org/p"
    with pytest.raises(Forbidden):
        services.projects.watch(READER, "p", address)
    with pytest.raises(Invalid):
        services.jobsets.put(
            ADMIN, "project", "tools", JobsetSettings(), (Input("source", address),)
        )
    trail = ground.make.store.database.sql("SELECT * FROM job_requests").fetchall()
    assert [one for one in told if one in str(trail)] == []


@pytest.mark.usefixtures("sqlite_alone")
def test_a_failed_write_leaves_neither(ground, store):
    """The change and its row are one: where the row cannot be written, nothing changes."""
    store.database.sql(
        "CREATE TRIGGER full BEFORE INSERT ON job_requests BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    before = store.builds.get(ground.waiting)
    with pytest.raises(Exception, match="no"):
        ground.services.builds.cancel(ADMIN, ground.waiting)
    assert store.builds.get(ground.waiting) == before


def test_who_sees_a_refusal(ground, make):
    """A refusal of something private is for its members and for who was refused."""
    make.project("secret", visibility=Visibility.PRIVATE)
    mia = make.user("mia")
    ground.services.projects.set_member(ADMIN, "secret", "mia", frozenset({Right.READ}))
    with pytest.raises(Forbidden):
        ground.services.projects.remove_project(mia, "secret")
    refused = ground.rows()[0].id
    assert ground.services.requests.get(mia, refused).status is FAILED
    assert ground.services.requests.get(ADMIN, refused).who == "mia"
    with pytest.raises(NotFound):
        ground.services.requests.get(replace(READER, scopes=("*",)), refused)
