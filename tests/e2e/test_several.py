"""Several servers on one PostgreSQL, with data directories of their own, and files that all see."""

import json
import os
import shutil
import signal
from urllib.parse import urlsplit

import psycopg
import pytest
from support.postgresql import empty_database, make_database
from support.proxy import RoundRobin
from support.waiting import until
from support.worker import Worker

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.machine import scratch_root

pytestmark = pytest.mark.e2e
SANDBOX = '[builds]\nsandbox = "bubblewrap"\nslots = 2\n'
QUICK = "image: host\ntasks:\n  - one: echo built\n"
LINES = "image: host\ntasks:\n  - one: for n in $(seq 1 %d); do echo line $n; sleep 0.02; done\n"


@pytest.fixture
def url():
    made = make_database()
    yield made
    empty_database(made)


@pytest.fixture
def config(url, place, receiver):
    """That of a server, by its name among the others."""
    for one in ("files", "keys"):
        (place / one).mkdir(mode=0o700)
    storage = f'[storage]\ndirectory = "{place}/files"\nkeys = "{place}/keys"\n'

    def make(name, builds=SANDBOX):
        database = f'[server]\nnode = "{name}"\n[database]\nurl = "{url}"\n{storage}'
        return f'{database}[outgoing]\nallow = ["127.0.0.1"]\n{builds}'

    return make


@pytest.fixture
def make_node(make_server, config):
    def make(name, builds=SANDBOX):
        return make_server(name, config=config(name, builds))

    return make


@pytest.fixture
def pair(make_node):
    """Two servers, a and b, that run."""
    return make_node("a").start(), make_node("b").start()


def pause(server, name):
    """That server's own worker takes no builds."""
    server.cli("queue", "pause", "--worker", f"local-{name}")


def push(repository, recipe, text="text"):
    repository.commit({".build.yml": recipe, "text": text}, text)
    repository.push("main")


def begun(server, text=b"line 3\n"):
    """The one build, once its log has this."""
    (build,) = until(server.builds, what="a build")
    until(lambda: text in server.step_log(build["id"], 1), what=f"{text} in the log")
    return build


def worker_of(server, build):
    return server.api(f"/builds/{build['id']}")["attempts"][0]["worker"]


def node_of(server, path="/readyz"):
    return json.loads(server.request("GET", path).data)["node"]


def test_a_push_to_one_is_built_by_another(pair, watch):
    """Whatever is asked of the other is the same, and its health tells which one it is."""
    a, b = pair
    assert [node_of(one) for one in pair] == ["a", "b"]
    assert node_of(b, "/healthz") == "b"
    repository = watch(a)
    pause(b, "a")
    push(repository, QUICK)
    (build,) = a.until_built(seconds=10)  # long before a server would look without a ring
    assert build["status"] == "succeeded", b.step_log(build["id"], 0) + b.step_log(build["id"], 1)
    assert worker_of(b, build) == "local-b"
    assert b"built\n" in a.step_log(build["id"], 1)
    assert [one["id"] for one in b.builds()] == [build["id"]]
    machines = b.request("GET", "/machines", headers={"Accept": "text/html"}).data
    assert all(name in machines for name in (b"local-a", b"local-b"))


def test_a_log_is_followed_at_another_server(pair, watch):
    """Line by line, while it is written."""
    a, b = pair
    repository = watch(a)
    pause(a, "a")
    push(repository, LINES % 150)
    build = begun(b)
    offset, pieces = 0, []
    while True:
        path = f"/build/{build['id']}/step/1/lines?offset={offset}&wait=10"
        chunk = json.loads(a.request("GET", path).data)
        if chunk["complete"]:
            break
        pieces.append(chunk)
        assert chunk["offset"] > offset or not chunk["html"]
        offset = chunk["offset"]
    assert len(pieces) > 10
    (ended,) = a.until_built()
    assert worker_of(a, ended) == "local-b"
    assert b"\nline 150\n" in a.step_log(build["id"], 1)


def test_a_cancellation_reaches_the_server_that_runs_the_build(make_node, watch):
    """At once, not with the next renewal of its lease, which is far away."""
    a, b = (make_node(name, f"{SANDBOX}lease_seconds = 3600\n").start() for name in ("a", "b"))
    repository = watch(a)
    pause(a, "a")
    push(repository, "image: host\ntasks:\n  - one: echo line 3; sleep 600\n")
    build = begun(b)
    a.request("POST", f"/ci/v1/builds/{build['id']}/cancel")
    (ended,) = a.until_built()
    assert ended["status"] == "canceled"


