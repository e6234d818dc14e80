"""Notes, tags and groups that people gave to builds."""

import peewee as p

from ciserver.store.fields import MomentField
from ciserver.store.tables.base import Table, within
from ciserver.store.tables.builds import Build


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
