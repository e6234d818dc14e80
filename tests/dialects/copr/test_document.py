"""docs/dialects/copr.md tells what is so."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import falcon.inspect
from support.factories import done, make_job

from ciserver.dialects.copr import resources
from ciserver.dialects.copr.words import _FIRST, STATE
from ciserver.model.build import BuildResult, Offer
from ciserver.model.status import BuildStatus

TEXT = (Path(__file__).parents[3] / "docs/dialects/copr.md").read_text(encoding="utf-8")


def rows(heading):
    """The cells of the table beneath a heading or sentence."""
    lines = TEXT.partition(heading)[2].lstrip().splitlines()
    table = lines[: next(index for index, one in enumerate(lines) if not one.startswith("|"))]
    return [[cell.strip() for cell in one.split("|")[1:-1]] for one in table[2:]]


def words(cell):
    return re.findall(r"`([^`]+)`", cell)


def test_the_worked_example(client, make, clock):
    """Whoever plays it on such a build gets that answer."""
    revision = "d241064b14f9dcd5d9032d0aca3b4e78fbd1aafd"
    make.evaluated(None, make_job(), revision=revision)
    lease = make.claim(Offer("local-0", ("x86_64-linux",))).lease
    make.reporter.advance(lease, done(0), 1, sandbox="plain")
    clock.forward(seconds=60)
    make.reporter.finish(lease, BuildResult(BuildStatus.SUCCEEDED), ())
    (url,) = re.findall(r"^    curl '(.*)'$", TEXT, re.MULTILINE)
    (told,) = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    parts = urlsplit(url)
    answer = client.simulate_get(parts.path, query_string=parts.query, host=parts.netloc)
    assert answer.json == json.loads(told)
    assert list(answer.json) == list(json.loads(told))


def test_every_status_is_told():
    """The table of states is the one in use, and so is their order."""
    table = rows("A task is in one of these states:")
    told = {status: words(state)[0] for state, all_ in table for status in all_.split(", ")}
    assert told == {status.value: state for status, state in STATE.items()}
    sentence = TEXT.partition("A build is in the first of")[2].partition(" that one of")[0]
    assert tuple(words(sentence)) == _FIRST


def test_every_address_is_told(parts):
    """With the parameters that its lists take."""
    table = rows("## Addresses")
    told = {path for paths, _ in table for path in words(paths)}
    there = {one.path for one in falcon.inspect.inspect_routes(parts.app)}
    assert told == {path for path in there if path.startswith("/api_2/")}
    parameters = {words(paths)[0]: words(names) for paths, names in table}
    assert parameters["/api_2/build_tasks"] == list(resources._TASKS)
    assert parameters["/api_2/builds"] == list(resources._BUILDS)
    assert parameters["/api_2/projects"] == list(resources._PROJECTS)
