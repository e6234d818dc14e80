"""What leaves the house: mails, signed webhooks, tries again, and never a secret."""

import base64
import email
import email.policy
import json
import sqlite3
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from support.waiting import until

pytestmark = pytest.mark.e2e

ALLOWED = '[outgoing]\nallow = ["127.0.0.1"]\n'
CANARY = "canary/4f1c2a9b"


def recipe(*triggers, task="echo built"):
    written = "".join(f"  - {json.dumps(one)}\n" for one in triggers)
    return f"image: host\ntasks:\n  - build: {json.dumps(task)}\ntriggers:\n{written}"


def webhook(url, condition="always"):
    return {"action": "webhook", "url": url, "condition": condition}


def push(repository, text, subject="a commit"):
    # Each push has content of its own, so nothing built stands for it.
    repository.commit({".build.yml": text, "subject": subject}, subject)
    repository.push()


def deliveries(server):
    return json.loads(server.cli("delivery", "list", "-o", "json").stdout)


def until_delivery(server, status):
    """The newest delivery once it has that status; looks at the API, which is cheaper."""
    return until(
        lambda: [one for one in server.api("/deliveries")[:1] if one["status"] == status],
        what=f"a delivery to be {status}; see {server.log}",
    )[0]


def test_a_failure_and_its_mending_are_mailed(make_server, watch, mailbox):
    """The first failure and the first success after it are mailed; what did not change is not."""
    server = make_server(
        config=f'[smtp]\nhost = "127.0.0.1"\nport = {mailbox.port}\nfrom_address = "ci@ci.example"'
    ).start()
    repository = watch(server, "site")
    ada = {"action": "email", "to": "Ada <ada@example.org>", "condition": "change"}
    for count, task in enumerate(("exit 3", "exit 3", "true", "true"), start=1):
        push(repository, recipe(ada, task=task), f"Commit {count}")
        server.until_built(count)
    until(lambda: len(mailbox.envelopes) >= 2, what="two mails")
    assert len(deliveries(server)) == 2

    sent = [
        email.message_from_bytes(one.content, policy=email.policy.default)
        for one in mailbox.envelopes
    ]
    assert [one["Subject"] for one in sent] == [
        "[site] build failed on main: Commit 1",
        "[site] build fixed on main: Commit 3",
    ]
    assert [one["From"] for one in sent] == ["ci@ci.example"] * 2
    assert [one.rcpt_tos for one in mailbox.envelopes] == [["ada@example.org"]] * 2
    text = sent[0].get_body(("plain",)).get_content()
    assert f"{server.url}/build/1" in text
    assert "task build exited with status 3" in text


def test_a_webhook_is_verified_by_the_library_of_the_standard(make_server, watch, receiver):
    """With the secret that the command prints, standardwebhooks accepts what came in, and nothing
    that was changed.
    """
    server = make_server(config=ALLOWED).start()
    repository = watch(server)
    push(repository, recipe(webhook(receiver.url())), "Say hello")
    until_delivery(server, "sent")

    verifier = Webhook(server.cli("hook", "secret", "outgoing", "project").stdout.strip())
    (_, headers, body) = receiver.requests[0]
    lower = {name.lower(): value for name, value in headers.items()}
    told = verifier.verify(body, lower)
    assert told["type"] == "build.finished"
    assert told["data"]["build"]["status"] == "succeeded"
    assert told["data"]["build"]["url"] == f"{server.url}/build/1"
    assert told["data"]["source"]["subject"] == "Say hello"
    assert lower["webhook-id"] == deliveries(server)[0]["id"]
    with pytest.raises(WebhookVerificationError):
        verifier.verify(body.replace(b"succeeded", b"failed"), lower)


def test_loopback_is_refused_unless_the_configuration_allows_it(make_server, watch, receiver):
    """By default a recipe cannot make the server knock at its own machine; people see why."""
    server = make_server().start()
    repository = watch(server)
    push(repository, recipe(webhook(receiver.url())))
    buried = until_delivery(server, "buried")

    assert receiver.requests == []
    assert "127.0.0.1" in buried["detail"]
    assert "outgoing.allow" in buried["detail"]
    assert buried["detail"] in server.cli("show", "1").stdout
    assert buried["detail"] in server.cli("delivery", "list").stdout


def test_a_receiver_that_was_away_gets_the_same_delivery_later(make_server, watch, receiver):
    """Nothing is lost while the receiver is down: each try is noted, and when a person sends it
    again it arrives under its first id.
    """
    receiver.down()
    server = make_server(config=ALLOWED).start()
    repository = watch(server)
    push(repository, recipe(webhook(receiver.url())))
    tried = until(
        lambda: [one for one in server.api("/deliveries") if one["tries"]], what="a first try"
    )[0]
    assert tried["status"] == "pending"
    assert "refused" in tried["detail"].lower()

    receiver.up()
    assert server.cli("delivery", "resend", tried["id"]).returncode == 0
    sent = until_delivery(server, "sent")
    assert sent["id"] == tried["id"]
    assert [headers["Webhook-Id"] for _, headers, _ in receiver.requests] == [tried["id"]]
    log = server.api(f"/deliveries/{tried['id']}")["log"]
    assert [one["ok"] for one in log] == [*[False] * tried["tries"], True]


