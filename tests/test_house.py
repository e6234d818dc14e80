"""The rules of the house: what the documents say is so, and what must not be is not."""

import dataclasses
import re
import shutil
import subprocess
import sys
import textwrap
from html.parser import HTMLParser
from ipaddress import IPv4Network
from pathlib import Path
from typing import get_type_hints

import click
import falcon.inspect
import pytest

from ciserver.cli import output
from ciserver.cli.main import main
from ciserver.config import Settings
from ciserver.edge.refusals import STATUS
from ciserver.intake.doors import DOORS
from ciserver.model.account import SCOPES, Right
from ciserver.model.errors import CiError, RemoteFailure
from ciserver.model.evaluation import Evaluation, Kind
from ciserver.model.links import Links
from ciserver.model.status import EvaluationStatus
from ciserver.recipe.manifest import read_manifest
from ciserver.recipe.schema import MODELS, known_keys
from ciserver.service.deliveries import DELAYS
from ciserver.service.reporter import environment

ROOT = Path(__file__).parents[1]
MODULES = [*ROOT.glob("ciserver/**/*.py"), *ROOT.glob("triggers/**/*.py")]
TEMPLATES = [*ROOT.glob("templates/**/*.html"), *ROOT.glob("templates/**/*.txt")]
PAGES = [path for path in TEMPLATES if path.suffix == ".html" and path.parent.name != "email"]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("hooks/*.md")]
LONGEST_MODULE = 400
OUR_API = ("/ci/", "/healthz", "/readyz", "/version", "/recipe.schema.json")


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def rows(document, heading):
    """The cells of the tables beneath a heading, down to the next heading, without backticks."""
    section = re.split(rf"^#+ {re.escape(heading)}$", read(document), flags=re.MULTILINE)[1]
    section = re.split(r"^#+ ", section, maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [
        [cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines
    ]


def subclasses(kind):
    return {kind}.union(*(subclasses(one) for one in kind.__subclasses__()))


# What the documents say.


def as_toml(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | IPv4Network):
        return f'"{value}"'
    return "[]" if value == () else str(value)


def test_the_readme_tells_every_setting_with_its_default():
    """The table of settings is the configuration, no more and no less."""
    settings = {
        f"{section.name}.{one.name}": as_toml(getattr(getattr(Settings(), section.name), one.name))
        for section in dataclasses.fields(Settings)
        for one in dataclasses.fields(get_type_hints(Settings)[section.name])
    }
    assert {key: default for key, default, *_ in rows("README.md", "Configuration")} == settings


def commands(group, names=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*names, name))
        else:
            yield " ".join((*names, name)), command


def test_the_readme_tells_every_command_with_its_arguments():
    """The table of commands is what the command line has."""
    told = {row[0].removeprefix("ciserver ") for row in rows("README.md", "Commands")}
    there = set()
    for name, command in commands(main):
        context = click.Context(command)
        arguments = [one for one in command.params if isinstance(one, click.Argument)]
        shown = [one.make_metavar(context) for one in arguments]
        there.add(" ".join((name, *(one.replace("|", "\\|") for one in shown))))
    assert told == there


def test_the_readme_tells_every_exit_status():
    """The table of exit statuses is the one that the commands use."""
    told = {int(row[0]) for row in rows("README.md", "Exit status")}
    assert told == {value for name, value in vars(output).items() if name.startswith("EXIT_")}


def test_the_readme_tells_every_error_code_with_its_status():
    """The table of refusals is what the errors say of themselves."""
    told = {code: int(status) for code, status, *_ in rows("README.md", "Error codes")}
    assert told == {
        one.code: 502 if issubclass(one, RemoteFailure) else STATUS[one.kind]
        for one in subclasses(CiError)
    }


def test_the_documents_tell_every_door():
    """Each door of incoming webhooks has its row."""
    assert {row[0].split("/")[2] for row in rows("README.md", "Webhooks from forges")} == set(DOORS)


def test_the_documents_tell_every_route_of_the_api(parts):
    """docs/api.md lists the methods and paths that the application answers."""
    there = {
        f"{method.method} {route.path}"
        for route in falcon.inspect.inspect_routes(parts.app)
        for method in route.methods
        if not method.internal and route.path.startswith(OUR_API)
    }
    told = {row[0] for row in rows("docs/api.md", "Routes")}
    assert told == there


def test_the_documents_tell_every_right():
    """docs/access.md lists what somebody may do in a project, and the scope beside it."""
    section = read("docs/access.md").partition("\n## Rights\n")[2].partition("\n## ")[0]
    told = re.findall(r"^\| ([a-z]+) \| ([a-z:]+) \|", section, re.MULTILINE)
    assert told == [(one.value, one.scope) for one in Right]


def test_the_documents_tell_every_scope():
    """docs/api.md lists what a token can be allowed."""
    assert {row[0] for row in rows("docs/api.md", "Scopes")} == set(SCOPES)


def test_the_documents_tell_every_key_of_a_recipe():
    """docs/recipes.md lists what a recipe may hold."""
    keys = {
        ".".join((*(one.strip("<>") for one in parents), key))
        for parents in MODELS
        for key in known_keys(parents)
    }
    assert {row[0] for row in rows("docs/recipes.md", "Keys")} == keys


def test_the_documents_tell_every_variable_of_a_build(clock):
    """docs/recipes.md lists the environment that every build finds."""
    now = clock.now()
    evaluation = Evaluation(
        *(1, 1, "project", "main", 1, EvaluationStatus.SUCCEEDED, Kind.PUSH),
        *("refs/heads/main", "0" * 40, (), "ada", now),
        committed_at=now,
    )
    there = environment(evaluation, Links(""), build_id=1, number=1, job="build", requested_by="")
    assert {row[0] for row in rows("docs/recipes.md", "Environment")} == there.keys()


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "docs/recipes.md",
        "docs/schedules.md",
        "demo/project/.build.yml",
        "demo/project/nightly.yml",
    ],
)
def test_recipes_in_the_documents_have_no_faults(document):
    """Every example that a reader may copy is accepted."""
    text = read(document)
    if document.endswith(".md"):
        blocks = re.findall(r"^    image: .*\n(?:(?:    .*)?\n)+", text, re.MULTILINE)
    else:
        blocks = [text.replace("WEBHOOK_URL", "http://127.0.0.1/")]
    assert blocks
    for block in map(textwrap.dedent, blocks):
        reading = read_manifest(".build.yml", block, default_system="x86_64-linux")
        assert reading.complaints == (), block


