"""What is still to be done, or told."""

import peewee as p

from ciserver.store.fields import FlagField, MomentField
from ciserver.store.tables.base import Table, within
from ciserver.store.tables.builds import Build
from ciserver.store.tables.evaluations import Evaluation
from ciserver.store.tables.projects import Project


class Requester(Table):
    """How many builds somebody asked for."""

    name = p.TextField(primary_key=True)
    builds = p.IntegerField()

    class Meta:
        table_name = "requesters"


class JobRequest(Table):
    id = p.AutoField()
    action = p.TextField()
    asked_as = p.TextField(default="")
    who = p.TextField()
    what = p.TextField()  # JSON
    project = within(Project, null=True)  # whose members may see it; none: administrators
    evaluation = within(Evaluation, null=True)  # that it waits for
    requested_at = MomentField()
    status = p.TextField()
    completed_at = MomentField(null=True)
    message = p.TextField(default="")
    created = p.TextField(default="[]")  # JSON list of build ids

    class Meta:
        table_name = "job_requests"


JobRequest.add_index(
    JobRequest.index(JobRequest.id, name="job_requests_pending", where=p.SQL("status = 'pending'"))
)


class Delivery(Table):
    id = p.TextField(primary_key=True)
    build = p.ForeignKeyField(Build, null=True)
    evaluation = within(Evaluation, null=True)  # of one that is not of a build
    attempt = p.IntegerField(default=0)
    dedupe_key = p.TextField(unique=True)  # build, attempt, event and trigger
    action = p.TextField()
    target = p.TextField()
    options = p.TextField()  # JSON
    event = p.TextField()  # JSON
    status = p.TextField()
    tries = p.IntegerField(default=0)
    due_at = MomentField()
    claimed_until = MomentField(null=True)
    claimed_by = p.TextField(default="")  # the node
    created_at = MomentField()
    sent_at = MomentField(null=True)
    detail = p.TextField(default="")

    class Meta:
        table_name = "deliveries"
        indexes = ((("created_at", "id"), False),)


Delivery.add_index(
    Delivery.index(Delivery.due_at, name="deliveries_due", where=p.SQL("status = 'pending'"))
)
Delivery.add_index(
    Delivery.index(
        Delivery.claimed_by,
        name="deliveries_claimed",
        where=p.SQL("status = 'pending' AND claimed_until IS NOT NULL"),
    )
)


class DeliveryTry(Table):
    delivery = within(Delivery)
    number = p.IntegerField()
    at = MomentField()
    ok = FlagField()
    detail = p.TextField()
    duration_seconds = p.DoubleField()

    class Meta:
        table_name = "delivery_tries"
        primary_key = p.CompositeKey("delivery", "number")
