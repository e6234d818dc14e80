"""What a build says in its output of what it made: products, metrics, a release, a failure."""

import io
import tarfile
from dataclasses import replace

import pytest

from ciserver.executor.nix_support import read_products, read_release_name
from ciserver.model.build import Output, ProductKind, Reports
from ciserver.model.status import BuildStatus, Reason

BEGIN = 'set +x; s=$CISERVER_OUT/nix-support; mkdir "$s"; '
DECLARE = 'say() { printf "%s\\n" "$1" >> "$s/hydra-build-products"; }; '


def names_in(archive):
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {one.name: one for one in opened}


def test_files_and_directories_are_products(world):
    """Files as they are, directories as archives, with what they are said to be."""
    script = (
        BEGIN
        + DECLARE
        + "mkdir -p 'site one/deep'; echo index > 'site one/index.html'; cd 'site one'; "
        + "echo x > deep/run; chmod 755 deep/run; ln -s /etc/passwd out; cd ..; echo iso > a.iso; "
        + 'say "doc manual \\"$HOME/site one\\" index.html"; say "file iso $HOME/a.iso"'
    )
    assert world.run(script).status is BuildStatus.SUCCEEDED
    home = world.sandbox.home_inside(world.work_root / "build-7-1" / "home")
    assert world.recorder.kinds == {
        f"{home}/site one": ("site one.tar", ProductKind("doc", "manual", "index.html")),
        f"{home}/a.iso": ("a.iso", ProductKind("file", "iso", "")),
    }
    assert world.recorder.products[f"{home}/a.iso"] == b"iso\n"
    names = names_in(world.recorder.products[f"{home}/site one"])
    assert {name: (one.mode, one.mtime, one.uid) for name, one in names.items()} == {
        "site one": (0o755, 1, 0),
        "site one/deep": (0o755, 1, 0),
        "site one/deep/run": (0o755, 1, 0),
        "site one/index.html": (0o644, 1, 0),
        "site one/out": (0o755, 1, 0),
    }
    assert (names["site one/out"].issym(), names["site one/out"].linkname) == (True, "/etc/passwd")
    assert world.recorder.log(1).endswith("outputs: 2 products kept\n")


def test_without_a_word_nothing_is_kept(world):
    """What an ordinary build leaves in its output is its own."""
    assert world.run('echo a > "$CISERVER_OUT/a"').status is BuildStatus.SUCCEEDED
    assert (world.recorder.products, world.recorder.output) == ({}, None)
    assert "outputs:" not in world.recorder.log(1)


@pytest.mark.parametrize(
    ("make", "path", "fault"),
    [
        ("ln -s /etc/passwd x", "$HOME/x", "x is a symbolic link"),
        ("ln -s /etc x", "$HOME/x/passwd", "x is a symbolic link"),
        ("mkfifo x", "$HOME/x", "not a regular file"),
        ("mkdir x; mkfifo x/pipe", "$HOME/x", "x/pipe is a named pipe"),
        (":", "$HOME/../../etc/passwd", "outside of the home"),
        (":", "/etc/passwd", "outside of the home"),
        (":", "$HOME/x", "no such file or directory"),
        (":", "$HOME", "not a regular file"),
    ],
)
def test_what_is_no_product_is_refused_with_its_reason(world, make, path, fault):
    """And is no failure of the build."""
    script = f'{BEGIN}{DECLARE}{make}; say "file x {path}"; echo b > b; say "file b $HOME/b"'
    assert world.run(script).status is BuildStatus.SUCCEEDED
    assert [path.rpartition("/")[2] for path in world.recorder.products] == ["b"]
    assert f"is not kept: {fault}\n" in world.recorder.log(1)


def test_lines_that_say_nothing_are_named(world):
    """With their numbers, and each path counts once."""
    script = (
        BEGIN
        + DECLARE
        + "echo a > a; say 'file x'; say ''; say 'file x a'; say \"file x $HOME/a ../b\"; "
        + 'say "file x $HOME/a"; say "file y $HOME/a"'
    )
    assert world.run(script).status is BuildStatus.SUCCEEDED
    log = world.recorder.log(1)
    for line in (
        "line 1 is not `type subtype path [defaultpath]`\n",
        "line 3 has a path that is not absolute: a\n",
        "line 4 has a default path that leads out of the product: ../b\n",
        "/a is declared twice\n",
    ):
        assert line in log
    assert len(world.recorder.products) == 1


