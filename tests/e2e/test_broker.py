"""A server and a worker with a broker between them, which is killed, and what people are told."""

import json

import pytest
from support import rabbitmq
from support.waiting import until
from support.worker import Worker

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
RECIPE = "image: host\ntasks:\n  - one: echo built\n"
ON = 'sandbox = "plain"\nnetwork = "host"\n'


@pytest.fixture
def node():
    node = rabbitmq.Node().up()
    yield node
    node.remove()


@pytest.fixture
def make_worker(place):
    made = []

    def make(server, name, config):
        made.append(Worker(server, place / name, config=f"[builds]\n{ON}{config}"))
        return made[-1].start("--slots", "1")

    yield make
    for worker in made:
        if worker.process.poll() is None:
            worker.stop()


def said_by_doctor(server):
    done = server.cli("doctor", "-o", "json", check=False)
    assert "guest:guest" not in done.stdout + done.stderr
    findings = json.loads(done.stdout)["findings"]
    return {one["what"]: one["level"] for one in findings if "broker" in one["what"]}


def test_a_broker_that_is_killed_holds_up_builds_and_nothing_else(
    node, make_server, make_worker, watch
):
    """Pushes are taken, people are told, and it goes on by itself when the broker is back; what
    runs meanwhile runs to its end.
    """
    config = rabbitmq.settings_of(node.broker)
    server = make_server(config=config).start()
    worker = make_worker(server, "arm", config)
    repository = watch(server)
    repository.commit({".build.yml": RECIPE})
    repository.push("main")
    server.until_built()
    assert list(said_by_doctor(server).values()) == ["ok"]
    assert b"ciserver_broker_up 1" in server.request("GET", "/metrics").data

    node.down()
    repository.commit({"file": "one"})
    repository.push("main")
    until(lambda: b"ciserver_broker_up 0" in server.request("GET", "/metrics").data, seconds=40)
    (waits,) = until(lambda: [one for one in server.builds() if not one["is_final"]])
    assert (
        "the message broker has taken no messages since"
        in server.api(f"/builds/{waits['id']}")["waiting_for"]
    )
    for page in ("/machines", "/queue"):
        shown = server.request("GET", page, token=False).data
        assert b"the message broker has taken no messages since" in shown
        assert b"127.0.0.1" not in shown
    assert list(said_by_doctor(server).values()) == ["bad"]

    node.up()
    builds = server.until_built(2, seconds=90)
    assert {one["status"] for one in builds} == {"succeeded"}
    assert {one["attempt"] for one in builds} == {1}
    until(lambda: b"ciserver_broker_up 1" in server.request("GET", "/metrics").data)
    assert worker.stop() == 0
    assert "guest:guest" not in worker.log.read_text() + server.log.read_text()


def test_a_worker_that_is_killed_while_it_waits_costs_nothing(make_server, make_worker, watch):
    """The message stays where it is, for whoever comes next."""
    with rabbitmq.broker() as broker:
        config = rabbitmq.settings_of(broker)
        server = make_server(config=config).start()
        first = make_worker(server, "first", config)
        first.kill()
        repository = watch(server)
        repository.commit({".build.yml": RECIPE})
        repository.push("main")
        rabbitmq.until_count(broker, broker.name_of(rabbitmq.QUEUES[0]), 1)
        make_worker(server, "second", config)
        (build,) = server.until_built()
        assert (build["status"], build["attempt"]) == ("succeeded", 1)


def test_a_server_without_its_broker_does_not_start(make_server):
    """It says which setting is missing."""
    server = make_server(config='[engine]\nkind = "celery"\n')
    done = server.cli("serve", check=False)
    assert done.returncode != 0
    assert "engine.broker: must be set where engine.kind is celery" in done.stderr
