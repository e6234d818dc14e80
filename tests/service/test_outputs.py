"""What an attempt tells of what it made, and the store it shares with other builds."""

import io

import pytest
from support.factories import make_job

from ciserver.model.build import BuildResult, Offer, Output, ProductKind
from ciserver.model.errors import LeaseLost
from ciserver.model.push import Trust
from ciserver.model.status import BuildStatus

MADE = Output("hello-1", "/s/x.drv", {"out": "/s/a", "doc": "/s/b"})


@pytest.fixture
def lease(make):
    return make.leases[make.build(BuildStatus.RUNNING).id]


def test_what_was_told_last_counts(make, lease, services, admin):
    """Of the newest attempt; nothing where it told nothing."""
    assert services.queries.build(admin, lease.build_id).output == Output()
    make.reporter.set_output(lease, Output("hello-0"))
    make.reporter.set_output(lease, MADE)
    assert services.queries.build(admin, lease.build_id).output == MADE
    make.reporter.finish(lease, BuildResult(BuildStatus.FAILED), ())
    build = services.builds.rerun(admin, lease.build_id)
    make.claim(Offer("local-0", (build.system,), (build.image,)))
    assert services.queries.build(admin, lease.build_id).output == Output()
    with pytest.raises(LeaseLost):
        make.reporter.set_output(lease, MADE)


def test_products_are_what_they_are_said_to_be(make, lease, services, admin):
    """A file where nothing is said; the same path again replaces it."""
    make.reporter.add_product(lease, "out/a.txt", io.BytesIO(b"a"))
    for subtype in ("old", "manual"):
        kind = ProductKind("doc", subtype, "index.html")
        make.reporter.add_product(lease, "/s/b", io.BytesIO(b"b"), kind=kind, name="b.tar")
    plain, doc = services.queries.build(admin, lease.build_id).products
    assert (plain.name, plain.type, plain.subtype, plain.default_path) == ("a.txt", "file", "", "")
    assert (doc.name, doc.path, doc.type, doc.subtype, doc.default_path) == (
        *("b.tar", "/s/b"),
        *("doc", "manual", "index.html"),
    )


def test_nix_jobs_share_a_store_by_project_and_trust(make):
    """What somebody proposes gets another one than what is pushed; other jobs get none."""
    jobset, sibling = make.jobset("one"), make.jobset("one", "other")
    other = make.jobset("two")
    stores = []
    for of, trust, nix in (
        (jobset, Trust.TRUSTED, True),
        (sibling, Trust.TRUSTED, True),
        (jobset, Trust.UNTRUSTED, True),
        (other, Trust.TRUSTED, True),
        (jobset, Trust.TRUSTED, False),
    ):
        job = make_job(nix=nix, image=f"image-{len(stores)}")
        make.evaluated(of, job, trust=trust)
        stores.append(make.claim(Offer("local-0", (job.system,), (job.image,))).store)
    one, two = jobset.project_id, other.project_id
    assert stores == [
        f"{one}-trusted",
        f"{one}-trusted",
        f"{one}-untrusted",
        f"{two}-trusted",
        "",
    ]
