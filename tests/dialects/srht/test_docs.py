"""The page about this dialect tells what is so."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from ciserver.dialects.srht.words import STATE, TASK_STATE

PAGE = (Path(__file__).parents[3] / "docs/dialects/srht.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def words(heading):
    """What the table says: the word, and what it stands for."""
    table = PAGE.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", table, flags=re.MULTILINE)
    return {one: word for word, ours in rows for one in ours.split(", ")}


def test_the_words_are_those_of_the_code():
    """Every status of jobs and tasks."""
    assert words("Job status") == STATE
    assert words("Task status") == TASK_STATE


@pytest.mark.e2e
def test_the_example_works(make_server):
    """Its commands do what it says, on a real server."""
    server = make_server().start()
    server.cli("user", "add", "ada", input_text="correct horse battery\n" * 2)
    token = server.cli("token", "add", "ada", "--scopes", "jobs:write").stdout.split()[-1]
    submit, look, join = blocks("sh")
    submitted = json.loads(run(submit, server.url, token))
    assert submitted["status"] in {"queued", "running", "success"}  # a worker may be quick
    (build,) = server.until_built()
    decoder = json.JSONDecoder()
    shown = run(look, server.url, token)
    job, end = decoder.raw_decode(shown)
    (told,) = blocks("json")
    worker = job["runner"]
    assert worker
    assert job == json.loads(told.replace("CI/", f"{server.url}/").replace("WORKER", worker))
    assert "hello" in shown[end:]
    assert build["id"] == 1
    held = submit.replace('"note"', '"execute": false, "note"')
    pending = [json.loads(run(held, server.url, token))["id"] for _ in range(2)]
    group = json.loads(run(join.replace("[7, 8]", json.dumps(pending)), server.url, token))
    assert [one["id"] for one in group["jobs"]] == pending
    assert {one["status"] for one in group["jobs"]} <= {"queued", "running", "success"}


def run(script, url, token):
    environment = {**os.environ, "CI": url, "TOKEN": token}
    done = subprocess.run(
        ["bash", "-euc", script], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout
