"""A server that is killed at what it was asked for does all of it, and nothing twice."""

import json
import random
import time

import pytest
from support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

KILLS, ASKED, COUNT = 4, 6, 3
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


def ask(server, build, priority):
    """Ask for rebuilds; answers the number of the request."""
    answer = server.request(
        *("POST", "/self-serve/main/request"),
        headers=FORM,
        body=f"request_id={build}&count={COUNT}&priority={priority}",
    )
    assert answer.status == 202, answer.data
    return json.loads(answer.data)["request_id"]


def job(server, request_id):
    answer = server.request("GET", f"/self-serve/jobs/{request_id}?format=json")
    assert answer.status == 200, answer.data
    return json.loads(answer.data)


def test_each_request_is_performed_once_and_in_its_order(make_server, watch):
    """By kill -9, at random moments: every request that was accepted made its builds, each with
    ids of its own that follow those of the request before it.
    """
    chance = random.Random()
    server = make_server(config="[builds]\nslots = 1\n").start()
    repository = watch(server)
    repository.commit({".build.yml": 'image: host\ntasks:\n  - build: "true"\n'})
    repository.push()
    (build,) = (one["id"] for one in server.until_built())
    asked = []
    for _ in range(KILLS):
        asked += [ask(server, build, len(asked)) for _ in range(ASKED)]
        time.sleep(chance.uniform(0, 0.1))  # the moment of the fault
        server.kill()
        server.start()
    until(
        lambda: all(job(server, one)["completed_at"] for one in asked),
        what="every request to be performed",
    )
    created = [job(server, one)["complete_data"]["body"]["created"] for one in asked]
    assert [len(one) for one in created] == [COUNT] * len(asked)
    ids = [number for some in created for number in some]
    assert ids == sorted(set(ids))
    builds = server.until_built(1 + len(ids), seconds=60)
    assert sorted(one["id"] for one in builds) == [build, *ids]
    assert server.stop() == 0
