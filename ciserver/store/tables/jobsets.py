"""Jobsets: what they watch, when they are evaluated, how their sources are built."""

import peewee as p

from ciserver.store.fields import FlagField, MomentField
from ciserver.store.tables.base import Table, within
from ciserver.store.tables.projects import Project


class Jobset(Table):
    id = p.AutoField()
    project = within(Project)
    name = p.TextField()
    branch = p.TextField(null=True, unique=True)
    slug = p.TextField(index=True)
    description = p.TextField(default="")
    mode = p.TextField(default="on")
    hidden = FlagField(default=False)
    recipe_input = p.TextField(default="source")
    recipe_path = p.TextField()  # JSON list of globs
    check_interval_seconds = p.IntegerField(default=0)
    shares = p.IntegerField(default=100)
    keep_evaluations = p.IntegerField(default=3)
    tell_by_mail = FlagField(default=True)
    mail_to = p.TextField(default="")
    script = p.TextField(default="")
    parameters = p.TextField(default="")
    timeout_minutes = p.IntegerField(default=0)
    removed = FlagField(default=False)
    paused = FlagField(default=False)  # its builds wait
    reuse_results = FlagField(default=True)  # results of equal content
    checked_at = MomentField(null=True)
    next_check_at = MomentField(null=True)
    evaluations_made = p.IntegerField(default=0)
    evaluations_built = p.IntegerField(default=0)  # those that made builds
    pgo_strategy = p.TextField(default="periodic")
    # Logarithm of the build seconds used, aged so that stored values stay comparable.
    share_rank = p.DoubleField(default=0)

    class Meta:
        table_name = "jobsets"


Jobset.add_index(
    Jobset.index(
        Jobset.project, Jobset.name, name="jobsets_name", unique=True, where=p.SQL("removed = 0")
    )
)


Jobset.add_index(
    Jobset.index(
        Jobset.next_check_at, name="jobsets_checked", where=p.SQL("next_check_at IS NOT NULL")
    )
)


class JobsetRename(Table):
    """The same of jobsets, within their project."""

    project = within(Project)
    name = p.TextField()
    jobset = within(Jobset)

    class Meta:
        table_name = "jobset_renames"
        primary_key = p.CompositeKey("project", "name")


class Input(Table):
    id = p.AutoField()
    jobset = within(Jobset)
    name = p.TextField()
    type = p.TextField(default="git")
    value = p.TextField(default="")
    uri = p.TextField()
    repository_key = p.TextField(index=True)
    ref = p.TextField()
    watch = p.TextField()  # JSON list of globs
    local = FlagField(default=False)
    refresh_seconds = p.IntegerField(default=30)
    credential = p.BlobField(null=True)  # sealed

    class Meta:
        table_name = "inputs"
        indexes = ((("jobset", "name"), True),)


class Schedule(Table):
    """A removed one stays for the history of its firings."""

    id = p.AutoField()
    jobset = p.ForeignKeyField(Jobset)
    kind = p.TextField()
    timing = p.TextField()  # JSON
    ref = p.TextField()
    only_if_changed = FlagField()
    last_good = FlagField()
    runs_script = FlagField(default=False)
    paused = FlagField(default=False)
    removed = FlagField(default=False)
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


class SourceSettings(Table):
    """How a jobset builds sources that are sent in; without a row, as usual."""

    jobset = within(Jobset, primary_key=True)
    settings = p.TextField(default="{}")  # JSON map
    chosen = FlagField(default=False)  # source_systems has its systems, if any

    class Meta:
        table_name = "source_settings"


class SourceSystem(Table):
    """A system that sources which are sent in to a jobset are built for."""

    jobset = within(Jobset)
    system = p.TextField()
    packages = p.TextField(default="[]")  # JSON list
    comps = p.TextField(default="")
    comps_name = p.TextField(default="")

    class Meta:
        table_name = "source_systems"
        primary_key = p.CompositeKey("jobset", "system")


class JobCounter(Table):
    """The last build number of a job."""

    jobset = within(Jobset)
    job = p.TextField()
    number = p.IntegerField()

    class Meta:
        table_name = "job_counters"
        primary_key = p.CompositeKey("jobset", "job")


class Star(Table):
    """A job that somebody wants to see on their first page."""

    user = p.TextField()
    jobset = within(Jobset)
    job = p.TextField()

    class Meta:
        table_name = "stars"
        primary_key = p.CompositeKey("user", "jobset", "job")
