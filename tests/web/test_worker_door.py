"""The private door of workers: who may ask for what there, and what a hostile one may not."""

import hashlib
import json
import secrets

import falcon.testing
import pytest
from support.factories import Factory

from ciserver import wire
from ciserver.model.account import Actor
from ciserver.model.build import BuildResult, Loss, Offer, StepResult
from ciserver.model.ports import WorkerState
from ciserver.model.project import Credential
from ciserver.model.status import BuildStatus, StepStatus

QUEUE = "x86_64-linux/trusted"
DONE = StepResult(0, StepStatus.SUCCEEDED)
CONTENT = b"made on another machine\n" * 100
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def a_claim(queues, *rest):
    return wire.Claim(secrets.token_hex(16), queues, *rest)


class Door:
    """Requests of one bearer, by its token."""

    def __init__(self, app, token):
        headers = {"Authorization": f"Bearer {token}", wire.VERSION_HEADER: str(wire.VERSION)}
        self._client = falcon.testing.TestClient(app, headers=headers)

    def ask(self, method, path, message=None, body=None, headers=None, **query):
        body = wire.write(message) if message is not None else body
        path = f"/worker/v1/{path}"
        return self._client.simulate_request(method, path, body=body, params=query, headers=headers)


class Held:
    """The attempt that a worker has claimed."""

    def __init__(self, app, work):
        self.work, self.lease = work, work.lease
        self.door = Door(app, work.lease.token)
        self.place = f"builds/{work.lease.build_id}/attempts/{work.lease.attempt}"

    def ask(self, method, path, *rest, **more):
        return self.door.ask(method, f"{self.place}/{path}", *rest, **more)


@pytest.fixture
def add_worker(parts, admin):
    def add(name="arm", *queues):
        credential = parts.services.workers.add(admin, name, queues or (QUEUE,))
        return Door(parts.app, credential)

    return add


@pytest.fixture
def claim(parts, works, add_worker):
    """Claim a new build as a worker does."""
    doors = {}

    def make(name="arm", **recipe):
        door = doors.get(name) or doors.setdefault(name, add_worker(name))
        works.build(**recipe)
        answer = door.ask("POST", "claim", a_claim((QUEUE,)))
        assert answer.status_code == 200, answer.text
        return Held(parts.app, wire.read(wire.Claimed, answer.content).work)

    return make


def code(answer):
    return answer.status_code, answer.json["error"]["code"]


# -- credentials ----------------------------------------------------------------------------------


def test_a_credential_is_shown_once(parts, script):
    """Its hash is kept, and lists do not tell it."""
    made = script.post("/ci/v1/workers", json={"name": "arm", "queues": [QUEUE]})
    assert made.status_code == 201
    credential = made.json["credential"]
    assert credential.startswith("csw_")
    (listed,) = script.get("/ci/v1/workers").json
    assert (listed["name"], listed["queues"]) == ("arm", [QUEUE])
    row = parts.store.database.sql("SELECT * FROM workers").fetchone()
    assert credential not in str(tuple(row))
    assert Door(parts.app, credential).ask("GET", "hello").json == {
        "name": "arm",
        "queues": [QUEUE],
        "labels": [],
    }
    assert script.get("/ci/v1/workers").json[0]["last_seen_at"]


def test_every_fault_of_a_credential_is_named(script):
    """All at once, and nothing is made."""
    wanted = {"name": "local-1", "queues": ["linux", "x86_64-linux/wheel"]}
    answer = script.post("/ci/v1/workers", json=wanted)
    assert [one["field"] for one in answer.json["error"]["complaints"]] == ["name", *["queues"] * 2]
    assert script.post("/ci/v1/workers", json={"name": "arm", "queues": []}).status_code == 400
    assert script.get("/ci/v1/workers").json == []


def test_a_name_is_taken_once(script):
    """The second is refused."""
    wanted = {"name": "arm", "queues": [QUEUE]}
    script.post("/ci/v1/workers", json=wanted)
    assert code(script.post("/ci/v1/workers", json=wanted)) == (409, "already-exists")


