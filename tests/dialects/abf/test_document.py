"""docs/dialects/abf.md tells what is so."""

import json
import re
from pathlib import Path

import falcon.inspect
from dialects.abf.playing import LISTS, PASSWORD

from ciserver.dialects.abf.words import STATE

TEXT = (Path(__file__).parents[3] / "docs/dialects/abf.md").read_text(encoding="utf-8")


def rows(heading):
    """The cells of the table that begins with this heading."""
    lines = TEXT[TEXT.index(heading) :].splitlines()
    table = lines[: next(index for index, one in enumerate(lines) if not one.startswith("|"))]
    return [[cell.strip() for cell in one.split("|")[1:-1]] for one in table[2:]]


def test_the_worked_example(make_client, product, clock):
    """Whoever plays it gets these answers."""
    user, path, body = re.search(
        r"curl -u (\w+):'.*?' http://ci.example.org(\S+) -d '\n(.*?)'$",
        TEXT,
        re.DOTALL | re.MULTILINE,
    ).groups()
    made, listed = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    ivan = make_client(user, PASSWORD)
    assert ivan.ask("POST", path, json.loads(body)).json == json.loads(made)
    assert ivan.get(f"{LISTS}.json").json == json.loads(listed)
    assert ivan.show(1)["params"] == "lst=libs PRODUCTNAME=ROSA.2012"


def test_every_status_is_told():
    """With the core's names for it."""
    told = {
        name: int(code)
        for code, names, _ in rows("| `status` |")
        for name in names.partition(":")[0].split(", ")
    }
    assert told == {status.value: code for status, code in STATE.items()}


def test_every_address_is_told(parts):
    """With its methods."""
    told = {path.strip("`"): set(methods.split(", ")) for path, methods, _ in rows("| Path |")}
    there = {
        one.path: {each.method for each in one.methods if not each.internal}
        for one in falcon.inspect.inspect_routes(parts.app)
        if one.path.startswith("/api/v1/")
    }
    assert told == there
