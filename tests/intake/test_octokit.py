"""GitHub's own example deliveries, signed by GitHub's own library.

`npm ci` in tests/intake/octokit brings them; without it these tests are skipped, except in CI.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ciserver.intake.doors import DOORS
from ciserver.intake.payload import parse_json
from ciserver.model.push import Push, RefChange

HERE = Path(__file__).parent / "octokit"
SECRET = "it's a secret to everybody"


def missing(what):
    reason = f"{what}; run `npm ci` in tests/intake/octokit"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def deliveries():
    """Every example as {event, body, signature}, signed in one run of node."""
    node = shutil.which("node")
    if node is None:
        missing("node is not installed")
    if not (HERE / "node_modules").is_dir():
        missing("GitHub's examples are not installed")
    signed = subprocess.run(
        [node, "sign.mjs", SECRET], cwd=HERE, stdout=subprocess.PIPE, check=True, timeout=60
    )
    return json.loads(signed.stdout)


def knock(delivery, now):
    headers = {
        "content-type": "application/json",
        "x-github-event": delivery["event"],
        "x-github-delivery": "f2467dea-70d6-11e8-8955-3c83993e0aef",
        "x-hub-signature-256": delivery["signature"],
    }
    return DOORS["github"].read(headers, delivery["body"].encode(), [SECRET], now)


def test_push_examples_are_pushes(deliveries, now):
    """Each push tells its ref, revisions, addresses and pusher."""
    pushes = [delivery for delivery in deliveries if delivery["event"] == "push"]
    assert len(pushes) == 7
    for delivery in pushes:
        told = json.loads(delivery["body"])
        names = ("clone_url", "ssh_url", "git_url", "html_url")
        assert knock(delivery, now).push == Push(
            changes=(RefChange(told["ref"], told["before"], told["after"]),),
            repositories=tuple(told["repository"][name] for name in names),
            pusher=told["sender"]["login"],
        )


def test_ping_examples_are_pings(deliveries, now):
    """Each ping is a ping and nothing else."""
    pings = [knock(delivery, now) for delivery in deliveries if delivery["event"] == "ping"]
    assert len(pings) == 4
    assert all(one.is_ping and one.push is None and not one.ignored for one in pings)


def test_all_other_examples_are_ignored_with_a_reason(deliveries, now):
    """Whatever else GitHub may send is well-formed for us and asks for nothing."""
    others = [one for one in deliveries if one["event"] not in {"push", "ping"}]
    assert len(others) > 300
    for delivery in others:
        heard = knock(delivery, now)
        assert heard.ignored.startswith(f"{delivery['event']} events are ")
        assert heard.push is None
        assert parse_json(delivery["body"].encode())
