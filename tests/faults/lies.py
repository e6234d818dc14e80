"""Rows that knock at the doors: messages that come twice or late, and proofs that are none."""

import hashlib
import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import urllib3
from standardwebhooks import Webhook
from support.waiting import until
from support.worker import add_credential

from ciserver import wire
from ciserver.model.build import BuildResult, Loss, StepResult
from ciserver.model.status import BuildStatus, StepStatus
from faults.row import Row, Stage
from faults.site import Load

COPIES = 20
WELL = BuildResult(BuildStatus.SUCCEEDED)
ZERO = "0" * 40


class Impostor:
    """Speaks as the worker of this credential, one message at a time."""

    def __init__(self, stage: Stage, name: str, *, arch: str = "") -> None:
        self._url = f"{stage.site.server.url}/worker/v1"
        self._queue = f"{arch or name}-linux/trusted"
        self._credential = add_credential(stage.site.server, name, (self._queue,))
        self._place, self._token = "", ""

    def claim(self, claim_id: str = "") -> wire.Claimed:
        """A build; under the id of an earlier claim what that one took."""
        asked = wire.Claim(claim_id or secrets.token_hex(16), (self._queue,))
        answer = until(lambda: self._claimed(asked), what="a build to be claimed")
        lease = answer.work.lease
        self._place, self._token = f"builds/{lease.build_id}/attempts/{lease.attempt}", lease.token
        return answer

    def _claimed(self, asked: wire.Claim) -> wire.Claimed | None:
        answer = self._ask("POST", "claim", self._credential, wire.write(asked))
        return wire.read(wire.Claimed, answer.data) if answer.data else None

    def tell(self, method: str, path: str, message: object = b"") -> int:
        """Of the attempt; answers the status."""
        body = message if isinstance(message, bytes) else wire.write(message)
        return self._ask(method, f"{self._place}/{path}", self._token, body).status

    def tell_of(self, other: "Impostor") -> int:
        """Write for the attempt of another worker, by the token of the own."""
        return self._ask("PUT", f"{other._place}/log/1?offset=0", self._token, b"mine").status

    def _ask(self, method: str, path: str, token: str, body: bytes):
        headers = {"Authorization": f"Bearer {token}", wire.VERSION_HEADER: str(wire.VERSION)}
        return urllib3.request(
            method, f"{self._url}/{path}", body=body, headers=headers, timeout=60
        )


def told_twice(stage: Stage) -> None:
    """Whatever a worker says may be said again, as when the answer was lost."""
    load = Load(stage.site, "told-twice", arch="told", seconds=1)
    load.push()
    worker = Impostor(stage, "told")
    worker.claim()
    product = b"product of 0\n"
    sha256 = hashlib.sha256(product).hexdigest()
    half = len(load.log) // 2
    done = [StepResult(number, StepStatus.SUCCEEDED, 0) for number in range(3)]
    said = (
        ("POST", "advance", wire.Advance(done[0], 1, "told")),
        ("PUT", "log/1?offset=0", load.log[:half]),
        ("PUT", f"log/1?offset={half}", load.log[half:]),
        ("PUT", "log/1?offset=0", load.log[:half]),
        ("POST", "renew", b""),
        ("POST", "advance", wire.Advance(done[1], 2, "told")),
    )
    # A file that was kept is not there any more: whoever is not sure sends it again.
    file = (
        ("PUT", f"uploads/{sha256}?offset=0", product),
        ("POST", "products", wire.KeepProduct(sha256, "project/made.txt")),
    )
    answers = [worker.tell(*one) for one in file * 4]
    stage.finding.check(max(answers) < 300, f"a product was answered {answers}")
    with ThreadPoolExecutor(4) as pool:
        for one in said:
            answers = list(pool.map(lambda _, one=one: worker.tell(*one), range(4)))
            stage.finding.check(max(answers) < 300, f"{one[:2]} was answered {answers}")
        end = ("POST", "finish", wire.Finish(WELL, tuple(done)))
        ends = sorted(pool.map(lambda _: worker.tell(*end), range(4)))
    stage.finding.check(ends == [200, 409, 409, 409], f"four ends were answered {ends}")
    stage.finding.times = 4 * (len(said) + len(file) + 1)
    stage.finding.settle(load, seconds=stage.patience(), lost=range(1))
    stale = [
        worker.tell(*one) for one in (*said, *file, ("POST", "give-back", wire.GiveBack(Loss("?"))))
    ]
    stage.finding.check(set(stale) == {409}, f"after the end: {stale}")
    stage.finding.told = "the first end counts; all that comes later gets 409"


