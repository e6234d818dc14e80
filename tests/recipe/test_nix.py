"""A Nix recipe: every derivation is a job, and a broken one stops none of the others."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.waiting import until

from ciserver.recipe.inputs import Expression
from ciserver.recipe.nix import read_nix

pytestmark = pytest.mark.skipif(
    shutil.which("nix-instantiate") is None and os.environ.get("CI") != "true",
    reason="Nix is not installed (Debian: nix-bin)",
)

FILE = "ci/release.nix"
MAKE = """\
  make = name: more: derivation ({
    inherit name; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo hi > $out" ];
  } // more);
"""


@pytest.fixture
def read(place):
    """Read a recipe whose set of attributes, with `make` to make derivations, is given."""
    tree = place / "home" / "project"

    def read(attributes, *, head="{ }:", files=None, inputs=None, **limits):
        text = f"{head} let\n{MAKE}in {attributes}\n"
        for name, content in {FILE: text, **(files or {})}.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(content)
        return read_nix(FILE, inputs=inputs or {}, tree=lambda: tree, **limits)

    return read


def told(complaints):
    assert {one.file for one in complaints} <= {FILE}
    return {one.field: one.message for one in complaints}


def test_every_derivation_is_a_job(read):
    """Sets in sets are names with dots; nothing and recurseForDerivations are no jobs."""
    reading = read(
        '{ hello = make "hello" { }; none = null;'
        ' deep.er = { recurseForDerivations = true; one = make "x" { }; };'
        ' arm = make "arm" { system = "aarch64-linux"; }; }'
    )
    assert (reading.complaints, reading.broken) == ((), ())
    assert [(one.name, one.system) for one in reading.jobs] == [
        ("arm", "aarch64-linux"),
        ("deep.er.one", "x86_64-linux"),
        ("hello", "x86_64-linux"),
    ]
    assert {(one.file, one.image, one.base == one.name) for one in reading.jobs} == {
        (FILE, "nix", True)
    }


def test_what_a_derivation_says_of_itself_is_used(read):
    """Limits, priority and maintainers; 100 is the usual priority there, and 0 is it here."""
    meta = (
        "{ timeout = 60; maxSilent = 30; schedulingPriority = 95; "
        'maintainers = [ "ada@example.org" { name = "Bo"; email = "bo@example.org"; } "Cy" 3 ]; }'
    )
    (job,) = read(f'{{ a = make "a" {{ }} // {{ meta = {meta}; }}; }}').jobs
    assert (job.timeout_seconds, job.silence_seconds, job.priority) == (60, 30, -5)
    assert job.maintainers == ("ada@example.org", "bo@example.org")


@pytest.mark.parametrize(
    "meta",
    ["3", "{ timeout = x: x; maintainers = 3; }", '{ timeout = throw "no"; }', 'throw "no"'],
)
def test_a_broken_meta_is_as_none(read, meta):
    (job,) = read(f'{{ a = make "a" {{ }} // {{ meta = {meta}; }}; }}').jobs
    assert (job.timeout_seconds, job.silence_seconds, job.priority) == (0, 0, 0)


def test_a_function_is_given_the_inputs_that_it_names(read, place):
    """Values, the recipe's repository as `src`, and other repositories under their names."""
    library = place / "home" / "library"
    library.mkdir(parents=True)
    (library / "name").write_text("borrowed")
    reading = read(
        "{ ${suite} = make (builtins.readFile (library + "
        '"/name")) { inherit src; }; } // (if on then { on = make "on" { }; } else { })'
        ' // { ${builtins.readFile (src + "/name")} = make "src" { }; }',
        head='{ suite, on, library, src ? null, missing ? "is left alone" }:',
        files={"name": "own"},
        inputs={"suite": 'all"${x}\\', "on": True, "unused": "x"},
    )
    assert [one.name for one in reading.jobs] == ["on", "own"]
    assert [one.field for one in reading.broken] == ['all"${x}\\']


def all_of(constituents, more=""):
    """The attribute of an aggregate."""
    return (
        f'all = make "all" {{ }} // {{ _hydraAggregate = true; constituents = {constituents};'
        f" {more} }};"
    )


def test_an_aggregate_needs_what_it_consists_of(read):
    """Jobs by name, and derivations that are jobs; of others it says that it builds them itself."""
    parts = all_of('[ "deep.b" a (make "other" { }) a ]')
    reading = read(
        'let a = make "a" { }; in { inherit a; deep.b = make "b" { }; c = make "c" { }; '
        f"{parts} }}"
    )
    assert reading.broken == ()
    jobs = {one.name: one for one in reading.jobs}
    whole = jobs.pop("all")
    assert whole.needs == ("deep.b", "a")
    assert whole.notes == ("1 of its constituents are no jobs and are built with it",)
    assert {one.needs for one in jobs.values()} == {()}


def test_what_is_no_aggregate_needs_nothing(read):
    """The word alone is an attribute like any other."""
    reading = read('{ a = make "a" { }; b = make "b" { } // { constituents = [ "a" ]; }; }')
    assert [one.needs for one in reading.jobs] == [(), ()]


GLOBS = "_hydraGlobConstituents = true;"


def test_an_aggregate_may_name_patterns(read):
    """All that they mean but itself."""
    parts = all_of('[ "tests.*" "a*" ]', GLOBS)
    reading = read(
        '{ tests.a = make "a" { }; tests.b = make "b" { }; c = make "c" { }; aa = make "x" { };'
        f" {parts} }}"
    )
    (whole,) = [one for one in reading.jobs if one.name == "all"]
    assert whole.needs == ("tests.a", "tests.b", "aa")


@pytest.mark.parametrize("more", ["", GLOBS])
def test_an_aggregate_of_what_is_not_there_is_broken(read, more):
    """And so is one of that; the others are built."""
    parts = all_of('[ "a" "gone" "broken" ]', more)
    reading = read(
        f"{{ {parts}"
        ' more = make "more" { } // { _hydraAggregate = true; constituents = [ "all" ]; };'
        ' a = make "a" { }; broken = throw "no"; }'
    )
    assert [one.name for one in reading.jobs] == ["a"]
    faults = told(reading.broken)
    assert faults.pop("broken")
    assert faults == {
        "all": "consists of jobs that are not there: 'gone', 'broken'",
        "more": "consists of jobs that are not there: 'all'",
    }


def test_other_files_of_the_repository_are_there(read):
    reading = read("import ./more.nix make", files={"ci/more.nix": 'make: { a = make "a" { }; }'})
    assert [one.name for one in reading.jobs] == ["a"]


BROKEN = {
    "thrown": ('throw "not today"', "not today"),
    "aborted": ('abort "enough"', "'enough'"),
    "missing": ("{ }.foo", "line 7, column 12: attribute 'foo' missing"),
    "endless": ("let x = x; in x", "infinite recursion"),
    "deep": ('let f = n: 1 + f (n + 1); in make "a" { n = f 0; }', "infinite recursion"),
    "odd": ('"text"', "is no derivation and no set of them; its type is string"),
    "fake": ('{ type = "derivation"; drvPath = 3; system = 4; }', "is no derivation"),
    "circle": ("rec { a = { b = a; }; }.a", "is nested more than 10 levels deep"),
    "spied": ("make (builtins.readFile /etc/passwd) { }", "forbidden in restricted mode"),
    "linked": ("make (builtins.readFile ./link) { }", "forbidden in restricted mode"),
    "fetched": ('make "a" { src = builtins.fetchurl "http://127.0.0.1/"; }', "forbidden"),
    "cloned": ('make "a" { src = builtins.fetchGit "file:///tmp"; }', "forbidden"),
    "built": ('make (builtins.readFile (make "b" { })) { }', "needs something built"),
    '"a b"': ('make "a" { }', "is no job name"),
    "eater": (
        'let f = n: s: if n == 0 then s else f (n - 1) (s + s); in make "a" { x = f 40 "xxxx"; }',
        "takes more than 512 MB of memory",
    ),
}


def test_broken_attributes_are_told_and_the_others_are_built(read, place):
    """Each has its message, whatever it does to the evaluator."""
    (place / "home/project/ci").mkdir(parents=True)
    (place / "home/project/ci/link").symlink_to("/etc/passwd")
    lines = " ".join(f"{name} = {value};\n" for name, (value, _) in BROKEN.items())
    reading = read(
        f'{{ aa = make "aa" {{ }}; {lines} zz = make "zz" {{ }}; }}', memory_mb=512, seconds=60
    )
    assert reading.complaints == ()
    assert [one.name for one in reading.jobs] == ["aa", "zz"]
    faults = told(reading.broken)
    names = {name.strip('"') for name in BROKEN}
    assert {one.partition(".")[0] for one in faults} == names
    for name, (_, message) in BROKEN.items():
        (fault,) = [text for at, text in faults.items() if at.partition(".")[0] == name.strip('"')]
        assert message in fault
        assert str(place) not in fault


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1, column 1: syntax error"),
        ('throw "all of it"', "all of it"),
        ("{ nothing }: { }", "without required argument 'nothing'"),
        ("3", "is no derivation and no set of them; its type is int"),
        ('derivation { name = "a"; system = "a-b"; builder = "c"; }', "must be a set of"),
    ],
)
def test_a_recipe_that_cannot_be_evaluated_fails(read, place, text, message):
    reading = read("{ }", files={FILE: text})
    assert (reading.jobs, reading.broken) == ((), ())
    ((field, fault),) = told(reading.complaints).items()
    assert field == ""
    assert message in fault


LOOP = "let f = n: if n == 0 then 0 else f (n - 1); in f"


def running():
    found = set()
    for one in Path("/proc").glob("[0-9]*/comm"):
        try:
            if one.read_text().startswith("nix-inst"):
                found.add(one.parent.name)
        except OSError:
            continue
    return found


def test_an_attribute_without_end_is_ended(read):
    """It takes its own time, not that of the others, and nothing of it is left."""
    before = running()
    slow = "builtins.foldl' (a: b: a + b) 0 (builtins.genList (n: builtins.foldl' (a: b: a + b) 0 "
    slow += "(builtins.genList (m: m) 1000000)) 1000000)"
    reading = read(
        f'{{ a = make "a" {{ }}; b = make "b" {{ n = {slow}; }}; c = make "c" {{ }}; }}',
        seconds_each=1,
        memory_mb=4096,
    )
    assert [one.name for one in reading.jobs] == ["a", "c"]
    assert told(reading.broken) == {"b": "takes longer than 1 seconds"}
    left = running() - before  # those of other tests, which end by themselves, may be among them
    until(lambda: not left & running())


def test_what_is_too_much_together_is_read_apart(read):
    """Each attribute has the whole memory if it needs it."""
    many = 'builtins.listToAttrs (builtins.genList (n: { name = "t${toString n}"; value = '
    big = 'let go = n: s: if n == 0 then s else go (n - 1) (s + s); in go 22 "${toString n}-------"'
    reading = read(f'{many} make "a" {{ x = {big}; }}; }}) 9)', memory_mb=512)
    assert (reading.complaints, reading.broken) == ((), ())
    assert len(reading.jobs) == 9