def test_the_documents_tell_when_a_delivery_is_tried_again():
    """The schedule in docs/webhooks.md has every delay of the code, in order."""
    units = {"s": 1, "min": 60, "h": 3600}
    section = read("docs/webhooks.md").partition("## When a try fails")[2].partition("\n## ")[0]
    told = [int(number) * units[unit] for number, unit in re.findall(r"(\d+) (s|min|h)\b", section)]
    assert told[: len(DELAYS)] == [delay.total_seconds() for delay in DELAYS]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document):
    """A relative link names a file that is there and a heading that is in it."""
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", document.read_text(encoding="utf-8")):
        name, _, heading = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), link
        if heading:
            text = target.read_text(encoding="utf-8").lower()
            there = [
                re.sub(r"[^\w -]", "", one).replace(" ", "-")
                for one in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
            ]
            assert heading in there, link


# What must not be.


def test_no_room_imports_from_a_room_above_it():
    """The import contracts of pyproject.toml hold."""
    program = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    done = subprocess.run(
        [program, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "kept, 0 broken" in done.stdout


@pytest.mark.parametrize("forbidden", ["shell=True", "pickle", "yaml.load(", "|safe", "| safe"])
def test_what_has_hurt_other_servers_is_nowhere(forbidden):
    """No shell around a command, no unsafe loading, nothing unescaped on a page."""
    places = [*MODULES, *TEMPLATES, ROOT / "hooks" / "post-receive"]
    assert [path for path in places if forbidden in path.read_text(encoding="utf-8")] == []


def test_modules_stay_short():
    """Below 400 lines, but for migrations, which are lists."""
    long = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in MODULES
        if path.parent.name != "migrations"
    }
    assert {name: lines for name, lines in long.items() if lines >= LONGEST_MODULE} == {}


EXPRESSION = re.compile(r"\{(\{.*?\}|%.*?%|#.*?#)\}", re.DOTALL)  # of a template


class InlineCode(HTMLParser):
    """Notes what a Content-Security-Policy without exceptions would block."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(tag)
        self.found += [
            f"{tag} {name}" for name in names if name.startswith("on") or name == "style"
        ]
        self.found += [f"{tag} {one}" for one in names.values() if one and "javascript:" in one]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_pages_carry_no_inline_code(page):
    """Scripts and styles are files, so that the policy of pages needs no exception."""
    parser = InlineCode()
    parser.feed(EXPRESSION.sub("", page.read_text(encoding="utf-8")))
    assert parser.found == []
