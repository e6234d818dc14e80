"""Which secrets a build is given: read when it starts, and kept nowhere.

What was submitted gets those of whoever submitted it, everything else those of its project, and
what is untrusted gets none.
"""

import structlog

from ciserver.model.build import Build, Job
from ciserver.model.errors import BadConfiguration
from ciserver.model.ports import Clock
from ciserver.model.project import Jobset
from ciserver.model.push import Trust
from ciserver.model.secret import NO_SECRETS, BuildSecrets, Holder
from ciserver.store.store import Store

_UNTRUSTED = "secrets: none are given, as what is built was proposed by people who may not push"
_OFF = "secrets: none are given, as whoever submitted the build asked for none"
log = structlog.get_logger(__name__)


class GivenSecrets:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def of_build(self, build: Build, job: Job) -> BuildSecrets:
        """What a build that starts now is given; within the caller's transaction."""
        if not job.secrets:
            return NO_SECRETS
        project_id = self._store.jobsets.get(build.jobset_id).project_id
        return self._open(job, build.trust, project_id)

    def ssh_key(self, jobset: Jobset, job: Job, trust: Trust) -> str:
        """The key by which an evaluation reads sources of a job; empty without one."""
        if not job.secrets:
            return ""
        with self._store.transaction():
            return self._open(job, trust, jobset.project_id).ssh_key

    def _open(self, job: Job, trust: Trust, project_id: int) -> BuildSecrets:
        if trust is not Trust.TRUSTED:
            return BuildSecrets(note=_UNTRUSTED)
        if job.secrets_off:
            return BuildSecrets(note=_OFF)
        holder = Holder(user=job.secrets_of) if job.secrets_of else Holder(project_id=project_id)
        try:
            found = self._store.secrets.open(holder, job.secrets)
        except BadConfiguration as error:
            log.warning("secret-unreadable", error=error.message)
            return BuildSecrets(refused=error.message)
        given = tuple({found[one].uuid: found[one] for one in job.secrets if one in found}.values())
        missing = [one for one in dict.fromkeys(job.secrets) if one not in found]
        if missing:
            return BuildSecrets(refused=_missing(missing, job.secrets_of))
        self._store.secrets.touch((one.uuid for one in given), self._clock.now())
        return BuildSecrets(given)


class SshKeys:
    """The keys that jobs of one jobset have for repositories; equal lists are opened once."""

    def __init__(self, secrets: GivenSecrets, jobset: Jobset, trust: Trust) -> None:
        self._secrets = secrets
        self._jobset = jobset
        self._trust = trust
        self._known: dict[tuple[str, ...], str] = {}

    def of(self, job: Job) -> str:
        """Empty for a job without one."""
        if job.secrets not in self._known:
            self._known[job.secrets] = self._secrets.ssh_key(self._jobset, job, self._trust)
        return self._known[job.secrets]


def _missing(references: list[str], user: str) -> str:
    whose = f"{user} has" if user else "the project has"
    return f"{whose} no secret {' and no secret '.join(references)}"
