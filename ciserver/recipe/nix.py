"""The Nix recipe: one file, every derivation in it a job.

It needs Nix where it is evaluated and where it is built. Nothing is written while it is evaluated:
there is no store, only the names that things would have.
"""

import json
import re
import secrets
import shlex
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ciserver.model.build import Job, Task
from ciserver.model.errors import Complaint
from ciserver.recipe.aggregates import Aggregate, aggregate, join
from ciserver.recipe.child import Ended, our_program, run
from ciserver.recipe.complaints import MOST, Faults, at_most, shown
from ciserver.recipe.expand import MOST_OF_ALL, too_many
from ciserver.recipe.fields import (
    ADDRESS,
    HIGHEST_PRIORITY,
    JOB_NAME,
    JOB_NAME_RULE,
    LOWEST_PRIORITY,
    SYSTEM,
)
from ciserver.recipe.inputs import Expression, Inputs, Tree
from ciserver.recipe.manifest import Reading

IMAGE = "nix"
_NIX = "nix-instantiate"
_PATH = "/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/local/bin:/usr/bin:/bin"
_DEEPEST = 10
_MOST_BYTES = 50_000_000
_MOST_TRIES = 20  # after so many broken jobs their messages are no longer looked for
_USUAL_PRIORITY = 100
_MOST_SECONDS = 366 * 24 * 3600
_WALK = Path(__file__).with_name("walk.nix").read_text(encoding="utf-8")
_OPTIONS = (
    *("--option", "restrict-eval", "true"),
    *("--option", "allow-import-from-derivation", "false"),
)
_ENVIRONMENT = {
    "HOME": "/nonexistent",
    "NIX_CONF_DIR": "/nonexistent",
    "NIX_REMOTE": "dummy://",
    "GC_INITIAL_HEAP_SIZE": str(32 << 20),  # else a part of all that the machine has
}
_PLACE = re.compile(r"^\s+at (.+):(\d+):(\d+):", re.MULTILINE)
_NOT_BUILT = re.compile(r"path '[^']*' is not valid")
_LONGEST = 500


_SCRIPT = """\
nix=${{CISERVER_NIX:-$HOME/.nix}}
mkdir -p "$nix" "$HOME/.nix"
printf '%s\\n' 'sandbox = false' 'build-users-group =' 'substituters =' > "$HOME/.nix/nix.conf"
export NIX_CONF_DIR=$HOME/.nix NIX_STORE_DIR=$nix/store NIX_IGNORE_SYMLINK_STORE=1
export NIX_LOCALSTATE_DIR=$nix/var NIX_STATE_DIR=$nix/var/nix NIX_LOG_DIR=$nix/var/log/nix
unset NIX_PATH NIX_REMOTE
# Of builds that begin a store together both make this link, and Nix fails where it is second.
mkdir -p "$nix/var/nix/profiles" "$nix/var/nix/gcroots"
ln -sn "$nix/var/nix/profiles" "$nix/var/nix/gcroots/profiles" 2>/dev/null || :
# What Nix copies is what it evaluated: the files, without their history.
find {directories} -name .git -prune -exec rm -rf {{}} +
made=$(nix-instantiate --eval --strict --json --read-write-mode {searched} {given} -E {told})
printf '%s\\n' "$made" > "$HOME/.nix-outputs"
drv=${{made#*\\"}}
drv=${{drv%%\\"*}}
nix-store --realise "$drv" --add-root "$HOME/.nix-root" > "$HOME/.nix-roots"
nix-store --query --outputs "$drv"
"""
# A derivation has the path of each output under the output's name.
_TOLD = """\
let recipe = {1}; job = {0}; names = job.outputs or [ "out" ]; in
[
  job.drvPath
  (builtins.listToAttrs (map (name: {{ inherit name; value = job.${{name}}.outPath; }}) names))
]
"""