def test_adding_and_removing_leave_rows(script):
    """With the queues, and never with the credential."""
    made = script.post("/ci/v1/workers", json={"name": "arm", "queues": [QUEUE]}).json
    assert script.request("DELETE", "/ci/v1/workers/arm").status_code == 200
    assert script.request("DELETE", "/ci/v1/workers/arm").status_code == 404
    told = script.get("/ci/v1/requests").json["requests"]
    assert [one["action"] for one in told[:2]] == ["remove-worker", "add-worker"]
    assert told[1]["what"] == {"worker": "arm", "queues": [QUEUE]}
    assert made["credential"] not in json.dumps(told)


@pytest.mark.parametrize("token", ["", "csw_wrong", "cis_" + "a" * 40])
def test_a_wrong_credential_opens_nothing(parts, token):
    """Neither does one of an account."""
    door = Door(parts.app, token)
    for method, path in (("GET", "hello"), ("POST", "bell"), ("POST", "claim")):
        assert code(door.ask(method, path)) == (401, "not-signed-in")


def test_a_credential_is_no_account(parts, add_worker, works):
    """It opens no other door, and no attempt."""
    works.build()
    door = add_worker()
    token = door._client._default_headers["Authorization"]
    client = falcon.testing.TestClient(parts.app, headers={"Authorization": token})
    assert client.simulate_get("/ci/v1/builds").status_code == 401
    assert code(door.ask("POST", "builds/1/attempts/1/renew")) == (401, "not-signed-in")


@pytest.mark.parametrize("version", [str(wire.VERSION + 1), "", "one"])
def test_a_worker_of_another_version_is_told_what_to_do(add_worker, works, version):
    """Before anything of what it says is read, and nothing is claimed."""
    works.build()
    door = add_worker()
    for method, path in (("GET", "hello"), ("POST", "bell"), ("POST", "claim")):
        answer = door.ask(method, path, headers={wire.VERSION_HEADER: version})
        assert code(answer) == (409, "other-version")
        assert answer.json["error"]["hint"].startswith("install ciserver ")
    assert door.ask("POST", "claim", a_claim((QUEUE,))).status_code == 200


def test_a_removed_worker_writes_no_more(claim, script):
    """Not even for what it holds; the lease runs out and the build goes on elsewhere."""
    held = claim()
    script.request("DELETE", "/ci/v1/workers/arm")
    assert code(held.ask("POST", "renew")) == (409, "lease-lost")


def test_another_credential_takes_the_place_of_the_first_when_it_is_used(parts, script, add_worker):
    """Until then the first is believed, so that no worker is ever without one."""
    first = add_worker()
    (second, third) = (
        Door(parts.app, script.post("/ci/v1/workers/arm/credential", json={}).json["credential"])
        for _ in range(2)
    )
    assert first.ask("GET", "hello").status_code == 200
    assert code(second.ask("GET", "hello")) == (401, "not-signed-in")
    for _ in range(2):
        assert third.ask("GET", "hello").json["name"] == "arm"
    assert code(first.ask("GET", "hello")) == (401, "not-signed-in")
    assert script.post("/ci/v1/workers/none/credential", json={}).status_code == 404


def test_a_worker_is_given_others(script, add_worker):
    """Each list takes the place of the one before, and every fault is named."""
    add_worker()
    script.post("/ci/v1/projects", json={"name": "hello", "uri": "https://example.org/hello.git"})
    given = {"labels": ["gpu"], "queues": ["aarch64-linux/trusted"]}
    changed = script.request("PATCH", "/ci/v1/workers/arm", json=given)
    assert changed.json | given == changed.json
    bad = {"labels": ["-a", *map(str, range(20))], "queues": ["x"], "projects": ["none"]}
    faults = script.request("PATCH", "/ci/v1/workers/arm", json=bad).json["error"]["complaints"]
    assert [one["field"] for one in faults] == ["queues", "labels", "labels", "projects"]
    assert script.request("PATCH", "/ci/v1/workers/none", json=given).status_code == 404
    assert script.get("/ci/v1/workers").json == [changed.json]


