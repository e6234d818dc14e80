"""What statements cost: the intended index, and no more work when the tables grow."""

from datetime import timedelta
from functools import partial

import pytest
from support.clock import StillClock
from support.factories import ALL, OFFER, Factory, make_event, make_job

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.model.account import Sight
from ciserver.model.build import Offer
from ciserver.recipe.text import job_to_json
from ciserver.wiring import make_parts

JOBSETS, BUILDS, PROJECTS = 1_000, 100_000, 5_000
BUSY = 900  # a jobset with half of what was ever built
NOW = StillClock().now()
SOON = NOW + timedelta(minutes=1)
SINCE = int(NOW.timestamp() * 1e6)
SYSTEM = f"'{OFFER.systems[0]}'"

# What a column has where a table names nothing else for it.
USUAL = {
    **dict.fromkeys(("mode", "branch"), "'on'"),
    **dict.fromkeys(("visibility",), "'public'"),
    **dict.fromkeys(("options", "complaints", "skipped", "recipe_path", "created"), "'[]'"),
    **dict.fromkeys(("wish", "what"), "'{}'"),
    **dict.fromkeys(("requested_at", "queued_at", "created_at", "updated_at"), f"{SINCE}"),
    "kind": "'push'",
    "ref": "'refs/heads/main'",
    "trust": "'trusted'",
    "pgo_strategy": "'periodic'",
    "image": "'host'",
    "system": SYSTEM,
    "signing_secret": "x''",
}
BUILT = {
    "job": "'job-' || (i % 10)",
    "job_sha256": "'text'",
    "number": "i",
    "revision": "printf('%040x', i * 977)",
    "requested_by": "'user-' || (i % 100)",
}
MANY = {
    "projects": (PROJECTS, {"name": "'other-' || i", "owner": "'user-' || (i % 100)"}),
    "members": (
        PROJECTS,
        {"project_id": "i + 1", "user": "'user-' || (i % 300)", "rights": "'[\"read\"]'"},
    ),
    "jobsets": (
        JOBSETS,
        {
            "project_id": "1",
            "name": "'jobset-' || i",
            "slug": "'jobset-' || i",
            "evaluations_made": f"10 + (i = {BUSY} - 1) * {BUILDS} / 5",
            "evaluations_built": f"10 + (i = {BUSY} - 1) * {BUILDS} / 5",
        },
    ),
    "lanes": (JOBSETS, {"jobset_id": "i + 1"}),
    "evaluations": (
        BUILDS // 10,
        {
            "jobset_id": f"2 + (i - 1) % {JOBSETS}",
            "number": f"1 + (i - 1) / {JOBSETS}",
            "built_number": f"1 + (i - 1) / {JOBSETS}",
            "status": "'succeeded'",
            "revision": "printf('%040x', i * 977)",
        },
    ),
    "grants": (BUILDS // 10, {"evaluation_id": "i", "user": "'user-' || (i % 100)"}),
    "builds": (
        BUILDS,
        {
            **BUILT,
            "evaluation_id": "1 + (i - 1) / 10",
            "jobset_id": f"2 + (i - 1) / 10 % {JOBSETS}",
            "lane_id": f"1 + (i - 1) / 10 % {JOBSETS}",
            "group_id": "i",
            "status": "'queued'",
        },
    ),
    "evaluations, busy": (
        BUILDS // 5,
        {
            "jobset_id": f"{BUSY}",
            "number": "10 + i",
            "built_number": "10 + i",
            "status": "'succeeded'",
            "revision": "printf('%040x', i * 977)",
        },
    ),
    # The past: a build a second, the newest a while ago.
    "builds, ended": (
        BUILDS,
        {
            **BUILT,
            "evaluation_id": "1 + (i - 1) / 10",
            "jobset_id": f"CASE WHEN i % 2 THEN {BUSY} ELSE 2 + (i - 1) % {JOBSETS} END",
            "lane_id": f"{BUSY} - 1",
            "group_id": f"{BUILDS} + i",
            "status": "'succeeded'",
            "attempt": "1",
            "started_at": f"{SINCE} - 3600000000 * 48 + i * 1000000",
            "finished_at": f"{SINCE} - 3600000000 * 48 + i * 1000000 + 5000000",
            "updated_at": f"{SINCE} - 3600000000 * 48 + i * 1000000 + 5000000",
        },
    ),
    "job_requests": (
        BUILDS,
        {
            "action": "'cancel-build'",
            "who": "'user-' || (i % 100)",
            "project_id": f"1 + i % {PROJECTS}",
            "status": "'done'",
        },
    ),
    "deliveries": (
        BUILDS // 5,
        {
            "id": "'sent-' || i",
            "build_id": "i",
            "attempt": "1",
            "dedupe_key": "'key-' || i",
            "action": "'email'",
            "event": f"'{make_event().to_json()}'",
            "status": "'sent'",
            "due_at": f"{SINCE}",
            "options": "'{}'",
        },
    ),
}


def fill(store, name, count, columns):
    """Fill a table; `i` counts its rows from one. What may be null and is not named is."""
    table = name.partition(",")[0]
    told = store.database.sql(f"PRAGMA table_info({table})").fetchall()
    values = {
        column: columns.get(column) or USUAL.get(column) or ("''" if kind == "TEXT" else "0")
        for _, column, kind, not_null, _, key in told
        if column in columns or (not_null and not key)
    }
    store.database.sql(
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
        f" INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM n"
    )


ANYBODY = Sight()
MEMBER = Sight(projects=tuple(range(2, 60)), user="user-7")
SIGHTS = {"administrator": ALL, "anybody": ANYBODY, "member": MEMBER}
# Each shows a page of what somebody may see.
SEEN = {
    "builds newest": lambda store, sight: store.builds.list_newest(sight, before=None, limit=50),
    "builds before": lambda store, sight: store.builds.list_newest(sight, before=50_000, limit=50),
    "builds of a jobset": lambda store, sight: store.builds.list_newest(
        sight, before=None, limit=50, jobset_id=BUSY
    ),
    "results": lambda store, sight: store.builds.list_results(sight, 500),
    "waiting": lambda store, sight: store.builds.list_waiting(sight, before=None, limit=50),
    "waiting before": lambda store, sight: store.builds.list_waiting(
        sight, before=90_000, limit=50
    ),
    "running": lambda store, sight: store.builds.list_running(sight),
    "of a revision": lambda store, sight: store.listings.of_revision(
        sight, BUSY, f"{977 * 4991:040x}"[:38], limit=50
    ),
    "of a day": lambda store, sight: store.listings.of_days(
        sight, BUSY, NOW - timedelta(minutes=1501), NOW - timedelta(minutes=1500), limit=50
    ),
    "of a requester": lambda store, sight: store.listings.of_requester(sight, "user-7", limit=50),
    "of a requester, on": lambda store, sight: store.listings.of_requester(
        sight, "user-7", limit=50, up_to=100_000
    ),
    "by update": lambda store, sight: store.listings.by_update(sight, limit=50),
    "by update in a jobset": lambda store, sight: store.listings.by_update(
        sight, limit=50, jobset_id=BUSY
    ),
    "by end": lambda store, sight: store.listings.by_end(sight, limit=50),
    "by group": lambda store, sight: store.listings.by_group(sight, limit=50),
    "by group in jobsets": lambda store, sight: store.listings.by_group(
        sight, limit=50, jobset_ids=(BUSY, 501)
    ),
    "newest groups": lambda store, sight: store.listings.newest_groups(sight, limit=20),
    "newest groups of jobsets": lambda store, sight: store.listings.newest_groups(
        sight, limit=20, jobset_ids=(BUSY, 501)
    ),
    "newest groups, ended": lambda store, sight: store.listings.newest_groups(
        sight, limit=20, finished=True
    ),
    "newest groups, open": lambda store, sight: store.listings.newest_groups(
        sight, limit=20, finished=False
    ),
    "evaluations open": lambda store, sight: store.evaluations.list_open(sight, 50),
    "evaluations of a jobset": lambda store, sight: store.evaluations.list_of_jobset(
        sight, BUSY, before=None, limit=50
    ),
    "evaluations latest": lambda store, sight: store.evaluations.list_latest(sight, [BUSY, 501]),
    "evaluations page": lambda store, sight: store.evaluations.list_page(
        BUSY, sight, page=1, size=20, built=False
    ),
    "evaluations page, built": lambda store, sight: store.evaluations.list_page(
        BUSY, sight, page=1, size=20, built=True
    ),
    "requests newest": lambda store, sight: store.requests.list_newest(sight, limit=50),
}
LISTS = {
    f"{name}, {who}": partial(ask, sight=sight)
    for name, ask in SEEN.items()
    for who, sight in SIGHTS.items()
} | {
    "builds of an evaluation": lambda store: store.builds.list_of_evaluation(77),
    "of a group": lambda store: store.listings.of_group(77),
    "builds of evaluations": lambda store: store.evaluations.build_ids([77, 78]),
    "open of a jobset": lambda store: store.builds.list_open_of_jobset(BUSY),
    "revisions": lambda store: store.history.revisions(BUSY, "0000", limit=2),
    "lost": lambda store: store.attempts.list_lost(NOW),
    "left behind": lambda store: store.attempts.list_lost(NOW, "local-"),
    "evaluation claimed": lambda store: store.evaluations.claim(NOW, SOON),
    "evaluation due": lambda store: store.evaluations.next_due(),
    "request claimed": lambda store: store.requests.claim(NOW, SOON),
    "request due": lambda store: store.requests.next_due(),
    "requests of an evaluation": lambda store: store.requests.list_waiting_for(77),
    "deliveries newest": lambda store: store.outbox.list_newest(ALL, 50),
    "delivery claimed": lambda store: store.outbox.claim(NOW, SOON),
    "delivery due": lambda store: store.outbox.next_due(),
    "deliveries pending": lambda store: store.outbox.count_pending(),
    "rights": lambda store: store.members.rights(500, "user-7"),
    "projects of a user": lambda store: store.members.projects_of("user-7"),
    "members": lambda store: store.members.list_of_project(500),
    "shared": lambda store: store.members.may_write_shared(500, "user-7"),
    "project of a jobset": lambda store: store.projects.find_of_jobset(500),
    "jobset": lambda store: store.projects.get_jobset(500),
    "branch": lambda store: store.projects.find_branch("main"),
    "credential": lambda store: store.projects.credential(500, "https://example.org/x"),
}


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A store with 100,000 queued builds in 1,000 jobsets, and as many that have ended."""
    parts = make_parts(
        Settings(), DataDirectory(tmp_path_factory.mktemp("full") / "data"), clock=StillClock()
    )
    Factory(parts, StillClock()).jobset("project")
    store = parts.store
    with store.transaction():
        store.database.sql(
            "INSERT INTO texts (sha256, text) VALUES ('text', ?)", (job_to_json(make_job()),)
        )
        for name, (count, columns) in MANY.items():
            fill(store, name, count, columns)
        store.database.sql(
            "INSERT INTO ready SELECT lane_id, 0, count(*) FROM builds"
            " WHERE status = 'queued' GROUP BY lane_id"
        )
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


INDEXES = {
    "builds of a jobset": "builds_jobset_id_id",
    "results": "builds_jobset_id_job_system_ref_id",
    "waiting": "builds_status_id",
    "running": "builds_status_id",
    "of a revision": "builds_jobset_id_revision",
    "of a day": "builds_jobset_id_started_at",
    "of a requester": "builds_requested_by_id",
    "by update": "builds_updated_at_id",
    "by update in a jobset": "builds_jobset_id_updated_at_id",
    "by end": "builds_finished",
    "by group": "builds_group_id",
    "by group in jobsets": "builds_jobset_id_group_id_system",
    "newest groups": "builds_group_id",
    "newest groups of jobsets": "builds_jobset_id_group_id_system",
    "newest groups, ended": "builds_group_id",
    "newest groups, open": "builds_unfinished_groups",
    "evaluations open": "evaluations_open",
    "evaluations of a jobset": "evaluations_jobset_id_number",
    "evaluations page": "evaluations_jobset_id_number",
    "evaluations page, built": "evaluations_jobset_id_built_number",
}
ASKED = {f"{name}, {who}": index for name, index in INDEXES.items() for who in SIGHTS} | {
    "builds of an evaluation": "builds_evaluation_id",
    "of a group": "builds_group_id",
    "open of a jobset": "builds_unfinished",
    "revisions": "evaluations_of_revision",
    "lost": "builds_leased",
    "left behind": "builds_leased",
    "evaluation claimed": "evaluations_open",
    "evaluation due": "evaluations_open",
    "request claimed": "job_requests_pending",
    "request due": "job_requests_pending",
    "requests of an evaluation": "job_requests_pending",
    "deliveries newest": "deliveries_created_at_id",
    "delivery claimed": "deliveries_due",
    "delivery due": "deliveries_due",
    "projects of a user": "projects_owner",
}


@pytest.mark.parametrize(("name", "index"), ASKED.items())
def test_indexes(full, name, index):
    """Each question is answered from the index that was made for it, never by looking at all."""
    told = plan(full, LISTS[name])
    assert index in told
    for line in told.splitlines():
        assert not line.startswith("SCAN") or "INDEX" in line, told


ORDERED = ("by update", "by update in a jobset", "by end", "of a requester", "requests newest")


@pytest.mark.parametrize("name", [f"{name}, {who}" for name in ORDERED for who in SIGHTS])
def test_order(full, name):
    """A page is read in the order of its index; nothing is sorted first."""
    assert "TEMP B-TREE" not in plan(full, LISTS[name])


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
