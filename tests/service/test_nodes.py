"""Servers of one database: who is alive, who takes over, and who may not join."""

import threading
from datetime import timedelta

import pytest
from support.factories import Factory, make_event
from support.postgresql import on_both
from support.prepared import put_database
from support.waiting import until

from ciserver.background import make_notices
from ciserver.config import Database, Server, Settings, Storage
from ciserver.datadir import DataDirectory
from ciserver.model.errors import BadConfiguration, Conflict
from ciserver.model.evaluation import Kind
from ciserver.model.status import EvaluationStatus
from ciserver.wiring import make_parts

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def make_node(tmp_path, clock, database_url):
    """A server by its name, with a data directory of its own, over the same rows and files."""
    made = []
    for one in ("files", "keys"):
        (tmp_path / one).mkdir()
    shared = Storage(tmp_path / "files", tmp_path / "keys")

    def make(name, *, folder=None, storage=shared):
        data = put_database(DataDirectory(tmp_path / (folder or name)))
        settings = Settings(
            server=Server(node=name), database=Database(database_url), storage=storage
        )
        parts = make_parts(settings, data, clock=clock)
        made.append(parts)
        return parts

    yield make
    for one in made:
        one.store.database.close()


@pytest.fixture
def pair(make_node):
    a, b = make_node("a"), make_node("b")
    for one in (a, b):
        one.services.nodes.join()
    return a, b


def claim_evaluation(parts, clock):
    """One that this server works on."""
    jobset = Factory(parts, clock).jobset("project")
    with parts.store.transaction():
        made = parts.store.evaluations.request(
            jobset.id,
            kind=Kind.API,
            ref="refs/heads/main",
            revision="",
            options=(),
            requested_by="ada",
            push_id=None,
            now=clock.now(),
        )
        assert parts.store.evaluations.claim(clock.now(), clock.now() + timedelta(minutes=15))
    return made


def claim_delivery(parts, clock):
    """One that this server sends."""
    build = Factory(parts, clock).build()
    with parts.store.transaction():
        parts.store.outbox.add_once(
            "one",
            dedupe_key="one",
            action="webhook",
            target="x",
            options={},
            event=make_event(build_id=build.id),
            now=clock.now(),
        )
        assert parts.store.outbox.claim(clock.now(), clock.now() + timedelta(minutes=2))


def status(parts, evaluation):
    return parts.store.evaluations.get(evaluation).status


@on_postgresql
def test_what_a_live_server_does_is_left_alone(pair, clock):
    """When another one starts, and whenever it looks."""
    a, b = pair
    evaluation = claim_evaluation(a, clock)
    alive = b.services.nodes.alive_beside()
    assert alive == ("a",)
    assert b.services.evaluations.recover(alive=alive) == 0
    for _ in range(5):
        clock.forward(seconds=5)
        a.services.nodes.look()
        b.services.nodes.look()
    assert status(b, evaluation) is EvaluationStatus.RUNNING


@on_postgresql
def test_what_a_dead_server_did_is_done_by_others(pair, clock):
    """Fifteen seconds after it last said that it lives; whoever sleeps is rung."""
    a, b = pair
    evaluation, rung = claim_evaluation(a, clock), []
    b.bells.evaluations.on_ring(lambda: rung.append(1))
    clock.forward(seconds=14)
    b.services.nodes.look()
    assert (status(b, evaluation), rung) == (EvaluationStatus.RUNNING, [])
    clock.forward(seconds=2)
    b.services.nodes.look()
    assert (status(b, evaluation), rung) == (EvaluationStatus.REQUESTED, [1])
    b.services.nodes.look()
    assert rung == [1]


@on_postgresql
def test_a_server_that_was_believed_dead_spoils_nothing(pair, clock):
    """What another one evaluates now neither waits nor fails because of it."""
    a, b = pair
    evaluation = claim_evaluation(a, clock)
    clock.forward(seconds=16)
    b.services.nodes.look()
    with b.store.transaction():
        assert b.store.evaluations.claim(clock.now(), clock.now() + timedelta(minutes=15))
    assert b.store.claims.holds_evaluation(evaluation)
    assert not a.store.claims.holds_evaluation(evaluation)
    with a.store.transaction():
        a.store.evaluations.try_again(evaluation, clock.now())
        assert a.store.evaluations.claim(clock.now(), clock.now()) is None


