"""Rows about the message broker: workers hear of builds by it, and it may lose what it likes."""

import shutil
import subprocess
import time

from support.processes import build_processes
from support.rabbitmq import QUEUES, Node, count

from ciserver.broker.app import TASK, connect, make_app, queue_at
from faults.kills import ANY, SLOTS, kills
from faults.row import Lacking, Row, Stage
from faults.site import Load

TOO_MANY = 40
SETTLING = 10  # seconds: a queue that RabbitMQ made just before its end does not come back


def make_node() -> Node:
    """A RabbitMQ of our own. Raises Lacking."""
    if not shutil.which("rabbitmq-server"):
        raise Lacking("RabbitMQ is not installed")
    return Node()


def end_node(node: Node, *, is_alone: bool) -> None:
    """With the name server of Erlang, where it is that of a namespace of our own."""
    node.remove()
    if is_alone:
        subprocess.run(["epmd", "-kill"], check=False, capture_output=True)


def broker_killed(stage: Stage) -> None:
    machine = stage.site.machine("broker-killed", slots=SLOTS)
    load = Load(stage.site, "broker-killed")
    load.push()
    load.until_built(stage.patience())
    time.sleep(SETTLING)

    def kill() -> bool:
        stage.site.node.down()
        time.sleep(stage.chance.uniform(0, 2))
        stage.site.node.up()
        return True

    kills(stage, load, 0.1, kill)
    lost = stage.finding.settle(load, seconds=stage.patience(), lost=ANY)
    stage.finding.check(not lost, f"attempts were lost: {lost}")
    machine.worker.stop()


def broker_away(stage: Stage) -> None:
    """What runs goes on, what is pushed waits, and the server answers as ever."""
    machine = stage.site.machine("broker-away", "mute-linux", slots=1)
    load = Load(stage.site, "broker-away", arch="mute", seconds=stage.effort.long + 20)
    load.push()
    load.until_begun()
    time.sleep(SETTLING)
    stage.site.node.down()
    late = Load(stage.site, "broker-away-late", arch="mute")
    late.push()
    time.sleep(stage.effort.long)  # the fault itself
    stage.finding.check(len(late.builds()) == 1, "a push was not taken")
    stage.site.node.up()
    stage.finding.times = 1
    stage.finding.told = f"away for {stage.effort.long} s"
    for one in (load, late):
        stage.finding.settle(one, seconds=stage.patience(), lost=range(1))
    machine.worker.stop()


def messages_without_builds(stage: Stage) -> None:
    """Copies, late ones, and what is no message of ours: nothing runs twice, all is taken away."""
    machine = stage.site.machine("told-often", "often_told-linux", slots=SLOTS)
    load = Load(stage.site, "told-often", arch="often_told", seconds=3)
    load.push(SLOTS)
    load.until_begun(count=SLOTS)
    broker, queue = stage.site.node.broker, "often_told-linux/trusted"
    app = make_app(broker, (*QUEUES, queue))
    with connect(app) as connection, connection.Producer() as producer:
        for number in range(TOO_MANY):
            name = TASK if number % 2 else f"{TASK}-of-somebody-else"
            app.send_task(name, (queue,), producer=producer, queue=queue_at(broker, queue))
    stage.finding.times = TOO_MANY
    stage.finding.settle(load, seconds=stage.patience(), lost=range(1))
    again = Load(stage.site, "told-after", arch="often_told")
    again.push()
    stage.finding.settle(again, seconds=stage.patience(), lost=range(1))
    stage.finding.check(machine.worker.process.poll() is None, "the worker has ended")
    stage.finding.check(not build_processes(machine.worker), "a build runs on")
    left = count(broker, broker.name_of(queue))
    stage.finding.told = f"the worker goes on; {left} messages left"
    machine.worker.stop()


KINDS = ("celery",)
ROWS = (
    Row("kill -9 of RabbitMQ", "P7", broker_killed, alone=True, kinds=KINDS),
    Row("RabbitMQ away for longer than a lease", "P7", broker_away, alone=True, kinds=KINDS),
    Row(
        "messages of RabbitMQ that are copies or not ours",
        "P2",
        messages_without_builds,
        kinds=KINDS,
    ),
)
