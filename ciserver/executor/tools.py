"""What all attempts of a runner share."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ciserver.executor.groups import ControlGroups
from ciserver.executor.limits import Limits
from ciserver.executor.nix_stores import NixStores
from ciserver.executor.roots import Roots
from ciserver.executor.sandbox import Sandbox
from ciserver.executor.sources import SourceProvider
from ciserver.executor.workdir import WorkDirectory
from ciserver.model.build import Job, Loss
from ciserver.model.ports import Clock, Reporter


class GiveBack(Exception):
    """The job could not be judged here: somebody else, or a later try, may do better."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss.detail)
        self.loss = loss


@dataclass(frozen=True)
class Tools:
    reporter: Reporter
    sandbox: Sandbox
    sources: SourceProvider
    clock: Clock
    work_root: Path
    limits: Limits
    groups: ControlGroups
    stores: NixStores | None = None  # None: each build has one of its own, in its home
    roots: Roots | None = None  # None: every build runs on this machine's own file system

    @contextmanager
    def for_image(self, job: Job, directory: WorkDirectory) -> Iterator["Tools"]:
        """These with a sandbox on the root file system that the job's image names."""
        if self.roots is None:
            yield self
            return
        with self.roots.enter(job, directory) as sandbox:
            yield replace(self, sandbox=sandbox)
