"""What the jobs of a Nix recipe do, for real, in every sandbox."""

import io
import os
import shutil
import tarfile
import threading
from dataclasses import replace

import pytest

from ciserver.executor.nix_stores import NixStores
from ciserver.model.build import Output, ProductKind, Source
from ciserver.model.status import BuildStatus, Reason
from ciserver.recipe.nix import read_nix

pytestmark = pytest.mark.skipif(
    shutil.which("nix-build") is None and os.environ.get("CI") != "true",
    reason="Nix is not installed (Debian: nix-bin)",
)

RECIPE = """\
{ src, greeting, library }:
let
  make = script: derivation {
    name = "made"; system = builtins.currentSystem; builder = "/bin/sh";
    inherit src greeting library; needed = needed;
    args = [ "-c" script ];
  };
  needed = derivation {
    name = "needed"; system = builtins.currentSystem; builder = "/bin/sh";
    args = [ "-c" "echo building what is needed; echo needed > $out" ];
  };
in {
  inherit needed;
  good = make ''
    read first < $src/word; read second < $library/word; read third < $needed
    test ! -e $src/.git || exit 9; echo "$greeting $first $second $third"; echo done > $out
  '';
  "bad" = make "echo before; exit 3";
  many = derivation {
    name = "many"; system = builtins.currentSystem; builder = "/bin/sh"; outputs = [ "doc" "out" ];
    PATH = "/usr/bin:/bin";
    args = [ "-c" ''
      mkdir -p $out/nix-support $doc; echo hello > $doc/index.html; echo program > $out/program
      s=$out/nix-support
      echo "doc manual $doc index.html" > $s/hydra-build-products
      echo "file binary-dist \\"$out/program\\"" >> $s/hydra-build-products
      echo "file other ${builtins.storeDir}/../etc" >> $s/hydra-build-products
      echo "time 3 s" > $s/hydra-metrics; echo many-7 > $s/hydra-release-name
      echo > $s/failed
    '' ];
  };
  plain = derivation {
    name = "plain"; system = builtins.currentSystem; builder = "/bin/sh"; outputs = [ "out" "dev" ];
    PATH = "/usr/bin:/bin"; args = [ "-c" "mkdir $out; echo x > $out/x; echo header > $dev" ];
  };
}
"""


@pytest.fixture
def build(world, place):
    """Build one attribute of the recipe; answers the result and the log."""
    home = place / "evaluated"
    for name, files in {
        "project": {"ci/release.nix": RECIPE, "word": "own\n"},
        "library": {"word": "borrowed\n"},
    }.items():
        for file, text in files.items():
            (home / name / file).parent.mkdir(parents=True, exist_ok=True)
            (home / name / file).write_text(text)

    def build(name, in_world=world, **words):
        reading = read_nix(
            "ci/release.nix", inputs={"greeting": "it's $HOME"}, tree=lambda: home / "project"
        )
        assert (reading.complaints, reading.broken) == ((), ())
        job = {one.name: one for one in reading.jobs}[name]
        assert job.nix
        (home / "project/.git").mkdir(exist_ok=True)
        sources = tuple(Source(str(home / one), one) for one in ("project", "library"))
        result = in_world.run(job.tasks[0].script, sources=sources, network=False, **words)
        return result, in_world.recorder.log(1)

    return build


def test_a_derivation_is_built_in_the_home(build, world):
    """With its inputs, what it needs, and without the history of its repository."""
    result, log = build("good")
    assert result.status is BuildStatus.SUCCEEDED, log
    assert "it's $HOME own borrowed needed" in log
    output = world.recorder.output
    assert output.drv_path.endswith("-made.drv")
    assert output == Output("", output.drv_path, {"out": log.splitlines()[-2]})
    assert list(world.recorder.products.values()) == [b"done\n"]
    assert list(world.recorder.kinds.values()) == [("made", ProductKind("nix-build"))]


def test_a_derivation_that_fails_fails_the_build(build, world):
    result, log = build("bad")
    assert result.status is BuildStatus.FAILED
    assert "before" in log
    assert world.recorder.output.drv_path.endswith("-made.drv")
    assert world.recorder.products == {}