# -- claims ---------------------------------------------------------------------------------------


def test_a_worker_takes_builds_of_its_queues_only(parts, works, add_worker, admin):
    """Neither of other systems nor of another trust, and it may not ask for them."""
    works.build()
    foreign, untrusted = (
        add_worker("a", "riscv64-linux/trusted"),
        add_worker("b", "x86_64-linux/untrusted"),
    )
    assert foreign.ask("POST", "claim", a_claim(("riscv64-linux/trusted",))).content == b""
    asked = a_claim(("x86_64-linux/untrusted",))
    assert untrusted.ask("POST", "claim", asked).content == b""
    assert code(untrusted.ask("POST", "claim", a_claim((QUEUE,)))) == (403, "forbidden")
    mine = add_worker("c", QUEUE, "x86_64-linux/untrusted")
    assert mine.ask("POST", "claim", asked).content == b""
    assert mine.ask("POST", "claim", a_claim((QUEUE,))).status_code == 200


def test_a_repeated_claim_is_answered_as_the_first_time(parts, works, add_worker, clock):
    """With a whole lease, for as long as the worker holds it, and for no other worker."""
    door, other = add_worker(), add_worker("other")
    builds = {works.build(), works.build(), works.build()}
    asked = a_claim((QUEUE,))

    def claimed(door):
        return wire.read(wire.Claimed, door.ask("POST", "claim", asked).content).work.lease

    lease = claimed(door)
    clock.forward(seconds=20)
    assert claimed(door) == lease
    clock.forward(seconds=20)
    assert parts.services.builds.rescue_lost() == 0
    theirs = claimed(other)
    parts.reporter.give_back(lease, Loss("the worker failed"))
    assert {lease.build_id, theirs.build_id, claimed(door).build_id} <= builds
    assert claimed(door) not in {lease, theirs}


@pytest.mark.parametrize("id_", ["", "A" * 32, "0" * 31, "0" * 33])
def test_a_claim_has_an_id(add_worker, id_):
    """Of 32 digits, so that nobody guesses another's."""
    body = json.dumps({"id": id_, "queues": [QUEUE]}).encode()
    assert add_worker().ask("POST", "claim", body=body).status_code == 400


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


def test_a_worker_has_the_labels_of_its_credential_only(parts, make, admin):
    """Whatever it says; and what asks for them goes to nobody else."""
    plain = Door(parts.app, parts.services.workers.add(admin, "plain", (QUEUE,)))
    labels = ("big", "gpu")
    strong = Door(parts.app, parts.services.workers.add(admin, "strong", (QUEUE,), labels=labels))
    assert strong.ask("GET", "hello").json["labels"] == ["big", "gpu"]
    make.build(runs_on=("big", "gpu"))
    assert plain.ask("POST", "claim", a_claim((QUEUE,))).content == b""
    stolen = plain.ask("POST", "claim", a_claim((QUEUE,), (), ("gpu",)))
    assert code(stolen) == (403, "forbidden")
    assert strong.ask("POST", "claim", a_claim((QUEUE,), (), ("gpu",))).content == b""
    assert strong.ask("POST", "claim", a_claim((QUEUE,), (), labels)).status_code == 200


def test_a_dedicated_worker_takes_builds_of_its_projects_only(parts, make, admin):
    """Under whatever name a project has by then."""
    make.build(jobset=make.jobset("other"))
    mine = make.build(jobset=make.jobset("mine"))
    credential = parts.services.workers.add(admin, "arm", (QUEUE,), projects=("mine",))
    door = Door(parts.app, credential)
    settings = parts.store.projects.get("mine").settings
    parts.services.projects.put_project(admin, "mine", settings, new_name="renamed")
    answer = door.ask("POST", "claim", a_claim((QUEUE,)))
    assert wire.read(wire.Claimed, answer.content).work.lease.build_id == mine.id
    assert door.ask("POST", "claim", a_claim((QUEUE,))).content == b""
    (listed,) = parts.services.workers.list_all(admin)
    assert [*listed.projects.values()] == ["renamed"]