def test_what_a_killed_server_ran_is_run_by_another(make_node, watch, receiver):
    """After its lease, which nobody renews; each end is told once."""
    a, b = (make_node(name, f"{SANDBOX}lease_seconds = 10\n").start() for name in ("a", "b"))
    repository = watch(a)
    pause(a, "b")
    trigger = f"triggers:\n  - action: webhook\n    condition: always\n    url: {receiver.url()}\n"
    push(repository, LINES % 100 + trigger)
    build = begun(a)
    a.kill()
    b.cli("queue", "resume", "--worker", "local-b")
    (ended,) = b.until_built(seconds=60)
    assert (ended["status"], ended["attempt"]) == ("succeeded", 2)
    assert worker_of(b, ended) == "local-b"
    assert b.step_log(build["id"], 1).count(b"\nline 100\n") == 1
    until(receiver.events)
    assert [one["data"]["build"]["attempt"] for one in receiver.events()] == [2]
    a.start()
    push(repository, QUICK, "again")
    assert len(a.until_built(2)) == 2


def test_what_a_killed_server_evaluated_is_evaluated_by_another(pair, watch, url):
    """Within seconds: it is believed dead fifteen seconds after it last said that it lives."""
    a, b = pair
    repository = watch(a)
    os.kill(b.process.pid, signal.SIGSTOP)  # what is pushed now is taken by a
    push(repository, QUICK)
    a.until_built()
    a.kill()
    with psycopg.connect(url, autocommit=True) as connection:  # as if it had been at it just now
        connection.execute(
            "UPDATE evaluations SET status = 'running', claimed_by = 'a', builds_total = 0,"
            " claimed_until = (extract(epoch FROM now()) + 900) * 1000000, finished_at = NULL"
        )
    os.kill(b.process.pid, signal.SIGCONT)
    told = lambda: b.api("/evaluations/1")["status"]  # noqa: E731
    until(lambda: told() == "succeeded", seconds=40, what="the evaluation to be taken over")


def test_the_start_of_one_leaves_alone_what_others_do(pair, watch, gate, make_node):
    """Its builds, and the files that it is receiving."""
    a, b = pair
    repository = watch(b)
    pause(b, "a")
    push(repository, LINES % 150)
    build = begun(b)
    a.stop()
    a.start()
    (ended,) = b.until_built()
    assert (ended["id"], ended["status"], ended["attempt"]) == (build["id"], "succeeded", 1)


def test_schedules_fire_once_and_events_are_told_once(pair, watch, receiver, url):
    """Two hundred schedules that are due at the same moment, and twenty webhooks of one build."""
    a, _ = pair
    repository = watch(a)
    trigger = f"  - action: webhook\n    condition: always\n    url: {receiver.url()}\n"
    push(repository, f"{QUICK}triggers:\n{trigger * 20}")
    a.until_built()
    until(lambda: len(receiver.requests) >= 20, what="twenty webhooks")
    add = ("schedule", "add", "project", "--kind", "periodic", "--every", "24h")
    a.cli(*add, "--only-if-changed")
    with psycopg.connect(url, autocommit=True) as connection:

        def ask(question):
            return connection.execute(question).fetchone()

        every = connection.execute("SELECT * FROM schedules LIMIT 0").description
        columns = ", ".join(one.name for one in every if one.name != "id")
        connection.execute(
            f"INSERT INTO schedules ({columns})"
            f" SELECT {columns} FROM schedules, generate_series(1, 199)"
        )
        soon = "(extract(epoch FROM now()) + 1) * 1000000"
        connection.execute(f"UPDATE schedules SET next_due_at = {soon}")
        fired = "SELECT count(*), count(DISTINCT schedule_id), count(DISTINCT evaluation_id)"
        until(lambda: ask(f"{fired} FROM firings") == (200, 200, 200), seconds=60)
        open_ = "SELECT count(*) FROM evaluations WHERE status IN ('requested', 'running')"
        until(lambda: ask(open_) == (0,), seconds=60, what="all to be evaluated")
        assert ask("SELECT count(*) FROM evaluations WHERE kind = 'periodic'") == (200,)
        both = "SELECT count(DISTINCT claimed_by), max(tries) FROM evaluations"
        assert ask(f"{both} WHERE kind = 'periodic'") == (2, 1)
    assert len({headers["Webhook-Id"] for _, headers, _ in receiver.requests}) == 20
    assert len(receiver.requests) == 20


