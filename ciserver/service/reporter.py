"""The in-process Reporter: what the local engine's workers tell goes straight to the store."""

import io
import secrets
from datetime import timedelta
from typing import IO

from ciserver.model.build import (
    PLAIN,
    Build,
    BuildResult,
    Lease,
    Loss,
    Offer,
    Output,
    ProductKind,
    StepResult,
    Work,
)
from ciserver.model.evaluation import Evaluation, Kind
from ciserver.model.links import Links
from ciserver.model.ports import Clock
from ciserver.model.report import MOST_TESTS, Counts, ReportKind
from ciserver.model.status import BuildStatus
from ciserver.recipe.text import job_from_json
from ciserver.reports.read import read_report
from ciserver.service.build_secrets import GivenSecrets
from ciserver.service.builds import Builds
from ciserver.service.caches import Caches
from ciserver.service.logs import Logs
from ciserver.service.scripts import secret_values
from ciserver.service.secret_texts import hidden_texts
from ciserver.service.storage import Storage
from ciserver.store.store import Store

# What the scripts of manifests compare with, such as `test "$BUILD_SUBMITTER" = git.sr.ht` before
# something is published: what was only proposed must never look as if it was pushed.
_SUBMITTER = {
    Kind.PUSH: "git.sr.ht",
    Kind.TAG: "git.sr.ht",
    Kind.PULL_REQUEST: "dispatch.sr.ht",
}
_PROPOSED = {"merge-requests": "gitlab-mr", "changes": "patchset"}


