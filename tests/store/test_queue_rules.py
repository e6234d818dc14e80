"""Whatever happens in whatever order, the queue keeps its books."""

import contextlib
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.clock import StillClock
from support.factories import ADMIN, MAIL, Factory, done

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.model.build import BuildResult, Loss
from ciserver.model.errors import Conflict
from ciserver.model.status import ACTIVE, BuildStatus
from ciserver.recipe.text import job_from_json
from ciserver.wiring import make_parts

ENDS = st.sampled_from([status for status in BuildStatus if status.is_final])
READY = """
SELECT lane_id, priority, count(*) FROM builds WHERE status = 'queued' AND waiting = ''
GROUP BY lane_id, priority ORDER BY lane_id, priority"""


class Books(RuleBasedStateMachine):
    """Builds are added, claimed, ended, lost, canceled and run again, by turns."""

    @initialize()
    def open(self):
        self.place = tempfile.TemporaryDirectory()
        self.clock = StillClock()
        self.parts = make_parts(
            Settings(), DataDirectory(Path(self.place.name) / "data"), clock=self.clock
        )
        self.store, self.builds = self.parts.store, self.parts.services.builds
        self.make = Factory(self.parts, self.clock)
        self.jobsets = [self.make.jobset(f"p{number}") for number in range(2)]
        self.ids, self.leases, self.before, self.ends = [], [], {}, 0

    def teardown(self):
        if hasattr(self, "parts"):
            self.store.database.close()
            self.place.cleanup()

    @rule(
        jobset=st.integers(0, 1),
        priority=st.integers(0, 1),
        triggers=st.sampled_from([(), (MAIL,)]),
    )
    def add(self, jobset, priority, triggers):
        made = self.make.build(jobset=self.jobsets[jobset], priority=priority, triggers=triggers)
        self.ids.append(made.id)

    @rule()
    def claim(self):
        work = self.make.claim()
        assert bool(work) == any(one is BuildStatus.QUEUED for one in self.before.values())
        if work:
            self.leases.append(work.lease)

    def lease(self, draw):
        return self.leases[draw.draw(st.integers(0, len(self.leases) - 1))]

    def build(self, draw):
        return draw.draw(st.sampled_from(self.ids))

    @precondition(lambda self: self.leases)
    @rule(draw=st.data())
    def advance(self, draw):
        self.attempted(
            lambda: self.parts.reporter.advance(self.lease(draw), done(0), 1, sandbox="x")
        )

    @precondition(lambda self: self.leases)
    @rule(draw=st.data(), status=ENDS)
    def finish(self, draw, status):
        lease = self.lease(draw)
        self.attempted(lambda: self.parts.reporter.finish(lease, BuildResult(status), ()))

    @precondition(lambda self: self.leases)
    @rule(draw=st.data())
    def give_back(self, draw):
        self.attempted(lambda: self.parts.reporter.give_back(self.lease(draw), Loss("broken")))

    @precondition(lambda self: self.ids)
    @rule(draw=st.data())
    def cancel(self, draw):
        self.attempted(lambda: self.builds.cancel(ADMIN, self.build(draw)))

    @precondition(lambda self: self.ids)
    @rule(draw=st.data())
    def rerun(self, draw):
        self.attempted(lambda: self.builds.rerun(ADMIN, self.build(draw)))

    @rule(seconds=st.sampled_from([1, 60]))
    def lose(self, seconds):
        self.clock.forward(seconds=seconds)
        self.builds.rescue_lost()

    def attempted(self, act):
        """Do it; a refusal is fine, and changes nothing."""
        before = self.everything()
        with contextlib.suppress(Conflict):
            act()
            return
        assert self.everything() == before

    def everything(self):
        return [
            self.store.database.sql(f"SELECT * FROM {table}").fetchall()
            for table in ("builds", "attempts", "steps", "ready", "evaluations", "deliveries")
        ]

    @invariant()
    def moves_are_legal(self):
        now = {one: self.store.builds.get(one).status for one in self.ids}
        for one, was in self.before.items():
            allowed = {now[one]} if now[one] is was else reachable(was)
            assert now[one] in allowed, f"{was} became {now[one]}"
        self.before = now

    @invariant()
    def ready_counts_the_claimable(self):
        sql = self.store.database.sql
        counted = sql("SELECT lane_id, priority, builds FROM ready ORDER BY lane_id, priority")
        assert counted.fetchall() == sql(READY).fetchall()

    @invariant()
    def one_token_at_most(self):
        for status, token, lease_until, attempts in self.store.database.sql(
            "SELECT status, token, lease_until, (SELECT count(*) FROM attempts a"
            " WHERE a.build_id = b.id AND a.finished_at IS NULL) FROM builds b"
        ):
            held = status in {"starting", "running", "canceling"}
            assert (bool(token), lease_until is not None, attempts) == (held, held, int(held))
        tokens = self.store.database.sql("SELECT token FROM builds WHERE token != ''").fetchall()
        assert len(tokens) == len(set(tokens))

    @invariant()
    def every_end_is_of_one_attempt(self):
        for one in self.ids:
            build, attempts = self.store.builds.get(one), self.store.builds.list_attempts(one)
            assert [a.number for a in attempts] == list(range(build.attempt, 0, -1))
            if build.status.is_final:
                assert attempts[0].status is build.status
                assert attempts[0].finished_at == build.finished_at

    @invariant()
    def evaluations_count_their_builds(self):
        for one in self.ids:
            build = self.store.builds.get(one)
            evaluation = self.store.evaluations.get(build.evaluation_id)
            counted = (evaluation.builds_total, evaluation.builds_finished, evaluation.builds_good)
            assert counted == (1, int(build.status.is_final), int(build.status.is_good))

    @invariant()
    def every_end_is_told_once(self):
        for one in self.ids:
            build = self.store.builds.get(one)
            wants = bool(job_from_json(self.store.builds.job_text(one)).triggers)
            told = [sent.event.attempt for sent in self.store.outbox.list_of_build(one)]
            assert len(told) == len(set(told))
            if build.status.is_final:
                assert (build.attempt in told) == wants
            if build.status in ACTIVE:
                assert build.attempt not in told


def reachable(status):
    """Where one operation can bring a build: a move, or the queue again for one that ended."""
    return {other for other in BuildStatus if status.may_become(other)} or {BuildStatus.QUEUED}


TestBooks = Books.TestCase
TestBooks.settings = settings(
    max_examples=8,
    # Each example makes a whole server: making a failure shorter would take minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    stateful_step_count=30,
    suppress_health_check=list(HealthCheck),
)
