"""What statements cost: the intended index, and no more work when the tables grow."""

from datetime import timedelta

import pytest
from support.clock import StillClock
from support.factories import OFFER, Factory, make_event, make_job

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.model.build import Offer
from ciserver.recipe.text import job_to_json
from ciserver.wiring import make_parts

JOBSETS, BUILDS = 1_000, 100_000
NOW = StillClock().now()
SOON = NOW + timedelta(minutes=1)
SINCE = int(NOW.timestamp() * 1e6)


def rows(table, count, **columns):
    """The statement that fills a table; `i` counts its rows from one."""
    return (
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
        f" INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM n"
    )


EMPTY = {
    "enabled": "1",
    "recipe_input": "'source'",
    "recipe_path": "'[]'",
    "share_rank": "0",
    "pgo_strategy": "'periodic'",
}
PUSHED = {"kind": "'push'", "ref": "'refs/heads/main'", "revision": "''", "requested_by": "''"}
UNTOLD = dict.fromkeys(("reason", "detail", "waiting", "canceled_by", "token", "worker"), "''")
UNUSED = dict.fromkeys(("priority", "bumped", "attempt", "lost_attempts"), "0")
MANY = (
    rows("jobsets", JOBSETS, project_id="1", name="'jobset-' || i", evaluations_made="10", **EMPTY),
    rows(
        "lanes",
        JOBSETS,
        jobset_id="i + 1",
        system=f"'{OFFER.systems[0]}'",
        image="'host'",
        trust="'trusted'",
    ),
    rows(
        "evaluations",
        BUILDS // 10,
        jobset_id=f"2 + (i - 1) % {JOBSETS}",
        number=f"1 + (i - 1) / {JOBSETS}",
        status="'succeeded'",
        requested_at=f"{SINCE}",
        tries="1",
        **PUSHED,
        **dict.fromkeys(("options", "complaints", "skipped"), "'[]'"),
        **dict.fromkeys(("subject", "author", "note"), "''"),
        **dict.fromkeys(("builds_total", "builds_finished", "builds_good"), "0"),
    ),
    rows(
        "builds",
        BUILDS,
        evaluation_id="1 + (i - 1) / 10",
        jobset_id=f"2 + (i - 1) / 10 % {JOBSETS}",
        lane_id=f"1 + (i - 1) / 10 % {JOBSETS}",
        job="'job-' || (i % 10)",
        job_sha256="'text'",
        number="i",
        system=f"'{OFFER.systems[0]}'",
        image="'host'",
        trust="'trusted'",
        status="'queued'",
        queued_at=f"{SINCE}",
        **PUSHED,
        **UNTOLD,
        **UNUSED,
    ),
    "INSERT INTO ready SELECT lane_id, 0, count(*) FROM builds GROUP BY lane_id",
    rows(
        "deliveries",
        BUILDS // 5,
        id="'sent-' || i",
        build_id="i",
        attempt="1",
        dedupe_key="'key-' || i",
        action="'email'",
        options="'{}'",
        event=f"'{make_event().to_json()}'",
        status="'sent'",
        tries="1",
        due_at=f"{SINCE}",
        created_at=f"{SINCE}",
        **dict.fromkeys(("target", "detail"), "''"),
    ),
)
LISTS = {
    "builds newest": lambda store: store.builds.list_newest(before=None, limit=50),
    "builds before": lambda store: store.builds.list_newest(before=50_000, limit=50),
    "builds of a jobset": lambda store: store.builds.list_newest(
        before=None, limit=50, jobset_id=500
    ),
    "builds of an evaluation": lambda store: store.builds.list_of_evaluation(77),
    "results": lambda store: store.builds.list_results(500),
    "waiting": lambda store: store.builds.list_waiting(before=None, limit=50),
    "waiting before": lambda store: store.builds.list_waiting(before=90_000, limit=50),
    "running": lambda store: store.builds.list_running(),
    "lost": lambda store: store.queue.list_lost(NOW),
    "left behind": lambda store: store.queue.list_lost(NOW, "local-"),
    "evaluations open": lambda store: store.evaluations.list_open(50),
    "evaluations of a jobset": lambda store: store.evaluations.list_of_jobset(
        500, before=None, limit=50
    ),
    "evaluations latest": lambda store: store.evaluations.list_latest([500, 501]),
    "evaluation claimed": lambda store: store.evaluations.claim(NOW, SOON),
    "evaluation due": lambda store: store.evaluations.next_due(),
    "deliveries newest": lambda store: store.outbox.list_newest(50),
    "delivery claimed": lambda store: store.outbox.claim(NOW, SOON),
    "delivery due": lambda store: store.outbox.next_due(),
    "deliveries pending": lambda store: store.outbox.count_pending(),
}


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A store with 100,000 queued builds in 1,000 jobsets, and a history."""
    parts = make_parts(
        Settings(), DataDirectory(tmp_path_factory.mktemp("full") / "data"), clock=StillClock()
    )
    Factory(parts, StillClock()).jobset("project")
    store = parts.store
    with store.transaction():
        store.queue.add_job_text("text", job_to_json(make_job()))
        for statement in MANY:
            store.database.sql(statement)
    yield store
    store.database.close()


def statements(store, question):
    """The statements that a question runs, with their values."""
    seen, connection = [], store.database.connection()
    connection.set_trace_callback(seen.append)
    try:
        question(store)
    finally:
        connection.set_trace_callback(None)
    return [one for one in seen if one.startswith(("SELECT", "\nSELECT", "UPDATE"))]


def cost(store, question):
    """How many hundreds of SQLite's machine steps it takes."""
    hundreds, connection = [0], store.database.connection()

    def count():
        hundreds[0] += 1

    connection.set_progress_handler(count, 100)
    try:
        question(store)
    finally:
        connection.set_progress_handler(None, 0)
    return hundreds[0]