def pushed_often(stage: Stage) -> None:
    """One delivery of a push, so many times at once, is one evaluation."""
    load = Load(stage.site, "pushed-often", arch="often")
    machine = stage.site.machine("pushed-often", "often-linux")
    revision = load.push_untold()
    told = json.loads((load.bare / "ciserver" / "hook.json").read_text())
    url, secret = told["url"], told["secret"]
    change = {"ref": "refs/heads/main", "old": ZERO, "new": revision}
    push = {"repository": str(load.bare), "pusher": "ada", "changes": [change]}
    body = json.dumps({"type": "push", "data": push})
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "msg_again",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_again", now, body),
    }
    with ThreadPoolExecutor(8) as pool:
        sent = [
            pool.submit(urllib3.request, "POST", url, body=body, headers=headers, timeout=60)
            for _ in range(COPIES)
        ]
        answers = [one.result().status for one in sent]
    stage.finding.times = COPIES
    stage.finding.check(max(answers) < 300, f"they were answered {sorted(set(answers))}")
    stage.finding.settle(load, seconds=stage.patience(), lost=range(1))
    machine.worker.stop()


def lost_claim(stage: Stage) -> None:
    """It is asked again under its id; one that nobody asks again is over with the lease."""
    load = Load(stage.site, "lost-claim", arch="lost")
    load.push()
    worker, claim_id = Impostor(stage, "lost"), secrets.token_hex(16)
    told = [worker.claim(claim_id).work.lease for _ in range(3)]
    stage.finding.check(len(set(told)) == 1, f"three answers: {told}")
    stage.site.machine("lost-claim", "lost-linux")
    stage.finding.times = 3
    stage.finding.settle(load, seconds=stage.patience(), lost=range(1, 2))
    stage.finding.told = "asked again it is the same attempt; then that was left to its lease"


def wrong_credential(stage: Stage) -> None:
    machine = stage.site.machine("wrong-credential", start=False)
    stage.site.server.request("DELETE", "/ci/v1/workers/wrong-credential")
    machine.worker.start(is_ready=False)
    status = machine.worker.process.wait(120)
    stage.finding.times = 1
    told = "credential is unknown" in machine.log and "worker-credential add" in machine.log
    stage.finding.check(status == 5 and told, f"it ended with {status}: {machine.log[-300:]}")
    stage.finding.told = "the worker ends and says how to get one"


def removed_credential(stage: Stage) -> None:
    """While it runs a build, which is built elsewhere."""
    machine = stage.site.machine("removed", "removed-linux", slots=1)
    load = Load(stage.site, "removed", arch="removed", seconds=stage.effort.lease)
    load.push()
    load.until_begun()
    stage.site.server.request("DELETE", "/ci/v1/workers/removed")
    stage.site.machine("removed-spare", "removed-linux")
    stage.finding.times = 1
    stage.finding.settle(load, seconds=stage.patience(2), lost=range(1, 2))
    stage.finding.check("lease-lost" in machine.log, "its worker did not hear of it")


def anothers_token(stage: Stage) -> None:
    """It is refused, leaves a row, and changes nothing."""
    load = Load(stage.site, "anothers-token", arch="another")
    load.push(2)
    mine, theirs = Impostor(stage, "another"), Impostor(stage, "another-too", arch="another")
    for one in (mine, theirs):
        one.claim()
    answer = mine.tell_of(theirs)
    stage.finding.check(answer == 403, f"it was answered {answer}")
    rows = json.loads(stage.site.server.request("GET", "/ci/v1/requests").data)["requests"]
    refused = [one["who"] for one in rows if one["action"] == "work-on-build"]
    stage.finding.check(refused == ["worker another"], f"the audit has {refused}")
    for one in (mine, theirs):
        one.tell("POST", "give-back", wire.GiveBack(Loss("not a real worker")))
    stage.site.machine("anothers-token", "another-linux")
    stage.finding.times = 1
    stage.finding.settle(load, seconds=stage.patience(), lost=range(2, 3))
    stage.finding.told = "403, and a row of the audit trail"


ROWS = (
    Row("each message of a worker four times, and late", "P3", told_twice),
    Row("one push, twenty times at once", "P1", pushed_often),
    Row("lost answer to a claim", "P2", lost_claim),
    Row("wrong credential", "P3", wrong_credential),
    Row("credential removed while it runs a build", "P3", removed_credential),
    Row("token of another attempt", "P3", anothers_token),
)