def test_outputs_say_what_they_hold(build, world):
    """Products of all outputs, numbers, a name, and that it failed; only in the store."""
    result, log = build("many")
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.FAILED_WITH_OUTPUT), log
    output = world.recorder.output
    assert (output.release_name, sorted(output.paths)) == ("many-7", ["doc", "out"])
    assert world.recorder.kinds == {
        output.paths["doc"]: ("many-doc.tar", ProductKind("doc", "manual", "index.html")),
        f"{output.paths['out']}/program": ("program", ProductKind("file", "binary-dist")),
    }
    assert world.recorder.reports == {("metrics", "out/nix-support/hydra-metrics"): b"time 3 s\n"}
    assert "/../etc is not kept: outside of the store\n" in log


def test_outputs_that_say_nothing_are_products(build, world):
    """Each as a whole; the one that is usual has no name."""
    assert build("plain")[0].status is BuildStatus.SUCCEEDED
    paths = world.recorder.output.paths
    assert world.recorder.kinds == {
        paths["out"]: ("plain.tar", ProductKind("nix-build")),
        paths["dev"]: ("plain-dev", ProductKind("nix-build", "dev")),
    }
    with tarfile.open(fileobj=io.BytesIO(world.recorder.products[paths["out"]])) as archive:
        assert archive.getnames() == ["plain", "plain/x"]


# -- shared stores --------------------------------------------------------------------------------


@pytest.fixture
def stores(place, world):
    world.stores = NixStores(place / "nix", world.sandbox.user, quota=1 << 30)
    return world.stores


@pytest.fixture
def again(world, stores, tools):
    """The same world with a recorder of its own, and a directory where builds run side by side."""

    def again(name="work"):
        root = world.work_root.with_name(name)
        return replace(world, stores=stores, recorder=tools.Recorder(), work_root=root)

    return again


def test_what_is_there_is_not_built_again(build, again, stores):
    """By later builds with the same store, and by no others."""
    for store, is_built in (("1-trusted", True), ("1-trusted", False), ("1-untrusted", True)):
        result, log = build("good", again(), store=store)
        assert result.status is BuildStatus.SUCCEEDED, log
        assert ("building what is needed" in log) is is_built


def test_builds_side_by_side_share_a_store(build, again):
    """What both need is built once, and neither fails."""
    logs = []

    def run(name, in_world):
        logs.append(build(name, in_world, store="1-trusted"))

    threads = [
        threading.Thread(target=run, args=(name, again(name))) for name in ("good", "needed")
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [result.status for result, _ in logs] == [BuildStatus.SUCCEEDED] * 2, logs
    assert sum("building what is needed" in log for _, log in logs) == 1


def test_a_build_sees_its_own_store_alone(again, bubblewrap, stores):
    """In the sandbox there is no way to those of others, nor without a store to any."""
    with stores.use("1-trusted") as trusted, stores.use("1-untrusted") as untrusted:
        script = (
            "test $CISERVER_NIX = /run/nix; touch /run/nix/x; set +e; "
            f"ls {trusted}; touch {trusted}/x; test ! -e {trusted}"
        )
        inside = replace(again(), sandbox=bubblewrap)
        assert inside.run(script, store="1-untrusted").status is BuildStatus.SUCCEEDED
        assert (list(trusted.iterdir()), list(untrusted.iterdir())) == ([], [untrusted / "x"])
    inside = replace(again(), sandbox=bubblewrap)
    script = 'test -z "$CISERVER_NIX" -a ! -e /run/nix'
    assert inside.run(script).status is BuildStatus.SUCCEEDED


def test_the_store_counts_for_the_disk(again, stores):
    """What was there before does not."""
    with stores.use("1-trusted") as store:
        (store / "before").write_bytes(os.urandom(4 << 20))
    for script, reason in (
        ("true", Reason.NONE),
        ("head -c 3000000 /dev/urandom > $CISERVER_NIX/more", Reason.DISK_LIMIT),
    ):
        one = again()
        one.limit(disk_mb=2)
        assert one.run(script, store="1-trusted").reason is reason
