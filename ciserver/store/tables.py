"""The schema. Private to the store: rows never leave this folder.

A partial index beside each "what is due" question keeps it flat as the tables grow.
"""

from typing import Any

import peewee as p

from ciserver.store.fields import MomentField


class Table(p.Model):
    class Meta:
        legacy_table_names = False


def within(table: Any, **options: Any) -> Any:
    """A reference without an index of its own: a wider index begins with it, or nobody asks."""
    return p.ForeignKeyField(table, index=False, **options)


class User(Table):
    id = p.AutoField()
    name = p.TextField(unique=True)
    email = p.TextField(default="")
    password_hash = p.TextField(default="")
    is_admin = p.BooleanField(default=False)
    created_at = MomentField()

    class Meta:
        table_name = "users"


class Session(Table):
    id_hash = p.TextField(primary_key=True)
    user = p.ForeignKeyField(User)
    csrf = p.TextField()
    expires_at = MomentField(index=True)

    class Meta:
        table_name = "sessions"


class SignInLink(Table):
    """A one-time link; the row goes when it is used."""

    token_hash = p.TextField(primary_key=True)
    user = p.ForeignKeyField(User)
    expires_at = MomentField()

    class Meta:
        table_name = "sign_in_links"


class Token(Table):
    id = p.AutoField()
    user = p.ForeignKeyField(User)
    hash = p.TextField(unique=True)
    prefix = p.TextField()
    scopes = p.TextField()
    created_at = MomentField()
    expires_at = MomentField(null=True)
    last_used_at = MomentField(null=True)

    class Meta:
        table_name = "tokens"


class Project(Table):
    id = p.AutoField()
    name = p.TextField(unique=True)
    description = p.TextField(default="")
    enabled = p.BooleanField(default=True)
    signing_secret = p.BlobField()  # sealed
    created_at = MomentField()

    class Meta:
        table_name = "projects"


class HookSecret(Table):
    id = p.AutoField()
    project = p.ForeignKeyField(Project)
    sealed = p.BlobField()
    created_at = MomentField()

    class Meta:
        table_name = "hook_secrets"


class Jobset(Table):
    id = p.AutoField()
    project = within(Project)
    name = p.TextField()
    enabled = p.BooleanField(default=True)
    recipe_input = p.TextField()
    recipe_path = p.TextField()  # JSON list of globs
    evaluations_made = p.IntegerField(default=0)
    pgo_strategy = p.TextField(default="periodic")
    # Logarithm of the build seconds used, aged so that stored values stay comparable.
    share_rank = p.DoubleField(default=0)

    class Meta:
        table_name = "jobsets"
        indexes = ((("project", "name"), True),)


class Input(Table):
    id = p.AutoField()
    jobset = within(Jobset)
    name = p.TextField()
    uri = p.TextField()
    repository_key = p.TextField(index=True)
    ref = p.TextField()
    watch = p.TextField()  # JSON list of globs
    local = p.BooleanField(default=False)
    credential = p.BlobField(null=True)  # sealed

    class Meta:
        table_name = "inputs"
        indexes = ((("jobset", "name"), True),)


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


class Schedule(Table):
    """A removed one stays for the history of its firings."""

    id = p.AutoField()
    jobset = p.ForeignKeyField(Jobset)
    kind = p.TextField()
    timing = p.TextField()  # JSON
    ref = p.TextField()
    only_if_changed = p.BooleanField()
    last_good = p.BooleanField()
    paused = p.BooleanField(default=False)
    removed = p.BooleanField(default=False)
    declared_by = p.TextField()
    created_at = MomentField()
    next_due_at = MomentField(null=True)

    class Meta:
        table_name = "schedules"