def test_the_build_names_its_worker(claim, parts):
    """As it does for those of the server."""
    assert parts.store.builds.get(claim().lease.build_id).worker == "arm"


def test_what_opens_repositories_stays_at_the_server(parts, works, add_worker, monkeypatch):
    """The password is not in the work, not even to be hidden in logs; a worker here is told."""
    works.build()
    secret = Credential(password="rosebud-rosebud")
    monkeypatch.setattr(parts.store.jobsets, "list_credentials", lambda _: (secret,))
    answer = add_worker().ask("POST", "claim", a_claim((QUEUE,)))
    assert wire.read(wire.Claimed, answer.content).masked == ()
    works.build()
    here = parts.reporter.claim(Offer("local", ("x86_64-linux",)))
    assert here.secrets == (secret.password,)


# -- the token of the attempt ---------------------------------------------------------------------


def test_an_attempt_from_claim_to_end(claim, script, parts):
    """Everything that a worker tells arrives."""
    held = claim()
    build = held.lease.build_id
    assert held.ask("POST", "renew").json == {"cancel": False}
    held.ask("PUT", "log/0", body=b"set up\n", offset=0)
    assert held.ask("POST", "advance", wire.Advance(DONE, 1, "plain")).status_code == 200
    for _ in range(2):  # the same again changes nothing
        assert held.ask("PUT", "log/1", body=b"built\n", offset=0).status_code == 200
    held.ask("PUT", "log/1", body=b"more\n", offset=6)
    assert held.ask("PUT", f"uploads/{DIGEST}", body=CONTENT[:1000], offset=0).json["size"] == 1000
    assert held.ask("GET", f"uploads/{DIGEST}").json["size"] == 1000
    held.ask("PUT", f"uploads/{DIGEST}", body=CONTENT[1000:], offset=1000)
    kept = wire.KeepProduct(DIGEST, "out/a.txt")
    assert held.ask("POST", "products", kept).status_code == 200
    steps = (StepResult(1, StepStatus.SUCCEEDED, 0),)
    ending = wire.Finish(BuildResult(BuildStatus.SUCCEEDED), steps)
    assert held.ask("POST", "finish", ending).status_code == 200
    told = script.get(f"/ci/v1/builds/{build}").json
    assert (told["status"], told["products"][0]["sha256"]) == ("succeeded", DIGEST)
    assert script.get(f"/ci/v1/builds/{build}/steps/1/log").content == b"built\nmore\n"
    assert parts.store.incoming.attempts() == set()


def every_write():
    ending = wire.Finish(BuildResult(BuildStatus.SUCCEEDED), ())
    yield "POST", "renew", None
    yield "POST", "advance", wire.write(wire.Advance(DONE, 1, "plain"))
    yield "PUT", "log/1", b"x"
    yield "GET", f"uploads/{DIGEST}", None
    yield "PUT", f"uploads/{DIGEST}", b"x"
    yield "POST", "products", wire.write(wire.KeepProduct(DIGEST, "a"))
    yield "POST", "reports", b"{}"
    yield "POST", "output", b"{}"
    yield "GET", "caches", None
    yield "POST", "caches", b"{}"
    yield "GET", "sources/0", None
    yield "POST", "sources/0/pack", b"{}"
    yield "GET", "sources/0/content", None
    yield "POST", "give-back", b"{}"
    yield "POST", "finish", wire.write(ending)


@pytest.mark.parametrize("request_", [*every_write()], ids=lambda one: " ".join(one[:2]))
def test_an_old_token_has_lost_its_lease(claim, works, parts, clock, request_):
    """After the lease has run out, whatever it asks for, and nothing comes of it."""
    held = claim()
    clock.forward(minutes=1)
    assert parts.services.builds.rescue_lost() == 1
    method, path, body = request_
    assert code(held.ask(method, path, body=body)) == (409, "lease-lost")
    assert parts.store.incoming.attempts() == set()


