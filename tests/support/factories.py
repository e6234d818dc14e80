"""Makes valid things through the services and the store; one keyword changes one thing."""

import hashlib
import itertools
from dataclasses import replace
from datetime import timedelta

from ciserver.model.account import Actor, Sight, Visibility
from ciserver.model.build import BuildResult, Job, Offer, StepResult, Task, TriggerSpec
from ciserver.model.evaluation import Kind
from ciserver.model.event import BuildFinished, StepSummary
from ciserver.model.project import Input, JobsetMode, JobsetSettings, ProjectSettings
from ciserver.model.push import Push, Received, RefChange
from ciserver.model.status import BuildStatus, EvaluationStatus, Reason, StepStatus
from ciserver.recipe.text import job_to_json
from ciserver.store.arrivals import Texts

ADMIN = Actor("root", is_admin=True, scopes=("*",))
ALL = Sight(everything=True)
SYSTEM = "x86_64-linux"
OFFER = Offer("local-0", (SYSTEM,))
MAIN = "refs/heads/main"
OLD, NEW = "1" * 40, "2" * 40
MAIL = TriggerSpec("email", "always", {"to": ["ada@example.org"]})

_ENDS = {
    BuildStatus.FAILED: Reason.EXIT_CODE,
    BuildStatus.TIMED_OUT: Reason.TIME_LIMIT,
    BuildStatus.ERRORED: Reason.SANDBOX_BROKEN,
}


def make_job(**changes) -> Job:
    fields = {
        "name": "build",
        "file": ".build.yml",
        "image": "host",
        "system": SYSTEM,
        "tasks": (Task("compile", "make"),),
    }
    return Job(**{**fields, **changes})


def make_event(**changes) -> BuildFinished:
    fields = {
        "build_id": 1,
        "attempt": 1,
        "number": 7,
        "project": "project",
        "jobset": "main",
        "job": "build",
        "system": SYSTEM,
        "image": "host",
        "status": "succeeded",
        "reason": "",
        "detail": "",
        "previous_status": "",
        "kind": "push",
        "ref": MAIN,
        "revision": NEW,
        "subject": "Add a thing",
        "author": "Ada <ada@example.org>",
        "requested_by": "ada",
        "canceled_by": "",
        "queued_at": "2026-03-01T12:00:00+00:00",
        "started_at": "2026-03-01T12:00:01+00:00",
        "finished_at": "2026-03-01T12:00:03+00:00",
        "duration_seconds": 2.0,
        "url": "http://ci/build/1",
        "evaluation_url": "http://ci/eval/1",
        "steps": (StepSummary("setup", "succeeded", "http://ci/log"),),
    }
    return BuildFinished(**{**fields, **changes})


def make_push(*changes, **rest) -> Push:
    return Push(changes or (RefChange(MAIN, OLD, NEW),), **rest)