def test_a_link_in_the_place_of_the_output_leads_nowhere(world):
    """Neither for what it tells nor for a failure that it says."""
    script = (
        "set +x; mkdir -p real/nix-support; echo 'm 1' > real/nix-support/hydra-metrics; "
        "touch real/nix-support/failed; rmdir $CISERVER_OUT; ln -s real $CISERVER_OUT"
    )
    assert world.run(script).status is BuildStatus.SUCCEEDED
    assert world.recorder.reports == {}


@pytest.mark.parametrize("end", ["", "; exit 3"])
def test_metrics_and_the_release_are_told_in_any_case(world, end):
    """Of a build that failed as well."""
    script = (
        f"{BEGIN}echo 'size 12 KiB' > $s/hydra-metrics; echo hello-1.2 > $s/hydra-release-name{end}"
    )
    world.run(script)
    assert world.recorder.reports == {
        ("metrics", ".out/nix-support/hydra-metrics"): b"size 12 KiB\n"
    }
    assert world.recorder.output == Output("hello-1.2")


def test_a_release_name_is_one_word(world):
    """All else is said and not kept."""
    world.run(f"{BEGIN}echo two words > $s/hydra-release-name")
    assert world.recorder.output is None
    assert "hydra-release-name is not one word\n" in world.recorder.log(1)


def test_a_build_may_say_that_it_failed(world):
    """Then what it made is kept all the same."""
    script = f'{BEGIN}{DECLARE}touch $s/failed; echo why > why; say "file log $HOME/why"'
    result = world.run(script)
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.FAILED_WITH_OUTPUT)
    assert list(world.recorder.products.values()) == [b"why\n"]
    assert world.recorder.log(1).endswith("the build says in its output that it failed\n")


@pytest.mark.parametrize(
    "script",
    [
        f'{BEGIN}{DECLARE}truncate -s 2M b; say "file b $HOME/b"',
        f'{BEGIN}{DECLARE}mkdir b; truncate -s 2M b/b; say "file b $HOME/b"',
        "truncate -s 2M a",
    ],
)
def test_what_is_kept_has_a_limit(world, script):
    """Artifacts and products together: what is behind it is not kept."""
    world.limit(products_bytes=(2 << 20) + 5)
    world.run(f"{script}; echo 123456 > first", artifacts=("first", *(["a"] * ("b" not in script))))
    result = world.recorder.result
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.OUTPUT_LIMIT)
    assert list(world.recorder.products) == ["first"]


def test_secrets_do_not_leave_in_metrics(world):
    """As in reports."""
    script = f"{BEGIN}echo 'size 12 horse' > $s/hydra-metrics"
    world.run(script, secrets=("horse",), reports=Reports())
    assert list(world.recorder.reports.values()) == [b"size 12 ***\n"]


def test_what_a_directory_holds_decides_its_archive(world, tools):
    """Equal content makes equal archives, so that it is stored once."""
    script = BEGIN + DECLARE + 'mkdir d; echo x > d/{}; echo x > d/{}; say "d d $HOME/d"'
    archives = []
    for order in ("ab", "ba"):
        one = replace(world, recorder=tools.Recorder())
        one.run(script.replace("{}", order[0], 1).replace("{}", order[1], 1))
        archives += one.recorder.products.values()
    assert archives[0] == archives[1]


def test_lines_of_products():
    """Words by blanks; a path with blanks in quotes."""
    declared, faults = read_products(b'doc  manual\t"/a b/c" "x y.html"\nfile b-d /x\n\xff\n')
    assert [(one.path, one.kind) for one in declared] == [
        ("/a b/c", ProductKind("doc", "manual", "x y.html")),
        ("/x", ProductKind("file", "b-d", "")),
    ]
    assert faults == ("line 3 is not `type subtype path [defaultpath]`",)


@pytest.mark.parametrize(
    ("text", "name"),
    [(b"hello-1.2\n", "hello-1.2"), (b" a_b~1:2@3+4 ", "a_b~1:2@3+4"), (b"", ""), (b"\xff", "")],
)
def test_release_names(text, name):
    assert read_release_name(text) == name
