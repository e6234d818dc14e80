"""A server that is killed at random moments under load loses nothing and does nothing twice.

`CISERVER_FAULTS=long` is the long form; `CISERVER_FAULTS_SEED` repeats a run by the seed it
printed.
"""

import contextlib
import json
import os
import random
import threading
import time
from collections import defaultdict

import pytest
import urllib3
from support.waiting import until

from ciserver.git import hook

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

LONG = os.environ.get("CISERVER_FAULTS") == "long"
KILLS, BUILDS = (20, 50) if LONG else (5, 12)
LINES = 25


class LogReader(threading.Thread):
    """Reads every log over the API while it is written, and keeps what it was given."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self._server = server
        self._over = threading.Event()
        self.given = defaultdict(bytes)  # by (build, attempt, step)

    def run(self):
        while not self._over.wait(0.02):
            # The server is killed under our feet: no address, no answer, a token of the last one.
            with contextlib.suppress(urllib3.exceptions.HTTPError, OSError, ValueError, KeyError):
                self._look()

    def _look(self):
        listed = self._server.request("GET", "/ci/v1/builds?limit=500")
        for build in json.loads(listed.data)["builds"]:
            if build["status"] == "running":
                self._read(build["id"], build["attempt"], 1)

    def _read(self, build, attempt, step):
        had = len(self.given[build, attempt, step])
        path = f"/ci/v1/builds/{build}/steps/{step}/log?attempt={attempt}&offset={had}"
        answer = self._server.request("GET", path)
        if answer.status == 200:
            self.given[build, attempt, step] += answer.data

    def stop(self):
        self._over.set()
        self.join(30)


class Pusher(threading.Thread):
    """Pushes one revision after another, whether a server is there or not."""

    def __init__(self, repository, recipe):
        super().__init__(daemon=True)
        self._repository = repository
        self._recipe = recipe
        self.revisions = []
        self.fault = None

    def run(self):
        try:
            for number in range(BUILDS):
                files = {".build.yml": self._recipe, "number": str(number)}
                self.revisions.append(self._repository.commit(files))
                self._repository.push()
        except AssertionError as error:
            self.fault = error


@pytest.mark.timeout(900 if LONG else 120)
def test_nothing_is_lost_or_done_twice_when_the_server_is_killed(
    make_server, watch, receiver, leftovers
):
    """Every pushed revision has one evaluation and one build that succeeded; every byte of a log
    that a reader was given is there; each build was told under one id; no process is left.
    """
    seed = int(os.environ.get("CISERVER_FAULTS_SEED") or random.randrange(10**6))
    print(f"CISERVER_FAULTS_SEED={seed}")
    chance = random.Random(seed)
    config = f'[outgoing]\nallow = ["127.0.0.1"]\n[builds]\nretries = {KILLS}\n'
    server = make_server(config=config).start()
    repository = watch(server)
    reader, pusher = LogReader(server), Pusher(repository, recipe(receiver))
    reader.start()
    pusher.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0, 0.8))  # the moment of the fault
        server.kill()
        if chance.random() < 0.5:
            until(lambda: not leftovers(server), seconds=2, what="the builds to die too")
        server.start()
    pusher.join(60)
    assert pusher.fault is None
    hook.flush(repository.bare)
    builds = server.until_built(BUILDS, seconds=300 if LONG else 60)
    reader.stop()

    check_evaluations(server, pusher.revisions)
    assert [one["status"] for one in builds] == ["succeeded"] * BUILDS
    check_logs(server, builds, reader.given)
    check_deliveries(server, builds, receiver)
    until(lambda: not leftovers(server), what="the last work trees to be removed")
    assert server.stop() == 0


def recipe(receiver):
    count = f"for i in $(seq {LINES}); do echo line $i; sleep 0.02; done"
    trigger = {"action": "webhook", "url": receiver.url(), "condition": "always"}
    return json.dumps(
        {"image": "host", "tasks": [{"count": f"set +x\n{count}"}], "triggers": [trigger]}
    )


def check_evaluations(server, revisions):
    found = [server.api(f"/evaluations/{number + 1}") for number in range(len(revisions))]
    assert sorted(one["revision"] for one in found) == sorted(revisions)
    assert {one["status"] for one in found} == {"succeeded"}
    assert {(one["builds_total"], one["builds_finished"]) for one in found} == {(1, 1)}
    assert server.request("GET", f"/ci/v1/evaluations/{len(found) + 1}").status == 404


def check_logs(server, builds, given):
    """What was given is the beginning of what is there now; the last attempts are whole."""
    for (build, attempt, step), text in given.items():
        path = f"/ci/v1/builds/{build}/steps/{step}/log?attempt={attempt}"
        assert server.request("GET", path).data.startswith(text), (build, attempt, step)
    assert any(given.values())
    whole = b"".join(b"line %d\n" % (number + 1) for number in range(LINES))
    for build in builds:
        assert server.step_log(build["id"], 1) == b"+ set +x\n" + whole


def check_deliveries(server, builds, receiver):
    until(
        lambda: {one["status"] for one in server.api("/deliveries?limit=500")} == {"sent"},
        seconds=30,
        what=f"every delivery to be sent; see {server.log}",
    )
    ids = defaultdict(set)
    for _, headers, body in receiver.requests:
        told = json.loads(body)["data"]["build"]
        ids[told["id"], told["attempt"], told["status"]].add(headers["Webhook-Id"])
    assert sorted(ids) == sorted((one["id"], one["attempt"], "succeeded") for one in builds)
    assert {len(one) for one in ids.values()} == {1}
