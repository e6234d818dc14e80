"""A server that is killed while groups of builds end tells each of them, and once."""

import json
import random
import time

import pytest
from support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

GROUPS, SIZE = 5, 3
ALLOWED = '[outgoing]\nallow = ["127.0.0.1"]\n[builds]\nslots = 3\n'
MANIFEST = 'image: host\ntasks:\n  - build: "sleep 0.3"\n'


@pytest.fixture
def post():
    """Post to a server as a client of builds.sr.ht."""

    def send(server, token, path, body):
        answer = server.request(
            *("POST", path),
            headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
            token=False,
            body=json.dumps(body),
        )
        assert answer.status == 200, answer.data
        return json.loads(answer.data)["id"]

    return send


def test_each_group_is_told_once(make_server, receiver, post):
    """By kill -9, at random moments about their ends: one delivery each, whatever it was."""
    chance = random.Random()
    server = make_server(config=ALLOWED).start()
    server.cli("user", "add", "ada", "--password-stdin", input_text="correct horse battery\n")
    token = server.cli("token", "add", "ada", "--scopes", "jobs:write").stdout.strip()
    for number in range(GROUPS):
        held = {"manifest": MANIFEST, "execute": False}
        jobs = [post(server, token, "/api/jobs", held) for _ in range(SIZE)]
        hook = {"action": "webhook", "condition": "always", "url": receiver.url(f"{number}")}
        group = {"jobs": jobs, "triggers": [hook], "execute": True}
        post(server, token, "/api/job-group", group)
        time.sleep(chance.uniform(0.3, 1.2))  # the moment of the fault
        server.kill()
        server.start()
    server.until_built(GROUPS * SIZE, seconds=120)
    until(
        lambda: len({path for path, _, _ in receiver.requests}) == GROUPS,
        seconds=60,
        what="every group to be told",
    )
    told = {(path, headers["Webhook-Id"]) for path, headers, _ in receiver.requests}
    assert len(told) == GROUPS
    assert len(server.api("/deliveries")) == GROUPS
    for number in range(GROUPS):
        for one in receiver.events(f"{number}"):
            assert [build["status"] for build in one["data"]["builds"]] == ["succeeded"] * SIZE
    assert server.stop() == 0
