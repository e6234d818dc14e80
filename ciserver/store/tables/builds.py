"""Builds, their attempts, and what ties builds together."""

import peewee as p

from ciserver.store.fields import FlagField, MomentField
from ciserver.store.tables.base import Table, within
from ciserver.store.tables.evaluations import Evaluation
from ciserver.store.tables.jobsets import Jobset
from ciserver.store.tables.queue import Lane


class Text(Table):
    """A recipe or a job as text, once however many builds have it, so that builds stay narrow."""

    sha256 = p.TextField(primary_key=True)
    text = p.TextField()

    class Meta:
        table_name = "texts"


class Build(Table):
    id = p.AutoField()
    evaluation = p.ForeignKeyField(Evaluation)
    jobset = within(Jobset)
    lane = within(Lane)
    job = p.TextField()
    job_text = within(Text, column_name="job_sha256")
    recipe = within(Text, column_name="recipe_sha256", null=True)
    group_id = p.IntegerField()
    key = p.TextField(default="")  # of its content: equal ones give equal results
    concurrency = p.TextField(default="")  # builds of one such group run one after the other
    rebuild_of = p.IntegerField(null=True)
    number = p.IntegerField()
    system = p.TextField()
    image = p.TextField()
    trust = p.TextField(default="trusted")
    runs_on = p.TextField(default="")
    status = p.TextField()
    reason = p.TextField(default="")
    detail = p.TextField(default="")
    waiting = p.TextField(default="")  # why it may not be claimed; empty = it may
    # The worker that shall not take it, as others can; here, where claims look at it.
    avoided = p.TextField(default="")
    priority = p.IntegerField(default=0)
    bumped = FlagField(default=False)
    kind = p.TextField()
    ref = p.TextField()
    revision = p.TextField()
    requested_by = p.TextField(default="")
    canceled_by = p.TextField(default="")
    attempt = p.IntegerField(default=0)
    lost_attempts = p.IntegerField(default=0)
    token = p.TextField(default="")
    worker = p.TextField(default="")
    kept = FlagField(default=False)
    look_at = MomentField(null=True)  # whether its products still stand
    deleted = FlagField(default=False)
    lease_until = MomentField(null=True)
    queued_at = MomentField()
    started_at = MomentField(null=True)
    finished_at = MomentField(null=True)
    updated_at = MomentField()

    class Meta:
        table_name = "builds"
        indexes = (
            (("jobset", "id"), False),
            (("jobset", "job", "system", "ref", "id"), False),
            (("jobset", "job", "system", "id"), False),
            (("jobset", "revision"), False),
            (("jobset", "started_at"), False),
            (("jobset", "updated_at", "id"), False),
            (("requested_by", "id"), False),
            (("updated_at", "id"), False),
            (("group_id",), False),
            (("jobset", "group_id", "system"), False),
            (("status", "id"), False),
            (("status", "updated_at", "id"), False),
        )


Build.add_index(
    Build.index(
        Build.lane,
        Build.priority,
        Build.id,
        name="builds_claimable",
        where=p.SQL("status = 'queued' AND waiting = ''"),
    )
)
Build.add_index(
    Build.index(
        Build.id,
        name="builds_bumped",
        where=p.SQL("bumped = 1 AND status = 'queued' AND waiting = ''"),
    )
)
Build.add_index(
    Build.index(
        Build.lease_until,
        name="builds_leased",
        where=p.SQL("lease_until IS NOT NULL"),
    )
)
Build.add_index(Build.index(Build.updated_at, name="builds_avoiding", where=p.SQL("avoided != ''")))
Build.add_index(
    Build.index(
        Build.token,
        unique=True,
        name="builds_held",
        where=p.SQL("token != ''"),
    )
)


Build.add_index(
    Build.index(Build.look_at, name="builds_looked_at", where=p.SQL("look_at IS NOT NULL"))
)
Build.add_index(
    Build.index(
        Build.finished_at,
        Build.id,
        name="builds_finished",
        where=p.SQL("finished_at IS NOT NULL"),
    )
)
Build.add_index(
    Build.index(
        Build.jobset,
        Build.finished_at,
        Build.id,
        name="builds_finished_of_jobset",
        where=p.SQL("finished_at IS NOT NULL"),
    )
)
# The queue as people see it: what was put to the front, then by priority, then by age.
Build.add_index(
    Build.index(
        Build.bumped.desc(),
        Build.priority.desc(),
        Build.id,
        name="builds_in_order",
        where=p.SQL("finished_at IS NULL"),
    )
)
Build.add_index(
    Build.index(
        Build.jobset,
        Build.group_id,
        name="builds_unfinished",
        where=p.SQL("finished_at IS NULL"),
    )
)
Build.add_index(
    Build.index(
        Build.group_id,
        name="builds_unfinished_groups",
        where=p.SQL("finished_at IS NULL"),
    )
)


Build.add_index(
    Build.index(
        Build.jobset,
        Build.key,
        name="builds_reusable",
        where=p.SQL("status = 'succeeded' AND key != ''"),
    )
)
# The newest good build of a job, of a jobset, or of all, that people who may push wrote.
Build.add_index(
    Build.index(
        Build.jobset,
        Build.job,
        Build.system,
        Build.id,
        name="builds_good_of_job",
        where=p.SQL("status = 'succeeded' AND trust = 'trusted'"),
    )
)
Build.add_index(
    Build.index(
        Build.jobset,
        Build.system,
        Build.id,
        name="builds_good_of_jobset",
        where=p.SQL("status = 'succeeded' AND trust = 'trusted'"),
    )
)
Build.add_index(
    Build.index(
        Build.system,
        Build.id,
        name="builds_good_of_system",
        where=p.SQL("status = 'succeeded' AND trust = 'trusted'"),
    )
)
Build.add_index(
    Build.index(
        Build.concurrency,
        Build.id,
        name="builds_grouped",
        where=p.SQL("concurrency != '' AND finished_at IS NULL"),
    )
)


class Need(Table):
    """A build that starts only after another has succeeded."""

    build = within(Build)
    needed = p.ForeignKeyField(Build)

    class Meta:
        table_name = "needs"
        primary_key = p.CompositeKey("build", "needed")


class Reuse(Table):
    """A build of earlier whose result stands for a job of an evaluation."""

    evaluation = within(Evaluation)
    build = within(Build)

    class Meta:
        table_name = "reuses"
        primary_key = p.CompositeKey("evaluation", "build")
        indexes = ((("build", "evaluation"), False),)


class Attempt(Table):
    build = within(Build)
    number = p.IntegerField()
    worker = p.TextField()
    sandbox = p.TextField(default="")
    status = p.TextField()
    reason = p.TextField(default="")
    detail = p.TextField(default="")
    started_at = MomentField()
    finished_at = MomentField(null=True)
    log_bytes = p.BigIntegerField(null=True)  # that its logs take; null until they are counted
    logs_look_at = MomentField(null=True)  # whether they still stand
    logs_removed_at = MomentField(null=True)

    class Meta:
        table_name = "attempts"
        primary_key = p.CompositeKey("build", "number")


Attempt.add_index(
    Attempt.index(
        Attempt.logs_look_at,
        name="attempts_looked_at",
        where=p.SQL("logs_look_at IS NOT NULL"),
    )
)


class Step(Table):
    build = within(Build)
    attempt = p.IntegerField()
    number = p.IntegerField()
    name = p.TextField()
    status = p.TextField()
    exit_code = p.IntegerField(null=True)
    started_at = MomentField(null=True)
    finished_at = MomentField(null=True)

    class Meta:
        table_name = "steps"
        primary_key = p.CompositeKey("build", "attempt", "number")
