"""What builds left."""

import peewee as p

from ciserver.store.fields import FlagField, MomentField
from ciserver.store.tables.base import Table, within
from ciserver.store.tables.builds import Build


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
