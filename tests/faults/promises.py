"""What must hold after every fault."""

import hashlib
import json
from collections import Counter, defaultdict

from support.waiting import until

from faults.site import COUNT, Load

FINAL = {"succeeded", "failed", "errored", "canceled", "timed_out"}


def broken_by(load: Load, details: list[dict], *, status: str = "succeeded") -> list[str]:
    """Every promise that a fault broke for these builds, which have ended and so."""
    found = [*_pushes(load, details), *_webhooks(load, details)]
    for one in details:
        found += [f"build {one['id']}: {why}" for why in _build(load, one, status)]
    return found


def lost_attempts(details: list[dict]) -> list[dict]:
    return [
        attempt for one in details for attempt in one["attempts"] if attempt["status"] == "errored"
    ]


def outcomes(details: list[dict]) -> Counter:
    return Counter(one["status"] for one in details)


def _pushes(load: Load, details: list[dict]):
    builds = Counter(one["revision"] for one in details)
    for revision, number in load.numbers.items():
        if builds[revision] != 1:
            yield f"push {number} has {builds[revision]} builds"
    yield from (f"nobody pushed {one}" for one in builds.keys() - load.numbers.keys())


def _build(load: Load, build: dict, status: str):
    attempts = build["attempts"][::-1]
    if build["status"] != status:
        yield f"it is {build['status']} ({build['reason']}: {build['detail']})"
    if [one["number"] for one in attempts] != list(range(1, len(attempts) + 1)):
        yield f"its attempts are {[one['number'] for one in attempts]}"
    for one in attempts:
        if one["status"] not in FINAL or not one["finished_at"]:
            yield f"attempt {one['number']} is {one['status']}"
        yield from _log(load, build["id"], one)
    if [one["status"] for one in attempts[:-1]].count("succeeded"):
        yield "it was tried again after it had succeeded"
    if build["status"] == "succeeded":
        yield from _fruits(load, build, attempts[-1]["number"])


def _log(load: Load, build_id: int, attempt: dict):
    number, witness = attempt["number"], load.site.witness
    text = _step_log(load, build_id, number)
    # Why it failed stands there too.
    if not load.log.startswith(text.removesuffix(attempt["detail"].encode() + b"\n")):
        yield f"the log of attempt {number} has a gap or too much: {text[-100:]!r}"
    if not text.startswith(witness.given.get((build_id, number), b"")):
        yield f"the log of attempt {number} lost bytes that were shown"
    if text != witness.lost.get((build_id, number), text):
        yield f"attempt {number} wrote after it was lost"


def _fruits(load: Load, build: dict, attempt: int):
    if _step_log(load, build["id"], attempt) != load.log:
        yield "its log is not whole"
    wanted = hashlib.sha256(b"product of %d\n" % load.numbers[build["revision"]]).hexdigest()
    made = [one["sha256"] for one in build["products"] if one["attempt"] == attempt]
    if made != [wanted]:
        yield f"its products are {build['products']}"


def _step_log(load: Load, build_id: int, attempt: int) -> bytes:
    path = f"/ci/v1/builds/{build_id}/steps/{COUNT}/log?attempt={attempt}"
    answer = load.site.server.request("GET", path)
    return answer.data if answer.status == 200 else b""


def _webhooks(load: Load, details: list[dict]):
    """Each build was told under one id, and nothing else was told."""
    wanted = {one["id"]: one["attempt"] for one in details}

    def ids():
        found = defaultdict(set)
        for one in list(load.site.receiver.requests):
            if one.path == f"/{load.name}":
                told = json.loads(one.body)["data"]["build"]
                found[told["id"], told["attempt"]].add(one.headers["Webhook-Id"])
        return found

    try:
        until(lambda: len(ids()) >= len(wanted), seconds=30, every=0.1)
    except AssertionError:
        yield f"{len(ids())} of {len(wanted)} builds were told"
    found = ids()
    yield from (f"build {one} was told for {got}" for one, got in found.items() if len(got) != 1)
    if found.keys() - wanted.items():
        yield f"attempts were told that are not the last: {found.keys() - wanted.items()}"