@on_postgresql
def test_a_server_that_stops_need_not_be_waited_for(pair, clock):
    """It says that it leaves."""
    a, b = pair
    evaluation = claim_evaluation(a, clock)
    a.services.nodes.leave()
    a.services.nodes.look()  # a last round of its clock
    b.services.nodes.look()
    assert status(b, evaluation) is EvaluationStatus.REQUESTED


@on_postgresql
def test_a_server_takes_up_its_own_at_the_start(pair, make_node, clock):
    """At once: the lock of its data directory says that it was not alive."""
    a, _ = pair
    mine = claim_evaluation(a, clock)
    again = make_node("a")
    again.services.nodes.join()
    alive = again.services.nodes.alive_beside()
    assert alive == ("b",)
    assert again.services.evaluations.recover(alive=alive) == 1
    assert status(again, mine) is EvaluationStatus.REQUESTED


@on_postgresql
def test_deliveries_of_a_dead_server_are_due_again(pair, make_node, clock):
    """Long before their lease ends."""
    a, b = pair
    claim_delivery(a, clock)
    assert b.store.outbox.claim(clock.now(), clock.now() + timedelta(minutes=2)) is None
    clock.forward(seconds=16)
    b.services.nodes.look()
    with b.store.transaction():
        assert b.store.outbox.claim(clock.now(), clock.now() + timedelta(minutes=2)).id == "one"


@on_both
def test_a_server_that_is_alone_takes_up_everything(make_node, clock):
    """Also what was claimed under another name, as before a move of the database."""
    before = make_node("before")
    evaluation = claim_evaluation(before, clock)
    after = make_node("after", folder="before")
    assert after.services.nodes.alive_beside() == ()
    assert after.services.evaluations.recover() == 1
    assert status(after, evaluation) is EvaluationStatus.REQUESTED


@on_postgresql
def test_a_name_is_one_servers(pair, make_node, clock):
    """While it is alive; a dead one's is free."""
    other = make_node("a", folder="elsewhere")
    with pytest.raises(Conflict, match="called a and is alive"):
        other.services.nodes.join()
    clock.forward(seconds=16)
    other.services.nodes.join()


@on_postgresql
def test_files_elsewhere_are_refused(pair, make_node, tmp_path):
    """They would be found by some requests and not by others."""
    (tmp_path / "others").mkdir()
    apart = Storage(tmp_path / "others", tmp_path / "keys")
    with pytest.raises(BadConfiguration, match="in another directory"):
        make_node("c", storage=apart).services.nodes.join()


@on_postgresql
def test_another_key_is_refused(pair, make_node, tmp_path):
    """That for secrets at once; that of webhooks while others sign with theirs."""
    apart = Storage(tmp_path / "files", tmp_path / "own")
    with pytest.raises(BadConfiguration, match="is not the one that the secrets in"):
        make_node("c", storage=apart)
    sealing = (tmp_path / "keys" / "secret.key").read_bytes()
    (tmp_path / "own" / "secret.key").write_bytes(sealing)
    with pytest.raises(BadConfiguration, match="signs webhooks with the key"):
        make_node("c", storage=apart).services.nodes.join()


@on_postgresql
def test_a_new_key_is_read_by_all(pair):
    """Rotated at one, while the others run."""
    a, b = pair
    assert sum(a.store.resealing.run()) >= 1
    assert b.store.keys.find("mirrors") == a.store.keys.find("mirrors")


def test_a_lost_key_does_not_keep_a_server_of_its_own_from_starting(parts, clock):
    """As on SQLite: what was sealed is lost, and everything else is there."""
    before = parts.store.keys.find("mirrors")
    parts.store.seal_file.unlink()
    again = make_parts(parts.settings, parts.data, clock=clock)
    assert again.store.keys.find("mirrors") not in (before, None)
    again.store.database.close()


@on_both
def test_mirrors_are_called_alike_everywhere(make_node, database_url, repository):
    """A worker asks one server for what another one told it of."""
    names = {
        make_node(one, folder=one if database_url else "same")
        .mirrors.open(str(repository.bare), local=True)
        .name
        for one in ("a", "b")
    }
    assert len(names) == 1


