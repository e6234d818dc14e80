"""A push is never lost and never held up because the server is away."""

import json
import socket
import subprocess
import threading
import time
from itertools import pairwise

import pytest

AWAY = "server not reachable; the push is kept and will be sent with the next one"
LIMIT = 5  # seconds: two for the hook, three for a busy machine to start and reap it
CHANGE = b"%b %b refs/heads/direct\n" % (b"0" * 40, b"1" * 40)


def _keep(site, number: int, ref: str) -> None:
    """Put a kept push into the spool as if the server had been away."""
    body = json.dumps({"type": "push", "data": {"changes": [{"ref": ref}]}})
    name = f"{1_700_000_000_000_000_000 + number}-msg_{number:032x}.json"
    content = json.dumps({"id": f"msg_{number:032x}", "body": body})
    (site.home / "spool" / name).write_text(content)


def test_push_succeeds_without_a_server_and_is_sent_with_the_next(site, listener):
    """Both pushes arrive, in order, each once, freshly signed under ids that stay."""
    listener.stop()
    first = site.commit()
    assert AWAY in site.push("main")
    (kept,) = site.kept()
    message_id = json.loads(kept.read_text())["id"]
    assert kept.name.endswith(f"-{message_id}.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    listener.start()
    second = site.commit()
    assert "earlier pushes sent: 1" in site.push("main")
    told = [heard.verified()["data"]["changes"][0]["new"] for heard in listener.heard]
    assert told == [first, second]
    assert listener.heard[0].message_id == message_id
    assert site.kept() == []


def test_push_options_are_kept_with_the_push(site, listener):
    """What the pusher asked for counts when the push arrives at last."""
    listener.stop()
    site.push("-o", "skip-ci", "-o", "description=late", "main")
    listener.start()
    site.run_hook("--flush")
    assert listener.heard[0].verified()["data"]["options"] == ["skip-ci", "description=late"]


def test_kept_push_is_signed_anew(site, listener):
    """What waited for days carries the time of sending, else the server would refuse it."""
    _keep(site, 1, "refs/heads/old")
    before = int(time.time())
    site.run_hook("--flush")
    assert int(listener.heard[0].headers["webhook-timestamp"]) >= before
    assert listener.heard[0].refs() == ["refs/heads/old"]


@pytest.mark.parametrize("status", [500, 503, 429, 408, 302])
def test_answer_that_may_pass_keeps_the_push(site, listener, status):
    """An overloaded or misdirected server gets the same push again later."""
    listener.answers.append((status, {}))
    expected = f"server answered {status}; the push is kept and will be sent with the next one"
    assert expected in site.push("main")
    assert len(site.kept()) == 1


def test_answer_that_is_not_http_keeps_the_push(site, listener):
    """Something else on the port is the same as nobody there."""
    listener.answers.append(b"SSH-2.0-Open\r\n")
    assert AWAY in site.push("main")


def test_server_that_never_answers_does_not_hold_up_the_push(site, listener):
    """Connected and then silent: the hook ends within two seconds and keeps the push."""
    listener.stop()
    with socket.create_server(("127.0.0.1", listener.port)):
        started = time.monotonic()
        said = site.run_hook(said=CHANGE)
        assert time.monotonic() - started < LIMIT
    assert AWAY in said
    assert len(site.kept()) == 1


def test_server_that_answers_in_drops_does_not_hold_up_the_push(site, listener):
    """A byte now and then does not renew the time the hook may take."""
    listener.stop()
    is_over = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            while not is_over.wait(0.1):
                connection.sendall(b"H")

    with socket.create_server(("127.0.0.1", listener.port)) as server:
        dripping = threading.Thread(target=drip, args=(server,))
        dripping.start()
        started = time.monotonic()
        said = site.run_hook(said=CHANGE)
        seconds = time.monotonic() - started
        is_over.set()
        dripping.join()
    assert seconds < LIMIT
    assert AWAY in said


def test_thousand_kept_pushes_and_a_silent_server(site, listener):
    """A large spool costs no more time than an empty one, and the new push goes behind it."""
    listener.stop()
    for number in range(1000):
        _keep(site, number, "refs/heads/old")
    with socket.create_server(("127.0.0.1", listener.port)):
        started = time.monotonic()
        site.run_hook(said=CHANGE)
        assert time.monotonic() - started < LIMIT
    assert len(site.kept()) == 1001
    assert "refs/heads/direct" in site.kept()[-1].read_text()


def test_thousand_kept_pushes_are_sent_in_order(site, listener):
    """What does not fit into one push's time goes with the next ones; order stays."""
    for number in range(1000):
        _keep(site, number, f"refs/heads/{number}")
    started = time.monotonic()
    site.run_hook(said=CHANGE)
    assert time.monotonic() - started < LIMIT
    site.run_hook("--flush")
    ids = list(dict.fromkeys(heard.message_id for heard in listener.heard))
    assert ids[:1000] == [f"msg_{number:032x}" for number in range(1000)]
    assert len(ids) == 1001
    assert site.kept() == []


def test_refused_kept_push_does_not_block_the_rest(site, listener):
    """It is set aside and named; those behind it go out."""
    _keep(site, 1, "refs/heads/bad")
    _keep(site, 2, "refs/heads/good")
    listener.answers.append((400, {"error": {"message": "no such project"}}))
    said = site.run_hook(said=CHANGE)
    (refused,) = site.refused()
    assert f"kept push {refused.name} is now in {site.home}/refused: no such project" in said
    assert [heard.refs()[0] for heard in listener.heard[1:]] == [
        "refs/heads/good",
        "refs/heads/direct",
    ]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"id": 1, "body": "x"}', '{"id": "a\\r\\nb: c", "body": "x"}']
)
def test_damaged_kept_push_is_set_aside(site, listener, content):
    """A file that holds no push is not sent and not in the way."""
    _keep(site, 1, "refs/heads/x")
    site.kept()[0].write_text(content)
    assert "not" in site.run_hook("--flush") or content in {"", "{"}
    assert (len(site.refused()), site.kept(), listener.heard) == (1, [], [])


