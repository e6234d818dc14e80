"""A server and two workers in three networks of their own, with nothing but cables between them."""

import hashlib
import os
import shutil

import pytest
from support.namespaces import Network, why_none
from support.server import Server
from support.worker import Worker

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.machine import scratch_root

pytestmark = pytest.mark.e2e
SYSTEMS = ("left-linux", "right-linux")
RECIPE = """image: host
systems: [left-linux, right-linux]
artifacts: [project/made.txt]
cache:
  - key: deps
    paths: [kept]
tasks:
  - look: |
      cd project
      git log -1 --format=%s
  - make: |
      cd project
      echo "made by $(cat hello.txt)" > made.txt
      echo more >> ~/kept
"""


@pytest.fixture
def network():
    why = why_none()
    if why and os.environ.get("CI") == "true":
        pytest.fail(why)
    if why:
        pytest.skip(why)
    made = Network()
    with made.server.entered():
        yield made
    made.close()


@pytest.fixture
def server(network, place):
    """Nobody reaches it but by a cable."""
    server = Server(place / "server", host=network.address).start()
    yield server
    server.stop()


@pytest.fixture
def workers(network, server, place):
    made = []
    for system in SYSTEMS:
        worker = Worker(
            server,
            place / system,
            queues=(f"{system}/trusted",),
            config=f'[builds]\nsystems = ["{system}"]\nsandbox = "bubblewrap"\n',
            namespace=network.join().far,
        )
        made.append(worker.start("--slots", "1"))
    yield made
    for worker in made:
        worker.stop()
    for data in (server.data, *(one.data for one in made)):
        shutil.rmtree(scratch_root(Settings(), DataDirectory(data)), ignore_errors=True)


def test_two_workers_build_over_two_networks(server, workers, watch):
    """Sources, logs, products and caches of both, and of a second push what the first had kept."""
    repository = watch(server)
    for number in (1, 2):
        repository.commit(
            {".build.yml": RECIPE, "hello.txt": f"roses {number}\n"}, f"Push {number}"
        )
        repository.push()
        built = server.until_built(2 * number, seconds=60)[:2]
        assert [one["status"] for one in built] == ["succeeded"] * 2, log(server, built, 0)
        for build, system in zip(sorted(built, key=lambda one: one["id"]), SYSTEMS, strict=True):
            details = server.api(f"/builds/{build['id']}")
            assert details["attempts"][0]["worker"] == system
            assert f"Push {number}\n".encode() in server.step_log(build["id"], 1)
            (product,) = details["products"]
            content = b"made by roses %d\n" % number
            assert product["sha256"] == hashlib.sha256(content).hexdigest()
    assert b"restored" in server.step_log(built[0]["id"], 0)


def log(server, builds, step):
    return [server.step_log(one["id"], step) for one in builds]