@on_postgresql
def test_one_at_a_time_is_alone(make_node):
    """Under one name; a name that is free again is had by the next."""
    a, b = make_node("a"), make_node("b")
    alone = (a.services.nodes.alone, b.services.nodes.alone)
    with alone[0]("sweep") as first, alone[1]("sweep") as second, alone[1]("other") as third:
        assert (first, second, third) == (True, False, True)
    with b.services.nodes.alone("sweep") as again:
        assert again


@on_postgresql
def test_each_evaluation_is_claimed_by_one(pair, clock):
    """However many servers ask at once."""
    a, b = pair
    jobset = Factory(a, clock).jobset("project")
    with a.store.transaction():
        for number in range(40):
            a.store.evaluations.request(
                jobset.id,
                kind=Kind.API,
                ref=f"refs/heads/{number}",
                revision="",
                options=(),
                requested_by="ada",
                push_id=None,
                now=clock.now(),
            )
    taken, until_ = [], clock.now() + timedelta(minutes=15)

    def take(parts):
        while True:
            with parts.store.transaction():
                found = parts.store.evaluations.claim(clock.now(), until_)
            if found is None:
                break
            taken.append(found[0].id)

    threads = [threading.Thread(target=take, args=(one,)) for one in (a, b, a, b)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert len(taken) == len(set(taken)) == 40


# -- told ------------------------------------------------------------------------------------------


@pytest.fixture
def joined(pair):
    """Both hear each other's bells; gives them with what each heard."""
    heard = {one.store.node: [] for one in pair}
    notices = []
    for one in pair:
        mine = heard[one.store.node]
        one.bells.evaluations.on_ring(lambda mine=mine: mine.append("evaluations"))
        one.bells.logs.on_ring(lambda build, mine=mine: mine.append(f"log {build}"))
        one.bells.stops.on_ring(lambda build, mine=mine: mine.append(f"stop {build}"))
        notices.append(make_notices(one))
        notices[-1].start()
    until(lambda: all(heard.values()), what="both to listen")
    for one in heard.values():
        one.clear()
    yield (*pair, heard)
    for one in notices:
        one.close()


@on_postgresql
def test_a_ring_is_heard_everywhere(joined):
    """Once at each server, and about what it was."""
    a, b, heard = joined
    a.bells.evaluations.ring()
    a.bells.stops.ring(7)
    until(lambda: len(heard["b"]) == 2)
    b.bells.logs.ring(8)
    until(lambda: len(heard["a"]) == 3)
    assert heard == {
        "a": ["evaluations", "stop 7", "log 8"],
        "b": ["evaluations", "stop 7", "log 8"],
    }


@on_postgresql
def test_a_log_is_told_of_ten_times_a_second_at_most(joined):
    """However fast it grows, and also of its end."""
    a, _b, heard = joined
    for _ in range(5_000):
        a.bells.logs.ring(7)
    a.bells.stops.ring(1)
    until(lambda: "stop 1" in heard["b"])
    until(lambda: heard["b"].count("log 7") >= 2)
    assert heard["b"].count("log 7") < 50


@on_postgresql
def test_what_was_rung_unheard_is_looked_at(joined, database_url):
    """After the connection was lost everything is rung once, and then heard again."""
    a, b, heard = joined
    a.store.database.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'ciserver bells'"
    )
    until(lambda: heard["a"] and heard["b"], what="both to listen again")
    for one in heard.values():
        one.clear()
    b.bells.stops.ring(9)
    until(lambda: "stop 9" in heard["a"])


@on_postgresql
def test_much_is_told_in_pieces(joined):
    """More than fits into one notice."""
    a, _b, heard = joined
    for build in range(3_000):
        a.bells.stops.ring(build)
    until(lambda: len(heard["b"]) == 3_000, what="all of them")
    assert heard["b"] == [f"stop {build}" for build in range(3_000)]


def test_a_server_of_its_own_tells_nobody(parts, sqlite_alone):
    """No thread, and no connection."""
    assert make_notices(parts) is None
