"""Rows about one worker that is cut off, held up, confused or poisoned, with another beside it."""

import signal
import sys
import time

import urllib3
from support.waiting import until

from ciserver import wire
from faults.row import Lacking, Row, Stage
from faults.site import LOOK, Load, Machine

# Programs that are the worker but for one thing.
CLOCK = """
import time
from datetime import timedelta
from ciserver.clock import SystemClock
seconds, moment = time.time, SystemClock.now
time.time = lambda: seconds() + {shift}
SystemClock.now = lambda self: moment(self) + timedelta(seconds={shift})
from ciserver.cli.main import main
main()
"""
VERSION = """
from ciserver import wire
from ciserver.cli.main import main
wire.VERSION += 1
main()
"""


def cut_short(stage: Stage) -> None:
    machine = _far_machine(stage, "cut-short")
    load = _running(stage, "cut-short", machine, seconds=stage.effort.short + 10)
    machine.cable.cut()
    time.sleep(stage.effort.short)  # the fault itself
    machine.cable.mend()
    stage.finding.times = 1
    stage.finding.told = f"for {stage.effort.short} s"
    stage.finding.settle(load, seconds=stage.patience(2), lost=range(1))


def cut_long(stage: Stage) -> None:
    machine = _far_machine(stage, "cut-long")
    load = _running(stage, "cut-long", machine, seconds=stage.effort.long + 20)
    fenced = Fenced(stage, load)
    stage.site.machine("cut-long-spare", "cut_long-linux")
    machine.cable.cut()
    fenced.until_lost()
    machine.cable.mend()
    stage.finding.settle(load, seconds=stage.patience(2), lost=range(1, 2))
    fenced.check(machine)


def suspended(stage: Stage) -> None:
    machine = stage.site.machine("suspended", "suspended-linux", slots=1)
    load = _running(stage, "suspended", machine, seconds=stage.effort.long + 20)
    fenced = Fenced(stage, load)
    stage.site.machine("suspended-spare", "suspended-linux")
    machine.worker.process.send_signal(signal.SIGSTOP)
    fenced.until_lost()
    machine.worker.process.send_signal(signal.SIGCONT)
    stage.finding.settle(load, seconds=stage.patience(2), lost=range(1, 2))
    fenced.check(machine)


def _far_machine(stage: Stage, name: str) -> Machine:
    if stage.site.network is None:
        raise Lacking("network namespaces need root, and the program ip")
    return stage.site.machine(name, f"{_arch(name)}-linux", slots=1)


def _arch(name: str) -> str:
    return name.replace("-", "_")


def _running(stage: Stage, name: str, machine: Machine, *, seconds: float) -> Load:
    """A build that takes so long, which the machine has just begun."""
    load = Load(stage.site, name, arch=_arch(name), seconds=seconds)
    load.push()
    load.until_begun()
    time.sleep(stage.chance.uniform(0, 2))  # the moment of the fault
    return load


class Fenced:
    """The attempt that runs now, whose token is worth nothing once it is lost."""

    def __init__(self, stage: Stage, load: Load) -> None:
        self._stage = stage
        (self._build,) = load.builds()
        self._token = stage.site.token(self._build["id"])

    def until_lost(self) -> None:
        """The fault itself: at least for so long, and until the server gives the attempt up."""
        began, number = time.monotonic(), self._build["attempt"]
        time.sleep(self._stage.effort.long)
        path = f"/builds/{self._build['id']}"
        until(
            lambda: self._stage.site.server.api(path)["attempts"][-number]["status"] == "errored",
            seconds=self._stage.patience(),
            what="the attempt to be lost",
            every=LOOK,
        )
        self._stage.finding.times = 1
        self._late = f"for {time.monotonic() - began:.0f} s"

    def check(self, machine: Machine) -> None:
        """Its late writes get 409, those of the worker itself and ours."""
        until(lambda: "lease-lost" in machine.log, what="the worker to hear of its lost lease")
        place = f"builds/{self._build['id']}/attempts/{self._build['attempt']}"
        writes = (("PUT", "log/1?offset=0"), ("POST", "renew"), ("POST", "give-back"))
        answers = [self._write(method, f"{place}/{path}") for method, path in writes]
        self._stage.finding.check(answers == [409] * 3, f"late writes were answered {answers}")
        self._stage.finding.told = f"{self._late}; late writes got 409"

    def _write(self, method: str, path: str) -> int:
        url = f"{self._stage.site.server.url}/worker/v1/{path}"
        headers = {"Authorization": f"Bearer {self._token}"}
        return urllib3.request(method, url, body=b"late", headers=headers, timeout=60).status


def poisoned(stage: Stage) -> None:
    """Its worker is killed each time, and started again as a service manager does it."""
    machine = stage.site.machine("poisoned", "poison-linux", slots=1)
    load = Load(stage.site, "poisoned", arch="poison", seconds=600, retries=2)
    load.push()
    for attempt in (1, 2, 3):
        load.until_begun(attempt, seconds=stage.patience())
        machine.worker.kill()
        machine.worker.start()
    stage.finding.times = 3
    stage.finding.settle(load, seconds=stage.patience(), lost=range(3, 4), status="errored")
    after = Load(stage.site, "after-poison", arch="poison")
    after.push()
    stage.finding.settle(after, seconds=stage.patience(), lost=range(1))
    stage.finding.told = "given up after 3 attempts; its worker builds the next"


def wrong_clock(stage: Stage) -> None:
    for name, shift in (("early", -3600), ("late", 3600)):
        program = (sys.executable, "-c", CLOCK.format(shift=shift))
        machine = stage.site.machine(f"{name}-clock", f"{name}-linux", program=program)
        load = Load(stage.site, f"{name}-clock", arch=name, seconds=stage.effort.lease + 2)
        load.push()
        load.until_begun()
        stage.finding.times += 1
        stage.finding.settle(load, seconds=stage.patience(), lost=range(1))
        machine.worker.stop()
    stage.finding.told = "an hour early, an hour late: leases are the server's alone"


def other_version(stage: Stage) -> None:
    program = (sys.executable, "-c", VERSION)
    machine = stage.site.machine("other-version", start=False, program=program)
    machine.worker.start(is_ready=False)
    status = machine.worker.process.wait(120)
    told = f"protocol {wire.VERSION + 1}, and not {wire.VERSION}"
    stage.finding.times = 1
    stage.finding.check(status == 2 and told in machine.log, f"it ended with {status}")
    stage.finding.check("install ciserver" in machine.log, f"it was told {machine.log[-300:]}")
    stage.finding.told = "the worker ends and says which version to install"


HTTP = ("sqlite", "postgresql")  # whose workers have a network of their own
ROWS = (
    Row("network cut, shorter than a lease", "P2", cut_short, kinds=HTTP),
    Row("network cut, longer than a lease", "P3", cut_long, kinds=HTTP),
    Row("SIGSTOP of a worker, longer than a lease", "P3", suspended),
    Row("job that kills its worker each time", "P2", poisoned),
    Row("worker with a wrong clock", "P3", wrong_clock),
    Row("worker of another version", "P3", other_version),
)
