"""Builds on other machines: workers that have the address of a server, and a credential."""

import hashlib
import json
import shutil
import signal

import pytest
from support import rabbitmq
from support.waiting import until
from support.worker import Worker

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.machine import scratch_root

pytestmark = pytest.mark.e2e
RECIPE = """image: host
artifacts: [project/made.bin, project/none]
cache:
  - key: deps
    paths: [kept]
tasks:
  - look: |
      cd project
      git log -1 --format=%s
      cat hello.txt
  - make: |
      cd project
      seq 1 100000
      head -c 9000000 /dev/zero > made.bin
      : > none
      echo more >> ~/kept
"""
SLOW = "image: host\ntasks:\n  - one: for n in $(seq 1 %d); do echo line $n; sleep 0.01; done\n"


@pytest.fixture(params=["server", "broker"])
def told(request):
    """What server and workers are told of how workers hear of builds: from the server itself, or
    from a broker.
    """
    if request.param == "server":
        yield ""
        return
    with rabbitmq.broker() as broker:
        yield rabbitmq.settings_of(broker)


@pytest.fixture
def server(request, make_server, told):
    """One that runs nothing itself; a parameter is more of its configuration."""
    server = make_server(config=getattr(request, "param", "") + told).start()
    if not told:
        server.cli("queue", "pause", "--worker", "local")
    return server


@pytest.fixture
def make_worker(server, place, told):
    workers = []

    def make(name="arm", *arguments, config='[builds]\nsandbox = "bubblewrap"\n', **options):
        worker = Worker(server, place / name, config=config + told, **options)
        workers.append(worker)
        return worker.start("--slots", "2", *arguments)

    yield make
    for worker in workers:
        if worker.process.poll() is None:
            worker.stop()
        scratch = scratch_root(Settings(), DataDirectory(worker.data))
        shutil.rmtree(scratch, ignore_errors=True)


def details(server, build):
    return server.api(f"/builds/{build['id']}")


def until_logged(server, build_id, text, step=1):
    until(lambda: text in server.step_log(build_id, step), what=f"{text} in the log")


def test_a_push_is_built_elsewhere(server, make_worker, watch):
    """Sources, logs, products and caches go through the server's door, and the page says where."""
    worker = make_worker()
    repository = watch(server)
    repository.commit({".build.yml": RECIPE, "hello.txt": "hello roses\n"})
    repository.push("main")
    (build,) = server.until_built()
    assert build["status"] == "succeeded", server.step_log(build["id"], 0)
    log = server.step_log(build["id"], 2)
    assert b"\n1\n2\n" in log
    assert b"\n99999\n100000\n" in log
    assert b"hello roses" in server.step_log(build["id"], 1)
    made, none = details(server, build)["products"]
    assert made["sha256"] == hashlib.sha256(bytes(9_000_000)).hexdigest()
    assert (made["size"], none["size"]) == (9_000_000, 0)
    repository.commit({"hello.txt": "hello again\n"})
    repository.push("main")
    second = max(server.until_built(2), key=lambda one: one["id"])
    assert b"hello again" in server.step_log(second["id"], 1)
    assert b"cache: deps: " in server.step_log(second["id"], 0)
    assert b"restored" in server.step_log(second["id"], 0)
    assert worker.stop() == 0


@pytest.mark.parametrize("server", ["[builds]\nlease_seconds = 10\n"], indirect=True, ids=["10s"])
def test_a_killed_worker_costs_one_attempt(server, make_worker, watch, leftovers):
    """What it ran is gone with it, and another one builds it after the lease."""
    first = make_worker("first")
    repository = watch(server)
    repository.commit({".build.yml": SLOW % 400})
    repository.push("main")
    (build,) = until(server.builds)
    until_logged(server, build["id"], b"line 5\n")
    first.kill()
    until(lambda: not leftovers(first), what="no process to be left")
    make_worker("second")
    (build,) = server.until_built(seconds=80)
    assert (build["status"], build["attempt"]) == ("succeeded", 2)
    attempts = details(server, build)["attempts"][::-1]
    assert [(one["number"], one["status"]) for one in attempts] == [
        (1, "errored"),
        (2, "succeeded"),
    ]
    assert b"\nline 400\n" in server.step_log(build["id"], 1)


