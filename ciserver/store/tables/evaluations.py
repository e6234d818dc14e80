"""Pushes and evaluations, with what an evaluation was made from."""

import peewee as p

from ciserver.store.fields import FlagField, MomentField
from ciserver.store.tables.base import Table, within
from ciserver.store.tables.jobsets import Jobset, Schedule
from ciserver.store.tables.projects import Project


class Push(Table):
    id = p.AutoField()
    project = within(Project)
    door = p.TextField()
    delivery_id = p.TextField()
    body_sha256 = p.TextField()
    received_at = MomentField()
    pusher = p.TextField(default="")
    refs = p.TextField()  # JSON list
    ignored = p.TextField(default="")
    outcome = p.TextField()  # JSON: the answer that every repetition gets

    class Meta:
        table_name = "pushes"
        indexes = (
            (("project", "door", "delivery_id"), True),
            (("project", "body_sha256"), False),
        )


Push.add_index(
    Push.index(Push.project, Push.id, name="pushes_ignored", where=p.SQL("ignored != ''"))
)


class Evaluation(Table):
    id = p.AutoField()
    jobset = within(Jobset)
    push = within(Push, null=True)
    schedule = within(Schedule, null=True)
    number = p.IntegerField()
    status = p.TextField()
    kind = p.TextField()
    ref = p.TextField()
    revision = p.TextField()
    base_revision = p.TextField(default="")  # what the ref was before the push
    options = p.TextField(default="[]")  # JSON list
    requested_by = p.TextField(default="")
    requested_at = MomentField()
    claimed_until = MomentField(null=True)
    claimed_by = p.TextField(default="")  # the node
    tries = p.IntegerField(default=0)
    started_at = MomentField(null=True)
    pinned_at = MomentField(null=True)
    finished_at = MomentField(null=True)
    trust = p.TextField(default="trusted")
    visibility = p.TextField(default="public")
    wish = p.TextField(default="{}")  # JSON
    key = p.TextField(default="")  # of all that it looks at: equal ones come to equal jobs
    images = p.TextField(default="{}")  # JSON: what those of its jobs stood for
    built_number = p.IntegerField(null=True)  # counts those of the jobset that made builds
    subject = p.TextField(default="")
    author = p.TextField(default="")
    committed_at = MomentField(null=True)
    note = p.TextField(default="")
    complaints = p.TextField(default="[]")  # JSON list of {file, field, message}
    skipped = p.TextField(default="[]")  # JSON list of {job, reason}
    builds_total = p.IntegerField(default=0)
    builds_finished = p.IntegerField(default=0)
    builds_good = p.IntegerField(default=0)

    class Meta:
        table_name = "evaluations"
        indexes = (
            (("jobset", "number"), True),
            (("jobset", "built_number"), True),
        )


Evaluation.add_index(
    Evaluation.index(
        Evaluation.id,
        name="evaluations_open",
        where=p.SQL("status IN ('requested', 'running')"),
    )
)


Evaluation.add_index(
    Evaluation.index(Evaluation.jobset, Evaluation.revision, name="evaluations_of_revision")
)
Evaluation.add_index(
    Evaluation.index(
        Evaluation.jobset,
        Evaluation.key,
        Evaluation.id,
        name="evaluations_repeatable",
        where=p.SQL("key != ''"),
    )
)
# Those that made builds: of all jobsets, of a ref, and those of which every build has ended.
Evaluation.add_index(
    Evaluation.index(
        Evaluation.id,
        name="evaluations_built",
        where=p.SQL("built_number IS NOT NULL"),
    )
)
Evaluation.add_index(
    Evaluation.index(
        Evaluation.jobset,
        Evaluation.ref,
        Evaluation.requested_at,
        Evaluation.id,
        name="evaluations_built_of_ref",
        where=p.SQL("built_number IS NOT NULL"),
    )
)
Evaluation.add_index(
    Evaluation.index(
        Evaluation.jobset,
        Evaluation.id,
        name="evaluations_ended",
        where=p.SQL("built_number IS NOT NULL AND builds_finished = builds_total"),
    )
)


class Firing(Table):
    """A due moment of a schedule, once: whoever inserts the row has fired it."""

    schedule = within(Schedule)
    due_at = MomentField()
    fired_at = MomentField()
    missed = p.IntegerField(default=0)
    evaluation = within(Evaluation, null=True)
    outcome = p.TextField(default="")

    class Meta:
        table_name = "firings"
        primary_key = p.CompositeKey("schedule", "due_at")


class Grant(Table):
    """Somebody who may see, or also change, what an evaluation built, by exception."""

    evaluation = within(Evaluation)
    user = p.TextField()
    may_write = FlagField(default=False)

    class Meta:
        table_name = "grants"
        primary_key = p.CompositeKey("evaluation", "user")
        indexes = ((("user", "evaluation"), False),)


class PinnedInput(Table):
    id = p.AutoField()
    evaluation = p.ForeignKeyField(Evaluation)
    name = p.TextField()
    type = p.TextField(default="git")
    value = p.TextField(default="")
    uri = p.TextField()
    ref = p.TextField()
    revision = p.TextField()

    class Meta:
        table_name = "pinned_inputs"


class Upload(Table):
    """A file that was sent in for the builds of an evaluation; the row goes with the file."""

    name = p.TextField(primary_key=True)
    evaluation = p.ForeignKeyField(Evaluation)

    class Meta:
        table_name = "uploads"