def read_nix(
    file: str,
    *,
    inputs: Inputs,
    tree: Tree,
    most_jobs: int = MOST_OF_ALL,
    seconds: float = 60,
    seconds_each: float = 10,
    memory_mb: int = 2048,
) -> Reading:
    """Every derivation in the recipe's set of attributes is a job, named after its place there. A
    function is called with those of its arguments that are inputs.

    `tree` makes the files of the recipe's repository; that directory and those beside it have the
    names that they have in the home of a build, and are inputs as well, the first also as `src`.
    What it raises is passed on; all else are complaints, those of single jobs in `broken`.
    Evaluation sees these directories and nothing else, within these limits; `seconds_each` is for
    a single attribute, and `most_jobs` is what the files before it left.
    """
    program = shutil.which(_NIX, path=_PATH)
    if program is None:
        fault = "needs Nix, which is not installed here: install nix-instantiate (Debian: nix-bin)"
        return Reading(complaints=(Complaint("", fault, file),))
    faults = [*_expression_faults(inputs, program, seconds_each, memory_mb)]
    if faults:
        return Reading(complaints=tuple(replace(one, file=file) for one in faults))
    walk = _Walk(
        _Recipe(file, tree(), inputs), program, most_jobs, seconds, seconds_each, memory_mb
    )
    walk.run()
    if walk.complaints:
        return Reading(complaints=at_most(walk.complaints))
    jobs = join(walk.jobs, walk.aggregates, walk.derivations, walk.break_job)
    characters = sum(len(task.script) for job in jobs for task in job.tasks)
    return Reading(jobs, broken=tuple(walk.broken), characters=characters)


class _Recipe:
    """A recipe in its tree, and the words to call it."""

    def __init__(self, file: str, root: Path, inputs: Inputs) -> None:
        self.file = file
        self.root = root
        beside = sorted(one.name for one in root.parent.iterdir() if one.is_dir())
        self._directories = {"src": root.name} | {one: one for one in beside if one != "src"}
        places = {name: f"find {_quoted(name)}" for name in self._directories}
        values = {
            name: _value(one) for name, one in inputs.items() if not isinstance(one, Expression)
        }
        # Nix reads each expression by itself, so that none can end another or the call.
        expressions = {k: one.text for k, one in inputs.items() if isinstance(one, Expression)}
        self.given = [w for k, text in sorted(expressions.items()) for w in ("--arg", k, text)]
        self.head = "given@{ ... }: " if expressions else ""
        words = " ".join(f"{_quoted(k)} = {v};" for k, v in sorted((values | places).items()))
        self.expression = (
            "let find = builtins.findFile builtins.nixPath; "
            f"recipe = import (find {_quoted(f'src/{file}')}); "
            f"inputs = {'given // ' if expressions else ''}{{ {words} }}; in "
            "if builtins.isFunction recipe then "
            "recipe (builtins.intersectAttrs (builtins.functionArgs recipe) inputs) else recipe"
        )

    def search(self) -> list[str]:
        """Where the expression finds the repositories while it is evaluated."""
        found = self._directories.items()
        return [word for name, one in found for word in ("-I", f"{name}={self.root.parent / one}")]

    def script(self, path: list[str]) -> str:
        """What builds one attribute, in a home with the same repositories."""
        at_home = {name: f'"$HOME"/{shlex.quote(one)}' for name, one in self._directories.items()}
        job = ".".join(("recipe", *map(_quoted, path)))
        return _SCRIPT.format(
            directories=" ".join(dict.fromkeys(at_home.values())),
            searched=" ".join(f"-I {shlex.quote(name)}={at}" for name, at in at_home.items()),
            given=shlex.join(self.given),
            told=shlex.quote(self.head + _TOLD.format(job, self.expression)),
        )


