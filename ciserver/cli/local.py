"""`ciserver run`: the recipe of a working tree, built here without a server."""

import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import IO

import click

from ciserver.cli.options import place_options
from ciserver.cli.output import EXIT_FAILED, result_code, write_bytes
from ciserver.cli.reading import Wanted, read_good_tree, recipe_options
from ciserver.cli.working_tree import WorkingTree
from ciserver.clock import SystemClock
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.lease import Stop
from ciserver.executor.run import Runner
from ciserver.executor.sandbox import SandboxBroken
from ciserver.git.mirrors import Mirrors
from ciserver.machine import (
    choose_sandbox,
    make_addresses,
    make_limits,
    make_networks,
    make_roots,
)
from ciserver.model.build import (
    PLAIN,
    SETUP,
    BuildResult,
    Identity,
    Job,
    Lease,
    Loss,
    Offer,
    Output,
    ProductKind,
    Source,
    StepResult,
    Work,
)
from ciserver.model.errors import Busy, NotFound
from ciserver.model.evaluation import Evaluation, Kind, PinnedInput
from ciserver.model.links import Links
from ciserver.model.project import InputType
from ciserver.model.report import CaseStatus, Counts, ReportKind
from ciserver.model.secret import NO_SECRETS, BuildSecrets
from ciserver.model.status import BuildStatus, EvaluationStatus, Reason
from ciserver.recipe.graph import Placed
from ciserver.recipe.sources import with_pushed_source
from ciserver.reports.read import read_report
from ciserver.service.building import with_inputs
from ciserver.service.reporter import environment

_WORKING_TREE = "working-tree"


@click.command()
@click.argument(
    "path", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path()
)
@click.option("--job", help="Only this job.")
@click.option("--products", type=click.Path(path_type=Path), help="Keep the artifacts there.")
@recipe_options
@place_options
def run(
    *,
    data: DataDirectory,
    settings: Settings,
    path: Path,
    job: str | None,
    products: Path | None,
    wanted: Wanted,
) -> None:
    """Run the recipe of a working tree here, as a build would run: the same sandbox and rules.
    What is not committed is taken along. Jobs run after those that they need; of one named with
    --job what it needs is not run. Exit status = result.
    """
    tree = WorkingTree(path)
    recipes = read_good_tree(tree, wanted)
    chosen = _chosen(recipes.placed, job)
    inputs = _pinned(wanted)
    broken = () if job else recipes.broken
    for one in broken:
        say(f"broken: {one}")
    sandbox = choose_sandbox(settings, data)
    if isinstance(sandbox, SandboxBroken):
        raise Busy(sandbox.reason, hint=f"{sandbox.remedy}, or set builds.sandbox = plain")
    networks = make_networks(settings, sandbox)
    if isinstance(networks, SandboxBroken):
        raise Busy(networks.reason, hint=networks.remedy)
    with closing(networks), tempfile.TemporaryDirectory(prefix="ciserver-run-") as place:
        Path(place).chmod(0o711)
        root = Path(place) / "work"
        root.mkdir(mode=0o711)
        roots = make_roots(settings, data, sandbox, root)
        mirrors = Mirrors(
            Path(place) / "mirrors",
            make_addresses(settings, data),
            timeout_seconds=settings.git.timeout_seconds,
            group_id=sandbox.user.gid if sandbox.user else None,
        )

        def run_one(one: Job) -> int:
            reporter = ConsoleReporter(one, products)
            runner = Runner(
                reporter,
                sandbox,
                LocalSources(tree, mirrors),
                SystemClock(),
                work_root=root,
                limits=make_limits(settings),
                roots=roots,
                networks=networks,
            )
            runner.run(reporter.work, Stop())
            runner.close()
            return reporter.exit_code()

        worst = _run_in_order(
            [replace(one, job=with_inputs(one.job, inputs)) for one in chosen],
            tree.address(),
            run_one,
        )
    raise SystemExit(max(worst, EXIT_FAILED) if broken else worst)


def _pinned(wanted: Wanted) -> tuple[PinnedInput, ...]:
    """The inputs as an evaluation has them, for the environment of its jobs."""
    return tuple(
        PinnedInput(name, type=InputType.STRING, value=value)
        if isinstance(value, str)
        else PinnedInput(name, type=InputType.BOOLEAN, value=str(value).lower())
        for name, value in wanted.inputs.items()
    )


def _run_in_order(chosen: list[Placed], uri: str, run_one: Callable[[Job], int]) -> int:
    """Run each job after those that it needs, and not at all where one of them is not good;
    answers the worst exit code.
    """
    worst = 0
    bad: set[Identity] = set()
    for one in chosen:
        missing = next((need for need in one.needs if need in bad), None)
        if missing is not None:
            bad.add(one.job.identity)
            say(f"== {one.job.name} is skipped: it needs {missing.name}, which did not succeed")
            continue
        code = run_one(with_pushed_source(one.job, uri, "HEAD", _WORKING_TREE))
        if code:
            bad.add(one.job.identity)
        worst = max(worst, code)
    return worst