def test_an_evaluation_without_end_is_ended(read):
    slow = "builtins.foldl' (a: b: a + b) 0 (builtins.genList (n: builtins.foldl' (a: b: a + b) 0 "
    slow += "(builtins.genList (m: m) 1000000)) 1000000)"
    reading = read(
        f'{{ a = make "a" {{ n = {slow}; }}; b = make "b" {{ n = {slow}; }}; }}', seconds=1
    )
    assert told(reading.complaints) == {"": "takes longer than 1 seconds"}


def test_many_that_throw_cost_few_evaluations(read):
    """The messages of the first are looked for; of the others it is told that they throw."""
    many = 'builtins.listToAttrs (builtins.genList (n: { name = "t${toString n}"; value = '
    reading = read(f'{many} throw "no"; }}) 2000) // {{ zz = make "zz" {{ }}; }}')
    assert [one.name for one in reading.jobs] == ["zz"]
    assert reading.broken[0].message == "no"
    assert reading.broken[50].message == "throws an error"
    assert reading.broken[-1].message == "and 1900 more faults"


def test_ten_thousand_jobs_are_no_matter(read):
    many = 'builtins.listToAttrs (builtins.genList (n: { name = "t${toString n}"; value = '
    assert len(read(f'{many} make "a" {{ }}; }}) 10000)').jobs) == 10_000