def plan(store, question):
    return "\n".join(store.database.explain(one) for one in statements(store, question))


@pytest.mark.parametrize("name", LISTS)
def test_lists_cost_what_they_show(full, name):
    """A page costs the same whether the tables are small or large."""
    assert cost(full, LISTS[name]) < 120


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("builds of a jobset", "builds_jobset_id_id"),
        ("builds of an evaluation", "builds_evaluation_id"),
        ("results", "builds_jobset_id_job_system_ref_id"),
        ("waiting", "builds_status_id"),
        ("running", "builds_status_id"),
        ("lost", "builds_leased"),
        ("left behind", "builds_leased"),
        ("evaluations open", "evaluations_open"),
        ("evaluation claimed", "evaluations_open"),
        ("evaluation due", "evaluations_open"),
        ("evaluations of a jobset", "evaluations_jobset_id_number"),
        ("deliveries newest", "deliveries_created_at_id"),
        ("delivery claimed", "deliveries_due"),
        ("delivery due", "deliveries_due"),
    ],
)
def test_indexes(full, name, index):
    """Each question is answered from the index that was made for it, never by looking at all."""
    told = plan(full, LISTS[name])
    assert index in told
    for line in told.splitlines():
        assert not line.startswith("SCAN") or "INDEX" in line, told


def claimed(store, offer=OFFER):
    with store.transaction():
        return store.queue.claim(offer, "token", NOW, SOON)


def test_a_claim_looks_at_lanes(full):
    """With 100,000 builds in 1,000 jobsets a claim takes some steps a lane, not a build."""
    steps = 100 * cost(full, claimed)
    assert steps < 80 * JOBSETS


def test_a_claim_of_nothing_is_cheap(full):
    """A worker whose system nobody needs finds out without looking at builds."""
    steps = 100 * cost(full, lambda store: claimed(store, Offer("w", ("riscv64-linux",))))
    assert steps < 30 * JOBSETS


def test_the_plan_of_a_claim(full):
    """Lanes by `ready`, the first build of each by the index of claimable ones."""
    told = plan(full, claimed)
    assert "USING INDEX builds_bumped" in told
    assert "builds_claimable (lane_id=? AND priority=?)" in told
    assert "SCAN builds" not in told
