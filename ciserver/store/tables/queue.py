"""What a claim looks at beside builds: lanes, systems, workers and pauses."""

import peewee as p

from ciserver.store.fields import FlagField, MomentField
from ciserver.store.tables.base import Table, within
from ciserver.store.tables.jobsets import Jobset


class Pause(Table):
    """What takes no builds until somebody resumes it: the queue, or a worker by name."""

    worker = p.TextField(primary_key=True)  # empty: the whole queue
    paused_by = p.TextField()
    paused_at = MomentField()
    reason = p.TextField(default="")

    class Meta:
        table_name = "pauses"


class System(Table):
    """A system that builds are made for, under a number for those who count them."""

    id = p.AutoField()
    name = p.TextField(unique=True)
    active = FlagField(default=True)
    labels = p.TextField(default="{}")  # JSON map
    images = p.TextField(default="[]")  # JSON list

    class Meta:
        table_name = "systems"


class Worker(Table):
    """Who may claim builds from another machine; only a hash of its credential is kept."""

    id = p.AutoField()
    name = p.TextField(unique=True)
    hash = p.TextField(unique=True)
    queues = p.TextField()  # JSON list of SYSTEM/TRUST
    created_at = MomentField()
    last_seen_at = MomentField(null=True)

    class Meta:
        table_name = "workers"


class Lane(Table):
    """Queued builds that only differ in age and priority stand in one lane."""

    id = p.AutoField()
    jobset = within(Jobset)
    system = p.TextField()
    image = p.TextField()
    trust = p.TextField()

    class Meta:
        table_name = "lanes"
        indexes = ((("jobset", "system", "image", "trust"), True),)


class Ready(Table):
    """How many builds of a lane may be claimed at a priority; rows with none are removed."""

    lane = within(Lane)
    priority = p.IntegerField()
    builds = p.IntegerField()

    class Meta:
        table_name = "ready"
        primary_key = p.CompositeKey("lane", "priority")
