"""Secrets of builds, used for real: they do their work, and nothing tells what they are."""

import json
import re

import pytest
from support.keys import PGP
from support.repositories import Repository
from support.sshd import start_sshd
from support.waiting import until

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.mask import Mask
from ciserver.machine import scratch_root

pytestmark = pytest.mark.e2e

# With characters that are written otherwise in addresses, JSON and shells.
CANARY = 'cAn4ry/"quote\'s"+ä=%41-of-the-mine'
NETRC = f"machine example.org login ada\npassword {CANARY}\n"
TASK = """\
      cat ~/.netrc
      value=$(tail -n 1 ~/.netrc)
      echo "$value" "${value#password }"
      base64 ~/.netrc; base64 -w 0 ~/.netrc; echo
      python3 -c 'import json, os, sys, urllib.parse as u; t = open(os.path.expanduser("~/.netrc")).read(); print(json.dumps(t), json.dumps(t, ensure_ascii=False), u.quote(t), u.quote_plus(t)); sys.stdout.flush(); [os.write(1, bytes([b])) for b in t.encode()]'
      cat ~/.ssh/id_rsa
      ls -l ~/.ssh ~/.netrc
"""  # noqa: E501
RECIPE = f"""\
image: host
secrets: [deploy-key, netrc]
tasks:
  - use: |
{TASK}      cp ~/.netrc/x /nowhere
artifacts: [.netrc]
cache:
  - key: home
    paths: [.netrc, .ssh]
triggers:
  - {{action: email, condition: always, to: ada@example.org}}
  - {{action: webhook, condition: always, url: "%s"}}
"""


@pytest.fixture
def sshd(tmp_path):
    server = start_sshd(tmp_path)
    yield server
    server.stop()


def holds(canaries, content):
    """Whether any of these stands in the bytes, however it is written."""
    mask = Mask(canaries)
    return mask.feed(content) + mask.close() != content


def key_lines(key):
    return [one for one in key.splitlines() if one and not one.startswith("-")]


def written_by(server):
    """Everything that the server has on its disks, and what it printed."""
    roots = (server.data, scratch_root(Settings(), DataDirectory(server.data)))
    files = [path for root in roots for path in root.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in (*files, server.log)}


def answers(server, build):
    """What its doors say of a build and of everything around it."""
    paths = [
        *("/ci/v1/requests?limit=500", "/ci/v1/projects", "/ci/v1/deliveries", "/ci/v1/builds"),
        *("/ci/v1/projects/project", "/ci/v1/projects/project/secrets", "/ci/v1/secrets"),
        *("/project/project", "/project/project/secrets", "/requests", "/", "/queue", "/metrics"),
        *(f"/{kind}/{build['id']}" for kind in ("ci/v1/builds", "build", "api/jobs")),
        *(f"/build/{build['id']}/{one}" for one in ("log", "step/0", "step/1", "reproduce")),
        *(f"/ci/v1/builds/{build['id']}/steps/{step}/log" for step in (0, 1)),
        f"/api/jobs/{build['id']}/manifest",
    ]
    headers = {"Accept": "*/*"}
    return {path: server.request("GET", path, headers=headers).data for path in paths}


def add(server, kind, name, text, *more):
    said = server.cli("secret", "add", kind, "-", "--name", name, *more, input_text=text)
    assert re.fullmatch(r"[0-9a-f-]{36}\n", said.stdout)
    return said.stdout.strip()


def test_no_trace_of_a_secret_is_left(make_server, sshd, mailbox, receiver, watch):
    """Neither in logs, answers, pages, mails, webhooks, the audit trail, nor in any file, at the
    most talkative level, of a build that prints them in every way and then fails.
    """
    server = make_server(
        config='[log]\nlevel = "debug"\n[outgoing]\nallow = ["127.0.0.1"]\n'
        f'[smtp]\nhost = "127.0.0.1"\nport = {mailbox.port}\nfrom_address = "ci@example.org"\n'
    ).start()
    repository = watch(server)
    key = add(server, "ssh_key", "deploy-key", sshd.key, "--project", "project")
    add(server, "plaintext_file", "netrc", NETRC, "--project", "project", "--path", ".netrc")
    add(server, "pgp_key", "unused", PGP.decode(), "--project", "project")
    wrong = server.cli(
        *("secret", "add", "plaintext_file", "-", "--project", "project", "--path", "/etc/x"),
        input_text=NETRC,
        check=False,
    )
    assert wrong.returncode != 0
    assert "path: must lie in the home" in wrong.stderr
    repository.commit({".build.yml": RECIPE % receiver.url()}, "Use secrets")
    repository.push()

    (build,) = server.until_built()
    until(receiver.events, what="the webhook")
    until(lambda: mailbox.envelopes, what="the mail")
    log = server.step_log(build["id"], 1)
    assert build["status"] == "failed"
    assert log.count(b"***") > 12
    assert f"~/.ssh/{key}".encode() in server.step_log(build["id"], 0)
    listed = server.cli("secret", "list", "--project", "project")
    assert "deploy-key" in listed.stdout

    # The lines of a key and not the whole, of whose base64 the last line is as short as a word.
    canaries = [CANARY, NETRC, *key_lines(sshd.key), PGP.decode()]
    mails = {"mail": bytes(mailbox.envelopes[0].content)}
    hooks = {"webhook": repr(receiver.requests).encode()}
    said = {"list": (listed.stdout + wrong.stdout + wrong.stderr).encode()}
    told = {**answers(server, build), **mails, **hooks, **said}
    assert server.stop() == 0
    everything = {**told, **written_by(server)}
    assert [name for name, content in everything.items() if holds(canaries, content)] == []
    assert any(name.endswith("ciserver.db") for name in everything)


