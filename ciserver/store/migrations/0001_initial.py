"""The first schema: a frozen copy, so that later changes of the tables do not rewrite history."""

from typing import Any

import peewee as p

from ciserver.store.fields import FlagField, MomentField


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
    is_admin = FlagField(default=False)
    full_name = p.TextField(default="")
    roles = p.TextField(default="[]")  # JSON list
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
    name = p.TextField()
    owner = p.TextField(index=True)
    display_name = p.TextField(default="")
    description = p.TextField(default="")
    homepage = p.TextField(default="")
    enabled = FlagField(default=True)
    hidden = FlagField(default=False)
    visibility = p.TextField(default="public")
    # The file that declares the jobsets, and the evaluation whose declarations are in force.
    declaration_file = p.TextField(default="")
    declaration_type = p.TextField(default="git")
    declaration_value = p.TextField(default="")
    declared_by = p.IntegerField(null=True)
    removed = FlagField(default=False)  # what was built stays for what refers to it
    signing_secret = p.BlobField()  # sealed
    created_at = MomentField()

    class Meta:
        table_name = "projects"


Project.add_index(
    Project.index(Project.name, name="projects_name", unique=True, where=p.SQL("removed = 0"))
)
Project.add_index(Project.index(Project.id, name="projects_removed", where=p.SQL("removed = 1")))


class Member(Table):
    project = within(Project)
    user = p.TextField(index=True)
    rights = p.TextField()  # JSON list

    class Meta:
        table_name = "members"
        primary_key = p.CompositeKey("project", "user")


class HookSecret(Table):
    id = p.AutoField()
    project = p.ForeignKeyField(Project)
    sealed = p.BlobField()
    created_at = MomentField()

    class Meta:
        table_name = "hook_secrets"


class Secret(Table):
    """Of a user, or of a project: one of the two is there. Its value is sealed."""

    id = p.AutoField()
    uuid = p.TextField(unique=True)
    user = p.TextField(default="")
    project = within(Project, null=True)
    type = p.TextField()
    name = p.TextField(default="")
    path = p.TextField(default="")
    mode = p.IntegerField(default=0)
    sealed = p.BlobField()
    created_at = MomentField()
    last_used_at = MomentField(null=True)

    class Meta:
        table_name = "secrets"
        indexes = ((("user", "project", "id"), False),)


Secret.add_index(
    Secret.index(
        Secret.user,
        Secret.name,
        name="secrets_name_of_user",
        unique=True,
        where=p.SQL("project_id IS NULL AND name != ''"),
    )
)
Secret.add_index(
    Secret.index(
        Secret.project,
        Secret.name,
        name="secrets_name_of_project",
        unique=True,
        where=p.SQL("project_id IS NOT NULL AND name != ''"),
    )
)


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


class ProjectRename(Table):
    """What a project was once called, where no other is called so now."""

    name = p.TextField(primary_key=True)
    project = within(Project)

    class Meta:
        table_name = "project_renames"


class JobsetRename(Table):
    """The same of jobsets, within their project."""

    project = within(Project)
    name = p.TextField()
    jobset = within(Jobset)

    class Meta:
        table_name = "jobset_renames"
        primary_key = p.CompositeKey("project", "name")


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


class Text(Table):
    """A recipe or a job as text, once however many builds have it, so that builds stay narrow."""

    sha256 = p.TextField(primary_key=True)
    text = p.TextField()

    class Meta:
        table_name = "texts"


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


class Key(Table):
    """What all servers of this database must have alike and nobody may know: sealed."""

    id = p.AutoField()
    name = p.TextField(unique=True)
    sealed = p.BlobField()

    class Meta:
        table_name = "keys"


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


class Upload(Table):
    """A file that was sent in for the builds of an evaluation; the row goes with the file."""

    name = p.TextField(primary_key=True)
    evaluation = p.ForeignKeyField(Evaluation)

    class Meta:
        table_name = "uploads"


class Requester(Table):
    """How many builds somebody asked for."""

    name = p.TextField(primary_key=True)
    builds = p.IntegerField()

    class Meta:
        table_name = "requesters"


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


class Star(Table):
    """A job that somebody wants to see on their first page."""

    user = p.TextField()
    jobset = within(Jobset)
    job = p.TextField()

    class Meta:
        table_name = "stars"
        primary_key = p.CompositeKey("user", "jobset", "job")


class Label(Table):
    """What a build is called and sorted by, beside its job's name."""

    build = within(Build, primary_key=True)
    note = p.TextField(default="")
    tags = p.TextField(default="[]")  # JSON list

    class Meta:
        table_name = "labels"


class TagPath(Table):
    """A beginning of somebody's tags in small letters: `hello`, and `hello/commits` below it."""

    id = p.AutoField()
    owner = p.TextField()  # who asked for the builds
    path = p.TextField()

    class Meta:
        table_name = "tag_paths"
        indexes = ((("owner", "path"), True),)


class TaggedBuild(Table):
    path = within(TagPath)
    build = within(Build)

    class Meta:
        table_name = "tagged_builds"
        primary_key = p.CompositeKey("path", "build")


