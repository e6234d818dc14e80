"""Several claim at once: each build goes to exactly one of them."""

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from support.factories import OFFER, done, make_job

from ciserver.model.build import Offer
from ciserver.model.status import BuildStatus

CLAIMER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from ciserver.model.build import Offer
from ciserver.store.store import Store

store, worker, system = Store(Path(sys.argv[1]), sys.argv[4]), sys.argv[2], sys.argv[3]
print("ready", flush=True)
sys.stdin.readline()
number = 0
while True:
    now, number = datetime.now(UTC), number + 1
    with store.transaction(beside=True):
        found = store.queue.claim(
            Offer(worker, (system,)), f"{worker}-{number}", now, now + timedelta(hours=1)
        )
    if found is None:
        break
    print(found[0].build_id, flush=True)
"""
BUILDS = 60
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def test_two_threads(make, store):
    """Threads that claim at once share the builds without a double."""
    make.evaluated(make.jobset(), *(make_job(name=f"job-{n}") for n in range(BUILDS)))
    claimed, start = [], threading.Barrier(2)

    def work(name):
        start.wait()
        offer = Offer(name, OFFER.systems)
        claimed.extend(one.lease.build_id for one in iter(lambda: make.reporter.claim(offer), None))
        store.database.close()

    threads = [threading.Thread(target=work, args=(f"worker-{n}",)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == BUILDS


def test_two_processes(make, store, parts, database_url):
    """Processes that claim at once share the builds without a double."""
    make.evaluated(make.jobset(), *(make_job(name=f"job-{n}") for n in range(BUILDS)))
    claimers = [start_claimer(parts.data.root, f"worker-{n}", database_url) for n in range(2)]
    for one in claimers:
        assert one.stdout.readline() == "ready\n"
    for one in claimers:
        one.stdin.write("go\n")
        one.stdin.flush()
    said = [one.communicate(timeout=60)[0].split() for one in claimers]
    assert [one.returncode for one in claimers] == [0, 0]
    assert len(said[0]) + len(said[1]) == BUILDS
    assert set(Counter(said[0] + said[1]).values()) == {1}
    holders = store.database.sql("SELECT worker, count(*) FROM builds GROUP BY worker").fetchall()
    assert dict(holders) == {f"worker-{n}": len(one) for n, one in enumerate(said) if one}


@on_postgresql
def test_who_holds_a_lease_waits_for_no_claim(make, store):
    """Its steps go on and its lease is renewed while somebody is about to claim another build."""
    make.evaluated(make.jobset(), make_job())
    lease = make.claim().lease
    told = []

    def tell():
        make.reporter.advance(lease, done(0), 1, sandbox="plain")
        told.append(make.reporter.renew(lease))
        store.database.close()

    holder = threading.Thread(target=tell, daemon=True)
    with store.transaction(beside=True):
        holder.start()
        holder.join(60)
        assert told == [False]
    assert store.builds.get(lease.build_id).status is BuildStatus.RUNNING


def start_claimer(root: Path, name: str, url: str):
    return subprocess.Popen(
        [sys.executable, "-c", CLAIMER, str(root), name, OFFER.systems[0], url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
