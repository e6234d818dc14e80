"""A watched repository from pushes to the ends of builds."""

from ciserver.machine import native_system
from ciserver.model.build import BuildResult, Offer
from ciserver.model.push import RefChange
from ciserver.model.status import BuildStatus, Reason
from support.factories import MAIN, Factory, done, make_push

ALL = Offer("local", (native_system(),))


def recipe(*lines, task="echo built"):
    return "\n".join(["image: host", "tasks:", f"  - build: {task}", *lines, ""])


class Works:
    """A watched repository, a push to it, and a worker who ends builds as told."""

    def __init__(self, parts, clock, repository):
        self.services, self.store = parts.services, parts.store
        self.factory = Factory(parts, clock)
        self.reporter = parts.reporter
        self.repository = repository
        self.last = "0" * 40

    def push(self, files, message="Change things", **push):
        """Commit, push and evaluate; answers the evaluation. A file without text is removed."""
        requested = self.request(files, message, **push)
        assert self.services.evaluations.evaluate_next()
        return self.store.evaluations.get(requested)

    def request(self, files, message="Change things", *, ref=MAIN, options=()):
        """Commit and push; answers the id of the evaluation that waits."""
        for name in [name for name, text in files.items() if text is None]:
            (self.repository.tree / name).unlink(missing_ok=True)
        kept = {name: text for name, text in files.items() if text is not None}
        revision = self.repository.commit(kept, message)
        self.repository.push()
        received = self.factory.received()
        outcome = self.services.pushes.accept_push(
            received, make_push(RefChange(ref, self.last, revision), options=options)
        )
        self.last = revision
        (requested,) = outcome.evaluations
        return requested.id

    def builds(self, evaluation):
        return {one.job: one for one in self.store.builds.list_of_evaluation(evaluation.id)}

    def run(self, status=BuildStatus.SUCCEEDED, reason=Reason.NONE):
        """Claim the next build and end it; answers its job, or None when none may be claimed."""
        work = self.reporter.claim(ALL)
        if work is None:
            return None
        self.reporter.advance(work.lease, done(0), 1, sandbox="plain")
        self.reporter.finish(work.lease, BuildResult(status, reason), ())
        return work.job.name

    def run_all(self):
        jobs = []
        while (job := self.run()) is not None:
            jobs.append(job)
        return jobs