class JobGroup(Table):
    """Builds that somebody joined, to be told of the end of all of them together."""

    id = p.AutoField()
    owner = p.TextField()
    note = p.TextField(default="")
    triggers = p.TextField(default="[]")  # JSON list
    created_at = MomentField()
    ended_at = MomentField(null=True)  # when all of them had ended for the first time

    class Meta:
        table_name = "job_groups"


class JobGroupMember(Table):
    """A build is in one group, or in none."""

    build = within(Build, primary_key=True)
    group = within(JobGroup)

    class Meta:
        table_name = "job_group_members"
        indexes = ((("group", "build"), False),)


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


class Product(Table):
    id = p.AutoField()
    build = within(Build)
    attempt = p.IntegerField()
    name = p.TextField()
    path = p.TextField()
    size = p.BigIntegerField()
    sha256 = p.TextField(index=True)
    type = p.TextField(default="file")
    subtype = p.TextField(default="")
    default_path = p.TextField(default="")
    removed_at = MomentField(null=True)
    removed_why = p.TextField(default="")
    file_left = FlagField(default=False)  # removed, and its file not seen to yet

    class Meta:
        table_name = "products"
        indexes = ((("build", "attempt", "path"), True),)


Product.add_index(Product.index(Product.id, name="products_left", where=p.SQL("file_left = 1")))


class BuildOutput(Table):
    """What an attempt told of what it made, if it did."""

    build = within(Build)
    attempt = p.IntegerField()
    release_name = p.TextField()
    drv_path = p.TextField()
    paths = p.TextField()  # JSON object: name to path

    class Meta:
        table_name = "build_outputs"
        primary_key = p.CompositeKey("build", "attempt")


BuildOutput.add_index(
    BuildOutput.index(
        BuildOutput.drv_path, name="build_outputs_drv_path", where=p.SQL("drv_path != ''")
    )
)


class Report(Table):
    """A file in which a build tells of tests, coverage or metrics."""

    id = p.AutoField()
    build = within(Build)
    attempt = p.IntegerField()
    kind = p.TextField()
    path = p.TextField()
    notes = p.TextField(default="")  # a line each
    passed = p.IntegerField(default=0)
    failed = p.IntegerField(default=0)
    errored = p.IntegerField(default=0)
    skipped = p.IntegerField(default=0)
    lines_covered = p.BigIntegerField(default=0)
    lines_valid = p.BigIntegerField(default=0)

    class Meta:
        table_name = "reports"
        indexes = ((("build", "attempt", "kind", "path"), True),)


class CaseResult(Table):
    report = within(Report)
    number = p.IntegerField()
    suite = p.TextField()
    name = p.TextField()
    status = p.TextField()
    seconds = p.DoubleField()
    message = p.TextField()

    class Meta:
        table_name = "test_results"
        primary_key = p.CompositeKey("report", "number")


CaseResult.add_index(
    CaseResult.index(
        CaseResult.report,
        CaseResult.number,
        name="test_results_bad",
        where=p.SQL("status IN ('failed', 'errored')"),
    )
)


class Metric(Table):
    report = within(Report)
    name = p.TextField()
    value = p.DoubleField()
    unit = p.TextField()

    class Meta:
        table_name = "metrics"
        primary_key = p.CompositeKey("report", "name")


class Cache(Table):
    """An archive that builds of a project share under a key, by trust."""

    project = within(Project)
    trust = p.TextField()
    key = p.TextField()
    file = p.TextField(unique=True)
    sha256 = p.TextField()
    size = p.BigIntegerField()
    saved_at = MomentField()
    used_at = MomentField()

    class Meta:
        table_name = "caches"
        primary_key = p.CompositeKey("project", "trust", "key")


class Storage(Table):
    """How many bytes a project keeps, and how many it may, where that was set for it."""

    project = within(Project, primary_key=True)
    products = p.BigIntegerField(default=0)
    logs = p.BigIntegerField(default=0)
    quota_mb = p.IntegerField(null=True)

    class Meta:
        table_name = "storage"


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


ALL: tuple[Any, ...] = (
    User,
    Session,
    SignInLink,
    Token,
    Project,
    Member,
    HookSecret,
    Secret,
    Jobset,
    ProjectRename,
    JobsetRename,
    Pause,
    WorkerFaults,
    Input,
    Push,
    Schedule,
    Evaluation,
    Firing,
    Grant,
    PinnedInput,
    Text,
    System,
    Worker,
    WorkerState,
    Node,
    Key,
    SourceSettings,
    SourceSystem,
    Upload,
    Requester,
    JobCounter,
    Lane,
    Ready,
    Build,
    Need,
    Reuse,
    Star,
    Label,
    TagPath,
    TaggedBuild,
    JobGroup,
    JobGroupMember,
    Attempt,
    Step,
    Product,
    BuildOutput,
    Report,
    CaseResult,
    Metric,
    Cache,
    Storage,
    JobRequest,
    Delivery,
    DeliveryTry,
)


def up(_migrator: Any, db: Any) -> None:
    with db.bind_ctx(ALL):
        db.create_tables(ALL)
