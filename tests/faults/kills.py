"""Rows that kill at random moments of a load."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from support.processes import build_processes
from support.waiting import until

from faults.row import Row, Stage
from faults.site import Load, Machine

READY_SECONDS = 5
BUSY = 2  # programs that want to run, for each processor
ORPHAN_SECONDS = 2
SLOTS = 2
ANY = range(10_000)


def kills(stage: Stage, load: Load, share: float, kill: Callable[[], bool]) -> None:
    """Push this share of the builds, and more where they end too soon, and kill as often as falls
    to it while they run; `kill` says whether there was something to be killed.
    """
    pusher = threading.Thread(target=load.push, args=(_share(stage.effort.builds, share),))
    pusher.start()
    wanted = _share(stage.effort.kills, share)
    while stage.finding.times < wanted:
        time.sleep(stage.chance.uniform(0, 1.5))  # the moment of the fault
        if kill():
            stage.finding.times += 1
        elif not pusher.is_alive() and all(one["is_final"] for one in load.builds()):
            load.push()
    pusher.join()


def _share(number: int, share: float) -> int:
    return max(2, round(number * share))


def restart(stage: Stage) -> None:
    """Ready in good time, where other programs leave us any."""
    seconds = stage.site.restart()
    stage.finding.ready.append(seconds)
    is_busy = os.getloadavg()[0] > BUSY * (os.cpu_count() or 1)
    stage.finding.check(is_busy or seconds < READY_SECONDS, f"ready after {seconds:.1f} s only")


def kill_server(stage: Stage) -> bool:
    stage.site.server.kill()
    if stage.chance.random() < 0.5:
        time.sleep(stage.chance.uniform(0, 1))
    restart(stage)
    return True


def server_killed(stage: Stage) -> None:
    elsewhere = stage.site.machine("beside-server")
    load = Load(stage.site, "server-killed")
    kills(stage, load, 0.3, lambda: kill_server(stage))
    lost = stage.finding.settle(load, seconds=stage.patience(), lost=ANY)
    theirs = [one for one in lost if one["worker"] == elsewhere.worker.name]
    stage.finding.check(not theirs, f"lost of a worker elsewhere: {theirs}")
    stage.finding.told = "only builds on the server's own machine lose an attempt"
    elsewhere.worker.stop()


def server_away(stage: Stage) -> None:
    """Nobody can renew a lease then: that is no reason to lose one."""
    machine = stage.site.machine("server-away", "away-linux")
    load = Load(stage.site, "server-away", arch="away", seconds=stage.effort.long + 5)
    load.push(SLOTS)
    load.until_begun(count=SLOTS)
    stage.site.server.kill()
    time.sleep(stage.effort.long)  # the fault itself
    # The worker is late too: it cannot renew before the server looks for lost leases.
    machine.worker.process.send_signal(signal.SIGSTOP)
    restart(stage)
    time.sleep(stage.effort.lease / 2)
    machine.worker.process.send_signal(signal.SIGCONT)
    stage.finding.times = 1
    stage.finding.told = f"away for {stage.effort.long} s"
    stage.finding.settle(load, seconds=stage.patience(), lost=range(1))
    machine.worker.stop()


def worker_killed(stage: Stage) -> None:
    machine = stage.site.machine("worker-killed", "kill-linux", slots=SLOTS)
    load = Load(stage.site, "worker-killed", arch="kill")
    kills(stage, load, 0.2, lambda: kill_worker(stage, machine))
    most = stage.finding.times * SLOTS
    stage.finding.settle(load, seconds=stage.patience(most), lost=range(1, most + 1))


def kill_worker(stage: Stage, machine: Machine) -> bool:
    if not build_processes(machine.worker):
        return False
    machine.worker.kill()
    try:
        until(lambda: not build_processes(machine.worker), seconds=ORPHAN_SECONDS)
    except AssertionError:
        stage.finding.broken.append(f"processes were left: {build_processes(machine.worker)}")
    machine.worker.start()
    return True


def sandbox_killed(stage: Stage) -> None:
    machine = stage.site.machine("sandbox-killed", "box-linux", slots=SLOTS)
    load = Load(stage.site, "sandbox-killed", arch="box")
    kills(stage, load, 0.2, lambda: kill_sandbox(stage, machine))
    stage.finding.settle(load, seconds=stage.patience(), lost=range(1, stage.finding.times + 1))


def kill_sandbox(stage: Stage, machine: Machine) -> bool:
    """The supervisor of a build: the bubblewrap that the worker has started."""
    boxes = [
        pid
        for pid, words in build_processes(machine.worker)
        if words[0].endswith(b"bwrap") and _parent(pid) == machine.worker.process.pid
    ]
    if not boxes:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(stage.chance.choice(boxes), signal.SIGKILL)
        return True
    return False


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def job_killed(stage: Stage) -> None:
    """That is a failure of the job, not of the worker: it is not tried again."""
    machine = stage.site.machine("job-killed", "job-linux")
    load = Load(stage.site, "job-killed", arch="job", seconds=60)
    load.push()
    load.until_begun()
    shells = [
        pid
        for pid, words in build_processes(machine.worker)
        if words[0].endswith(b"bash") and len(words) == 3
    ]
    os.kill(stage.chance.choice(shells), signal.SIGKILL)
    began = time.monotonic()
    stage.finding.times = 1
    stage.finding.settle(load, seconds=20, lost=range(1), status="failed")
    (build,) = load.details()
    stage.finding.check("SIGKILL" in build["detail"], f"it is told as {build['detail']}")
    stage.finding.told = f"told after {time.monotonic() - began:.1f} s: {build['detail']}"


def everything_killed(stage: Stage) -> None:
    machine = stage.site.machine("any-killed", slots=SLOTS)
    load = Load(stage.site, "any-killed")
    ways = [
        lambda: kill_server(stage),
        lambda: kill_worker(stage, machine),
        lambda: kill_sandbox(stage, machine),
    ]

    def kill() -> bool:
        return stage.chance.choice(ways)()

    kills(stage, load, 0.3, kill)
    most = stage.finding.times * (SLOTS + 1)
    stage.finding.settle(load, seconds=stage.patience(most), lost=range(most + 1))
    machine.worker.stop()


ROWS = (
    Row("kill -9 of a worker", "P2", worker_killed),
    Row("kill -9 of the supervisor of a build", "P2", sandbox_killed),
    Row("kill -9 of the job's own shell", "P2", job_killed),
    Row("kill -9 of the server", "P6", server_killed, alone=True),
    Row("server away for longer than a lease", "P2", server_away, alone=True),
    Row("kill -9 of all of these in turn", "P6", everything_killed, alone=True),
)