def test_bells_that_were_cut_off_are_heard_again(pair, watch, url):
    """A listener whose connection was lost connects again, and rings everything once."""
    a, b = pair
    repository = watch(a)
    pause(a, "a")
    with psycopg.connect(url, autocommit=True) as connection:
        listeners = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'ciserver bells'"
        )
        before = {pid for (pid,) in connection.execute(listeners).fetchall()}
        assert len(before) == 2
        for pid in before:
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        push(repository, QUICK)
        a.until_built(1, seconds=15)
        again = lambda: {pid for (pid,) in connection.execute(listeners).fetchall()}  # noqa: E731
        until(lambda: len(again() - before) == 2, what="both to listen again")
    push(repository, QUICK, "again")
    builds = a.until_built(2, seconds=10)
    assert {worker_of(b, one) for one in builds} == {"local-b"}


@pytest.fixture
def through(pair):
    """A server's address behind which both answer in turn."""
    a, b = pair
    proxy = RoundRobin([a.port, b.port])
    yield proxy
    proxy.close()


@pytest.fixture
def make_worker(pair, place, through):
    workers = []

    def make(name):
        a, _ = pair
        worker = Worker(a, place / name, config='[builds]\nsandbox = "bubblewrap"\n')
        worker._url = through.url
        workers.append(worker)
        return worker.start("--slots", "2")

    yield make
    for worker in workers:
        if worker.process.poll() is None:
            worker.stop()
        scratch = scratch_root(Settings(), DataDirectory(worker.data))
        shutil.rmtree(scratch, ignore_errors=True)


def test_a_worker_whose_requests_alternate(pair, watch, through, make_worker):
    """Sources, logs, and pieces of products go to whichever server; the build does not notice."""
    a, b = pair
    for name in ("a", "b"):
        pause(a, name)
    make_worker("arm")
    repository = watch(a)
    recipe = (
        "image: host\nartifacts: [project/made.bin]\ntasks:\n"
        "  - one: |\n      cd project\n      cat text\n"
        "      head -c 20000000 /dev/zero > made.bin\n"
        "      for n in $(seq 1 100); do echo line $n; sleep 0.02; done\n"
    )
    push(repository, recipe, "hello roses")
    (build,) = a.until_built(seconds=60)
    assert build["status"] == "succeeded", a.step_log(build["id"], 0)
    log = b.step_log(build["id"], 1)
    lines = [line for line in log.splitlines() if line.startswith(b"line ")]
    assert lines == [b"line %d" % number for number in range(1, 101)]
    assert b"hello roses" in log
    (made,) = b.api(f"/builds/{build['id']}")["products"]
    assert made["size"] == 20_000_000
    for part in ("/log/1", "/uploads/", "/sources/", "/bell"):
        assert through.asked(part) == {a.port, b.port}, part
    claims = len([1 for _, _, path in through.given if path.endswith("/claim")])
    assert claims < 20  # it is not rung by each server for what the other said
    assert "arm" in b.cli("system", "list", "-o", "json").stdout


def test_a_session_is_good_at_every_server(pair):
    """Who signs in at one is signed in at all."""
    a, b = pair
    link = urlsplit(a.cli("user", "link", "admin").stdout.split()[-1])
    page = f"{link.path}?{link.query}".rstrip("?")
    assert b.request("GET", page, token=False).status == 200


def test_what_does_not_fit_together_does_not_start(pair, make_server, config, place):
    """A server with a name, a key or a directory that is not that of the others says so."""
    shared = f'keys = "{place}/keys"\n'

    def refused(name, text):
        server = make_server(f"wrong-{name}", config=text)
        with pytest.raises(AssertionError) as raised:
            server.start()
        assert server.process.wait(20) != 0
        return str(raised.value)

    said = refused("name", config("a"))
    assert "another server of this database is called a and is alive" in said
    assert "server.node" in said
    said = refused("key", config("c").replace(shared, ""))
    assert "is not the one that the secrets in" in said
    assert "storage.keys" in said
    said = refused("files", config("c").replace("/files", "/others"))
    assert "keeps logs and products in another directory" in said
    webhook = place / "other-keys"
    webhook.mkdir()
    shutil.copy(place / "keys" / "secret.key", webhook)
    said = refused("signing", config("c").replace("/keys", "/other-keys"))
    assert "signs webhooks with the key" in said


def test_a_name_is_free_when_its_server_has_stopped(pair, make_server, config):
    """At once, for whoever comes next."""
    a, _ = pair
    a.stop()
    other = make_server("a-again", config=config("a")).start()
    assert node_of(other) == "a"
