"""A private repository elsewhere: watched with its key, told of by its forge, and built."""

import hashlib
import hmac
import json
import re
from pathlib import Path

import pytest
from support.factories import Factory, make_job
from support.repositories import Repository
from support.sshd import start_sshd

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.machine import scratch_root
from ciserver.model.project import Credential

PAYLOAD = Path(__file__).parents[1] / "intake" / "payloads" / "github_push.json"
RECIPE = """\
image: host
tasks:
  - build: |
      cd project
      echo "built for $(cat name.txt)"
      git log -1 --format='commit: %s'
"""


@pytest.fixture
def sshd(tmp_path):
    server = start_sshd(tmp_path)
    yield server
    server.stop()


def push_event(revision, uri):
    """GitHub's push event of this revision, in a repository with this address."""
    event = json.loads(PAYLOAD.read_text())
    event["after"] = revision
    event["repository"]["ssh_url"] = uri
    return json.dumps(event).encode()


def github_headers(body, secret):
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "X-Hub-Signature-256": f"sha256={digest}",
    }


@pytest.mark.e2e
def test_a_private_repository_is_built_when_its_forge_tells_of_a_push(make_server, tmp_path, sshd):
    """With the key it was watched with, which lies nowhere on the disk in the clear."""
    server = make_server(config=f"[git]\nknown_hosts = '{sshd.known_hosts}'\n").start()
    repository = Repository(tmp_path / "repositories")
    revision = repository.commit({".build.yml": RECIPE, "name.txt": "ada\n"}, "Say hello")
    repository.push()
    uri = sshd.uri(repository.bare)

    said = server.cli("watch", uri, "--ssh-key", str(tmp_path / "key")).stdout
    secret = re.search(r"webhook secret: (\S+)", said)[1]
    body = push_event(revision, uri)
    headers = github_headers(body, secret)
    answer = server.request(
        "POST", "/hooks/github/project", token=False, body=body, headers=headers
    )
    assert answer.status == 202, answer.data

    (build,) = server.until_built()
    log = server.step_log(build["id"], 1)
    assert build["status"] == "succeeded", log
    assert b"built for ada" in log
    assert b"commit: Say hello" in log
    assert server.stop() == 0
    assert not files_with(sshd.key, server)


def files_with(key, server):
    """What the server wrote that has a line of the key in it."""
    lines = [line.encode() for line in key.splitlines() if not line.startswith("-")]
    roots = (server.data, scratch_root(Settings(), DataDirectory(server.data)))
    files = [path for root in roots for path in root.rglob("*") if path.is_file()]
    assert server.data / "ciserver.db" in files
    contents = {path: path.read_bytes() for path in (*files, server.log)}
    return [path for path, content in contents.items() if any(line in content for line in lines)]


def test_a_worker_is_told_what_to_hide_of_a_credential(parts, clock, admin):
    """Whoever prints the key, its passphrase or a password finds stars in the log."""
    credential = Credential("ada", "pa55word", "-----BEGIN KEY-----\nk3y\n", "passphrase")
    uri = "ssh://git@example.org/project.git"
    watched = parts.services.projects.watch(admin, "project", uri, credential=credential)
    make = Factory(parts, clock)
    make.evaluated(watched.jobset, make_job())
    work = make.claim()
    assert set(work.secrets) == {credential.password, credential.ssh_key, credential.passphrase}
    assert credential.passphrase not in repr(work)