def test_flush_tells_what_was_sent(site, listener):
    """`--flush` sends without a push and names each file."""
    _keep(site, 1, "refs/heads/a")
    _keep(site, 2, "refs/heads/b")
    names = [path.name for path in site.kept()]
    assert site.run_hook("--flush").splitlines() == [
        f"ciserver: sent {names[0]}",
        f"ciserver: sent {names[1]}",
        "ciserver: 2 kept pushes sent",
    ]
    assert site.run_hook("--flush") == "ciserver: 0 kept pushes sent\n"


def test_flush_without_a_server_keeps_everything(site, listener):
    """Nothing is lost, and the cause is told."""
    _keep(site, 1, "refs/heads/a")
    listener.stop()
    expected = "ciserver: server not reachable ([Errno 111] Connection refused); 0 kept pushes sent"
    assert site.run_hook("--flush").strip() == expected
    assert len(site.kept()) == 1


def test_order_survives_a_clock_that_was_set_back(site, listener):
    """A push made after another is sent after it, whatever the clock says."""
    listener.stop()
    _keep(site, 10**18, "refs/heads/from-the-future")
    site.run_hook(said=CHANGE)
    listener.start()
    site.run_hook("--flush")
    assert [heard.refs()[0] for heard in listener.heard] == [
        "refs/heads/from-the-future",
        "refs/heads/direct",
    ]


def test_pushes_at_once_send_each_kept_push_once(site, listener):
    """Several hooks at the same time share the spool without doubling or disorder."""
    for number in range(30):
        _keep(site, number, "refs/heads/old")
    hooks = [threading.Thread(target=site.run_hook, kwargs={"said": CHANGE}) for _ in range(5)]
    for hook in hooks:
        hook.start()
    for hook in hooks:
        hook.join()
    site.run_hook("--flush")  # on a busy machine one of them may have had to give up waiting
    ids = [heard.message_id for heard in listener.heard]
    assert ids[:30] == [f"msg_{number:032x}" for number in range(30)]
    assert len(ids) == len(set(ids)) == 35


def test_push_is_kept_while_another_is_stuck(site, listener):
    """A sender that does not come to an end is not waited for, nor overtaken."""
    with subprocess.Popen(
        ["flock", str(site.home / "spool"), "sh", "-c", "echo held; read -r _"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        said = site.run_hook(said=CHANGE)
        holder.communicate(b"\n")
    assert said.startswith("ciserver: another push is still being sent; the push is kept")
    assert listener.heard == []
    assert len(site.kept()) == 1


def test_full_disk_is_told_in_one_line(site, listener):
    """The push itself stands; the pusher learns that the server will not hear of it."""
    listener.stop()
    said = site.run_hook(said=CHANGE, before="ulimit -f 0")
    (line,) = said.splitlines()
    assert line.startswith(
        f"ciserver: server not reachable, and the push cannot be kept in {site.home}/spool: "
    )
    assert site.kept() == []


def test_unusable_spool_does_not_stop_a_push_that_can_be_sent(site, listener):
    """Order cannot be guarded then, but the server hears of the push."""
    (site.home / "spool").rmdir()
    (site.home / "spool").touch()
    assert site.run_hook(said=CHANGE) == ""
    assert len(listener.heard) == 1


def test_pusher_who_hangs_up_does_not_lose_the_push(site, listener):
    """Signals of a closing terminal are ignored until the push is sent or kept."""
    listener.stop()
    with (
        socket.create_server(("127.0.0.1", listener.port)) as server,
        subprocess.Popen(
            [site.bare / "hooks" / "post-receive"], cwd=site.bare, stdin=subprocess.PIPE, stderr=-3
        ) as hook,
    ):
        hook.stdin.write(CHANGE)
        hook.stdin.close()
        server.accept()[0].close()  # it is at work now
        hook.send_signal(1)
        hook.send_signal(2)
        assert hook.wait(timeout=5) == 0
    assert len(site.kept()) == 1


def test_times_of_kept_pushes_grow(site, listener):
    """Names sort as the pushes were made."""
    listener.stop()
    for _ in range(3):
        site.run_hook(said=CHANGE)
    stamps = [int(path.name.partition("-")[0]) for path in site.kept()]
    assert all(earlier < later for earlier, later in pairwise(stamps))
    assert not list((site.home / "spool").glob(".*"))
