"""What is kept of a build that came to its end: results of a script, artifacts of the recipe,
products of outputs.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from ciserver.executor.outputs import Outputs
from ciserver.executor.products import BadArtifact, Keeper, TooLarge, Tree, as_file
from ciserver.executor.results import ScriptResults
from ciserver.executor.telling import ReportFiles
from ciserver.model.build import BuildResult, Work
from ciserver.model.errors import OverQuota
from ciserver.model.ports import Reporter
from ciserver.model.status import BuildStatus, Reason


class Collection:
    """For when the tasks have ended. `goes_on` is asked before each file; `spool` is a directory
    of ours that the build cannot see.
    """

    def __init__(
        self,
        reporter: Reporter,
        work: Work,
        home: Tree,
        store: Tree,
        *,
        most_bytes: int,
        spool: Path,
        goes_on: Callable[[], bool],
    ) -> None:
        self._artifacts = work.job.artifacts
        self._home = home
        self._results = [
            ScriptResults(home, one.directory) for one in work.job.sources[:1] if work.job.script
        ]
        self._outputs = Outputs(reporter, work.lease, home, store)
        self._keeper = Keeper(reporter, work.lease, most_bytes=most_bytes)
        self._most_bytes = most_bytes
        self._spool = spool
        self._goes_on = goes_on

    def tell(self, reports: ReportFiles) -> Iterator[str]:
        """Hand in what the outputs tell beside products, also of a build that failed; gives the
        lines to say. Raises what the reporter raises.
        """
        return self._outputs.tell(reports)

    def keep_results(self, say: Callable[[str], None]) -> None:
        """Hand in what a script left that did not end well. Raises OSError and what the reporter
        raises.
        """
        try:
            self._keep_results(say)
        except TooLarge:
            say(self._too_large())
        except OverQuota as error:
            say(error.message)

    def keep(self, say: Callable[[str], None]) -> BuildResult | None:
        """Hand in everything; answers the result that ends the build, if there is one. Raises
        OSError and what the reporter raises.
        """
        try:
            self._keep_results(say)
            result = self._keep_artifacts()
            if result is None:
                for line in self._outputs.keep(self._keeper, self._spool, self._goes_on):
                    say(line)
        except TooLarge:
            return BuildResult(BuildStatus.FAILED, Reason.OUTPUT_LIMIT, self._too_large())
        except OverQuota as error:
            return BuildResult(BuildStatus.FAILED, Reason.PROJECT_QUOTA, error.message)
        return result or self._own_verdict()

    def _too_large(self) -> str:
        return f"what is to be kept is larger than the limit of {self._most_bytes} bytes"

    def _keep_results(self, say: Callable[[str], None]) -> None:
        for one in self._results:
            for line in one.keep(self._keeper, self._spool, self._goes_on):
                say(line)

    def _keep_artifacts(self) -> BuildResult | None:
        faults = []
        for path in self._artifacts:
            if not self._goes_on():
                return None
            try:
                with as_file(self._home.open(path)) as content:
                    self._keeper.keep(path, content)
            except BadArtifact as error:
                faults.append(f"{path} ({error})")
        if not faults:
            return None
        detail = f"artifacts are missing: {', '.join(faults)}"
        return BuildResult(BuildStatus.FAILED, Reason.MISSING_ARTIFACT, detail)

    def _own_verdict(self) -> BuildResult | None:
        if not self._outputs.say_failed():
            return None
        detail = "the build says in its output that it failed"
        return BuildResult(BuildStatus.FAILED, Reason.FAILED_WITH_OUTPUT, detail)
