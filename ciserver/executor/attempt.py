"""The steps of one attempt, in order: setup, tasks, products, the end."""

import errno
import math
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from ciserver.executor.caches import CacheArchives
from ciserver.executor.collecting import Collection
from ciserver.executor.endings import exit_code, exit_text, limit_text
from ciserver.executor.facts import setup_lines, source_line
from ciserver.executor.groups import NO_GROUPS, TaskGroups
from ciserver.executor.lease import Stop, StopReason
from ciserver.executor.limits import Limits
from ciserver.executor.mask import Mask
from ciserver.executor.meter import Meter
from ciserver.executor.network import NONE
from ciserver.executor.outputs import OUT
from ciserver.executor.own_secrets import BadSecret, OwnSecrets
from ciserver.executor.packages import install
from ciserver.executor.products import Tree
from ciserver.executor.roots import LAYER
from ciserver.executor.sandbox import LANGUAGE, Bind, Bounds, Process, Sandbox, SandboxFailed
from ciserver.executor.script import is_complete, make_directory, own_variables, write_scripts
from ciserver.executor.sources import put_source
from ciserver.executor.steplog import StepLog
from ciserver.executor.supervise import Watch
from ciserver.executor.telling import METRICS, ReportFiles
from ciserver.executor.tools import GiveBack, Tools
from ciserver.executor.usage import DiskUsage
from ciserver.executor.workdir import WorkDirectory
from ciserver.model.build import BuildResult, Loss, Source, StepResult, Task, Work
from ciserver.model.errors import Busy, CiError, LeaseLost, RemoteFailure
from ciserver.model.status import BuildStatus, Reason, StepStatus


