"""A server that is stopped, killed or held up, and what becomes of its builds."""

import os
import signal
import socket
import time

import pytest
from support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

LONG = os.environ.get("CISERVER_FAULTS") == "long"
LEASE_SECONDS = 30


@pytest.fixture
def begin(make_server, watch, gate):
    """Starts a server and a build that waits at the gate; answers both, and the repository."""

    def make(*, drain=0.1, retries=2, triggers=()):
        builds = f"[builds]\ndrain_seconds = {drain}\nretries = {retries}\n{gate.config}"
        server = make_server(config=f'[outgoing]\nallow = ["127.0.0.1"]\n{builds}').start()
        repository = watch(server)
        repository.commit({".build.yml": gate.recipe(triggers=triggers)})
        repository.push()
        until_begun(server)
        return server, repository

    return make


def until_begun(server, attempt=1):
    """Wait until this attempt of build 1, the newest, has begun its task."""
    until(
        lambda: (
            [one["attempt"] for one in server.builds()] == [attempt]
            and b"begun" in server.step_log(1, 1)
        ),
        what=f"the build to begin; see {server.log}",
    )


def test_an_idle_server_stops_at_once(make_server):
    """SIGTERM ends an idle server with exit 0 in under 10 seconds."""
    server = make_server().start()
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 10


def test_a_stopping_server_lets_its_build_finish(begin, gate):
    """What ends within drain_seconds ends well, in its first attempt."""
    server, _ = begin(drain=60)
    server.process.send_signal(signal.SIGTERM)
    until(lambda: b"stopping" in server.log.read_bytes(), what="the server to stop")
    assert server.process.poll() is None
    gate.open()
    assert server.process.wait(20) == 0
    server.start()
    (build,) = server.builds()
    assert (build["status"], build["attempt"]) == ("succeeded", 1)


def test_a_stopping_server_hangs_up(begin, gate):
    """Nobody would answer: who has a connection need not wait for the end of a build."""
    server, _ = begin(drain=60)
    with socket.create_connection(("127.0.0.1", server.port), 10) as client:
        client.sendall(b"GET /readyz HTTP/1.1\r\nHost: here\r\n\r\n")
        assert client.recv(1 << 16)
        server.process.send_signal(signal.SIGTERM)
        assert client.recv(1) == b""
    assert server.process.poll() is None
    gate.open()
    assert server.process.wait(20) == 0


def test_a_stopping_server_gives_back_what_takes_longer(begin, gate, leftovers):
    """After drain_seconds the build goes back to the queue, leaves no process, and is done after
    the restart.
    """
    server, _ = begin(retries=0)
    assert leftovers(server)
    assert server.stop() == 0
    assert leftovers(server) == []
    gate.open()
    server.start()
    (build,) = server.until_built()
    assert (build["status"], build["attempt"]) == ("succeeded", 2)


def test_pushes_survive_a_kill_in_the_middle_of_evaluations(make_server, watch):
    """Whatever was answered with 202 is evaluated after the restart, exactly once."""
    server = make_server().start()
    repository = watch(server)
    recipe = "image: host\narch: riscv64\ntasks:\n  - work: 'true'\n"
    revisions = []
    for _ in range(3):
        for _ in range(3):
            revisions.append(repository.commit({".build.yml": recipe}))
            assert f"{server.url}/eval/{len(revisions)}" in repository.push()
        server.kill()
        server.start()
    found = [until_evaluated(server, number + 1) for number in range(len(revisions))]
    assert [one["revision"] for one in found] == revisions
    assert [one for one in found if one["status"] != "succeeded"] == []
    assert server.request("GET", f"/ci/v1/evaluations/{len(revisions) + 1}").status == 404
    assert len(server.builds()) == len(revisions)


def until_evaluated(server, number):
    def ended():
        one = server.api(f"/evaluations/{number}")
        return one if one["status"] not in {"requested", "running"} else None

    return until(ended, what=f"evaluation {number} to end; see {server.log}")


def test_a_build_that_loses_its_server_again_and_again_is_given_up(begin, receiver, leftovers):
    """A poison build is tried `retries` times more, then it is errored as worker-lost, told once,
    and the server goes on.
    """
    hook = {"action": "webhook", "url": receiver.url(), "condition": "failure"}
    server, repository = begin(retries=2, triggers=[hook])
    for attempt in (1, 2, 3):
        until_begun(server, attempt)
        server.kill()
        until(lambda: not leftovers(server), seconds=2, what="the build to die with its server")
        server.start()
    (build,) = server.until_built()
    assert (build["status"], build["reason"]) == ("errored", "worker-lost")
    assert build["attempt"] == 3
    assert "not tried again" in build["detail"]
    until(lambda: receiver.requests, what="the webhook")

    repository.commit({".build.yml": "image: host\ntasks:\n  - work: 'true'\n"})
    repository.push()
    assert server.until_built(2)[0]["status"] == "succeeded"
    assert len({headers["Webhook-Id"] for _, headers, _ in receiver.requests}) == 1


def test_a_killed_job_fails_at_once(begin, leftovers):
    """Kill -9 of a task's own shell is a failure within a second, with the signal named."""
    server, _ = begin()
    (shell,) = [
        pid for pid, words in leftovers(server) if words[0].endswith(b"bash") and len(words) == 3
    ]
    os.kill(shell, signal.SIGKILL)
    (build,) = server.until_built(seconds=1)
    assert (build["status"], build["reason"]) == ("failed", "exit-code")
    assert "killed by signal 9 (SIGKILL)" in build["detail"]
    until(lambda: not leftovers(server), what="its work tree to be removed")


@pytest.mark.skipif(
    not LONG, reason="holds the server for longer than a lease; CISERVER_FAULTS=long"
)
def test_a_server_that_was_held_up_gives_one_outcome(begin, gate, receiver, leftovers):
    """SIGSTOP for longer than a lease, then SIGCONT: the build ends once and is told once."""
    hook = {"action": "webhook", "url": receiver.url(), "condition": "always"}
    server, _ = begin(triggers=[hook])
    server.process.send_signal(signal.SIGSTOP)
    gate.open()
    time.sleep(LEASE_SECONDS + 3)  # the fault itself
    server.process.send_signal(signal.SIGCONT)
    (build,) = server.until_built(seconds=60)
    assert build["status"] == "succeeded"
    until(lambda: receiver.requests, what="the webhook")
    ended = [
        one["status"] for one in server.api("/builds/1")["attempts"] if one["status"] == "succeeded"
    ]
    assert ended == ["succeeded"]
    assert len({headers["Webhook-Id"] for _, headers, _ in receiver.requests}) == 1
    until(lambda: not leftovers(server), what="its work tree to be removed")