Schedule.add_index(
    Schedule.index(
        Schedule.next_due_at,
        name="schedules_due",
        where=p.SQL("paused = 0 AND removed = 0 AND next_due_at IS NOT NULL"),
    )
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
    options = p.TextField(default="[]")  # JSON list
    requested_by = p.TextField(default="")
    requested_at = MomentField()
    claimed_until = MomentField(null=True)
    tries = p.IntegerField(default=0)
    started_at = MomentField(null=True)
    finished_at = MomentField(null=True)
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
        indexes = ((("jobset", "number"), True),)


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


class PinnedInput(Table):
    id = p.AutoField()
    evaluation = p.ForeignKeyField(Evaluation)
    name = p.TextField()
    uri = p.TextField()
    ref = p.TextField()
    revision = p.TextField()

    class Meta:
        table_name = "pinned_inputs"


class JobText(Table):
    """A job as text, stored once however many builds it has, so that builds stay narrow."""

    sha256 = p.TextField(primary_key=True)
    text = p.TextField()

    class Meta:
        table_name = "job_texts"


class JobCounter(Table):
    """The last build number of a job."""

    jobset = within(Jobset)
    job = p.TextField()
    number = p.IntegerField()

    class Meta:
        table_name = "job_counters"
        primary_key = p.CompositeKey("jobset", "job")


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


class Build(Table):
    id = p.AutoField()
    evaluation = p.ForeignKeyField(Evaluation)
    jobset = within(Jobset)
    lane = within(Lane)
    job = p.TextField()
    job_text = within(JobText, column_name="job_sha256")
    number = p.IntegerField()
    system = p.TextField()
    image = p.TextField()
    trust = p.TextField(default="trusted")
    status = p.TextField()
    reason = p.TextField(default="")
    detail = p.TextField(default="")
    waiting = p.TextField(default="")  # why it may not be claimed; empty = it may
    priority = p.IntegerField(default=0)
    bumped = p.BooleanField(default=False)
    kind = p.TextField()
    ref = p.TextField()
    revision = p.TextField()
    requested_by = p.TextField(default="")
    canceled_by = p.TextField(default="")
    attempt = p.IntegerField(default=0)
    lost_attempts = p.IntegerField(default=0)
    token = p.TextField(default="")
    worker = p.TextField(default="")
    lease_until = MomentField(null=True)
    queued_at = MomentField()
    started_at = MomentField(null=True)
    finished_at = MomentField(null=True)

    class Meta:
        table_name = "builds"
        indexes = (
            (("jobset", "id"), False),
            (("jobset", "job", "system", "ref", "id"), False),
            (("status", "id"), False),
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

    class Meta:
        table_name = "attempts"
        primary_key = p.CompositeKey("build", "number")


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


class Product(Table):
    id = p.AutoField()
    build = within(Build)
    attempt = p.IntegerField()
    name = p.TextField()
    path = p.TextField()
    size = p.BigIntegerField()
    sha256 = p.TextField(index=True)

    class Meta:
        table_name = "products"
        indexes = ((("build", "attempt", "path"), True),)


class Delivery(Table):
    id = p.TextField(primary_key=True)
    build = p.ForeignKeyField(Build)
    attempt = p.IntegerField()
    dedupe_key = p.TextField(unique=True)  # build, attempt, event and trigger
    action = p.TextField()
    target = p.TextField()
    options = p.TextField()  # JSON
    event = p.TextField()  # JSON
    status = p.TextField()
    tries = p.IntegerField(default=0)
    due_at = MomentField()
    claimed_until = MomentField(null=True)
    created_at = MomentField()
    sent_at = MomentField(null=True)
    detail = p.TextField(default="")

    class Meta:
        table_name = "deliveries"
        indexes = ((("created_at", "id"), False),)


Delivery.add_index(
    Delivery.index(Delivery.due_at, name="deliveries_due", where=p.SQL("status = 'pending'"))
)


class DeliveryTry(Table):
    delivery = within(Delivery)
    number = p.IntegerField()
    at = MomentField()
    ok = p.BooleanField()
    detail = p.TextField()
    duration_seconds = p.DoubleField()

    class Meta:
        table_name = "delivery_tries"
        primary_key = p.CompositeKey("delivery", "number")


ALL: tuple[Any, ...] = (
    User,
    Session,
    SignInLink,
    Token,
    Project,
    HookSecret,
    Jobset,
    Input,
    Push,
    Schedule,
    Evaluation,
    Firing,
    PinnedInput,
    JobText,
    JobCounter,
    Lane,
    Ready,
    Build,
    Attempt,
    Step,
    Product,
    Delivery,
    DeliveryTry,
)
