"""Which build a claim takes, whatever the queue looks like: the one that the plain rule names."""

import random
from contextlib import suppress

import pytest
from support.factories import ADMIN, MAIN, SYSTEM, Factory, done, make_job

from ciserver.model.build import BuildResult, Loss, Offer
from ciserver.model.errors import Conflict
from ciserver.model.status import BuildStatus
from ciserver.store.lanes import labels_of

SYSTEMS = (SYSTEM, "aarch64-linux")
IMAGES = ("host", "debian")
LABELS = ("gpu", "kvm")
GOOD = BuildResult(BuildStatus.SUCCEEDED)
WAITING = """
SELECT b.id, b.priority, b.bumped, b.avoided, j.share_rank, l.system, l.image, l.runs_on,
    l.system || '/' || l.trust, j.project_id
FROM builds b JOIN lanes l ON l.id = b.lane_id JOIN jobsets j ON j.id = l.jobset_id
WHERE b.status = 'queued' AND b.waiting = '' AND j.paused = 0
    AND l.system NOT IN (SELECT name FROM systems WHERE active = 0)"""


def best(store, offer):
    """What the rule says: of all that the worker may take what is put in front, by age; else by
    priority, by what its jobset used, and by age.
    """
    fits = [
        (not bumped, *((0, 0) if bumped else (-priority, rank)), number)
        for number, priority, bumped, avoided, rank, system, image, runs_on, queue, project in (
            store.database.sql(WAITING).fetchall()
        )
        if system in offer.systems
        and (not offer.images or image in offer.images)
        and (not offer.queues or queue in offer.queues)
        and (not offer.projects or project in offer.projects)
        and set(labels_of(runs_on)) <= set(offer.labels)
        and avoided != offer.worker
    ]
    return min(fits)[-1] if fits else None


class Queue:
    """Does one thing after another at random."""

    def __init__(self, parts, clock, seed):
        self.make, self.store, self.clock = Factory(parts, clock), parts.store, clock
        self.random = random.Random(seed)
        self.services = parts.services
        self.jobsets = [self.make.jobset() for _ in range(4)]
        self.made = [self.make.build(jobset=one).id for one in self.jobsets]
        self.claims = 0

    def some(self, things):
        return tuple(one for one in things if self.random.random() < 0.5)

    def offer(self):
        systems = self.some(SYSTEMS) or SYSTEMS
        projects = self.some([one.project_id for one in self.jobsets])
        return Offer(
            self.random.choice(["arm", "local-0", "local-1"]),
            systems,
            self.some(IMAGES),
            queues=tuple(f"{one}/trusted" for one in self.some(systems)),
            labels=self.some(LABELS),
            projects=projects if self.random.random() < 0.3 else (),
        )

    def claim(self):
        offer = self.offer() if self.random.random() < 0.6 else Offer("arm", SYSTEMS)
        expected = best(self.store, offer)
        work = self.make.claim(offer)
        assert (work and work.lease.build_id) == expected
        self.claims += work is not None

    def add(self):
        jobs = [
            make_job(
                name=f"job-{one}",
                system=self.random.choice(SYSTEMS),
                image=self.random.choice(IMAGES),
                priority=self.random.choice([0, 0, 0, 1, -1]),
                runs_on=self.some(LABELS) if self.random.random() < 0.3 else (),
            )
            for one in range(self.random.randint(1, 4))
        ]
        made = self.make.evaluated(self.random.choice(self.jobsets), *jobs, ref=MAIN)
        self.made += [one.id for one in self.store.builds.list_of_evaluation(made.id)]

    def lose(self):
        """The worker that has it is not to have it again for now."""
        if self.make.leases:
            build_id = self.random.choice([*self.make.leases])
            lease = self.make.leases.pop(build_id)
            with self.store.transaction():
                worker = self.store.attempts.worker_of(build_id)
                self.store.queue.requeue(
                    build_id, lease.attempt, Loss("lost"), self.clock.now(), avoided=worker
                )

    def change(self):
        build_id = self.random.choice(self.made)
        with self.store.transaction():
            if self.random.random() < 0.3:
                self.store.queue.bump(build_id, self.clock.now())
            else:
                new = self.random.randint(-1, 1)
                self.store.queue.reprioritize(build_id, new, self.clock.now())

    def cancel(self):
        build_id = self.random.choice(self.made)
        self.make.leases.pop(build_id, None)
        with suppress(Conflict):
            self.services.builds.cancel(ADMIN, build_id)

    def pause(self):
        jobset = self.random.choice(self.jobsets)
        with self.store.transaction():
            self.store.pauses.set_jobset(jobset.id, paused=self.random.random() < 0.3)

    def use(self):
        """A build ends after a while."""
        self.clock.forward(minutes=self.random.randint(1, 60))
        if self.make.leases:
            build_id = self.random.choice([*self.make.leases])
            lease = self.make.leases.pop(build_id)
            self.make.reporter.advance(lease, done(0), 1, sandbox="plain")
            self.make.reporter.finish(lease, GOOD, ())

    def switch(self):
        """A system is taken out, or taken in again."""
        with self.store.transaction():
            self.store.database.sql(
                "INSERT INTO systems (name, active, labels, images) VALUES (?, ?, '{}', '[]')"
                " ON CONFLICT (name) DO UPDATE SET active = excluded.active",
                (SYSTEMS[1], int(self.random.random() < 0.8)),
            )


@pytest.mark.parametrize("seed", range(3))
def test_a_claim_takes_what_the_rule_names(parts, clock, seed):
    """With everything that it depends on in motion; and in the end nothing is left behind."""
    queue = Queue(parts, clock, seed)
    acts = [queue.claim] * 6 + [queue.add] * 2
    acts += [queue.lose, queue.change, queue.cancel, queue.pause, queue.use, queue.switch]
    for _ in range(150):
        queue.random.choice(acts)()
    assert queue.claims > 15
    everything = Offer("last", SYSTEMS, labels=LABELS)
    for jobset in queue.jobsets:
        with queue.store.transaction():
            queue.store.pauses.set_jobset(jobset.id, paused=False)
            queue.store.database.sql("UPDATE systems SET active = 1")
    while expected := best(queue.store, everything):
        assert queue.make.claim(everything).lease.build_id == expected
    assert queue.make.claim(everything) is None
    assert queue.store.database.sql("SELECT * FROM ready").fetchall() == []


def test_of_a_lane_whose_oldest_build_avoids_the_worker_it_gets_the_next(parts, clock):
    """Which counts then, beside other lanes, by its own age; others get the oldest."""
    make = Factory(parts, clock)
    first, second = make.jobset(), make.jobset()
    avoiding, middle, after = (make.build(jobset=one).id for one in (first, second, first))
    with make.store.transaction():
        make.store.database.sql("UPDATE builds SET avoided = 'arm' WHERE id = ?", (avoiding,))
    assert best(make.store, Offer("arm", SYSTEMS)) == middle
    assert make.claim(Offer("arm", SYSTEMS)).lease.build_id == middle
    assert make.claim(Offer("arm", SYSTEMS)).lease.build_id == after
    assert make.claim(Offer("arm", SYSTEMS)) is None
    assert make.claim(Offer("other", SYSTEMS)).lease.build_id == avoiding