def test_a_delivery_that_is_due_goes_out_after_a_restart(make_server, watch, receiver):
    """What waited when the server stopped is sent by the next one, under the same id."""
    receiver.down()
    server = make_server(config=ALLOWED).start()
    repository = watch(server)
    push(repository, recipe(webhook(receiver.url())))
    until(lambda: [one for one in server.api("/deliveries") if one["tries"]], what="a first try")
    (waiting,) = server.api("/deliveries")
    assert server.stop() == 0

    receiver.up()
    server.start()
    until(lambda: receiver.requests, seconds=15, what="the delivery to come after 5 seconds")
    assert receiver.requests[0][1]["Webhook-Id"] == waiting["id"]


@pytest.fixture
def private_host(tmp_path):
    """A git server over HTTP that asks for a user name and a password."""
    host = PrivateHost(tmp_path)
    yield host
    host.close()


class PrivateHost:
    def __init__(self, place):
        expected = "Basic " + base64.b64encode(f"ci:{CANARY}".encode()).decode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.serve(
                    b"001e# service=git-upload-pack\n0000", "advertisement", "--advertise-refs"
                )

            def do_POST(self):
                self.serve(b"", "result")

            def serve(self, head, kind, *arguments):
                if self.headers["Authorization"] != expected:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="git"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                bare = place / self.path.strip("/").partition(".git/")[0]
                asked = self.rfile.read(int(self.headers["Content-Length"] or 0))
                command = ["git", "upload-pack", "--stateless-rpc", *arguments, f"{bare}.git"]
                answer = head + subprocess.run(command, input=asked, stdout=-1, check=True).stdout
                self.send_response(200)
                self.send_header("Content-Type", f"application/x-git-upload-pack-{kind}")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,)).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def test_a_password_is_nowhere_in_plain(make_server, watch, receiver, mailbox, private_host):
    """A repository's password never appears in a log, mail, webhook, answer, page, or in any file
    of the data directory, though a build prints it, a fetch fails over it and the server's log
    tells everything.
    """
    smtp = f'[smtp]\nhost = "127.0.0.1"\nport = {mailbox.port}\n'
    server = make_server(
        config=f'{ALLOWED}{smtp}[git]\nallow_http = true\n[log]\nlevel = "debug"\n'
    ).start()
    mail = {"action": "email", "to": "ada@example.org", "condition": "always"}
    repository = watch(server, "local")
    uri = f"{private_host.url}/repositories/local/project.git"
    private = {"uri": uri, "local": False, "username": "ci"}
    half, rest = CANARY.split("/")
    text = recipe(
        mail,
        webhook(receiver.url()),
        task=f"printf '%s/%s\\n' {half} {rest}; printf '%s/%s' {half} {rest} | base64; exit 3",
    )
    repository.commit({".build.yml": text})
    for name, password in (("right", CANARY), ("wrong", CANARY + "?")):
        answer = server.request(
            "POST", "/ci/v1/projects", json={**private, "name": name, "password": password}
        )
        point_hook_at(repository, json.loads(answer.data), uri)
        repository.commit({}, f"For {name}")
        repository.push()

    (build,) = server.until_built()
    failed = until(lambda: ended(server, 2), what="the second evaluation to end")
    assert (build["project"], build["status"]) == ("right", "failed")
    assert failed["status"] == "failed"
    assert b"\n***\n" in server.step_log(build["id"], 1)
    until(lambda: receiver.requests and mailbox.envelopes, what="mail and webhook")
    server.cli("show", "1")

    seen = {
        "mail": b"".join(one.content for one in mailbox.envelopes),
        "webhook": b"".join(body for _, _, body in receiver.requests),
        "log of the server": server.log.read_bytes(),
        "dump": dump(server.data / "ciserver.db"),
    }
    for path in ("/", "/build/1", "/eval/2", "/jobset/right/main", "/queue"):
        seen[path] = server.request("GET", path, headers={"Accept": "text/html"}).data
    for path in ("/ci/v1/projects", "/ci/v1/builds/1", "/ci/v1/evaluations/2", "/ci/v1/deliveries"):
        seen[path] = server.request("GET", path).data
    for file in server.data.rglob("*"):
        if file.is_file():
            seen[str(file)] = file.read_bytes()
    needles = [
        CANARY.encode(),
        base64.b64encode(CANARY.encode()),
        CANARY.replace("/", "%2F").encode(),
    ]
    assert [where for where, text in seen.items() if any(one in text for one in needles)] == []
    assert sum(str(server.data) in where for where in seen) > 5


def point_hook_at(repository, project, uri):
    """The hook of the repository tells this project of pushes, and by which address it knows it."""
    path = repository.bare / "ciserver" / "hook.json"
    address = {"url": project["hook_url"], "secret": project["hook_secret"], "repository": uri}
    path.write_text(json.dumps(address))


def ended(server, evaluation_id):
    one = server.api(f"/evaluations/{evaluation_id}")
    return one if one["status"] not in {"requested", "running"} else None


def dump(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        text = "\n".join(database.iterdump()).encode()
    database.close()
    return text
