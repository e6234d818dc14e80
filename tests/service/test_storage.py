"""What a project keeps is counted where it is kept and removed, and bounded."""

import io

import pytest
from support.factories import ADMIN, Factory, done

from ciserver.config import Builds, Settings
from ciserver.datadir import DataDirectory
from ciserver.model.account import ANONYMOUS
from ciserver.model.build import BuildResult
from ciserver.model.errors import Forbidden, Invalid, NotSignedIn, OverQuota
from ciserver.model.status import BuildStatus
from ciserver.wiring import make_parts

B = BuildStatus
MIB = 1 << 20
LINE = b"what a compiler says\n"


@pytest.fixture
def parts(tmp_path, clock):
    """A server where a project may keep 2 MiB, and logs for 30 days."""
    settings = Settings(builds=Builds(project_quota_mb=2, keep_logs_days=30))
    made = make_parts(settings, DataDirectory(tmp_path / "data"), clock=clock)
    yield made
    made.store.database.close()


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


@pytest.fixture
def jobset(make):
    return make.jobset("hello")


@pytest.fixture
def running(make, jobset):
    """The lease of a build whose first task runs."""
    return lambda: make.leases[make.build(B.RUNNING, jobset=jobset).id]


@pytest.fixture
def kept(services, store):
    """What the project keeps, which is what all of its products and logs come to."""

    def ask():
        assert store.storage.list_wrong() == ()
        one = services.storage.of_project(ANONYMOUS, "hello").kept
        return one.products, one.logs

    return ask


def add(reporter, lease, size, path="out.bin"):
    reporter.add_product(lease, path, io.BytesIO(lease.build_id.to_bytes(1) * size))


def end(reporter, lease):
    reporter.finish(lease, BuildResult(B.SUCCEEDED), (done(1),))


def test_products_are_counted(reporter, running, kept):
    """Each by its size; what comes again in its place is not counted twice."""
    first, second = running(), running()
    add(reporter, first, 1000)
    add(reporter, second, 300)
    assert kept() == (1300, 0)
    add(reporter, first, 1000)
    add(reporter, first, 10, "another")
    assert kept() == (1310, 0)
    add(reporter, first, 400)
    assert kept() == (710, 0)


def test_what_is_removed_is_counted_out(services, reporter, running, kept, clock):
    """In the transaction that removes it, once."""
    lease = running()
    add(reporter, lease, 1000)
    end(reporter, lease)
    services.builds.delete(ADMIN, lease.build_id)
    services.keeping.sweep()
    assert kept() == (1000, 0)  # an evaluation that is kept has it
    again = running()
    for _ in range(4):
        end(reporter, running())
    end(reporter, again)
    clock.forward(days=100)
    services.keeping.sweep()
    services.keeping.sweep()
    assert kept() == (0, 0)


def test_logs_are_counted(services, reporter, running, kept, clock):
    """Once they are packed, by what they take then; removed ones no more."""
    lease = running()
    reporter.append_log(lease, 1, 0, LINE * 10_000)
    end(reporter, lease)
    services.log_keeping.sweep()
    products, logs = kept()
    assert (products, 0 < logs < 10_000) == (0, True)
    services.log_keeping.sweep()
    assert kept() == (0, logs)
    for _ in range(4):
        end(reporter, running())
    clock.forward(days=31)
    services.log_keeping.sweep()
    assert kept() == (0, 0)


def test_a_full_project(services, store, reporter, running, kept):
    """What does not fit is refused before anything is written, with what is kept and may be; what
    fits still comes in, and the same again.
    """
    lease = running()
    add(reporter, lease, MIB)
    with pytest.raises(OverQuota, match=r"hello may keep 2 MiB, keeps 1048576 bytes and has no"):
        add(reporter, lease, MIB + 1, "more")
    assert len(list(store.files.list_products())) == 1
    add(reporter, lease, MIB, "more")
    add(reporter, lease, MIB, "more")
    assert kept() == (2 * MIB, 0)
    assert services.storage.of_project(ANONYMOUS, "hello").is_full
    assert [one.project for one in services.storage.list_full()] == ["hello"]


def test_another_project_has_room(make, reporter, running):
    add(reporter, running(), 2 * MIB)
    other = make.leases[make.build(B.RUNNING, jobset=make.jobset("other")).id]
    add(reporter, other, 2 * MIB)


def test_a_quota_of_its_own(services, reporter, running):
    """More or less than the server's, none, and the server's again."""
    lease = running()
    assert services.storage.set_quota(ADMIN, "hello", 1).quota_mb == 1
    with pytest.raises(OverQuota):
        add(reporter, lease, MIB + 1)
    services.storage.set_quota(ADMIN, "hello", 3)
    add(reporter, lease, 3 * MIB)
    services.storage.set_quota(ADMIN, "hello", 0)
    add(reporter, running(), 9 * MIB)
    assert not services.storage.of_project(ANONYMOUS, "hello").is_full
    back = services.storage.set_quota(ADMIN, "hello", None)
    assert (back.quota_mb, back.kept.quota_mb, back.is_full) == (2, None, True)


def test_only_administrators_set_quotas(make, services, jobset):
    """And it is on record who did."""
    with pytest.raises(Forbidden):
        services.storage.set_quota(make.user("ada"), "hello", 0)
    with pytest.raises(NotSignedIn):
        services.storage.set_quota(ANONYMOUS, "hello", 0)
    for wrong in (-1, 1 << 40):
        with pytest.raises(Invalid):
            services.storage.set_quota(ADMIN, "hello", wrong)
    services.storage.set_quota(ADMIN, "hello", 5)
    newest = services.requests.list_newest(ADMIN, limit=1)[0]
    assert (newest.action, newest.what) == ("set-quota", {"project": "hello", "quota_mb": 5})


def test_a_wrong_row_is_found(store, reporter, running):
    """So that the check of the other tests means something."""
    add(reporter, running(), 10)
    with store.transaction():
        store.database.sql("UPDATE storage SET products = products + 1")
    assert store.storage.list_wrong() == ("hello",)


def test_totals(services, make, reporter, running):
    add(reporter, running(), 10)
    add(reporter, make.leases[make.build(B.RUNNING, jobset=make.jobset("other")).id], 5)
    assert services.storage.totals().products == 15