def test_a_server_that_is_killed_meanwhile_costs_nothing(server, make_worker, watch):
    """The build goes on; when the server is back its log is complete."""
    make_worker()
    repository = watch(server)
    repository.commit({".build.yml": SLOW % 600})
    repository.push("main")
    (build,) = until(server.builds)
    until_logged(server, build["id"], b"line 5\n")
    server.kill()
    server.start()
    (build,) = server.until_built(seconds=60)
    assert (build["status"], build["attempt"]) == ("succeeded", 1)
    log = server.step_log(build["id"], 1)
    lines = [line for line in log.splitlines() if line.startswith(b"line ")]
    assert lines == [b"line %d" % number for number in range(1, 601)]


def test_a_worker_that_is_stopped_finishes_what_it_runs(server, make_worker, watch):
    """And takes nothing more; what waits is told why."""
    worker = make_worker()
    repository = watch(server)
    repository.commit({".build.yml": SLOW % 150})
    repository.push("main")
    (build,) = until(server.builds)
    until_logged(server, build["id"], b"line 5\n")
    assert worker.stop() == 0
    (build,) = server.builds()
    assert (build["status"], build["attempt"]) == ("succeeded", 1)


def test_a_worker_that_may_not_wait_gives_back(server, make_worker, watch):
    """After the time of its settings; that is no lost attempt."""
    worker = make_worker(config="[builds]\ndrain_seconds = 0.2\n")
    repository = watch(server)
    repository.commit({".build.yml": SLOW % 2000})
    repository.push("main")
    (build,) = until(server.builds)
    until_logged(server, build["id"], b"line 5\n")
    assert worker.stop() == 0
    (build,) = server.builds()
    assert build["status"] == "queued"
    server.cli("cancel", str(build["id"]))


def test_a_worker_that_is_stopped_twice_gives_back(server, make_worker, watch):
    """At once, however long its settings let builds finish."""
    worker = make_worker(config="[builds]\ndrain_seconds = 600\n")
    repository = watch(server)
    repository.commit({".build.yml": SLOW % 6000})
    repository.push("main")
    (build,) = until(server.builds)
    until_logged(server, build["id"], b"line 5\n")
    worker.process.send_signal(signal.SIGTERM)
    until(lambda: b"stopping" in worker.log.read_bytes())
    assert worker.stop() == 0
    (build,) = server.builds()
    assert build["status"] == "queued"
    server.cli("cancel", str(build["id"]))


def test_a_cancellation_arrives(server, make_worker, watch):
    """At once, and not only with the next renewal of the lease."""
    make_worker()
    repository = watch(server)
    repository.commit({".build.yml": "image: host\ntasks:\n  - one: echo begun; sleep 600\n"})
    repository.push("main")
    (build,) = until(server.builds)
    until_logged(server, build["id"], b"begun\n")
    server.cli("cancel", str(build["id"]))
    (build,) = server.until_built(seconds=3)
    assert build["status"] == "canceled"


def test_workers_are_shown(server, make_worker, told):
    """With the systems, on the queue, and with their credentials."""
    make_worker()
    assert "arm" in server.cli("worker-credential", "list").stdout
    (system,) = json.loads(server.cli("system", "list", "-o", "json").stdout)
    assert system["workers"] == (["arm"] if told else ["arm", "local"])


def test_a_wrong_credential_ends_the_worker(server, place):
    """With the reason; a queue that is not its own, too."""
    worker = Worker(server, place / "arm")
    queue = ("--queue", "x86_64-linux/untrusted")
    worker.start(*queue, is_ready=False)
    assert worker.process.wait(30) == 5
    assert "may not take builds of x86_64-linux/untrusted" in worker.log.read_text()
    server.cli("worker-credential", "remove", "arm")
    worker.start(is_ready=False)
    assert worker.process.wait(30) == 5
    assert "credential is unknown" in worker.log.read_text()
    shutil.rmtree(scratch_root(Settings(), DataDirectory(worker.data)), ignore_errors=True)