class AttemptRun:
    """Each phase returns None to go on, or the result that ends the build.

    `_ends` are the ends of steps that were not told yet: they go with the next commit.
    """

    def __init__(self, work: Work, stop: Stop, tools: Tools) -> None:
        self._work = work
        self._stop = stop
        self._tools = tools
        self._limits = tools.limits.of_job(work.job)
        self._deadline = time.monotonic() + (self._limits.timeout_seconds or math.inf)
        self._mask = Mask(work.secrets)
        self._log_bytes = 0
        self._is_partial = False
        self._step = 0
        self._log = self._open_log()
        self._ends: tuple[StepResult, ...] = ()
        self._network = NONE
        self._binds: tuple[Bind, ...] = ()
        self._store: Bind | None = None
        self._disk_before = 0
        self._collection: Collection | None = None

    def run(self) -> None:
        """From an empty directory to `finish`. Raises LeaseLost, GiveBack, SandboxFailed, and
        whatever else went wrong here.
        """
        name = f"{self._work.lease.build_id}-{self._work.lease.attempt}"
        sandbox = self._tools.sandbox
        try:
            with (
                self._tools.directories.fresh(name, sandbox.user) as directory,
                self._shared_store() as store,
                self._tools.for_image(self._work.job, directory) as self._tools,
                self._tools.network_for(self._work) as self._network,
            ):
                if store:
                    self._share(store)
                self._finish(self._phases(directory))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self._finish(self._disk_full())

    def _phases(self, directory: WorkDirectory) -> BuildResult:
        return (
            self._set_up(directory)
            or self._run_tasks_and_tell(directory)
            or self._collect()
            or self._save_caches(directory)
            or BuildResult(BuildStatus.PARTIAL if self._is_partial else BuildStatus.SUCCEEDED)
        )

    def _shared_store(self) -> AbstractContextManager[Path | None]:
        stores = self._tools.stores
        return stores.use(self._work.store) if stores and self._work.store else nullcontext()

    def _share(self, store: Path) -> None:
        self._store = Bind(store, self._tools.sandbox.store_at(store))
        if self._limits.disk_mb:
            self._disk_before = DiskUsage((store,)).last()

    def _variables(self, inside: str) -> dict[str, str]:
        """Where a build may say more of itself than its status."""
        shared = {"CISERVER_NIX": self._store.target} if self._store else {}
        return {
            "CISERVER_METRICS": f"{inside}/{METRICS}",
            "CISERVER_OUT": f"{inside}/{OUT}",
            **shared,
        }

    def _set_up(self, directory: WorkDirectory) -> BuildResult | None:
        home = directory.home
        work, sandbox = self._work, self._tools.sandbox
        inside = sandbox.home_inside(home)
        now, too_short = self._tools.clock.now(), len(self._mask.too_short)
        facts = setup_lines(work, sandbox, self._network, self._limits, now, too_short)
        self._log.note(*facts)
        write_scripts(
            home,
            work.job.tasks,
            {**LANGUAGE, **work.job.environment, **work.environment, **self._variables(inside)},
            shell=sandbox.shell,
            home_inside=inside,
            user=sandbox.user,
        )
        make_directory(f"{home}/{OUT}", sandbox.user)
        if result := self._stopped() or self._put_secrets(directory) or self._install(directory):
            return result
        for source in work.job.sources:
            if result := self._stopped() or self._put(source, home):
                return result
        for line in self._caches(directory).restore():
            self._log.say(line)
            if result := self._stopped():
                return result
        if result := self._stopped():
            return result
        self._end_step(StepStatus.SUCCEEDED)
        return None

    def _install(self, directory: WorkDirectory) -> BuildResult | None:
        def run(command: tuple[str, ...], sandbox: Sandbox) -> tuple[int, Reason]:
            limits = replace(self._limits, disk_mb=0)
            bounds = Bounds(processes=limits.pids)
            return self._run_program(command, directory, NO_GROUPS, limits, bounds, sandbox)

        fault = install(self._work.job, self._tools.sandbox, directory.root, run, self._log.say)
        if fault is None:
            if self._limits.disk_mb and (layer := directory.root / LAYER).exists():
                self._disk_before += DiskUsage((layer,)).last()
            return None
        setup = Task("setup", "")
        detail = fault.detail or limit_text(setup, fault.reason, self._limits)
        return self._stopped() or self._fail(fault.reason, detail)

    def _put_secrets(self, directory: WorkDirectory) -> BuildResult | None:
        try:
            for line in self._secrets(directory).put():
                self._log.say(line)
        except BadSecret as error:
            return self._stopped() or self._fail(Reason.SECRET_UNAVAILABLE, str(error))
        return None

    def _secrets(self, directory: WorkDirectory) -> OwnSecrets:
        sandbox, run = self._tools.sandbox, partial(self._run_aside, directory)
        return OwnSecrets(self._work.given, directory.home, sandbox.user, sandbox.shell, run)

    def _put(self, source: Source, home: Path) -> BuildResult | None:
        self._log.say(source_line(source))
        try:
            binds = put_source(self._tools.sources, self._tools.sandbox, self._work, source, home)
        except CiError as error:
            if isinstance(error, Busy) or (isinstance(error, RemoteFailure) and error.temporary):
                detail = self._mask.text(error.message)
                self._log.say(detail)
                raise GiveBack(Loss(detail, Reason.SOURCE_UNAVAILABLE)) from error
            self._log.say(*filter(None, (error.message, error.hint)))
            return self._fail(Reason.SOURCE_UNAVAILABLE, error.message)
        self._log.note(f"source: {source.directory} is in place")
        self._binds = tuple(dict.fromkeys((*self._binds, *binds)))
        return None

    def _run_tasks_and_tell(self, directory: WorkDirectory) -> BuildResult | None:
        result = self._run_tasks(directory)
        for line in self._secrets(directory).take_away():
            self._log.say(line)
        files = ReportFiles(self._tools.reporter, self._work.lease, self._mask, directory.home)
        if not self._stop.is_set():
            for line in files.hand_in(self._work.job.reports, lambda: not self._stop.is_set()):
                self._log.say(line)
            self._collection = self._collection_of(directory)
            for line in self._collection.tell(files):
                self._log.say(line)
            if result is not None:  # of all others they are kept with the rest
                self._collection.keep_results(self._log.say)
        return result or self._stopped_after_steps()

    def _run_tasks(self, directory: WorkDirectory) -> BuildResult | None:
        tasks = self._work.job.tasks
        for number, task in enumerate(tasks, start=1):
            self._begin(number)
            if result := self._run_task(task, directory):
                return result
            if is_complete(directory.home):
                self._skip(range(number + 1, len(tasks) + 1))
                break
        return self._stopped_after_steps()

    def _begin(self, number: int) -> None:
        (done,) = self._ends
        self._tools.reporter.advance(
            self._work.lease, done, number, sandbox=self._tools.sandbox.name
        )
        self._log_bytes += self._log.size
        self._ends, self._step = (), number
        self._log = self._open_log()

    def _run_task(self, task: Task, directory: WorkDirectory) -> BuildResult | None:
        lease = self._work.lease
        inside = self._tools.sandbox.home_inside(directory.home)
        command = (self._tools.sandbox.shell, f"{inside}/.tasks/{task.name}")
        limits = self._limits
        with self._tools.groups.group(f"{lease.build_id}-{lease.attempt}", limits) as groups:
            bounds = Bounds(groups.paths, limits.disk_bytes, limits.pids)
            # Its `.buildenv` says the language. What changes the user would load it for nothing.
            status, reason = self._run_program(
                command, directory, groups, limits, bounds, language={}
            )
        return self._judge(task, status, reason)

    def _run_program(
        self,
        command: tuple[str, ...],
        directory: WorkDirectory,
        groups: TaskGroups,
        limits: Limits,
        bounds: Bounds,
        sandbox: Sandbox | None = None,
        language: Mapping[str, str] = LANGUAGE,
    ) -> tuple[int, Reason]:
        """The exit status, and the reason to have ended it, if there was one."""
        sandbox = sandbox or self._tools.sandbox
        process = self._start(command, directory, bounds, sandbox, language)
        try:
            shared = (self._store,) if self._store else ()
            layer = directory.root / LAYER
            layers = (layer,) if limits.disk_mb and layer.exists() else ()
            places = (directory.home, directory.tmp, *layers, *(one.source for one in shared))
            watch = Watch(
                sandbox,
                process,
                self._log,
                self._stop,
                limits=limits,
                meter=Meter(sandbox, process, groups, limits, places, self._disk_before),
                deadline=self._deadline,
            )
            reason = watch.run()
            self._log.close()
            fault = "" if reason else sandbox.fault(process)
        finally:
            process.close()
        if fault:
            raise SandboxFailed(fault)
        return process.child.returncode, reason

    def _start(
        self,
        command: tuple[str, ...],
        directory: WorkDirectory,
        bounds: Bounds,
        sandbox: Sandbox,
        language: Mapping[str, str],
    ) -> Process:
        """Only variables of our own: those of the job are in its `.buildenv`."""
        return sandbox.start(
            command,
            home=directory.home,
            tmp=directory.tmp,
            environment={**own_variables(sandbox, directory.home), **language},
            network=self._network,
            readable=self._binds,
            writable=(self._store,) if self._store else (),
            bounds=bounds,
        )

    def _judge(self, task: Task, status: int, reason: Reason) -> BuildResult | None:
        if reason is Reason.CANCELED_BY:
            return self._stopped()
        if reason:
            return self._fail(reason, limit_text(task, reason, self._limits))
        if status and status == self._work.job.partial_exit_code:
            self._is_partial = True
            self._log.say(f"task {task.name} exited with status {status}: not everything was made")
        elif status:
            code = exit_code(status)
            return self._fail(Reason.EXIT_CODE, exit_text(task, code), exit_code=code)
        self._end_step(StepStatus.SUCCEEDED, exit_code=status)
        return None

    def _skip(self, numbers: range) -> None:
        self._ends += tuple(StepResult(number, StepStatus.SKIPPED) for number in numbers)

    def _collect(self) -> BuildResult | None:
        result = self._collection.keep(self._log.say) if self._collection else None
        if result is None:
            return self._stopped_after_steps()
        detail = self._mask.text(result.detail)
        self._log.say(detail)
        return replace(result, detail=detail)

    def _collection_of(self, directory: WorkDirectory) -> Collection:
        home = Tree(directory.home, self._tools.sandbox.home_inside(directory.home))
        nix = self._store or Bind(home.place / ".nix", f"{home.inside}/.nix")
        return Collection(
            self._tools.reporter,
            self._work,
            home,
            Tree(nix.source / "store", f"{nix.target}/store", "store"),
            most_bytes=self._limits.products_bytes,
            spool=directory.root,
            goes_on=lambda: not self._stop.is_set(),
        )

    def _run_aside(
        self, directory: WorkDirectory, command: tuple[str, ...], file_bytes: int = 0
    ) -> int | None:
        """Run a program of ours in the sandbox; None when the build has to end."""
        limits = replace(self._limits, silence_seconds=0, memory_mb=0, pids=0, disk_mb=0)
        bounds = Bounds(file_bytes=file_bytes)
        status, reason = self._run_program(command, directory, NO_GROUPS, limits, bounds)
        return None if reason else status

    def _caches(self, directory: WorkDirectory) -> CacheArchives:
        tools, run = self._tools, partial(self._run_aside, directory)
        return CacheArchives(tools.reporter, tools.sandbox, self._work, directory, run)

    def _save_caches(self, directory: WorkDirectory) -> BuildResult | None:
        if not self._is_partial:
            for line in self._caches(directory).save():
                self._log.say(line)
                if result := self._stopped_after_steps():
                    return result
        return None

    def _stopped(self) -> BuildResult | None:
        """The result of a cancellation, with the step under way ended by it. Raises LeaseLost and
        GiveBack for the other reasons to stop.
        """
        result = self._stopped_after_steps()
        if result:
            self._end_step(StepStatus.CANCELED)
        return result

    def _stopped_after_steps(self) -> BuildResult | None:
        match self._stop.reason:
            case None:
                return None
            case StopReason.LOST:
                raise LeaseLost(f"build {self._work.lease.build_id} is no longer ours")
            case StopReason.DRAINING:
                raise GiveBack(Loss("the worker was shut down", counts=False))
        self._log.say("the build was canceled")
        return BuildResult(BuildStatus.CANCELED, Reason.CANCELED_BY, "the build was canceled")

    def _fail(self, reason: Reason, detail: str, *, exit_code: int | None = None) -> BuildResult:
        """The step under way ended badly, and the build with it."""
        timed_out = reason in {Reason.TIME_LIMIT, Reason.SILENCE_LIMIT}
        detail = self._mask.text(detail)
        self._log.say(detail)
        self._end_step(StepStatus.FAILED, exit_code=exit_code)
        status = BuildStatus.TIMED_OUT if timed_out else BuildStatus.FAILED
        return BuildResult(status, reason, detail)

    def _disk_full(self) -> BuildResult:
        if not self._ends:
            self._end_step(StepStatus.FAILED)
        return BuildResult(BuildStatus.ERRORED, Reason.DISK_FULL, "the disk of the worker is full")

    def _end_step(self, status: StepStatus, *, exit_code: int | None = None) -> None:
        self._log.flush()
        self._ends = (*self._ends, StepResult(self._step, status, exit_code))

    def _open_log(self) -> StepLog:
        return StepLog(
            self._tools.reporter,
            self._work.lease,
            self._step,
            mask=self._mask,
            limit=self._limits.log_bytes - self._log_bytes,
        )

    def _finish(self, result: BuildResult) -> None:
        self._tools.reporter.finish(self._work.lease, result, self._ends)