def test_what_a_recipe_prints_is_not_taken_for_jobs(read):
    reading = read('builtins.trace "{\\"job\\": {}}" { a = builtins.trace "x" (make "a" { }); }')
    assert [one.name for one in reading.jobs] == ["a"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('"ex" + "pr"', "expr"),
        ("if true then ''expr'' else 3", "expr"),
        ("let a = { b = ''expr''; }; in a.b", "expr"),
        ("x: x # a comment at the end\n", "lambda"),
    ],
)
def test_an_expression_is_what_it_comes_to(read, text, name):
    """Read by itself, so that it needs no brackets; the value need not be a string."""
    reading = read(
        "{ ${if builtins.isFunction it then ''lambda'' else it} = make ''x'' { }; }",
        head="{ it }:",
        inputs={"it": Expression(text), "unasked": Expression("throw ''no''")},
    )
    assert (reading.complaints, [one.name for one in reading.jobs]) == ((), [name])


@pytest.mark.parametrize("name", ["with-dash", "given", "find", "recipe", "root"])
def test_an_expression_may_have_any_name_of_an_input(read, name):
    """Also one that our own call of the recipe uses."""
    reading = read(
        f'{{ ${{{name}}} = make "x" {{ }}; }}',
        head=f"{{ {name} }}:",
        inputs={name: Expression('"it"')},
    )
    assert (reading.complaints, [one.name for one in reading.jobs]) == ((), ["it"])


def test_an_expression_whose_name_is_a_word_of_nix_is_in_nobodys_way(read):
    reading = read('{ a = make "a" { }; }', inputs={"if": Expression("1")})
    assert (reading.complaints, [one.name for one in reading.jobs]) == ((), ["a"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1 +", "syntax error"),
        ("1); evil = (2", "syntax error"),
        ("1; in 2", "syntax error"),
        ("unknown", "undefined variable 'unknown'"),
        ("", "syntax error"),
    ],
)
def test_a_text_that_is_no_expression_is_told_by_the_name_of_its_input(read, text, why):
    reading = read('{ a = make "a" { }; }', inputs={"it": Expression(text)})
    assert reading.jobs == ()
    assert set(told(reading.complaints)) == {"inputs.it"}
    message = told(reading.complaints)["inputs.it"]
    assert message.startswith("is no Nix expression: ")
    assert why in message


@pytest.mark.parametrize(
    "text", ["builtins.readFile /etc/passwd", 'builtins.fetchurl "http://127.0.0.1/"', "import /x"]
)
def test_an_expression_is_as_confined_as_the_recipe(read, text):
    reading = read(
        "{ good = make ''good'' { }; bad = make it { }; }",
        head="{ it }:",
        inputs={"it": Expression(text)},
    )
    assert [one.name for one in reading.jobs] == ["good"]
    assert "bad" in told(reading.broken)


def test_the_build_is_given_the_expression_too(read, place):
    """It evaluates its attribute again."""
    (job,) = read(
        "{ a = make it { }; }", head="{ it }:", inputs={"it": Expression("''it'' + \"-is\"")}
    ).jobs
    assert "--arg it" in job.tasks[0].script
    home = place / "home"
    done = subprocess.run(
        ["bash", "-c", job.tasks[0].script],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("-it-is")


def test_what_the_files_before_it_left_is_all_that_it_may_make(read):
    """One fault says so, however many there are too many."""
    jobs = 'builtins.listToAttrs (map (n: { name = n; value = make n { }; }) [ "a" "b" "c" ])'
    assert len(read(jobs, most_jobs=3).jobs) == 3
    reading = read(jobs, most_jobs=1)
    assert reading.jobs == ()
    ((_, said),) = told(reading.complaints).items()
    assert said.startswith("makes more than 1 jobs; the recipes of a jobset together may make")