@dataclass
class _Walk:
    """One walk over all attributes, begun anew behind each that breaks Nix off."""

    recipe: _Recipe
    program: str
    most_jobs: int
    seconds: float
    seconds_each: float
    memory_mb: int
    jobs: list[Job] = field(default_factory=list)
    broken: Faults = field(default_factory=Faults)
    complaints: list[Complaint] = field(default_factory=list)
    aggregates: dict[str, Aggregate] = field(default_factory=dict)
    derivations: dict[str, str] = field(default_factory=dict)  # by the job that it is first

    def run(self) -> None:
        deadline = time.monotonic() + self.seconds
        after: list[str] | None = None
        again, tries = False, 0
        while not self.complaints:
            left = min(self.seconds_each, deadline - time.monotonic())
            if left <= 0:
                self._refuse(f"takes longer than {self.seconds:g} seconds")
                return
            mark = secrets.token_hex(8)
            ended = self._evaluate(mark, left, after, again=again, patient=tries >= _MOST_TRIES)
            told, rest = _read(ended.output, mark)
            for one in told:
                self._take(one)
                if self.complaints:
                    return
            if {"end": True} in told:
                return
            places = [one["at"] for one in told if "at" in one]
            after = places[-1] if places else after
            # With what came before it may have been too much: it is tried once for itself.
            again = len(places) > 1 and _is_exhausted(ended, rest)
            if not again:
                self._break(after or [], self._why(ended, rest, left))
                tries += 1

    def _evaluate(
        self, mark: str, seconds: float, after: list[str] | None, *, again: bool, patient: bool
    ) -> Ended:
        place = "null" if after is None else f"[ {' '.join(map(_quoted, after))} ]"
        called = (
            f"{self.recipe.head}({_WALK}) {{ "
            f"root = {self.recipe.expression}; mark = {_quoted(mark)}; "
            f"after = {place}; again = {_value(again)}; patient = {_value(patient)}; "
            f"deepest = {_DEEPEST}; }}"
        )
        limits = (str(self.memory_mb << 20), str(int(seconds) + 1))
        command = (
            self.program,
            "--eval",
            *_OPTIONS,
            *self.recipe.search(),
            *self.recipe.given,
            "-",
        )
        return run(
            our_program("confine", *limits, *command),
            called.encode(),
            seconds=seconds,
            most_bytes=_MOST_BYTES,
            environment=_ENVIRONMENT,
            merged=True,
        )

    def _take(self, told: dict[str, Any]) -> None:
        match told:
            case {"path": list(path), "job": dict(found)}:
                self._take_job(path, found)
            case {"path": list(path), "odd": str(kind)}:
                self._break(path, f"is no derivation and no set of them; its type is {kind}")
            case {"path": list(path), "fault": str(fault)}:
                self._break(path, fault)

    def _take_job(self, path: list[str], found: dict[str, Any]) -> None:
        name, system = ".".join(path), found["system"]
        if not path:
            self._refuse("must be a set of derivations, not a single one")
        elif not re.fullmatch(JOB_NAME, name):
            self._break(path, f"{shown(name)} is no job name: {JOB_NAME_RULE}")
        elif not found["drv"] or not re.fullmatch(SYSTEM, system or ""):
            self._break(path, f"is no derivation for a system such as x86_64-linux: {system}")
        elif len(self.jobs) == self.most_jobs:
            self._refuse(f"makes more than {self.most_jobs} jobs; {too_many(self.most_jobs)}")
        else:
            self.jobs.append(self._job(name, path, found))
            self.derivations.setdefault(found["drv"], name)
            if found["constituents"]:
                self.aggregates[name] = aggregate(found["constituents"], globs=found["globs"])

    def _job(self, name: str, path: list[str], found: dict[str, Any]) -> Job:
        addresses = [one for one in found["maintainers"] or () if re.fullmatch(ADDRESS, one)]
        priority = _USUAL_PRIORITY if found["priority"] is None else found["priority"]
        return Job(
            name=name,
            file=self.recipe.file,
            image=IMAGE,
            system=found["system"],
            tasks=(Task("build", self.recipe.script(path)),),
            timeout_seconds=_seconds(found["timeout"]),
            silence_seconds=_seconds(found["silence"]),
            priority=max(LOWEST_PRIORITY, min(HIGHEST_PRIORITY, priority - _USUAL_PRIORITY)),
            maintainers=tuple(addresses[:MOST]),
            base=name,
            nix=True,
        )

    def _why(self, ended: Ended, rest: str, seconds: float) -> str:
        if ended.late:
            return f"takes longer than {seconds:.0f} seconds"
        if ended.too_long:
            return f"writes more than {_MOST_BYTES // 1_000_000} MB"
        if "error: out of memory" in rest or ended.code == -signal.SIGABRT:
            return f"takes more than {self.memory_mb} MB of memory"
        if ended.code < 0:
            return f"broke the evaluator off ({signal.Signals(-ended.code).name})"
        return self._message(rest)

    def _message(self, rest: str) -> str:
        """What Nix says, in one line that begins with the place."""
        said = rest.rpartition("error: ")[2].partition("(use '--show-trace'")[0]
        place = _PLACE.search(said)
        message = " ".join(said[: place.start() if place else None].split())
        message = message.replace(f"{self.recipe.root.parent}/", "")[:_LONGEST]
        if _NOT_BUILT.search(message):
            message = "needs something built before it can be evaluated, which is refused"
        root = f"{self.recipe.root}/"
        if place is None or not place[1].startswith(root):
            return message
        file = place[1].removeprefix(root)
        where = f"line {place[2]}, column {place[3]}"
        return f"{where}: {message}" if file == self.recipe.file else f"{file}, {where}: {message}"

    def _break(self, path: list[str], fault: str) -> None:
        if path:
            name = ".".join(one if one.isprintable() else shown(one) for one in path)[:_LONGEST]
            self.break_job(name, fault)
        else:
            self._refuse(fault)

    def break_job(self, name: str, fault: str) -> None:
        self.broken.append(Complaint(name, fault, self.recipe.file))

    def _refuse(self, fault: str) -> None:
        self.complaints.append(Complaint("", fault, self.recipe.file))


