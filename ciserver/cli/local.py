"""Commands that need no server: check a recipe, and run it on a working tree."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import IO

import click

from ciserver.cli.options import place_ignored, place_options
from ciserver.cli.output import EXIT_USAGE, result_code, write_bytes
from ciserver.clock import SystemClock
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.lease import Stop
from ciserver.executor.run import Runner
from ciserver.executor.sandbox import SandboxBroken
from ciserver.git.checkout import Checkouts
from ciserver.git.mirror import Mirrors
from ciserver.model.build import (
    SETUP,
    BuildResult,
    Job,
    Lease,
    Loss,
    Offer,
    Source,
    StepResult,
    Work,
)
from ciserver.model.errors import Busy, Complaint, Invalid, NotFound
from ciserver.model.evaluation import Evaluation, Kind
from ciserver.model.links import Links
from ciserver.model.project import DEFAULT_RECIPE
from ciserver.model.status import BuildStatus, EvaluationStatus, Reason
from ciserver.recipe.manifest import read_manifest
from ciserver.recipe.sources import with_pushed_source
from ciserver.service.reporter import environment
from ciserver.wiring import choose_sandbox, make_addresses, make_limits, native_system

_WORKING_TREE = "working-tree"


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@place_ignored
def lint(*, file: Path) -> None:
    """Check a recipe; every fault is named."""
    complaints = read_manifest(file.name, file.read_bytes(), default_system=native_system())
    for one in complaints.complaints:
        click.echo(str(one))
    if complaints.complaints:
        raise SystemExit(EXIT_USAGE)
    click.echo(f"{file}: no faults")


@click.command()
@click.argument(
    "path", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path()
)
@click.option("--job", help="Only this job.")
@click.option("--products", type=click.Path(path_type=Path), help="Keep the artifacts there.")
@place_options
def run(
    *, data: DataDirectory, settings: Settings, path: Path, job: str | None, products: Path | None
) -> None:
    """Run the recipe of a working tree here, as a build would run: the same sandbox and rules.
    What is not committed is taken along. Exit status = result.
    """
    tree = path.resolve()
    jobs = _jobs_of(tree, job)
    sandbox = choose_sandbox(settings, data)
    if isinstance(sandbox, SandboxBroken):
        raise Busy(sandbox.reason, hint=f"{sandbox.remedy}, or set builds.sandbox = plain")
    worst = 0
    with tempfile.TemporaryDirectory(prefix="ciserver-run-") as place:
        Path(place).chmod(0o711)
        root = Path(place) / "work"
        root.mkdir(mode=0o711)
        mirrors = Mirrors(
            Path(place) / "mirrors",
            make_addresses(settings, data),
            timeout_seconds=settings.git.timeout_seconds,
            group_id=sandbox.user.gid if sandbox.user else None,
        )
        for one in jobs:
            reporter = ConsoleReporter(one, products)
            runner = Runner(
                reporter,
                sandbox,
                WorkingTree(tree, mirrors),
                SystemClock(),
                work_root=root,
                limits=make_limits(settings),
            )
            runner.run(reporter.work, Stop())
            runner.close()
            worst = max(worst, reporter.exit_code())
    raise SystemExit(worst)


def _jobs_of(tree: Path, wanted: str | None) -> list[Job]:
    files = sorted({file for glob in DEFAULT_RECIPE for file in tree.glob(glob)})
    jobs: list[Job] = []
    complaints: list[Complaint] = []
    for file in files:
        name = str(file.relative_to(tree))
        reading = read_manifest(name, file.read_bytes(), default_system=native_system())
        complaints += reading.complaints
        if reading.job is not None and wanted in {None, reading.job.name}:
            jobs.append(reading.job)
    if complaints:
        raise Invalid("the recipe has faults", complaints=complaints)
    if not jobs:
        what = f"no job {wanted} in" if wanted else "no recipe in"
        raise NotFound(f"there is {what} {tree}", hint=f"looked for {', '.join(DEFAULT_RECIPE)}")
    uri = _address_of(tree)
    return [with_pushed_source(one, uri, "HEAD", _WORKING_TREE) for one in jobs]


def _address_of(tree: Path) -> str:
    """Where the tree was cloned from, so that its directory has the name it has on the server."""
    said = subprocess.run(
        ["git", "-C", str(tree), "remote", "get-url", "origin"],
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or str(tree)


class WorkingTree:
    """The working tree as it is, without what git ignores; other sources come from mirrors."""

    def __init__(self, tree: Path, mirrors: Mirrors) -> None:
        self._tree = tree
        self._mirrors = mirrors

    def put(
        self, work: Work, source: Source, into: Path, objects_at: Callable[[Path], str]
    ) -> tuple[Path, ...]:
        if source.revision != _WORKING_TREE:
            revision = self._mirrors.open(source.uri).pin(source.ref or "HEAD")
            pinned = Source(source.uri, source.directory, source.ref, revision)
            return Checkouts(self._mirrors).make(pinned, into, objects_at=objects_at)
        for name in self._names():
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self._tree / name, target, follow_symlinks=False)
        return ()

    def _names(self) -> list[str]:
        """Files that git would commit; every file where there is no repository."""
        listed = subprocess.run(
            ["git", "-C", str(self._tree), "ls-files", "-z", "-co", "--exclude-standard"],
            capture_output=True,
            check=False,
        )
        if listed.returncode == 0:
            names = [name.decode("utf-8", "surrogateescape") for name in listed.stdout.split(b"\0")]
            return [name for name in names if name and (self._tree / name).is_file()]
        return [
            str(file.relative_to(self._tree)) for file in self._tree.rglob("*") if file.is_file()
        ]


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
        self.work = Work(Lease(0, 1, f"run-{now.timestamp()}"), job, variables)
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
            self._say(f"== {self.work.job.name}: {self.work.job.tasks[starting - 1].name}")

    def append_log(self, lease: Lease, step: int, offset: int, chunk: bytes) -> None:
        if step == 0 and offset == 0:
            self._say(f"== {self.work.job.name}: {SETUP}")
        write_bytes(chunk)

    def add_product(self, lease: Lease, path: str, content: IO[bytes]) -> None:
        if self._products is None:
            self._say(f"artifact {path} (kept with --products DIRECTORY)")
            return
        self._products.mkdir(parents=True, exist_ok=True)
        target = self._products / Path(path).name
        with target.open("wb") as file:
            shutil.copyfileobj(content, file)
        self._say(f"artifact {path} is kept as {target}")

    def finish(self, lease: Lease, result: BuildResult, steps: tuple[StepResult, ...]) -> None:
        self._result = result
        took = SystemClock().now() - self._began
        detail = f": {result.detail}" if result.detail else ""
        seconds = took / timedelta(seconds=1)
        self._say(f"== {self.work.job.name} {result.status.value} in {seconds:.1f} s{detail}")

    def give_back(self, lease: Lease, loss: Loss) -> None:
        self.finish(lease, BuildResult(BuildStatus.ERRORED, loss.reason, loss.detail), ())

    @staticmethod
    def _say(line: str) -> None:
        sys.stdout.flush()
        click.secho(line, err=True, bold=True)
