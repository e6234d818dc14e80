"""Projects, and what they own besides jobsets."""

import peewee as p

from ciserver.store.fields import FlagField, MomentField
from ciserver.store.tables.base import Table, within


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


class Key(Table):
    """What all servers of this database must have alike and nobody may know: sealed."""

    id = p.AutoField()
    name = p.TextField(unique=True)
    sealed = p.BlobField()

    class Meta:
        table_name = "keys"


class ProjectRename(Table):
    """What a project was once called, where no other is called so now."""

    name = p.TextField(primary_key=True)
    project = within(Project)

    class Meta:
        table_name = "project_renames"


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