def _expression_faults(
    inputs: Inputs, program: str, seconds: float, memory_mb: int
) -> Iterator[Complaint]:
    """What is wrong with the text of expressions; what they come to is seen by who uses them."""
    for name, one in inputs.items():
        if isinstance(one, Expression):
            ended = run(
                our_program(
                    "confine", str(memory_mb << 20), str(int(seconds) + 1), program, "--parse", "-"
                ),
                one.text.encode("utf-8", "replace"),
                seconds=seconds,
                most_bytes=_MOST_BYTES,
                environment=_ENVIRONMENT,
                merged=True,
            )
            if ended.code:
                said = ended.output.decode("utf-8", "replace").rpartition("error: ")[2]
                place = _PLACE.search(said)
                why = " ".join(said[: place.start() if place else None].split())[:_LONGEST]
                fault = f"is no Nix expression: {why or 'Nix cannot read it'}"
                yield Complaint(f"inputs.{name}", fault)


def _is_exhausted(ended: Ended, rest: str) -> bool:
    return ended.late or ended.too_long or ended.code < 0 or "error: out of memory" in rest


def _read(output: bytes, mark: str) -> tuple[list[dict[str, Any]], str]:
    """What the walk told, and what Nix said behind it."""
    prefix = f"trace: {mark}"
    told: list[dict[str, Any]] = []
    rest: list[str] = []
    for line in output.decode("utf-8", "replace").split("\n"):
        if line.startswith(prefix):
            try:
                told.append(json.loads(line.removeprefix(prefix)))
            except ValueError:
                break  # cut off
            rest.clear()
        elif not line.startswith("trace: "):
            rest.append(line)
    return told, "\n".join(rest)


def _seconds(given: int | None) -> int:
    return max(0, min(_MOST_SECONDS, given or 0))


def _quoted(text: str) -> str:
    """A string of Nix."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return f'"{escaped}"'


def _value(value: str | bool) -> str:
    return _quoted(value) if isinstance(value, str) else str(value).lower()