class LocalReporter:
    """Implements model.ports.Reporter."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        builds: Builds,
        logs: Logs,
        caches: Caches,
        links: Links,
        given_secrets: GivenSecrets,
        storage: Storage,
        *,
        lease_seconds: float,
    ) -> None:
        self._store = store
        self._clock = clock
        self._builds = builds
        self._logs = logs
        self._caches = caches
        self._links = links
        self._given_secrets = given_secrets
        self._storage = storage
        self._lease = timedelta(seconds=lease_seconds)

    def claim(self, offer: Offer) -> Work | None:
        return self._claim(offer, secrets.token_hex(16), reads_repositories=True)

    def claim_elsewhere(self, offer: Offer, token: str) -> Work | None:
        """As `claim`, for a worker that gets its sources from this server: what opens the
        repositories stays here. What the worker holds by this token already is answered again.
        """
        return self._claim(offer, token, reads_repositories=False)

    def _claim(self, offer: Offer, token: str, *, reads_repositories: bool) -> Work | None:
        now = self._clock.now()
        with self._store.transaction(beside=True):
            claimed = None if reads_repositories else self._held(offer, token)
            claimed = claimed or self._store.queue.claim(offer, token, now, now + self._lease)
            if claimed is None:
                return None
            lease, text = claimed
            build = self._store.builds.get(lease.build_id)
            evaluation = self._store.evaluations.get_without_inputs(build.evaluation_id)
            job = job_from_json(text)
            owner = job.script_jobset or build.jobset_id
            credentials = self._store.jobsets.list_credentials(owner) if reads_repositories else ()
            store = self._nix_store(build) if job.nix else ""
            given = self._given_secrets.of_build(build, job)
        return Work(
            lease=lease,
            job=job,
            environment=environment(
                evaluation,
                self._links,
                build_id=build.id,
                number=build.number,
                job=build.job,
                requested_by=build.requested_by,
            ),
            secrets=tuple(
                one
                for credential in credentials
                for one in (credential.password, credential.ssh_key, credential.passphrase)
                if one
            )
            + tuple(text for one in given.given for text in hidden_texts(one))
            + secret_values(job.parameters),
            given=given,
            cache_bytes=self._caches.room(build),
            store=store,
            lease_seconds=self._lease.total_seconds(),
            trust=build.trust,
        )

    def _held(self, offer: Offer, token: str) -> tuple[Lease, str] | None:
        """What an earlier claim took whose answer was lost: the worker gets a whole lease."""
        held = self._store.attempts.held_by(offer.worker, token)
        if held is not None:
            self._store.attempts.renew(held[0], self._clock.now() + self._lease)
        return held

    def _nix_store(self, build: Build) -> str:
        """What may be written to by anybody who proposes a change is not what trusted builds read
        or write.
        """
        project_id = self._store.jobsets.get(build.jobset_id).project_id
        return f"{project_id}-{build.trust}"

    def renew(self, lease: Lease) -> bool:
        until = self._clock.now() + self._lease
        with self._store.transaction(beside=True):
            return self._store.attempts.renew(lease, until) is BuildStatus.CANCELING

    def advance(
        self, lease: Lease, done: StepResult, starting: int | None, *, sandbox: str
    ) -> None:
        now = self._clock.now()
        # The attempt itself outlives a power cut, and is lost by it anyway. Only the holder of its
        # lease writes these rows, and need not wait for others.
        with self._store.transaction(beside=True, durable=False):
            status = self._store.attempts.check(lease)
            self._store.attempts.end_steps(lease, (done,), now)
            if starting is not None:
                self._store.attempts.start_step(lease, starting, now)
            if status is BuildStatus.STARTING:
                self._store.attempts.run(lease, sandbox, now)
        self._logs.announce(lease.build_id)

    def append_log(self, lease: Lease, step: int, offset: int, chunk: bytes) -> None:
        self._store.attempts.check(lease)
        self._store.files.write_log(lease.build_id, lease.attempt, step, offset, chunk)
        self._logs.announce(lease.build_id)

    def add_product(
        self,
        lease: Lease,
        path: str,
        content: IO[bytes],
        *,
        kind: ProductKind = PLAIN,
        name: str = "",
    ) -> None:
        self._check_room(lease, path, content)
        sha256, size = self._store.files.keep_product(content)
        with self._store.transaction():
            self._store.attempts.check(lease)
            self._store.products.add(
                lease.build_id,
                lease.attempt,
                path=path,
                size=size,
                sha256=sha256,
                kind=kind,
                name=name,
            )

    def _check_room(self, lease: Lease, path: str, content: IO[bytes]) -> None:
        """Before anything is written. What the same path had is replaced."""
        at = content.tell()
        size = content.seek(0, io.SEEK_END) - at
        content.seek(at)
        replaced = self._store.products.size_at(lease.build_id, lease.attempt, path)
        self._storage.check_room(lease.build_id, size - replaced)

    def set_output(self, lease: Lease, output: Output) -> None:
        with self._store.transaction():
            self._store.attempts.check(lease)
            self._store.products.set_output(lease.build_id, lease.attempt, output)

    def add_report(
        self, lease: Lease, kind: ReportKind, path: str, content: IO[bytes]
    ) -> tuple[Counts, tuple[str, ...]]:
        left = MOST_TESTS - self._store.reports.count_tests(lease.build_id, lease.attempt)
        report = read_report(kind, path, content, most_tests=max(left, 0))
        with self._store.transaction():
            self._store.attempts.check(lease)
            self._store.reports.add(lease.build_id, lease.attempt, kind, path, report)
        return report.counts, report.notes

    def open_cache(self, lease: Lease, key: str) -> IO[bytes] | None:
        return self._caches.open(lease, key)

    def save_cache(self, lease: Lease, key: str, content: IO[bytes]) -> None:
        self._caches.save(lease, key, content)

    def finish(self, lease: Lease, result: BuildResult, steps: tuple[StepResult, ...]) -> None:
        self._builds.finish(lease, result, steps)
        self._logs.announce(lease.build_id)

    def give_back(self, lease: Lease, loss: Loss) -> None:
        self._builds.give_back(lease, loss)
        self._logs.announce(lease.build_id)


def environment(
    evaluation: Evaluation,
    links: Links,
    *,
    build_id: int,
    number: int,
    job: str,
    requested_by: str,
) -> dict[str, str]:
    """The variables that every build finds; names are the ones that tools and scripts expect."""
    ref, url = evaluation.ref, links.build(build_id)
    branch = ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ""
    tag = ref.removeprefix("refs/tags/") if ref.startswith("refs/tags/") else ""
    variables = {
        "CI": "true",
        "CISERVER": "true",
        "CONTINUOUS_INTEGRATION": "true",
        "CI_NAME": "ciserver",
        "BUILD_ID": str(build_id),
        "BUILD_NUMBER": str(number),
        "BUILD_URL": url,
        "JOB_ID": str(build_id),
        "JOB_NAME": job,
        "JOB_URL": url,
        "BUILD_SUBMITTER": _SUBMITTER.get(evaluation.kind, requested_by),
        "BUILD_REASON": _reason(evaluation),
        "BUILD_REQUESTED_BY": requested_by,
        "GIT_REF": ref,
        "CI_REPO_NAME": evaluation.project,
        "CI_COMMIT_SHA": evaluation.revision,
        "CI_COMMIT_REF": ref,
        "CI_COMMIT_BRANCH": branch,
        "CI_COMMIT_TAG": tag,
        "CI_COMMIT_MESSAGE": evaluation.subject,
        "CI_COMMIT_AUTHOR": evaluation.author,
        "CI_PIPELINE_NUMBER": str(evaluation.number),
        "CI_PIPELINE_EVENT": evaluation.kind.value,
        "CI_PIPELINE_URL": links.evaluation(evaluation.id),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm-256color",
    }
    if evaluation.committed_at is not None:
        variables["SOURCE_DATE_EPOCH"] = str(int(evaluation.committed_at.timestamp()))
    return variables


def _reason(evaluation: Evaluation) -> str:
    """The kind, and for what was proposed the word for the kind of proposal."""
    if evaluation.kind is not Kind.PULL_REQUEST:
        return evaluation.kind.value
    folder = evaluation.ref.removeprefix("refs/").partition("/")[0]
    return _PROPOSED.get(folder, "github-pr")
