"""What all attempts of a runner share."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

from ciserver.executor.groups import ControlGroups
from ciserver.executor.limits import Limits
from ciserver.executor.network import (
    HOST_FOR_ALL,
    NONE,
    NONE_FOR_UNTRUSTED,
    Network,
    Networks,
)
from ciserver.executor.nix_stores import NixStores
from ciserver.executor.roots import RootProvider
from ciserver.executor.sandbox import Sandbox
from ciserver.executor.sources import SourceProvider
from ciserver.executor.workdir import WorkDirectories, WorkDirectory
from ciserver.model.build import Job, Loss, Work
from ciserver.model.frozen import frozen
from ciserver.model.ports import Clock, Reporter
from ciserver.model.push import Trust


class GiveBack(Exception):
    """The job could not be judged here: somebody else, or a later try, may do better."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss.detail)
        self.loss = loss


@frozen
class Tools:
    reporter: Reporter
    sandbox: Sandbox
    sources: SourceProvider
    clock: Clock
    directories: WorkDirectories
    limits: Limits
    groups: ControlGroups
    stores: NixStores | None = None  # None: each build has one of its own, in its home
    roots: RootProvider | None = None  # None: every build runs on this machine's own file system
    networks: Networks = HOST_FOR_ALL

    @contextmanager
    def for_image(self, job: Job, directory: WorkDirectory) -> Iterator["Tools"]:
        """These with a sandbox on the root file system that the job's image names."""
        if self.roots is None:
            yield self
            return
        with self.roots.enter(job, directory) as sandbox:
            yield replace(self, sandbox=sandbox)

    def network_for(self, work: Work) -> AbstractContextManager[Network]:
        """What the tasks of a build have, until its end. Raises SandboxFailed."""
        if not work.job.network:
            return nullcontext(NONE)
        if work.trust is Trust.UNTRUSTED and not self.networks.isolates:
            return nullcontext(NONE_FOR_UNTRUSTED)
        return self.networks.use()
