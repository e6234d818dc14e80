"""A recording reporter and the parts to run builds with, in every sandbox this machine has."""

import io
import os
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ciserver.executor.bubblewrap import Bubblewrap
from ciserver.executor.groups import ControlGroups
from ciserver.executor.lease import Stop
from ciserver.executor.limits import Limits
from ciserver.executor.plain import Plain
from ciserver.executor.run import Runner
from ciserver.executor.sandbox import find_build_user
from ciserver.model.build import Job, Lease, Task, Work
from ciserver.model.errors import LeaseLost
from ciserver.reports.read import read_report

PATIENCE = 15
LIMITS = Limits(timeout_seconds=30, grace_seconds=0.3, renew_seconds=0.1)


class SystemClock:
    def now(self):
        return datetime.now(UTC)


class Recorder:
    """A reporter that keeps everything, checks that offsets join, and can be told what to say."""

    def __init__(self):
        self.changed = threading.Condition()
        self.queue, self.advanced, self.products, self.given_back = [], [], {}, []
        self.reports, self.caches = {}, {}
        self.logs = defaultdict(bytearray)
        self.appends, self.renewals = 0, 0
        self.result, self.steps = None, None
        self.canceling = self.lost = False
        self.append_error = None

    def claim(self, offer):
        with self.changed:
            return self.queue.pop(0) if self.queue else None

    def renew(self, lease):
        with self._told():
            self.renewals += 1
            return self.canceling

    def advance(self, lease, done, starting, *, sandbox):
        with self._told():
            self.advanced.append((done, starting, sandbox))

    def append_log(self, lease, step, offset, chunk):
        with self._told():
            if self.append_error and step:
                raise self.append_error
            assert offset == len(self.logs[step])
            assert 0 < len(chunk) <= (1 << 20) + 4096
            self.logs[step] += chunk
            self.appends += 1

    def add_product(self, lease, path, content):
        with self._told():
            self.products[path] = content.read()

    def add_report(self, lease, kind, path, content):
        with self._told():
            self.reports[kind.value, path] = text = content.read()
            report = read_report(kind, path, io.BytesIO(text))
            return report.counts, report.notes

    def open_cache(self, lease, key):
        with self._told():
            return io.BytesIO(self.caches[key]) if key in self.caches else None

    def save_cache(self, lease, key, content):
        with self._told():
            self.caches[key] = content.read()

    def finish(self, lease, result, steps):
        with self._told():
            assert self.result is None
            self.result, self.steps = result, steps

    def give_back(self, lease, loss):
        with self._told():
            self.given_back.append(loss.detail)

    def log(self, step):
        return self.logs[step].decode(errors="replace")

    def wait_for(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE)

    def wait_for_log(self, step, text):
        self.wait_for(lambda: text in self.log(step))

    def _told(self):
        return _Told(self)


class _Told:
    def __init__(self, recorder):
        self.recorder = recorder

    def __enter__(self):
        self.recorder.changed.acquire()
        if self.recorder.lost:
            self.recorder.changed.release()
            raise LeaseLost("lost")

    def __exit__(self, *_):
        self.recorder.changed.notify_all()
        self.recorder.changed.release()


class CopiedSources:
    """Work trees by copying directories; `fault` is raised instead when it is set."""

    fault = None

    def put(self, work, source, into, objects_at):
        if self.fault:
            raise self.fault
        shutil.copytree(source.uri, into, symlinks=True)
        return ()


@dataclass
class World:
    sandbox: object
    work_root: Path
    recorder: Recorder = field(default_factory=Recorder)
    sources: object = field(default_factory=CopiedSources)
    limits: Limits = LIMITS
    groups: ControlGroups | None = None
    stop: Stop = field(default_factory=Stop)
    runners: list = field(default_factory=list)

    def runner(self):
        runner = Runner(
            self.recorder,
            self.sandbox,
            self.sources,
            SystemClock(),
            work_root=self.work_root,
            limits=self.limits,
            groups=self.groups,
        )
        self.runners.append(runner)
        return runner

    def run(self, *scripts, **words):
        """Run a build of these tasks to its end; gives its result."""
        self.runner().run(make_work(*scripts, **words), self.stop)
        assert not list(self.work_root.iterdir())
        return self.recorder.result

    def begin(self, *scripts, **words):
        """Run a build in a thread, which is returned."""
        thread = threading.Thread(target=self.run, args=scripts, kwargs=words)
        thread.start()
        return thread

    def limit(self, **limits):
        self.limits = replace(self.limits, **limits)


def make_work(*scripts, facts=None, secrets=(), build_id=7, cache_bytes=0, **job):
    """Work with these scripts as tasks; `facts` are the server's variables, `job` the job's."""
    tasks = tuple(Task(f"task{number}", script) for number, script in enumerate(scripts, start=1))
    return Work(
        lease=Lease(build_id=build_id, attempt=1, token=f"token-{build_id}"),
        job=Job(name="test", file=".build.yml", image="", system="here", tasks=tasks, **job),
        environment=facts or {},
        secrets=tuple(secrets),
        cache_bytes=cache_bytes,
    )


def build_user():
    return find_build_user("nobody") if os.geteuid() == 0 else None


def eventually(condition):
    """Whether it becomes true within the patience of a test."""
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def programs_with(text):
    """The command lines that hold this text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if text.encode() in line:
            found.append((path.parent.name, line))
    return found


@pytest.fixture
def place():
    """A directory that the build user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="ciserver-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def bubblewrap_fault():
    return Bubblewrap(user=build_user()).probe()


@pytest.fixture
def bubblewrap_works(bubblewrap_fault):
    if bubblewrap_fault:
        if os.environ.get("CI") == "true" and "CISERVER_NESTED" not in os.environ:
            pytest.fail(bubblewrap_fault)
        pytest.skip(bubblewrap_fault)


@pytest.fixture
def plain():
    return Plain(user=build_user())


@pytest.fixture
def bubblewrap(bubblewrap_works):
    return Bubblewrap(user=build_user())


@pytest.fixture(params=["plain", "bubblewrap"])
def sandbox(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def make_world(place):
    made = []

    def make(sandbox):
        world = World(sandbox, place / "work")
        made.append(world)
        return world

    yield make
    for world in made:
        for runner in world.runners:
            runner.close()
        world.stop.close()


@pytest.fixture
def world(make_world, sandbox):
    return make_world(sandbox)


@pytest.fixture
def tools():
    """The helpers above, for test modules, which cannot import a conftest."""
    return Tools


class Tools:
    make_work = staticmethod(make_work)
    build_user = staticmethod(build_user)
    eventually = staticmethod(eventually)
    programs_with = staticmethod(programs_with)
    Recorder = Recorder
    PATIENCE = PATIENCE