def test_a_crash_and_a_kill_leave_nothing(make_server, gate, watch):
    """What a killed server left of a build is gone after the start, and the build runs again with
    its secrets, which are read again.
    """
    server = make_server(config=f"[builds]\n{gate.config}").start()
    repository = watch(server)
    where = ("--project", "project", "--path", "deep/netrc")
    add(server, "plaintext_file", "netrc", NETRC, *where)
    recipe = json.loads(gate.recipe("grep -c password ~/deep/netrc"))
    recipe["secrets"] = ["netrc"]
    repository.commit({".build.yml": json.dumps(recipe)})
    repository.push()
    until(lambda: server.builds() and b"begun" in server.step_log(1, 1), what="the task")
    server.kill()
    assert any(holds([CANARY], one) for one in written_by(server).values())
    server.start()
    gate.open()
    (build,) = server.until_built()
    assert build["status"] == "succeeded"
    assert server.stop() == 0
    assert [name for name, one in written_by(server).items() if holds([CANARY], one)] == []


def manifest(uri, *secrets):
    tasks = [{"read": "cat private/name.txt"}]
    sources = [f"private::git+{uri}"]
    return json.dumps({"image": "host", "secrets": secrets, "sources": sources, "tasks": tasks})


def test_a_source_is_read_with_the_builds_own_key(make_server, tmp_path, sshd, watch):
    """In a submission with the submitter's, in a push with the project's, and without any it is
    refused; the host's key must be known.
    """
    server = make_server(config=f"[git]\nknown_hosts = '{sshd.known_hosts}'\n").start()
    private = Repository(tmp_path / "private", "private")
    private.commit({"name.txt": "a private name\n"})
    private.push()
    uri = sshd.uri(private.bare)
    add(server, "ssh_key", "reader", sshd.key)
    repository = watch(server)
    add(server, "ssh_key", "project-reader", sshd.key, "--project", "project")

    path = tmp_path / "manifest.yml"
    path.write_text(manifest(uri, "reader"))
    assert server.cli("submit", str(path), "-f").returncode == 0
    refused = server.cli("submit", str(path), "-f", "--no-secrets", check=False)
    assert refused.returncode == 1
    assert "asked for none" in refused.stdout
    path.write_text(manifest(uri, "project-reader"))
    unknown = server.cli("submit", str(path), "-f", check=False)
    assert unknown.returncode == 1
    assert "administrator has no secret project-reader" in unknown.stdout

    repository.commit({".build.yml": manifest(uri, "project-reader")}, "With a private source")
    repository.push()
    builds = server.until_built(4)
    pushed = next(one for one in builds if one["project"] == "project")
    assert b"a private name" in server.step_log(pushed["id"], 1)
    repository.commit({".build.yml": manifest(uri)}, "Without a key")
    repository.push()
    faults = until(lambda: server.api("/evaluations/5")["complaints"], what="a complaint")
    assert "Permission denied" in json.dumps(faults)
    assert server.stop() == 0
    assert [
        name for name, one in written_by(server).items() if holds(key_lines(sshd.key), one)
    ] == []


def test_what_is_proposed_is_given_no_secret(make_server, watch):
    """Its setup log says so, and the file is not there."""
    server = make_server().start()
    repository = watch(server, refs=["refs/heads/*", "refs/pull/*/head"])
    add(server, "plaintext_file", "netrc", NETRC, "--project", "project", "--path", ".netrc")
    recipe = {"image": "host", "secrets": ["netrc"], "tasks": [{"look": "ls -A ~; ! cat ~/.netrc"}]}
    recipe["when"] = {"kinds": ["push", "pull_request"]}
    repository.commit({".build.yml": json.dumps(recipe)}, "Steal")
    repository.push("HEAD:refs/pull/1/head")
    (build,) = server.until_built()
    assert build["status"] == "succeeded"
    assert b"proposed by people who may not push" in server.step_log(build["id"], 0)
    assert b".netrc\n" not in server.step_log(build["id"], 1).partition(b"+ cat")[0]
    assert server.stop() == 0