def _chosen(placed: tuple[Placed, ...], name: str | None) -> list[Placed]:
    """The jobs to run here, each after what it needs; of one name only that."""
    chosen = [one for one in placed if name in {None, one.job.name, one.job.base}]
    if not chosen:
        names = ", ".join(one.job.name for one in placed)
        raise NotFound(f"there is no job {name}", hint=f"there are: {names}")
    return chosen


_NO_SECRETS = "secrets: none are given, as they are kept by a server, and this is none"


def say(line: str) -> None:
    """To whoever watches, between what the tasks write."""
    sys.stdout.flush()
    click.secho(line, err=True, bold=True)


class LocalSources:
    """The working tree as it is; other sources come from mirrors."""

    def __init__(self, tree: WorkingTree, mirrors: Mirrors) -> None:
        self._tree = tree
        self._mirrors = mirrors

    def put(
        self, work: Work, source: Source, into: Path, objects_at: Callable[[Path], str]
    ) -> tuple[Path, ...]:
        if source.revision != _WORKING_TREE:
            revision = self._mirrors.open(source.uri).pin(source.ref or "HEAD")
            pinned = Source(source.uri, source.directory, source.ref, revision)
            return self._mirrors.checkouts.make(pinned, into, objects_at=objects_at)
        self._tree.copy(into)
        return ()


class ConsoleReporter:
    """Implements model.ports.Reporter for one job: logs to the terminal, products to a folder."""

    def __init__(self, job: Job, products: Path | None) -> None:
        now = SystemClock().now()
        evaluation = Evaluation(
            id=0,
            jobset_id=0,
            project="local",
            jobset="local",
            number=0,
            status=EvaluationStatus.SUCCEEDED,
            kind=Kind.MANUAL,
            ref="HEAD",
            revision="",
            options=(),
            requested_by="",
            requested_at=now,
        )
        variables = environment(
            evaluation, Links(""), build_id=0, number=0, job=job.name, requested_by=""
        )
        given = BuildSecrets(note=_NO_SECRETS) if job.secrets else NO_SECRETS
        self.work = Work(Lease(0, 1, f"run-{now.timestamp()}"), job, variables, given=given)
        self._products = products
        self._began = now
        self._result = BuildResult(BuildStatus.ERRORED, Reason.WORKER_LOST, "it did not end")

    def exit_code(self) -> int:
        return result_code(self._result.status.value)

    def claim(self, offer: Offer) -> Work | None:
        return None

    def renew(self, lease: Lease) -> bool:
        return False

    def advance(
        self, lease: Lease, done: StepResult, starting: int | None, *, sandbox: str
    ) -> None:
        if starting:
            say(f"== {self.work.job.name}: {self.work.job.tasks[starting - 1].name}")

    def append_log(self, lease: Lease, step: int, offset: int, chunk: bytes) -> None:
        if step == 0 and offset == 0:
            say(f"== {self.work.job.name}: {SETUP}")
        write_bytes(chunk)

    def add_product(
        self,
        lease: Lease,
        path: str,
        content: IO[bytes],
        *,
        kind: ProductKind = PLAIN,
        name: str = "",
    ) -> None:
        if self._products is None:
            say(f"artifact {path} (kept with --products DIRECTORY)")
            return
        self._products.mkdir(parents=True, exist_ok=True)
        target = self._products / (name or Path(path).name)
        with target.open("wb") as file:
            shutil.copyfileobj(content, file)
        say(f"artifact {path} is kept as {target}")

    def set_output(self, lease: Lease, output: Output) -> None:
        if output.release_name:
            say(f"release {output.release_name}")
        for name, path in output.paths.items():
            say(f"output {name}: {path}")

    def add_report(
        self, lease: Lease, kind: ReportKind, path: str, content: IO[bytes]
    ) -> tuple[Counts, tuple[str, ...]]:
        report = read_report(kind, path, content)
        for one in report.tests:
            if one.status in {CaseStatus.FAILED, CaseStatus.ERRORED}:
                say(f"{one.status.value}: {one.suite} {one.name}")
        for metric in report.metrics:
            say(f"{metric.name}: {metric.value:g} {metric.unit}".rstrip())
        return report.counts, report.notes

    def open_cache(self, lease: Lease, key: str) -> IO[bytes] | None:
        return None

    def save_cache(self, lease: Lease, key: str, content: IO[bytes]) -> None: ...

    def finish(self, lease: Lease, result: BuildResult, steps: tuple[StepResult, ...]) -> None:
        self._result = result
        took = SystemClock().now() - self._began
        detail = f": {result.detail}" if result.detail else ""
        seconds = took / timedelta(seconds=1)
        say(f"== {self.work.job.name} {result.status.value} in {seconds:.1f} s{detail}")

    def give_back(self, lease: Lease, loss: Loss) -> None:
        self.finish(lease, BuildResult(BuildStatus.ERRORED, loss.reason, loss.detail), ())
