"""What a build says of what it made, in Hydra's words."""

import io

import pytest

from ciserver.model.build import BuildResult, Output, ProductKind
from ciserver.model.report import ReportKind
from ciserver.model.status import BuildStatus, Reason

STORE = "/run/nix/store"
OUT, DOC = f"{STORE}/a-hello", f"{STORE}/b-hello-doc"


@pytest.fixture
def lease(make):
    return make.leases[make.build(BuildStatus.RUNNING).id]


def test_a_build_of_nix(make, anybody, lease):
    """Derivation, outputs, release, numbers, and products with what they are."""
    paths = {"doc": DOC, "out": OUT}
    make.reporter.set_output(lease, Output("hello-1", f"{STORE}/c-hello.drv", paths))
    metrics = io.BytesIO(b"size 12.5 KiB\ntests 7\n")
    make.reporter.add_report(lease, ReportKind.METRICS, "out/nix-support/hydra-metrics", metrics)
    kind = ProductKind("doc", "manual", "index.html")
    content = io.BytesIO(b"tar")
    make.reporter.add_product(lease, DOC, content, kind=kind, name="hello-doc.tar")
    shown = anybody.get(f"/build/{lease.build_id}")
    (product,) = shown["buildproducts"].values()
    keys = ("drvpath", "releasename", "buildoutputs", "buildmetrics")
    assert {key: shown[key] for key in keys} == {
        "drvpath": f"{STORE}/c-hello.drv",
        "releasename": "hello-1",
        "buildoutputs": {"doc": {"path": DOC}, "out": {"path": OUT}},
        "buildmetrics": {
            "size": {"value": 12.5, "unit": "KiB"},
            "tests": {"value": 7, "unit": ""},
        },
    }
    keys = ("type", "subtype", "name", "defaultpath", "filesize")
    assert [product[key] for key in keys] == ["doc", "manual", "hello-doc", "index.html", 3]


def test_a_build_that_says_that_it_failed(make, anybody, lease):
    """It is no success, and what it made is there."""
    make.reporter.add_product(lease, "a.txt", io.BytesIO(b"a"))
    make.reporter.finish(
        lease, BuildResult(BuildStatus.FAILED, Reason.FAILED_WITH_OUTPUT, "it says so"), ()
    )
    shown = anybody.get(f"/build/{lease.build_id}")
    assert (shown["finished"], shown["buildstatus"]) == (1, 6)
    assert [one["type"] for one in shown["buildproducts"].values()] == ["file"]
    assert shown["buildoutputs"] == {}
