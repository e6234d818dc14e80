"""What the calls of Hydra that list something cost, by how many builds there are.

python bench/reads.py [--builds 1000 10000 100000 1000000] [--times 30]
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from falcon.testing import TestClient

from bench.parts import fresh_place, parts_over
from ciserver.cli.journal import start_logging
from ciserver.model.build import Job, Task
from ciserver.recipe.text import job_to_json
from ciserver.store.store import Store
from ciserver.wiring import Parts

# Each evaluation makes 100 builds: of 50 jobs for two systems. Half of all is of one jobset. One
# build in eight failed, the newest hundredth waits, and one in four measured something.
JOBSETS, JOBS, A_TIME = 200, 50, 100
LARGE = 1_000  # builds of one more evaluation, the newest
SYSTEMS = ("x86_64-linux", "aarch64-linux")
JOB = Job("job-0", ".build.yml", "host", SYSTEMS[0], (Task("compile", "make"),))
_JSON = {"Accept": "application/json"}
_PAGE = {"Accept": "text/html"}
_PERIOD = 300 * 24 * 3_600_000_000  # microseconds in which everything was built
# What a column has where a table names nothing else for it.
USUAL = {
    **dict.fromkeys(("options", "complaints", "skipped", "recipe_path"), "'[]'"),
    **dict.fromkeys(("requested_at", "created_at"), "0"),
    "mode": "'on'",
    "visibility": "'public'",
    "wish": "'{}'",
    "kind": "'push'",
    "ref": "'refs/heads/main'",
    "trust": "'trusted'",
    "pgo_strategy": "'periodic'",
    "image": "'host'",
    "declaration_type": "'git'",
    "signing_secret": "x''",
}

_JOBSET, _JOB = "/jobset/bench-0/jobset-0", "/job/bench-0/jobset-0/job-0"
CALLS = (
    ("/", _JSON),
    ("/project/bench-0", _JSON),
    (_JOBSET, _JSON),
    (f"{_JOBSET}/evals", _JSON),
    (f"{_JOBSET}/evals?page={{last_page}}", _JSON),
    ("/eval/{evaluation}", _JSON),
    ("/build/{build}", _JSON),
    ("/api/latestbuilds?nr=100", _JSON),
    *(
        (f"{place}/{name}", _JSON)
        for name in (
            *("all", "all?before={middle}"),
            *("latest", f"latest-for/{SYSTEMS[1]}", "latest-finished"),
        )
        for place in ("", "/project/bench-0", _JOBSET, _JOB)
    ),
    *((f"{place}/shield", _JSON) for place in (_JOBSET, _JOB)),
    *(
        (f"{_JOB}{name}", _JSON)
        for name in ("", "/build-times", "/output-sizes", "/metric/speed", "/prometheus")
    ),
    *((path, _PAGE) for path in ("/all", _JOBSET, _JOB, f"{_JOB}/badge.svg")),
)


def fill(store: Store, builds: int) -> None:
    """So many builds; in what columns are made of, `i` counts the rows from one."""
    now = int(time.time()) * 1_000_000
    evaluations, ended = builds // A_TIME, builds - builds // 100
    half = f"CASE WHEN %s %% 2 THEN 2 + (%s + 1) / 2 %% {JOBSETS - 1} ELSE 1 END"
    evaluated = half % ("(i - 1)", "(i - 1)")
    built = half % ((f"((i - 1) / {A_TIME})",) * 2)
    system = f"CASE WHEN i % 2 THEN '{SYSTEMS[0]}' ELSE '{SYSTEMS[1]}' END"
    since = f"{now} - {_PERIOD} + i * {_PERIOD // builds}"
    revision = "printf('%040x', i * 977)"
    with store.transaction():
        store.database.sql(
            "INSERT INTO texts (sha256, text) VALUES ('text', ?)", (job_to_json(JOB),)
        )
        add(store, "projects", 10, name="'bench-' || (i - 1)", owner="'bench'", enabled="1")
        add(
            *(store, "jobsets", JOBSETS),
            project_id="1 + (i - 1) % 10",
            name="'jobset-' || (i - 1)",
            slug="'jobset-' || (i - 1)",
            evaluations_made=f"{evaluations}",
            evaluations_built=f"{evaluations}",
        )
        add(store, "lanes", JOBSETS * 2, jobset_id="1 + (i - 1) / 2", system=system)
        add(
            *(store, "evaluations", evaluations),
            jobset_id=evaluated,
            number="i",
            built_number="i",
            status="'succeeded'",
            revision=revision,
            finished_at=f"{now}",
            builds_total=f"{A_TIME}",
            builds_finished=f"CASE WHEN i * {A_TIME} > {ended} THEN 0 ELSE {A_TIME} END",
            builds_good=f"{A_TIME}",
        )
        add(
            *(store, "builds", builds),
            evaluation_id=f"1 + (i - 1) / {A_TIME}",
            jobset_id=built,
            lane_id=f"2 * ({built}) - i % 2",
            job=f"'job-' || ((i - 1) / 2 % {JOBS})",
            job_sha256="'text'",
            group_id="i",
            number="i",
            system=system,
            status=f"CASE WHEN i > {ended} THEN 'queued' WHEN i % 8 = 7 THEN 'failed'"
            " ELSE 'succeeded' END",
            revision=revision,
            requested_by="'ada'",
            attempt="1",
            queued_at=since,
            started_at=since,
            finished_at=f"CASE WHEN i <= {ended} THEN {since} + 1000000 * (1 + i % 90) END",
            updated_at=since,
        )
        add(
            *(store, "job_counters", JOBSETS * JOBS),
            jobset_id=f"1 + (i - 1) / {JOBS}",
            job=f"'job-' || ((i - 1) % {JOBS})",
            number=f"{builds}",
        )
        add_large_evaluation(store, evaluations + 1, now)
        told = {"build_id": "1 + (i - 1) * 4", "attempt": "1"}
        kind = {"kind": "'metrics'", "path": "'metrics'", "skipped": "0"}
        add(store, "reports", builds // 4, **told, **kind)
        add(store, "metrics", builds // 4, report_id="i", name="'speed'", value="i % 1000")
        add(store, "products", builds // 4, **told, name="'a'", path="'a'", size="1000 + i % 1000")


def add_large_evaluation(store: Store, evaluation: int, now: int) -> None:
    """The newest one, of the largest jobset: each job is built for two systems, and has ended."""
    revision = "printf('%040x', 0)"
    add(
        *(store, "evaluations", 1),
        jobset_id="1",
        number=f"{evaluation}",
        built_number=f"{evaluation}",
        status="'succeeded'",
        revision=revision,
        finished_at=f"{now}",
        builds_total=f"{LARGE}",
        builds_finished=f"{LARGE}",
        builds_good=f"{LARGE}",
    )
    add(
        *(store, "builds", LARGE),
        evaluation_id=f"{evaluation}",
        jobset_id="1",
        lane_id="1 + i % 2",
        job="'job-' || ((i - 1) / 2)",
        job_sha256="'text'",
        group_id="i",
        number="1000000 + i",
        system=f"CASE WHEN i % 2 THEN '{SYSTEMS[0]}' ELSE '{SYSTEMS[1]}' END",
        status="'succeeded'",
        revision=revision,
        requested_by="'ada'",
        attempt="1",
        queued_at=f"{now}",
        started_at=f"{now}",
        finished_at=f"{now}",
        updated_at=f"{now}",
    )


def add(store: Store, table: str, count: int, **columns: str) -> None:
    """So many rows by one statement. What may be null and is not named is."""
    values = {
        name: columns.get(name) or USUAL.get(name) or ("''" if kind == "TEXT" else "0")
        for _, name, kind, must_be, _, key in store.database.sql(f"PRAGMA table_info({table})")
        if name in columns or (must_be and not key)
    }
    store.database.sql(
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"  # noqa: S608  names and numbers of this file
        f" INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM n"
    )


@contextmanager
def filled(builds: int) -> Iterator[Parts]:
    with fresh_place() as place, parts_over(place) as parts:
        fill(parts.store, builds)
        yield parts


def ask(client: TestClient, call: str, headers: dict[str, str], times: int) -> float:
    """The median of an answer in milliseconds."""
    path, _, query = call.partition("?")
    took = []
    for _ in range(times):
        began = time.perf_counter()
        answer = client.simulate_get(path, query_string=query, headers=headers)
        took.append(1000 * (time.perf_counter() - began))
        if answer.status_code not in {200, 302}:
            sys.exit(f"{call} answered {answer.status_code}: {answer.text[:200]}")
    return statistics.median(took)


def measured(builds: int, times: int) -> list[float]:
    with filled(builds) as parts:
        client = TestClient(parts.app)
        names = {
            "build": builds // 2,
            "middle": builds // 2,
            "evaluation": builds // A_TIME // 2,
            "last_page": builds // A_TIME // 20 // 2 + 1,
        }
        return [ask(client, call.format(**names), headers, times) for call, headers in CALLS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--builds", type=int, nargs="+", default=[10**n for n in (3, 4, 5, 6)])
    parser.add_argument("--times", type=int, default=30)
    told = parser.parse_args()
    start_logging("warning")
    columns = [measured(builds, told.times) for builds in told.builds]
    print(f"milliseconds an answer, the median of {told.times}, with so many builds")
    print(f"{'':52}" + "".join(f"{builds:>10}" for builds in told.builds))
    for (call, headers), figures in zip(CALLS, zip(*columns, strict=True), strict=True):
        name = f"{call} (page)" if headers is _PAGE else call
        print(f"{name:52}" + "".join(f"{one:10.1f}" for one in figures))


if __name__ == "__main__":
    main()
