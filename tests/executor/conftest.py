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
from ciserver.executor.hierarchies import (
    group_of,
    read_controllers,
    read_hierarchies,
    read_memberships,
)
from ciserver.executor.lease import Stop
from ciserver.executor.limits import Limits
from ciserver.executor.network import HOST_FOR_ALL
from ciserver.executor.nix_stores import NixStores
from ciserver.executor.plain import Plain
from ciserver.executor.podman import Podman
from ciserver.executor.roots import Roots
from ciserver.executor.run import Runner
from ciserver.executor.sandbox import find_build_user
from ciserver.model.build import PLAIN, Job, Lease, Task, Work
from ciserver.model.errors import LeaseLost
from ciserver.model.push import Trust
from ciserver.model.secret import NO_SECRETS
from ciserver.reports.read import read_report

PATIENCE = 15
LIMITS = Limits(timeout_seconds=30, grace_seconds=0.3)


class SystemClock:
    def now(self):
        return datetime.now(UTC)


class Recorder:
    """A reporter that keeps everything, checks that offsets join, and can be told what to say."""

    def __init__(self):
        self.changed = threading.Condition()
        self.queue, self.advanced, self.products, self.given_back = [], [], {}, []
        self.reports, self.caches, self.kinds, self.output = {}, {}, {}, None
        self.logs = defaultdict(bytearray)
        self.appends, self.renewals = 0, 0
        self.result, self.steps = None, None
        self.canceling = self.lost = False
        self.append_error = self.product_error = self.renew_error = None

    def claim(self, offer):
        with self.changed:
            return self.queue.pop(0) if self.queue else None

    def renew(self, lease):
        with self._told():
            self.renewals += 1
            if self.renew_error:
                raise self.renew_error
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

    def add_product(self, lease, path, content, *, kind=PLAIN, name=""):
        with self._told():
            if self.product_error:
                raise self.product_error
            self.products[path] = content.read()
            self.kinds[path] = (name, kind)

    def set_output(self, lease, output):
        with self._told():
            self.output = output

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
    stores: NixStores | None = None
    roots: Roots | None = None
    networks: object = HOST_FOR_ALL
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
            stores=self.stores,
            roots=self.roots,
            networks=self.networks,
        )
        self.runners.append(runner)
        return runner

    def run(self, *scripts, **words):
        """Run a build of these tasks to its end; gives its result."""
        runner = self.runner()
        runner.run(make_work(*scripts, **words), self.stop)
        runner.close()
        assert not list(self.work_root.iterdir())
        return self.recorder.result

    def begin(self, *scripts, **words):
        """Run a build in a thread, which is returned."""
        thread = threading.Thread(target=self.run, args=scripts, kwargs=words)
        thread.start()
        return thread

    def limit(self, **limits):
        self.limits = replace(self.limits, **limits)


def make_work(
    *scripts,
    facts=None,
    secrets=(),
    given=NO_SECRETS,
    build_id=7,
    cache_bytes=0,
    store="",
    lease_seconds=0.3,
    trust=Trust.TRUSTED,
    **job,
):
    """Work with these scripts as tasks; `facts` are the server's variables, `job` the job's."""
    tasks = tuple(Task(f"task{number}", script) for number, script in enumerate(scripts, start=1))
    return Work(
        lease=Lease(build_id=build_id, attempt=1, token=f"token-{build_id}"),
        job=Job(
            **{"name": "test", "file": ".build.yml", "image": "", "system": "here", **job},
            tasks=tasks,
        ),
        environment=facts or {},
        secrets=(*secrets, *(one.text for one in given.given)),
        given=given,
        cache_bytes=cache_bytes,
        store=store,
        lease_seconds=lease_seconds,
        trust=trust,
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


def control_group(controller):
    """The group that this process is in and where this controller can limit others, if it is the
    uppermost one: any other belongs to whoever made it. Else the reason why there is none.
    """
    memberships = read_memberships(Path("/proc/self/cgroup").read_text())
    for one in read_hierarchies(Path("/proc/self/mountinfo").read_text()):
        own = group_of(one, memberships)
        if own is None:
            continue
        offered = one.controllers
        if one.version == 2:
            offered = read_controllers((own / "cgroup.controllers").read_text())
        if controller not in offered:
            continue
        if own != one.place:
            return f"the group for {controller} of this process, {own}, is somebody else's"
        if not os.access(own, os.W_OK):
            return f"{own} is read-only or another user's"
        return own
    return f"no control group of this machine controls {controller}"


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


@pytest.fixture(scope="session")
def tried_podman(tmp_path_factory):
    """Why podman does not work here, and the runtime with which it does."""
    place = tmp_path_factory.mktemp("podman")
    podman = Podman(user=build_user(), place=place)
    return podman.probe(), podman.runtime


@pytest.fixture
def podman_runtime(tried_podman):
    fault, runtime = tried_podman
    if fault:
        if os.environ.get("CI") == "true" and "CISERVER_NO_PODMAN" not in os.environ:
            pytest.fail(fault)
        pytest.skip(fault)
    return runtime


@pytest.fixture
def plain():
    return Plain(user=build_user())


@pytest.fixture
def bubblewrap(bubblewrap_works):
    return Bubblewrap(user=build_user())


@pytest.fixture
def podman(podman_runtime, tmp_path):
    return Podman(user=build_user(), place=tmp_path / "podman", runtime=podman_runtime)


@pytest.fixture(params=["plain", "bubblewrap", "podman"])
def sandbox(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def give_groups():
    """Makes control groups for a server that control this, or skips where this machine cannot."""
    made = []

    def give(*controllers):
        for controller in controllers:
            parent = control_group(controller)
            if isinstance(parent, str):
                pytest.skip(parent)
            if (parent / "cgroup.subtree_control").exists():
                try:
                    (parent / "cgroup.subtree_control").write_text(f"+{controller}")
                except OSError as error:
                    pytest.skip(f"{parent} shares out no {controller}: {error}")
            given = parent / f"ciserver-test-{os.getpid()}"
            if given not in made:
                given.mkdir()
                made.append(given)
        return tuple(made)

    yield give
    for given in made:
        for inner in given.iterdir():
            if inner.is_dir():
                inner.rmdir()
        given.rmdir()


@pytest.fixture(params=["measured", "control group"])
def make_held_world(request, make_world, sandbox, give_groups):
    """Makes a world where this controller's limit is measured only, or held by a group as well."""

    def make(controller):
        world = make_world(sandbox)
        if request.param != "measured":
            world.groups = ControlGroups(give_groups(controller))
            world.groups.prepare()
        return world

    return make


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