class Factory:
    def __init__(self, parts, clock):
        self.store, self.services, self.reporter = parts.store, parts.services, parts.reporter
        self.clock = clock
        self.leases = {}
        self._numbers = itertools.count(1)

    def jobset(self, project=None, name="main"):
        """A jobset of a project of its own, unless the project is named."""
        if project is None:
            project = f"project-{next(self._numbers)}"
        uri = f"https://example.org/{project}.git"
        if self.store.projects.find(project) is None:
            self.services.projects.watch(ADMIN, project, uri)
        if name != "main":
            self._add_jobset(project, name, uri)
        return self.store.jobsets.get_by_name(project, name)

    def _add_jobset(self, project, name, uri):
        with self.store.transaction():
            jobset_id = self.store.jobsets.add(
                self.store.projects.get(project), name, JobsetSettings()
            )
            self.store.jobsets.add_input(
                jobset_id,
                Input("source", uri),
                repository_key=uri.removeprefix("https://").removesuffix(".git"),
                credential=None,
            )

    def user(self, name, *, roles=(), admin=False) -> Actor:
        """An account without a password; answers who acts with it in a session."""
        with self.store.transaction():
            user_id = self.store.accounts.add(
                name, email="", password_hash="", is_admin=admin, now=self.clock.now()
            )
            self.store.accounts.change(user_id, email="", full_name="", roles=roles, is_admin=admin)
        return Actor(name, is_admin=admin, scopes=("*",), roles=tuple(roles))

    def project(self, name, *, owner="root", visibility=Visibility.PUBLIC, jobset="main"):
        """A project with a jobset that watches nothing; answers the jobset."""
        settings = ProjectSettings(visibility=visibility)
        self.services.projects.put_project(ADMIN, name, settings, owner=owner)
        self.services.jobsets.put(ADMIN, name, jobset, JobsetSettings(), ())
        return self.store.jobsets.get_by_name(name, jobset)

    def submitted(self, jobset, visibility=Visibility.PUBLIC, *, by="ada", **job):
        """A queued build of an evaluation that nothing was read for."""
        queue, evaluations = self.store.queue, self.store.evaluations
        with self.store.transaction():
            made = evaluations.add_submitted(
                jobset.id, requested_by=by, visibility=visibility, now=self.clock.now(), note=""
            )
            evaluations.set_revision(made, MAIN, NEW)
            evaluations.count_builds(made, total=1)
            texts = Texts(queue.add_text(job_to_json(make_job(**job))))
            build_id = queue.add(evaluations.get(made), make_job(**job), texts, self.clock.now())
        return self.store.builds.get(build_id)

    def disable(self, jobset, what="jobset"):
        """Switch a jobset off, or its whole project."""
        if what == "jobset":
            off = replace(jobset.settings, mode=JobsetMode.OFF)
            self.services.jobsets.put(ADMIN, jobset.project, jobset.name, off, jobset.inputs)
        else:
            settings = replace(self.store.projects.get(jobset.project).settings, enabled=False)
            self.services.projects.put_project(ADMIN, jobset.project, settings)

    def received(self, project="project", **changes) -> Received:
        number = next(self._numbers)
        fields = {
            "door": "generic",
            "delivery_id": f"delivery-{number}",
            "body_sha256": hashlib.sha256(str(number).encode()).hexdigest(),
            "received_at": self.clock.now(),
        }
        return Received(project, **{**fields, **changes})

    def evaluation(self, jobset=None, **changes):
        """A requested evaluation, of a revision of its own unless one is named."""
        jobset = jobset or self.jobset()
        fields = {
            "kind": Kind.PUSH,
            "ref": MAIN,
            "revision": f"{next(self._numbers):040x}",
            "options": (),
            "requested_by": "ada",
            "push_id": None,
            "now": self.clock.now(),
        }
        with self.store.transaction():
            made = self.store.evaluations.request(jobset.id, **{**fields, **changes})
        return self.store.evaluations.get(made)

    def evaluated(self, jobset=None, *jobs, **changes):
        """An evaluation that made builds of these jobs, as it ends in one transaction."""
        evaluation = self.evaluation(jobset, **changes)
        with self.store.transaction():
            for job in jobs:
                texts = Texts(self.store.queue.add_text(job_to_json(job)))
                self.store.queue.add(evaluation, job, texts, self.clock.now())
            self.store.evaluations.count_builds(evaluation.id, total=len(jobs))
            self.store.evaluations.finish(
                evaluation.id, EvaluationStatus.SUCCEEDED, self.clock.now(), subject="A subject"
            )
        return self.store.evaluations.get(evaluation.id)

    def build(self, status=BuildStatus.QUEUED, *, jobset=None, worker="local-0", **job):
        """A build brought to this status as workers and people bring it there."""
        if status is not BuildStatus.QUEUED:
            # An image of its own, so that the claim finds this build and no other.
            job = {"image": f"image-{next(self._numbers)}", **job}
        job = make_job(**job)
        evaluation = self.evaluated(jobset, job)
        (build,) = self.store.builds.list_of_evaluation(evaluation.id)
        if status is not BuildStatus.QUEUED:
            self._bring(build, status, Offer(worker, (job.system,), (job.image,)))
        return self.store.builds.get(build.id)

    def _bring(self, build, status, offer):
        if status is BuildStatus.CANCELED:
            self.services.builds.cancel(ADMIN, build.id)
            return
        lease = self.claim(offer).lease
        assert lease.build_id == build.id
        if status is not BuildStatus.STARTING:
            self.reporter.advance(lease, done(0), 1, sandbox="plain")
        if status is BuildStatus.CANCELING:
            self.services.builds.cancel(ADMIN, build.id)
        if status.is_final:
            self.reporter.finish(lease, BuildResult(status, _ENDS.get(status, Reason.NONE)), ())

    def claim(self, offer=OFFER):
        """Claim as a worker does; the lease is remembered."""
        work = self.reporter.claim(offer)
        if work is not None:
            self.leases[work.lease.build_id] = work.lease
        return work

    def claim_until(self, seconds=30):
        """Claim in the store itself; answers the lease."""
        now = self.clock.now()
        with self.store.transaction():
            claimed = self.store.queue.claim(
                OFFER, f"token-{next(self._numbers)}", now, now + timedelta(seconds=seconds)
            )
        return claimed[0] if claimed else None


def done(number, status=StepStatus.SUCCEEDED, exit_code=0) -> StepResult:
    return StepResult(number, status, exit_code)
