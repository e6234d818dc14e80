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
    until = MomentField(null=True)  # when it ends by itself, as those of the server itself do

    class Meta:
        table_name = "pauses"


class WorkerFaults(Table):
    """Builds in a row that ended at once through a worker; no row while it works."""

    worker = p.TextField(primary_key=True)
    builds = p.TextField()  # JSON list of their ids, the last of them
    jobsets = p.TextField()  # JSON list: of those that failed before their first command
    total = p.IntegerField()
    out_at = MomentField(null=True)  # when it was last put out of work

    class Meta:
        table_name = "worker_faults"


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
    next_hash = p.TextField(unique=True, null=True)  # of the one that takes its place when used
    queues = p.TextField()  # JSON list of SYSTEM/TRUST
    labels = p.TextField(default="[]")  # JSON list
    projects = p.TextField(default="[]")  # JSON list of ids; empty: it is for all
    created_at = MomentField()
    last_seen_at = MomentField(null=True)

    class Meta:
        table_name = "workers"


class WorkerState(Table):
    """How a worker said it is, as long as that may be believed."""

    name = p.TextField(primary_key=True)
    state = p.TextField()  # JSON
    until = MomentField()

    class Meta:
        table_name = "worker_states"


class Node(Table):
    """A server of this database that is alive until then, unless it says so again."""

    name = p.TextField(primary_key=True)
    place = p.TextField()
    storage = p.TextField()
    signs_with = p.TextField()
    until = MomentField()

    class Meta:
        table_name = "nodes"


class Lane(Table):
    """Queued builds that only differ in age and priority stand in one lane."""

    id = p.AutoField()
    jobset = within(Jobset)
    system = p.TextField()
    image = p.TextField()
    trust = p.TextField()
    runs_on = p.TextField(default="")  # labels, each between commas

    class Meta:
        table_name = "lanes"
        indexes = ((("jobset", "system", "image", "trust", "runs_on"), True),)


class Ready(Table):
    """How many builds of a lane may be claimed at a priority; rows with none are removed."""

    lane = within(Lane)
    priority = p.IntegerField()
    builds = p.IntegerField()
    share_rank = p.DoubleField()  # as the jobset has it; here, where claims look at it
    head = p.IntegerField(null=True)  # the oldest of the builds

    class Meta:
        table_name = "ready"
        primary_key = p.CompositeKey("lane", "priority")


Ready.add_index(
    Ready.index(Ready.priority.desc(), Ready.share_rank, Ready.head, name="ready_in_order")
)
