"""One claimed build from its work tree to its products, whatever happens on the way."""

from pathlib import Path

import structlog

from ciserver.executor.attempt import AttemptRun
from ciserver.executor.groups import ControlGroups
from ciserver.executor.lease import LeaseKeeper, Stop
from ciserver.executor.limits import Limits
from ciserver.executor.network import HOST_FOR_ALL, Networks
from ciserver.executor.nix_stores import NixStores
from ciserver.executor.roots import RootProvider
from ciserver.executor.sandbox import Sandbox, SandboxFailed
from ciserver.executor.sources import SourceProvider
from ciserver.executor.tools import GiveBack, Tools
from ciserver.executor.workdir import WorkDirectories
from ciserver.model.build import Lease, Loss, Work
from ciserver.model.errors import LeaseLost
from ciserver.model.ports import Clock, Reporter
from ciserver.model.status import Reason

log = structlog.get_logger(__name__)


class Runner:
    """Runs claimed builds, any number at a time, each in the thread that calls `run`."""

    def __init__(
        self,
        reporter: Reporter,
        sandbox: Sandbox,
        sources: SourceProvider,
        clock: Clock,
        *,
        work_root: Path,
        limits: Limits,
        groups: ControlGroups | None = None,
        stores: NixStores | None = None,
        roots: RootProvider | None = None,
        networks: Networks = HOST_FOR_ALL,
    ) -> None:
        self._reporter = reporter
        groups = groups or ControlGroups(())
        self._directories = WorkDirectories(work_root)
        self._tools = Tools(
            reporter,
            sandbox,
            sources,
            clock,
            self._directories,
            limits,
            groups,
            stores,
            roots,
            networks,
        )
        self._keeper = LeaseKeeper(reporter)

    def run(self, work: Work, stop: Stop) -> None:
        """Run one claimed build and report it; returns when nothing of it runs any more on this
        machine. Its directory is removed soon after.

        Everything that happens is told to the reporter: nothing is raised. After a lost lease the
        rest happens in silence. `stop` ends the build early, for the reason it carries.
        """
        try:
            with self._keeper.hold(work.lease, stop, seconds=work.lease_seconds):
                AttemptRun(work, stop, self._tools).run()
        except LeaseLost:
            _say_lost(work.lease)
        except GiveBack as error:
            self._give_back(work.lease, error.loss)
        except SandboxFailed as error:
            self._give_back(work.lease, Loss(str(error), Reason.SANDBOX_BROKEN))
        except Exception as error:
            log.exception("attempt-broke", build=work.lease.build_id, attempt=work.lease.attempt)
            self._give_back(work.lease, Loss(f"the worker failed: {type(error).__name__}"))

    def close(self) -> None:
        """Let go of everything, directories that are still there as well; for when no build runs
        any more.
        """
        self._keeper.close()
        self._directories.close()

    def _give_back(self, lease: Lease, loss: Loss) -> None:
        log.warning(
            "attempt-given-back", build=lease.build_id, attempt=lease.attempt, why=loss.detail
        )
        try:
            self._reporter.give_back(lease, loss)
        except LeaseLost:
            _say_lost(lease)
        except Exception:
            # The lease runs out, which has the same effect later.
            log.exception("attempt-not-given-back", build=lease.build_id, attempt=lease.attempt)


def _say_lost(lease: Lease) -> None:
    log.info("lease-lost", build=lease.build_id, attempt=lease.attempt)