@pytest.mark.parametrize("request_", [*every_write()], ids=lambda one: " ".join(one[:2]))
def test_the_token_of_another_attempt_is_refused_and_remembered(claim, script, request_):
    """A worker that has one build gets at no other, its neighbour's or its own."""
    mine, other = claim("mine"), claim("other")
    method, path, body = request_
    answer = mine.door.ask(method, f"{other.place}/{path}", body=body)
    assert code(answer) == (403, "forbidden")
    told = script.get("/ci/v1/requests").json["requests"][0]
    assert (told["action"], told["who"], told["status"]) == (
        "work-on-build",
        "worker mine",
        "failed",
    )
    assert told["what"] == {"build": other.lease.build_id, "attempt": 1}


def test_builds_of_the_server_itself_have_no_door(parts, works):
    """Whoever knows the token of one is none of its workers."""
    lease = works.running()
    door = Door(parts.app, lease.token)
    place = f"builds/{lease.build_id}/attempts/{lease.attempt}"
    assert code(door.ask("POST", f"{place}/renew")) == (409, "lease-lost")


@pytest.mark.parametrize("token", ["", "short", "g" * 32, "a" * 33])
def test_what_is_no_token_is_no_proof(parts, claim, token):
    """A request without one is not told whether there is such a build."""
    held = claim()
    door = Door(parts.app, token)
    for place in (held.place, "builds/999/attempts/1"):
        assert door.ask("POST", f"{place}/renew").status_code == 401


# -- what comes in --------------------------------------------------------------------------------


def test_a_file_comes_in_by_pieces_without_gaps(claim):
    """A gap is refused, and an overlap is the same bytes again."""
    held = claim()
    assert held.ask("PUT", f"uploads/{DIGEST}", body=b"x", offset=5).status_code == 400
    held.ask("PUT", f"uploads/{DIGEST}", body=CONTENT[:100], offset=0)
    answer = held.ask("PUT", f"uploads/{DIGEST}", body=CONTENT[50:200], offset=50)
    assert answer.json["size"] == 200


def test_what_is_not_what_it_is_called_is_not_kept(claim, script):
    """And begins anew, so that it can be sent again."""
    held = claim()
    held.ask("PUT", f"uploads/{DIGEST}", body=b"something else", offset=0)
    assert held.ask("POST", "products", wire.KeepProduct(DIGEST, "a")).status_code == 400
    assert held.ask("GET", f"uploads/{DIGEST}").json["size"] == 0
    assert script.get(f"/ci/v1/builds/{held.lease.build_id}").json["products"] == []


def test_a_product_of_others_is_not_had_by_its_digest(claim):
    """Knowing what a file is called is not having it."""
    first, second = claim("mine"), claim("other")
    first.ask("PUT", f"uploads/{DIGEST}", body=CONTENT, offset=0)
    first.ask("POST", "products", wire.KeepProduct(DIGEST, "a"))
    assert second.ask("GET", f"uploads/{DIGEST}").json["size"] == 0
    assert second.ask("POST", "products", wire.KeepProduct(DIGEST, "a")).status_code == 400


@pytest.mark.parametrize("name", ["..%2F..%2Fsecret.key", "x", DIGEST.upper(), DIGEST + "0"])
def test_a_digest_is_no_path(claim, name):
    """Only 64 hex digits are one."""
    held = claim()
    assert held.ask("PUT", f"uploads/{name}", body=b"x", offset=0).status_code in {400, 404}


def test_pieces_are_bounded(claim):
    """Of files and of logs; nothing is written of one that is too large."""
    held = claim()
    piece = bytes((8 << 20) + 1)
    assert held.ask("PUT", f"uploads/{DIGEST}", body=piece, offset=0).status_code == 413
    assert held.ask("PUT", "log/0", body=piece[: (2 << 20) + 1], offset=0).status_code == 413


