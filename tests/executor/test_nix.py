"""What the jobs of a Nix recipe do, for real, in every sandbox."""

import os
import shutil

import pytest

from ciserver.model.build import Source
from ciserver.model.status import BuildStatus
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
    args = [ "-c" "echo needed > $out" ];
  };
in {
  good = make ''
    read first < $src/word; read second < $library/word; read third < $needed
    test ! -e $src/.git || exit 9; echo "$greeting $first $second $third"; echo done > $out
  '';
  "bad" = make "echo before; exit 3";
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

    def build(name):
        reading = read_nix(
            "ci/release.nix", inputs={"greeting": "it's $HOME"}, tree=lambda: home / "project"
        )
        assert (reading.complaints, reading.broken) == ((), ())
        job = {one.name: one for one in reading.jobs}[name]
        (home / "project/.git").mkdir(exist_ok=True)
        sources = tuple(Source(str(home / one), one) for one in ("project", "library"))
        result = world.run(job.tasks[0].script, sources=sources, network=False)
        return result, world.recorder.log(1)

    return build


def test_a_derivation_is_built_in_the_home(build):
    """With its inputs, what it needs, and without the history of its repository."""
    result, log = build("good")
    assert result.status is BuildStatus.SUCCEEDED, log
    assert "it's $HOME own borrowed needed" in log
    assert log.rstrip().endswith("-made")


def test_a_derivation_that_fails_fails_the_build(build):
    result, log = build("bad")
    assert result.status is BuildStatus.FAILED
    assert "before" in log
