"""What statements cost: the intended index, and no more work when the tables grow."""

import json
import re
import secrets
import sqlite3
from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest
from support.clock import StillClock
from support.factories import ALL, OFFER, Factory, make_event, make_job
from support.postgresql import drop_database, make_database
from support.statements import asked, recorded

from ciserver.config import Database, Settings
from ciserver.datadir import DataDirectory
from ciserver.model.account import Sight
from ciserver.model.build import Offer
from ciserver.model.job import Address, Place
from ciserver.model.label_search import EVERYTHING, LabelSearch, Term
from ciserver.model.push import Received
from ciserver.model.secret import Holder
from ciserver.model.status import BuildStatus
from ciserver.recipe.text import job_to_json
from ciserver.store.repeats import Earlier
from ciserver.wiring import make_parts

# Filling the databases is part of the first test that asks, on however slow a machine.
pytestmark = pytest.mark.timeout(600)

JOBSETS, BUILDS, PROJECTS = 1_000, 100_000, 5_000
BUSY = 900  # a jobset with half of what was ever built
REUSED = BUILDS + 1  # a build that stands for a job of each of its evaluations
NOW = StillClock().now()
SOON = NOW + timedelta(minutes=1)
RECEIVED = Received("project-500", "generic", "msg-500", "0" * 64, NOW)
SINCE = int(NOW.timestamp() * 1e6)
SYSTEM = f"'{OFFER.systems[0]}'"
DERIVATION = "/nix/store/{:032d}-x.drv"

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
SECRET = {"type": "'ssh_key'", "sealed": "x''", "mode": "384"}
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
            "evaluations_made": f"10 + CASE WHEN i = {BUSY} - 1 THEN {BUILDS} / 5 ELSE 0 END",
            "evaluations_built": f"10 + CASE WHEN i = {BUSY} - 1 THEN {BUILDS} / 5 ELSE 0 END",
        },
    ),
    "project_renames": (PROJECTS, {"name": "'old-' || i", "project_id": "i + 1"}),
    "jobset_renames": (
        JOBSETS,
        {"project_id": "1", "name": "'old-' || i", "jobset_id": "i + 1"},
    ),
    "caches": (
        BUILDS // 10,
        {
            "project_id": f"1 + i % {PROJECTS}",
            "trust": "'trusted'",
            "key": "'key-' || i",
            "file": "'file-' || i",
        },
    ),
    "secrets": (
        BUILDS // 10,
        {"uuid": "'p-' || i", "project_id": f"1 + i % {PROJECTS}", "name": "'s-' || i", **SECRET},
    ),
    "secrets, of users": (
        BUILDS // 10,
        {"uuid": "'u-' || i", "user": "'user-' || (i % 5000)", "name": "'s-' || i", **SECRET},
    ),
    "lanes": (JOBSETS, {"jobset_id": "i + 1"}),
    "texts": (BUILDS // 10, {"sha256": "'text-' || i"}),
    "job_counters": (
        JOBSETS * 10,
        {"jobset_id": "2 + (i - 1) / 10", "job": "'job-' || ((i - 1) % 10)"},
    ),
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
            "requested_at": f"{SINCE} - ({BUILDS} / 5 - i) * 60000000",
        },
    ),
    # The past: a build a second, the newest a while ago.
    "builds, ended": (
        BUILDS,
        {
            **BUILT,
            "evaluation_id": "1 + (i - 1) / 10",
            "jobset_id": f"CASE WHEN i % 2 = 1 THEN {BUSY} ELSE 2 + (i - 1) % {JOBSETS} END",
            "lane_id": f"{BUSY} - 1",
            "group_id": f"{BUILDS} + i",
            "status": "'succeeded'",
            "attempt": "1",
            "started_at": f"{SINCE} - 3600000000 * 48 + i * 1000000",
            "finished_at": f"{SINCE} - 3600000000 * 48 + i * 1000000 + 5000000",
            "updated_at": f"{SINCE} - 3600000000 * 48 + i * 1000000 + 5000000",
        },
    ),
    "uploads": (BUILDS // 10, {"name": "printf('%032x', i)", "evaluation_id": "i"}),
    "source_settings": (JOBSETS, {"jobset_id": "i + 1", "settings": "'{}'", "chosen": "1"}),
    "source_systems": (
        JOBSETS,
        {"jobset_id": "i + 1", "system": SYSTEM, "packages": "'[]'"},
    ),
    "reuses": (
        BUILDS // 5,
        {"evaluation_id": f"{BUILDS} / 10 + i", "build_id": f"{REUSED}"},
    ),
    "build_outputs": (
        BUILDS // 5,
        {"build_id": "i", "attempt": "1", "drv_path": "printf('/nix/store/%032d-x.drv', i)"},
    ),
    "labels": (BUILDS // 5, {"build_id": "i", "note": "'note ' || i", "tags": '\'["a", "b"]\''}),
    "tag_paths": (PROJECTS, {"owner": "'user-' || (i % 100)", "path": "'path-' || i"}),
    "tagged_builds": (BUILDS, {"path_id": "1 + i % 2", "build_id": "i"}),
    "job_groups": (BUILDS // 10, {"owner": "'user-' || (i % 100)", "triggers": "'[]'"}),
    # Ten builds a group: all of them queued, or all of them ended.
    "job_group_members": (BUILDS // 2, {"build_id": "i", "group_id": "1 + (i - 1) / 10"}),
    "job_group_members, ended": (
        BUILDS // 2,
        {"build_id": f"{BUILDS} + i", "group_id": f"1 + {BUILDS} / 20 + (i - 1) / 10"},
    ),
    "attempts": (
        BUILDS,
        {"build_id": f"{BUILDS} + i", "number": "1", "logs_look_at": f"{SINCE} - i + 60000000"},
    ),
    "storage": (PROJECTS, {"project_id": "i"}),
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


READING = ("SELECT", "WITH", "UPDATE")  # statements that look for rows
# What PostgreSQL calls otherwise.
OTHERWISE = (
    (r"printf\('%0(\d+)x', ([^)]*)\)", r"lpad(to_hex(\2), \1, '0')"),
    (r"printf\('([^%']*)%0(\d+)d([^']*)', i\)", r"'\1' || lpad(i::text, \2, '0') || '\3'"),
    ("x''", "''::bytea"),
)
COLUMNS = """
SELECT 0, c.column_name, upper(c.data_type), c.is_nullable = 'NO', 0, EXISTS (
    SELECT 1 FROM information_schema.key_column_usage k
    WHERE k.table_name = c.table_name AND k.column_name = c.column_name
        AND k.constraint_name = c.table_name || '_pkey')
FROM information_schema.columns c WHERE c.table_name = '{table}'"""


def fill(store, name, count, columns):
    """Fill a table; `i` counts its rows from one. What may be null and is not named is."""
    table, is_sqlite = name.partition(",")[0], not store.database.locks_rows
    ask = "PRAGMA table_info({table})" if is_sqlite else COLUMNS
    told = store.database.sql(ask.format(table=table)).fetchall()
    values = {
        column: columns.get(column) or USUAL.get(column) or ("''" if kind == "TEXT" else "0")
        for _, column, kind, not_null, _, key in told
        if column in columns or (not_null and not key)
    }
    names = '", "'.join(values)
    statement = (
        f"WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT)"
        f" UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
        f' INSERT INTO {table} ("{names}")'
        f" SELECT {', '.join(values.values())} FROM n"
    )
    for usual, otherwise in () if is_sqlite else OTHERWISE:
        statement = re.sub(usual, otherwise, statement)
    store.database.sql(statement)


def evaluation_of(store, evaluation_id=BUILDS // 10 + BUILDS // 10):
    """One of the busy jobset, with many before and after it, unless another is named."""
    return store.evaluations.get(evaluation_id)


def build_of(store):
    """One that every evaluation of the busy jobset found there."""
    return store.builds.get(REUSED)


ANYBODY = Sight()
MEMBER = Sight(projects=tuple(range(2, 60)), user="user-7")
SIGHTS = {"administrator": ALL, "anybody": ANYBODY, "member": MEMBER}


def filtered(store, sight, statuses=None, **rest):
    return store.filtered.by_update(sight, limit=50, offset=0, statuses=statuses, **rest)


def labelled(store, sight, wanted=EVERYTHING, *, owner="user-7", path="", before=None):
    return store.label_lists.list_builds(sight, owner, path, wanted, before=before, limit=15)


# Each shows a page of what somebody may see.
SEEN = {
    "builds newest": lambda store, sight: store.builds.list_newest(sight, before=None, limit=50),
    "builds before": lambda store, sight: store.builds.list_newest(sight, before=50_000, limit=50),
    "builds of a jobset": lambda store, sight: store.builds.list_newest(
        sight, before=None, limit=50, jobset_id=BUSY
    ),
    "results": lambda store, sight: store.jobs.list_results(sight, BUSY),
    "good of all": lambda store, sight: store.jobs.newest_good(sight, Place()),
    "good of a system": lambda store, sight: store.jobs.newest_good(
        sight, Place(), system=OFFER.systems[0]
    ),
    "good of an unknown system": lambda store, sight: store.jobs.newest_good(
        sight, Place(), system="none"
    ),
    "good and done of all": lambda store, sight: store.jobs.newest_good(
        sight, Place(), finished=True
    ),
    "good of a jobset": lambda store, sight: store.jobs.newest_good(sight, Place(1, BUSY)),
    "good and done of a jobset": lambda store, sight: store.jobs.newest_good(
        sight, Place(1, BUSY), finished=True
    ),
    "good of a job": lambda store, sight: store.jobs.newest_good(sight, Place(1, BUSY, "job-1")),
    "good of an unknown job": lambda store, sight: store.jobs.newest_good(
        sight, Place(1, BUSY, "none")
    ),
    "good of a job by system": lambda store, sight: store.jobs.newest_good_by_system(
        sight, BUSY, "job-1"
    ),
    "good builds of a job": lambda store, sight: store.jobs.good_builds(
        sight, BUSY, "job-1", limit=50
    ),
    "newest of a job": lambda store, sight: store.jobs.newest_by_system(sight, BUSY, "job-1"),
    "ended of a job": lambda store, sight: store.jobs.newest_ended(sight, BUSY, "job-1"),
    "all of all": lambda store, sight: store.jobs.list_builds(
        sight, Place(), before=100_000, limit=20
    ),
    "all of a jobset": lambda store, sight: store.jobs.list_builds(
        sight, Place(1, BUSY), before=150_000, limit=20
    ),
    "all of a job": lambda store, sight: store.jobs.list_builds(
        sight, Place(1, BUSY, "job-1"), before=150_000, limit=20
    ),
    "done of a jobset": lambda store, sight: store.jobs.newest_evaluation(sight, 500),
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
    "of a revision, unfinished": lambda store, sight: store.listings.of_revision(
        sight, BUSY, f"{977 * 4991:040x}"[:38], limit=50, unfinished=True
    ),
    "ended": lambda store, sight: store.listings.ended(
        sight, NOW - timedelta(hours=30), NOW, after=None, limit=50
    ),
    "ended, on": lambda store, sight: store.listings.ended(
        sight,
        NOW - timedelta(hours=47),
        NOW,
        after=(NOW - timedelta(hours=30), 150_000),
        limit=50,
    ),
    "waiting of a jobset": lambda store, sight: store.listings.waiting(sight, 500, limit=50),
    "waits": lambda store, sight: store.timings.waits(
        sight, BUSY, NOW - timedelta(minutes=1501), NOW - timedelta(minutes=1500), limit=50
    ),
    "pushes": lambda store, sight: store.timings.pushes(sight, BUSY, limit=30),
    "of a requester": lambda store, sight: store.listings.of_requester(sight, "user-7", limit=50),
    "of a requester, on": lambda store, sight: store.listings.of_requester(
        sight, "user-7", limit=50, up_to=100_000
    ),
    "asked for": labelled,
    "asked for, on": lambda store, sight: labelled(store, sight, before=50_000),
    "asked for by nobody": lambda store, sight: labelled(store, sight, owner="none"),
    "beneath tags": lambda store, sight: labelled(store, sight, path="path-1", owner="user-1"),
    "beneath tags, on": lambda store, sight: labelled(
        store, sight, path="path-1", owner="user-1", before=50_000
    ),
    "beneath no tags": lambda store, sight: labelled(store, sight, path="none"),
    "by update": lambda store, sight: store.listings.by_update(sight, limit=50),
    "by update in a jobset": lambda store, sight: store.listings.by_update(
        sight, limit=50, jobset_id=BUSY
    ),
    "by update, queued": lambda store, sight: filtered(store, sight, [BuildStatus.QUEUED]),
    "by update, ended": lambda store, sight: filtered(
        store, sight, [BuildStatus.SUCCEEDED, BuildStatus.FAILED]
    ),
    "by update in jobsets": lambda store, sight: filtered(store, sight, jobset_ids=(BUSY, 501)),
    "by update of a number": lambda store, sight: filtered(store, sight, build_id=77),
    "by update in a jobset, ended": lambda store, sight: filtered(
        store, sight, [BuildStatus.SUCCEEDED], jobset_ids=(BUSY,)
    ),
    "count": lambda store, sight: store.listings.count(sight, most=50),
    "count in a jobset": lambda store, sight: store.listings.count(sight, most=50, jobset_id=BUSY),
    "by end": lambda store, sight: store.ended.list_builds(sight, limit=50),
    "by end in a project": lambda store, sight: store.ended.list_builds(
        sight, Address("project"), limit=50
    ),
    "by end in a jobset": lambda store, sight: store.ended.list_builds(
        sight, Address("project", f"jobset-{BUSY - 1}"), limit=50
    ),
    "by end of a job": lambda store, sight: store.ended.list_builds(
        sight, Address("project", f"jobset-{BUSY - 1}", "job-1"), limit=20
    ),
    "by end nowhere": lambda store, sight: store.ended.list_builds(
        sight, Address("project", "none", "none"), limit=50
    ),
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
    "evaluations page": lambda store, sight: store.evaluation_lists.list_page(
        BUSY, sight, page=1, size=20, built=False
    ),
    "evaluations page, built": lambda store, sight: store.evaluation_lists.list_page(
        BUSY, sight, page=1, size=20, built=True
    ),
    "requests newest": lambda store, sight: store.requests.list_newest(sight, limit=50),
    "unfinished": lambda store, sight: store.overviews.list_unfinished(sight, limit=50),
    "heard of jobsets": lambda store, sight: store.overviews.heard(sight, [BUSY, 501]),
    "counts of jobsets": lambda store, sight: store.overviews.current(sight, [BUSY, 501]),
    "of a number": lambda store, sight: store.search.build(sight, 77),
    "of a derivation": lambda store, sight: store.search.of_derivation(
        sight, DERIVATION.format(77), limit=10
    ),
    "of a derivation's name": lambda store, sight: store.search.of_derivation(
        sight, DERIVATION.format(77).rpartition("/")[2], limit=10
    ),
    "of no derivation": lambda store, sight: store.search.of_derivation(sight, "none", limit=10),
    "jobsets of a repository": lambda store, sight: store.repositories.jobsets_of(sight, "none"),
    "evaluations built": lambda store, sight: store.evaluation_lists.newest_built(sight, limit=20),
    "evaluations built before": lambda store, sight: store.evaluation_lists.newest_built(
        sight, limit=20, before=9_000
    ),
    "evaluations previous": lambda store, sight: store.evaluation_lists.previous(
        sight, (evaluation_of(store), evaluation_of(store, 7))
    ),
    "evaluation before": lambda store, sight: store.evaluation_lists.newest_before(
        sight, evaluation_of(store), NOW
    ),
    "evaluation near": lambda store, sight: store.evaluation_lists.newest_near(
        sight, evaluation_of(store)
    ),
    "evaluation ended": lambda store, sight: store.evaluation_lists.newest_ended(sight, BUSY),
    "evaluations of a build": lambda store, sight: store.evaluation_lists.of_build(
        sight, build_of(store), limit=20
    ),
    "evaluations that have a build": lambda store, sight: store.build_history.evaluations_of(
        sight, build_of(store), limit=100
    ),
    "before a build": lambda store, sight: store.build_history.list_before(
        sight, store.builds.get(150_001), limit=20
    ),
    "evaluation ended of a build": lambda store, sight: (
        store.evaluation_lists.newest_ended_of_build(sight, build_of(store))
    ),
}
LISTS = {
    f"{name}, {who}": partial(ask, sight=sight)
    for name, ask in SEEN.items()
    for who, sight in SIGHTS.items()
} | {
    "builds of an evaluation": lambda store: store.builds.list_of_evaluation(77),
    "told of a push": lambda store: store.pushes.told([77, 78], most_builds=10),
    "push that came before": lambda store: store.pushes.find(500, RECEIVED, since=NOW),
    "labels of builds": lambda store: store.labels.of(range(1, 100)),
    "of a group": lambda store: store.listings.of_group(77),
    "members of a job group": lambda store: store.job_groups.members(77),
    "builds in job groups": lambda store: store.job_groups.grouped(range(1, 100)),
    "end of a build of no job group": lambda store: store.job_groups.end_with([90_000], NOW),
    "end of a build in a job group": lambda store: store.job_groups.end_with([77], NOW),
    "end of a job group": lambda store: store.job_groups.end_with([BUILDS + 77], NOW),
    "what needs builds": lambda store: store.gates.all_dependents(range(1, 100)),
    "builds with their jobs": lambda store: store.builds.with_jobs([77, 78]),
    "first end": lambda store: store.listings.first_end(),
    "leases": lambda store: store.listings.leases(range(1, 50)),
    "builds of evaluations": lambda store: store.evaluation_lists.build_ids([77, 78]),
    "open of a jobset": lambda store: store.builds.list_open_of_jobset(BUSY),
    "revisions": lambda store: store.history.revisions(BUSY, "0000", limit=2),
    "newest push": lambda store: store.history.newest_push(BUSY),
    "lost": lambda store: store.attempts.list_lost(NOW),
    "left behind": lambda store: store.attempts.list_lost(NOW, "local"),
    "renew all": lambda store: store.attempts.renew_all(NOW),
    "holder of a token": lambda store: store.workers.holder_of("token"),
    "leased": lambda store: store.workers.leased({(1, 1)}),
    "worker": lambda store: store.workers.find("hash"),
    "evaluation claimed": lambda store: store.evaluations.claim(NOW, SOON),
    "evaluation due": lambda store: store.evaluations.next_due(),
    "evaluation again": lambda store: store.repeats.newest(BUSY, "0" * 64),
    "nodes that claimed": lambda store: store.claims.nodes(),
    "evaluation held": lambda store: store.claims.holds_evaluation(77),
    "evaluations released": lambda store: store.claims.release_evaluations(alive=["a"]),
    "deliveries released": lambda store: store.claims.release_deliveries(alive=["a"]),
    "nodes alive": lambda store: store.nodes.list_alive(NOW),
    "states of workers": lambda store: store.workers.states(NOW),
    "key of all nodes": lambda store: store.keys.find("mirrors"),
    "request oldest": lambda store: store.requests.oldest(),
    "results of an evaluation": lambda store: store.evaluation_lists.results(77),
    "all builds of an evaluation": lambda store: store.evaluation_lists.list_builds(77),
    "builds of a job": lambda store: store.evaluation_lists.builds_of_job(77, "job-3"),
    "open of an evaluation": lambda store: store.evaluation_lists.open_builds(77),
    "outputs of an evaluation": lambda store: store.evaluation_lists.outputs(77),
    "products of an evaluation": lambda store: store.evaluation_lists.products(77),
    "metrics of an evaluation": lambda store: store.evaluation_lists.metrics(77),
    "paths of an evaluation": lambda store: store.evaluation_lists.output_paths(77, "nix-build"),
    "requests of an evaluation": lambda store: store.requests.list_waiting_for(77),
    "deliveries newest": lambda store: store.outbox.list_newest(ALL, 50),
    "delivery claimed": lambda store: store.outbox.claim(NOW, SOON),
    "delivery due": lambda store: store.outbox.next_due(),
    "deliveries pending": lambda store: store.outbox.count_pending(),
    "rights": lambda store: store.members.rights(500, "user-7"),
    "projects of a user": lambda store: store.members.projects_of("user-7"),
    "members": lambda store: store.members.list_of_project(500),
    "caches of removed projects": lambda store: store.caches.drop_removed(500),
    "secrets of a user": lambda store: store.secrets.list_of(Holder(user="user-7")),
    "secrets of a project": lambda store: store.secrets.list_of(Holder(project_id=500)),
    "secret of a project": lambda store: store.secrets.find(Holder(project_id=500), "p-499"),
    "secrets of a build": lambda store: store.secrets.open(Holder(project_id=500), ("a", "b")),
    "number of secrets": lambda store: store.secrets.count(Holder(user="user-7")),
    "shared": lambda store: store.members.may_write_shared(500, "user-7"),
    "project of a jobset": lambda store: store.projects.find_of_jobset(500),
    "jobset": lambda store: store.jobsets.get(500),
    "renamed project": lambda store: store.renames.find_project("old-500"),
    "renamed jobset": lambda store: store.renames.find_jobset(1, "old-500"),
    "branch": lambda store: store.jobsets.get_by_branch("main"),
    "status before": lambda store: store.builds.previous_status(
        store.builds.get(150_001), before=150_001, saying=[BuildStatus.SUCCEEDED]
    ),
    "status before, reused": lambda store: store.builds.previous_status(
        store.builds.get(150_001), before=1, saying=[BuildStatus.FAILED]
    ),
    "faults before": lambda store: store.history.faults_before(evaluation_of(store)),
    "deliveries of projects": lambda store: store.outbox.list_newest(Sight(projects=(1,)), 50),
    "logs to look at": lambda store: store.log_keeping.list_due(NOW, 100),
    "logs of a build": lambda store: store.log_keeping.look_at(BUILDS + 77, NOW),
    "logs removed": lambda store: store.log_keeping.removed_at(BUILDS + 77, 1),
    "kept of a project": lambda store: store.storage.of_project(500),
    "products to look at": lambda store: store.keeping.list_due(NOW, 100),
    "products of a build": lambda store: store.keeping.candidate(77, "poll"),
    "products that stand": lambda store: store.keeping.has_standing(77),
    "what a build has": lambda store: store.builds.belongings(77),
    "whether a build was reused": lambda store: store.build_history.was_reused(REUSED),
    "evaluated": lambda store: store.keeping.is_evaluated(BUSY),
    "of a kept evaluation": lambda store: store.keeping.is_of_kept_evaluation(build_of(store), 3),
    "newest success": lambda store: store.keeping.is_newest_success(store.builds.get(150_001)),
    "uploads": lambda store: store.uploads.list_after(f"{500:032x}", 100),
    "uploads known": lambda store: store.uploads.known([f"{500:032x}"]),
    "source settings": lambda store: store.source_projects.settings([BUSY, 501]),
    "source systems": lambda store: store.source_projects.systems(BUSY),
    "files left": lambda store: store.keeping.list_left(100),
    "content standing": lambda store: store.keeping.is_standing("0" * 64),
    "credential": lambda store: store.jobsets.credential(500, "https://example.org/x"),
}


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A store with 100,000 queued builds in 1,000 jobsets, and as many that have ended."""
    yield from make_full(tmp_path_factory, "")


@pytest.fixture(scope="module")
def full_postgresql(tmp_path_factory):
    """The same on PostgreSQL, which has counted what its tables hold."""
    url = make_database()
    for store in make_full(tmp_path_factory, url):
        store.database.sql("VACUUM ANALYZE")
        yield store
    drop_database(url)


def make_full(tmp_path_factory, url):
    parts = make_parts(
        Settings(database=Database(url)),
        DataDirectory(tmp_path_factory.mktemp("full") / "data"),
        clock=StillClock(),
    )
    Factory(parts, StillClock()).jobset("project")
    store = parts.store
    with store.transaction():
        if url and ("on",) in store.database.sql("SHOW is_superuser").fetchall():
            # A million keys that fit need not be looked up.
            store.database.sql("SET LOCAL session_replication_role = replica")
        store.database.sql(
            "INSERT INTO texts (sha256, text) VALUES ('text', ?)", (job_to_json(make_job()),)
        )
        for name, (count, columns) in MANY.items():
            fill(store, name, count, columns)
        store.database.sql(
            "INSERT INTO ready (lane_id, priority, builds, share_rank, head)"
            " SELECT lane_id, 0, count(*), 0, min(id) FROM builds"
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
    return [one for one in seen if one.lstrip().startswith(READING)]


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
    "results": "builds_jobset_id_job_system_id",
    "good of all": "builds_status_id",
    "good of a system": "builds_good_of_system",
    "good of an unknown system": "builds_good_of_system",
    "good and done of all": "reuses_build_id",
    "good of a jobset": "builds_good_of_jobset",
    "good and done of a jobset": "builds_good_of_jobset",
    "good of a job": "builds_good_of_job ",
    "good of an unknown job": "builds_good_of_job ",
    "good of a job by system": "builds_good_of_job ",
    "good builds of a job": "builds_good_of_job ",
    "newest of a job": "builds_jobset_id_job_system_id",
    "ended of a job": "builds_jobset_id_job_system_id",
    "all of a jobset": "builds_jobset_id_id",
    "all of a job": "builds_jobset_id_job_system_id",
    "done of a jobset": "evaluations_jobset_id_number",
    "waiting": "builds_status_id",
    "running": "builds_status_",
    "of a revision": "builds_jobset_id_revision",
    "of a day": "builds_jobset_id_started_at",
    "of a revision, unfinished": "builds_jobset_id_revision",
    "ended": "builds_finished",
    "ended, on": "builds_finished",
    "waiting of a jobset": "builds_unfinished",
    "waits": "builds_jobset_id_started_at",
    "pushes": "evaluations_ended",
    "of a requester": "builds_requested_by_id",
    "asked for": "builds_requested_by_id",
    "asked for, on": "builds_requested_by_id",
    "asked for by nobody": "builds_requested_by_id",
    "beneath tags": "sqlite_autoindex_tagged_builds_1",
    "beneath tags, on": "sqlite_autoindex_tagged_builds_1",
    "beneath no tags": "sqlite_autoindex_tagged_builds_1",
    "by update": "builds_updated_at_id",
    "by update in a jobset": "builds_jobset_id_updated_at_id",
    "by end": "builds_finished ",
    "by end in a project": "builds_finished ",
    "by end in a jobset": "builds_finished_of_jobset",
    "by end of a job": "builds_finished_of_jobset",
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
    "unfinished": "builds_in_order",
    "heard of jobsets": "evaluations_jobset_id_number",
    "counts of jobsets": "evaluations_jobset_id_number",
    "of a derivation": "build_outputs_drv_path",
    "of a derivation's name": "build_outputs_drv_path",
    "of no derivation": "build_outputs_drv_path",
    "jobsets of a repository": "inputs_repository_key",
    "evaluations built": "evaluations_built",
    "evaluations built before": "evaluations_built",
    "evaluations previous": "evaluations_built_of_ref",
    "evaluation before": "evaluations_built_of_ref",
    "evaluation near": "evaluations_jobset_id_number",
    "evaluation ended": "evaluations_ended",
    "evaluations of a build": "reuses_build_id_evaluation_id",
    "evaluation ended of a build": "reuses_build_id_evaluation_id",
    "evaluations that have a build": "reuses_build_id_evaluation_id",
    "before a build": "builds_jobset_id_job_system_ref_id",
}
ASKED = {f"{name}, {who}": index for name, index in INDEXES.items() for who in SIGHTS} | {
    "builds of an evaluation": "builds_evaluation_id",
    "told of a push": "builds_evaluation_id",
    "push that came before": "pushes_project_id_body_sha256",
    "labels of builds": "PRIMARY KEY",
    "results of an evaluation": "builds_evaluation_id",
    "all builds of an evaluation": "builds_evaluation_id",
    "builds of a job": "builds_evaluation_id",
    "open of an evaluation": "builds_evaluation_id",
    "outputs of an evaluation": "builds_evaluation_id",
    "products of an evaluation": "builds_evaluation_id",
    "metrics of an evaluation": "builds_evaluation_id",
    "paths of an evaluation": "builds_evaluation_id",
    "of a group": "builds_group_id",
    "what needs builds": "needs_needed_id",
    "builds with their jobs": "PRIMARY KEY",
    "first end": "builds_finished",
    "open of a jobset": "builds_unfinished",
    "revisions": "evaluations_of_revision",
    "lost": "builds_leased",
    "left behind": "builds_leased",
    "renew all": "builds_leased",
    "holder of a token": "builds_held",
    "leased": "builds_leased",
    "worker": "workers_hash",
    "evaluation claimed": "evaluations_open",
    "evaluation due": "evaluations_open",
    "evaluation again": "evaluations_repeatable",
    "request oldest": "job_requests_pending",
    "requests of an evaluation": "job_requests_pending",
    "deliveries newest": "deliveries_created_at_id",
    "delivery claimed": "deliveries_due",
    "delivery due": "deliveries_due",
    "renamed project": "sqlite_autoindex_project_renames",
    "renamed jobset": "sqlite_autoindex_jobset_renames",
    "projects of a user": "projects_owner",
    "caches of removed projects": "projects_removed",
    "secrets of a user": "secrets_user_project_id",
    "secrets of a project": "secrets_user_project_id",
    "secrets of a build": "secrets_",
}


@pytest.mark.parametrize(("name", "index"), ASKED.items())
def test_indexes(full, name, index):
    """Each question is answered from the index that was made for it, never by looking at all."""
    told = plan(full, LISTS[name])
    assert index in told
    small = [f"SCAN {one.split()[1]}" for one in told.splitlines() if one.startswith("MATERIALIZE")]
    for line in told.splitlines():
        assert not line.startswith("SCAN") or "INDEX" in line or line in small, told


ORDERED = (
    "by update",
    "by update in a jobset",
    "by end",
    "of a requester",
    "asked for",
    "beneath tags",
    "requests newest",
    "evaluation ended",
    "unfinished",
    "ended",
    "ended, on",
    "waiting of a jobset",
    "waits",
    "pushes",
)


@pytest.mark.parametrize("name", [f"{name}, {who}" for name in ORDERED for who in SIGHTS])
def test_order(full, name):
    """A page is read in the order of its index; nothing is sorted first."""
    assert "TEMP B-TREE" not in plan(full, LISTS[name])


HARD = {
    "all": LabelSearch(
        note=(Term("none"),),
        image=(Term("host"),),
        tags=(Term("b"),),
        statuses=frozenset({BuildStatus.SUCCEEDED, BuildStatus.QUEUED}),
    ),
    "status": LabelSearch(statuses=frozenset({BuildStatus.SUCCEEDED})),
    "note": LabelSearch(note=(Term("note", negated=True), Term("none"))),
}


@pytest.mark.parametrize("who", SIGHTS)
@pytest.mark.parametrize("wanted", HARD.values(), ids=HARD)
@pytest.mark.parametrize(
    "place",
    [
        {"owner": "none"},
        {"before": 30_000},
        {"owner": "user-1", "path": "path-1"},
        {"owner": "user-1", "path": "path-1", "before": 30_000},
    ],
    ids=["none", "older", "tagged", "tagged, older"],
)
def test_a_search_that_finds_nothing_costs_one_stretch(full, place, wanted, who):
    """However much somebody asked for: here a thousand builds with a note of fifty thousand."""
    question = partial(labelled, sight=SIGHTS[who], wanted=wanted, **place)
    assert question(full).builds == ()
    assert cost(full, question) < 400
    assert "SCAN" not in plan(full, question)


ORDERED_FIRST = ("evaluations built", "evaluations built before", "evaluations page, built")


@pytest.mark.parametrize("name", [f"{name}, {who}" for name in ORDERED_FIRST for who in SIGHTS])
def test_order_of_evaluations(full, name):
    """So is one of evaluations; the few inputs of each are sorted then."""
    first, *_ = statements(full, LISTS[name])
    assert "TEMP B-TREE" not in full.database.explain(first)


def test_more_reuses_than_a_statement_takes_values(full):
    """An evaluation may point at as many builds as a recipe may make jobs, also where SQLite was
    built with its own limit, which distributions raise.
    """
    many, connection = range(1, BUILDS + 1), full.database.connection()
    usual = connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32_766)
    with full.transaction():
        full.evaluations.add_reuses(7, many)
    connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, usual)
    assert full.evaluations.reused_ids(7) == tuple(many)


def test_builds_that_stand_again_are_looked_for_by_their_content(full):
    """Those of an evaluation, and a newer one of each by its key; none of these has one."""
    with asked(full) as seen, full.transaction():
        assert not full.repeats.reuse(evaluation_of(full), Earlier(77, "", {}, (), builds=10))
    (copied,) = [one for one in seen if "INSERT INTO reuses" in one]
    told = full.database.explain(copied)
    for index in ("builds_evaluation_id", "sqlite_autoindex_reuses_1", "builds_reusable"):
        assert index in told
    assert "SCAN builds" not in told
    assert "SCAN reuses" not in told


@pytest.mark.parametrize("who", SIGHTS)
def test_a_revision_is_looked_for_by_jobset(full, who):
    """With 1,000 jobsets it takes some steps for each, however much was built in them."""
    revision = f"{977 * 4991:040x}"
    ask = partial(lambda store, sight: store.search.of_revision(sight, revision, limit=10))
    ask = partial(ask, sight=SIGHTS[who])
    assert 0 < len(ask(full)) <= 10
    assert 100 * cost(full, ask) < 40 * JOBSETS
    assert "builds_jobset_id_revision" in plan(full, ask)
    assert "SCAN builds" not in plan(full, ask)


@pytest.mark.parametrize("who", SIGHTS)
@pytest.mark.parametrize("find", ["projects", "jobsets", "jobs"])
def test_names_are_looked_for_among_names_alone(full, find, who):
    """No build is looked at, wherever a name may stand."""
    ask = partial(lambda store, sight: getattr(store.search, find)(sight, "none_%", limit=10))
    ask = partial(ask, sight=SIGHTS[who])
    assert ask(full) == ()
    assert 100 * cost(full, ask) < 60 * PROJECTS
    assert "builds" not in plan(full, ask)


@pytest.mark.parametrize("who", SIGHTS)
def test_counts_stop_where_they_are_told_to(full, who):
    """What is counted is bounded, whatever there is, and read in the order of its index."""
    sight = SIGHTS[who]
    rest = {"seconds": 3600, "periods": 1}
    for most, question in (
        (1_000, lambda store: store.overviews.share_queue(sight, most=1_000)),
        (1_000, lambda store: store.overviews.count_unfinished(sight, most=1_000)),
        (5_000, lambda store: store.ended.count(sight, most=5_000, **rest)),
        (5_000, lambda store: store.ended.count(sight, Address("none"), most=5_000, **rest)),
        (
            5_000,
            lambda store: store.ended.list_builds(sight, system="none", limit=9, most=5_000),
        ),
    ):
        bound = BUILDS * 10 if sight.everything and most == 1_000 else most * 80
        assert 100 * cost(full, question) < bound
        told = plan(full, question)
        assert any(one in told for one in ("builds_in_order", "builds_finished", "builds_status"))
    assert sum(full.ended.count(sight, most=50_000, seconds=86_400, periods=9)) < 50_000


def test_stretch_by_stretch_nothing_is_missed(full):
    """What is looked for among the newest is the same as what there is."""
    place = Address("project", f"jobset-{BUSY - 1}", "job-1")
    ids = [one.id for one in full.ended.list_builds(ALL, place, limit=BUILDS)]
    there = full.database.sql(
        "SELECT id FROM builds WHERE jobset_id = ? AND job = 'job-1' AND finished_at IS NOT NULL"
        " ORDER BY finished_at DESC, id DESC",
        (BUSY,),
    ).fetchall()
    assert ids == [one for (one,) in there]
    assert full.ended.count(ALL, place, seconds=10**9, periods=9) == (len(ids),)
    few = full.ended.list_builds(ALL, place, limit=BUILDS, most=3_000)
    assert [one.id for one in few] == ids[: len(few)]
    assert 0 < len(few) < len(ids)


@pytest.mark.parametrize("who", SIGHTS)
@pytest.mark.parametrize(
    "question",
    [
        lambda store, sight: store.jobs.newest_good(sight, Place(1)),
        lambda store, sight: store.jobs.newest_good(sight, Place(1), finished=True),
        lambda store, sight: store.jobs.newest_good(sight, Place(1), system=OFFER.systems[0]),
        lambda store, sight: store.jobs.list_builds(sight, Place(1), before=150_000, limit=20),
    ],
    ids=["good", "good and done", "good of a system", "all"],
)
def test_what_a_project_built_is_looked_for_by_jobset(full, question, who):
    """With 1,000 jobsets it takes some steps for each, however much was built in them."""
    ask = partial(question, sight=SIGHTS[who])
    assert 100 * cost(full, ask) < 150 * JOBSETS
    assert "SCAN builds" not in plan(full, ask)


def test_stars_cost_what_they_show(full):
    """A first page with twenty of them, of a jobset with half of all builds."""
    with full.transaction():
        for number in range(20):
            full.jobs.star("user-7", BUSY - number, "job-1", starred=True)
    ask = partial(lambda store, sight: store.jobs.starred(sight, "user-7", limit=100), sight=MEMBER)
    assert len(ask(full)) > 0
    assert cost(full, ask) < 300
    told = plan(full, ask)
    assert "builds_jobset_id_job_system_id" in told
    assert "SCAN builds" not in told


def claimed(store, offer=OFFER):
    with store.transaction():
        return store.queue.claim(offer, secrets.token_hex(16), NOW, SOON)


STRONG = Offer("strong", OFFER.systems, labels=("big", "gpu", "kvm"), projects=(1, 2, 3))


def test_a_claim_looks_at_one_lane(full):
    """With 100,000 builds in 1,000 jobsets it costs no more than with one."""
    assert 100 * cost(full, claimed) < 1_000


def test_a_claim_by_labels_and_projects_looks_at_lanes(full):
    """What only some workers may take costs the others little, and those no more."""
    full.database.sql("UPDATE lanes SET runs_on = ',big,,gpu,' WHERE id % 2 = 0")
    for offer in (OFFER, STRONG):
        assert 100 * cost(full, partial(claimed, offer=offer)) < 2_000


def test_a_claim_beside_a_build_that_avoids_the_worker_looks_at_lanes(full):
    """It takes some steps for each, not for each build."""
    avoid = "UPDATE builds SET avoided = ? WHERE id = 50000"
    full.database.sql(avoid, (OFFER.worker,))
    steps = 100 * cost(full, claimed)
    full.database.sql(avoid, ("",))
    assert steps < 60 * JOBSETS


def test_what_was_lost_is_found_by_its_index(full):
    """However much is built and waits."""
    ask = lambda store: store.queue.avoid_no_more(NOW, NOW)  # noqa: E731
    assert cost(full, ask) < 5
    assert "builds_avoiding" in plan(full, ask)
    held = lambda store: store.attempts.held_by("arm", "1" * 32)  # noqa: E731
    assert cost(full, held) < 5
    assert "builds_held" in plan(full, held)


def test_a_claim_of_nothing_is_cheap(full):
    """A worker whose system nobody needs finds out without looking at builds."""
    steps = 100 * cost(full, lambda store: claimed(store, Offer("w", ("riscv64-linux",))))
    assert steps < 30 * JOBSETS


def test_the_plan_of_a_claim(full):
    """The first lane in the order of their index, and its first build in the order of theirs."""
    told = plan(full, claimed)
    assert "builds_bumped" in told
    assert "SCAN r USING INDEX ready_in_order" in told
    assert "SEARCH b USING INDEX builds_claimable (lane_id=? AND priority=?)" in told
    # Of those few that were bumped or avoid a worker, the first one.
    assert not re.search(r"SCAN builds(?! USING INDEX builds_(bumped|avoiding))", told)
    assert "TEMP B-TREE" not in told


def claimable(store):
    return store.overviews.list_claimable()


def test_what_waits_for_workers_is_counted_by_lanes(full):
    """As a broker is told of it, again and again: no build is looked at."""
    assert sum(one.builds for one in claimable(full)) > 1_000
    told = plan(full, claimable)
    assert "builds" not in told
    assert told.count("SCAN") == 2  # the counts of lanes, and the systems that are not active
    assert told.count("USING INTEGER PRIMARY KEY (rowid=?)") == 3  # lane, jobset, project


def looked_at(store, question):
    """How many rows of tables and indexes PostgreSQL looks at. Nothing stays changed."""
    total = 0
    for statement, values in undone(store, lambda: recorded(lambda: question(store))):
        if statement.lstrip().startswith(READING):
            ask = partial(store.database.explain, f"(ANALYZE, FORMAT JSON) {statement}", values)
            total += sum(rows_of(json.loads(undone(store, ask))[0]["Plan"]))
    return total


class Undone(Exception):
    pass


def undone(store, act):
    """What an act answers that is taken back."""
    with suppress(Undone), store.transaction():
        answer = act()
        raise Undone
    return answer


def rows_of(node):
    if "Relation Name" in node:
        rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        yield (rows + node.get("Rows Removed by Index Recheck", 0)) * node["Actual Loops"]
    for one in node.get("Plans", ()):
        yield from rows_of(one)


# Of a jobset with half of what was ever built it believes that half of what is open is its own, and
# then reads all that is open, in the order of another index.
SKEWED = {"open of a jobset", *(f"of a day, {who}" for who in SIGHTS)}


@pytest.mark.parametrize("name", LISTS)
def test_lists_on_postgresql(full_postgresql, name):
    """A page looks at about as many rows as it shows, not at what there is."""
    most = BUILDS + 100 if name in SKEWED else 3_000
    assert looked_at(full_postgresql, LISTS[name]) < most


def test_a_claim_by_labels_and_projects_on_postgresql(full_postgresql):
    """It looks at lanes, too."""
    ask = partial(claimed, offer=STRONG)
    assert looked_at(full_postgresql, ask) < 100
    ask = lambda store: store.attempts.held_by("arm", "1" * 32)  # noqa: E731
    assert looked_at(full_postgresql, ask) == 0


def test_a_claim_on_postgresql(full_postgresql):
    """It looks at one lane, not at 1,000, and not at 100,000 queued builds."""
    assert looked_at(full_postgresql, claimed) < 100


def test_what_waits_for_workers_on_postgresql(full_postgresql):
    """It looks at lanes, and at no build."""
    assert looked_at(full_postgresql, claimable) < 6 * JOBSETS
