"""Do every fault to a real installation, and print what came of it as a table.

Without arguments each database gets 200 builds and 100 kills, which takes some half an hour.
"""

import argparse
import contextlib
import json
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.memory import keep_temporary_files_in_memory
from support.namespaces import Network, why_none
from support.receiver import receiving
from support.waiting import until

from ciserver.cli.journal import start_logging
from faults import brokers, databases, held, kills, lies
from faults.databases import Cluster
from faults.leaving import forget_scratch, leave_no_trace_of
from faults.row import QUICK, Effort, Finding, Lacking, Row, Stage, table
from faults.site import Site

ROWS = (*held.ROWS, *lies.ROWS, *kills.ROWS, *databases.ROWS, *brokers.ROWS)
KINDS = ("sqlite", "postgresql", "celery")
LEFT = "nothing is left running"


class Run:
    """Rows over one site: those of single workers beside each other, the others alone."""

    def __init__(self, kind: str, asked: argparse.Namespace, network: Network | None) -> None:
        self._kind, self._asked, self._network = kind, asked, network
        self._effort = QUICK if asked.quick else Effort()
        self._findings: dict[str, Finding] = {}

    def run(self, rows: list[Row], place: Path) -> dict[str, Finding]:
        """What was found, from the start of the site to its end."""
        place.mkdir(mode=0o711)
        self._findings = {one.name: Finding() for one in rows}
        with contextlib.ExitStack() as ending:
            try:
                site = self._site(place, ending)
            except Lacking as error:
                return {one.name: Finding(skipped=str(error)) for one in rows}
            self._rows(site, rows)
            self._findings[LEFT] = _orphans(site)
        return self._findings

    def _site(self, place: Path, ending: contextlib.ExitStack) -> Site:
        """Started, and ended with what it needs. Raises Lacking."""
        cluster, node = None, None
        if self._kind != "sqlite":
            cluster = Cluster(place / "cluster")
            ending.callback(cluster.stop)
            cluster.start()
        if self._kind == "celery":
            node = brokers.make_node()
            ending.callback(brokers.end_node, node, is_alone=bool(self._network))
            node.up()
        receiver = ending.enter_context(receiving())
        lease = self._effort.lease
        site = Site(place, self._network, receiver, lease=lease, cluster=cluster, node=node)
        ending.callback(site.close)
        site.start()
        return site

    def _rows(self, site: Site, rows: list[Row]) -> None:
        with ThreadPoolExecutor(len(rows)) as pool:
            for one in rows:
                if not one.alone:
                    pool.submit(self._row, site, one)
        for one in rows:
            if one.alone:
                self._row(site, one)

    def _row(self, site: Site, row: Row) -> None:
        began, finding = time.monotonic(), self._findings[row.name]
        chance = random.Random(f"{self._asked.seed} {self._kind} {row.name}")
        try:
            row.act(Stage(site, self._effort, chance, finding))
        except Lacking as error:
            finding.skipped = str(error)
        except Exception as error:  # noqa: BLE001  a row that fails is a result
            traceback.print_exc()
            finding.broken.append(f"{type(error).__name__}: {error}")
        took = time.monotonic() - began
        told = [f"{self._kind:10} {took:6.1f} s  {finding.verdict:7}  {row.name}"]
        print(*told, *finding.broken, sep="\n    ", file=sys.stderr)


def _orphans(site: Site) -> Finding:
    """After everything: nothing of a build runs any more."""
    with contextlib.suppress(AssertionError):
        until(lambda: not site.orphans(), seconds=5)
    left = [f"process {pid} was left: {words[:3]}" for pid, words in site.orphans()]
    return Finding(times=1, broken=left)


def plan(asked: argparse.Namespace) -> list[tuple[str, list[Row]]]:
    """Which rows on which kind of site. The short form does each once, on several sites at once."""
    rows = [one for one in ROWS if asked.only is None or any(t in one.name for t in asked.only)]
    if asked.quick:
        parts = [
            ("sqlite", [one for one in rows if not one.alone and "sqlite" in (one.kinds or KINDS)]),
            ("sqlite", [one for one in rows if one.alone and not one.kinds]),
            *((kind, [one for one in rows if one.kinds[:1] == (kind,)]) for kind in KINDS[1:]),
        ]
    else:
        parts = [(kind, [one for one in rows if kind in (one.kinds or KINDS)]) for kind in KINDS]
    return [(kind, some) for kind, some in parts if some and kind in asked.on]


def everything(asked: argparse.Namespace, place: Path) -> dict[str, dict[str, Finding]]:
    """The findings of each kind of site."""
    found: dict[str, dict[str, Finding]] = {}
    parts = plan(asked)
    network = None if why_none() else Network()
    inside = network.server.entered() if network else contextlib.nullcontext()
    with inside, ThreadPoolExecutor(len(parts) if asked.quick else 1) as pool:
        runs = [
            (kind, pool.submit(Run(kind, asked, network).run, rows, place / f"{number}-{kind}"))
            for number, (kind, rows) in enumerate(parts)
        ]
        for kind, run in runs:
            for name, one in run.result().items():
                there = found.setdefault(kind, {})
                if name in there:
                    one.broken += there.pop(name).broken
                there[name] = one
    return found


def said(found: dict[str, dict[str, Finding]]) -> int:
    """Print the tables and what was broken; answers how much that was."""
    broken = []
    # Where it is promised that nothing is missing, what was skipped was not verified.
    is_strict = os.environ.get("CI") == "true" and os.geteuid() == 0
    for kind, findings in found.items():
        print(f"\n{kind}\n\n{table(findings)}")
        for name, one in findings.items():
            broken += [f"{kind}: {name}: {why}" for why in one.broken]
            if is_strict and one.skipped:
                broken.append(f"{kind}: {name}: skipped, {one.skipped}")
    print("", *broken, sep="\n")
    return len(broken)


@contextlib.contextmanager
def place_of(asked: Path | None) -> Iterator[Path]:
    """Where everything lies: in memory and gone afterwards, unless somebody says where."""
    if asked:
        asked.mkdir()
        yield asked.resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="ciserver-faults-") as made:
            yield Path(made)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a short form, with shorter leases")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="faults whose names have this")
    parser.add_argument("--on", nargs="+", choices=KINDS, default=KINDS, help="these alone")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="repeat a run")
    parser.add_argument("--place", type=Path, metavar="DIRECTORY", help="a new one, which stays")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found there")
    return parser.parse_args()


def main() -> int:
    """1 when a promise was broken."""
    asked = arguments()
    start_logging("error")
    keep_temporary_files_in_memory()
    print(f"seed {asked.seed}", file=sys.stderr)
    with place_of(asked.place) as place:
        place.chmod(0o711)
        leave_no_trace_of(place, stays=bool(asked.place))
        found = everything(asked, place)
        forget_scratch(place)
    if asked.json:
        told = {kind: {n: one.as_dict() for n, one in f.items()} for kind, f in found.items()}
        asked.json.write_text(json.dumps({"seed": asked.seed, "found": told}, indent=1) + "\n")
    return 1 if said(found) else 0


if __name__ == "__main__":
    sys.exit(main())