def test_logs_are_bounded_and_of_steps_that_there_are(claim, parts):
    """Neither a hole of terabytes nor a file for each number can be made."""
    held = claim()
    assert held.ask("PUT", "log/1", body=b"x", offset=1 << 40).status_code == 413
    assert held.ask("PUT", "log/77", body=b"x", offset=0).status_code == 404
    assert parts.store.files.log_size(held.lease.build_id, 1, 1) == 0


def test_a_whole_file_is_bounded(claim, parts):
    """As the settings of the server say."""
    held = claim()
    parts.services.remote_work._most_bytes = 1000
    answer = held.ask("PUT", f"uploads/{DIGEST}", body=CONTENT, offset=0)
    assert answer.status_code == 413


def test_what_lost_attempts_sent_is_swept(claim, parts, clock):
    """Those that go on keep theirs."""
    lost = claim("mine")
    lost.ask("PUT", f"uploads/{DIGEST}", body=b"x", offset=0)
    clock.forward(minutes=1)
    parts.services.builds.rescue_lost()
    held = claim("mine")
    held.ask("PUT", f"uploads/{DIGEST}", body=b"x", offset=0)
    parts.services.remote_work.sweep()
    assert parts.store.incoming.attempts() == {(held.lease.build_id, held.lease.attempt)}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"done": 1}', b'{"x": 1}', b"\xff"])
def test_messages_that_cannot_be_read_are_refused(claim, body):
    """With the faults, and never as a crash."""
    held = claim()
    assert held.ask("POST", "advance", body=body).status_code == 400


@pytest.mark.parametrize("path", ["builds/x/attempts/1/renew", "builds/1/attempts/-1/renew"])
def test_addresses_that_cannot_be_read_are_refused(parts, path):
    """A number is one."""
    assert Door(parts.app, "a" * 32).ask("POST", path).status_code == 400


# -- sources --------------------------------------------------------------------------------------


def test_sources_are_listed_and_packed(claim, repository):
    """By the name of the mirror, which tells nothing of the address."""
    held = claim()
    listed = held.ask("GET", "sources/0")
    (checkout,) = listed.json["listing"]["checkouts"]
    assert checkout["revision"] == held.work.job.sources[0].revision
    assert held.work.mirrors == (checkout["mirror"],)  # told with the claim
    assert str(repository.bare) not in listed.text
    packed = held.ask("POST", "sources/0/pack", wire.AskPack(checkout["mirror"]))
    assert packed.content.startswith(b"PACK")


def test_other_mirrors_and_sources_are_not_there(claim):
    """A name that is none of the source's, a source that the job has not."""
    held = claim()
    assert held.ask("POST", "sources/0/pack", wire.AskPack("0" * 40)).status_code == 404
    assert held.ask("GET", "sources/1").json["refused"]
    assert held.ask("GET", "sources/0/content").status_code == 404


def test_a_source_that_cannot_be_had_is_told_as_data(claim, parts, repository, monkeypatch):
    """The worker learns why, and that it may pass."""
    held = claim()
    mirrors = parts.mirrors._root
    for one in mirrors.glob("*.git"):
        one.rename(one.with_suffix(".gone"))
    repository.bare.rename(repository.bare.with_suffix(".gone"))
    answer = held.ask("GET", "sources/0")
    assert answer.status_code == 200
    assert "no such repository" in answer.json["refused"]


# -- the bell -------------------------------------------------------------------------------------


def test_a_worker_is_seen_while_it_listens(parts, add_worker, script, clock):
    """With its slots, for the queues that it may take; and is forgotten after a minute."""
    parts.services.run_on(parts.services.fleet)
    state = WorkerState("any", ("sparc-linux",), 4, 1, queues=(QUEUE, "sparc-linux/trusted"))
    door = add_worker()
    first = door.ask("POST", "bell", wire.Listen("", state))
    assert first.status_code == 200
    (machine,) = parts.services.status.machines(Actor(""))
    assert machine.worker == WorkerState("arm", ("x86_64-linux",), 4, 1, queues=(QUEUE,))
    clock.forward(minutes=2)
    assert parts.services.status.machines(Actor("")) == ()
