"""The example of docs/dialects/hydra.md, played word for word; and its tables."""

import json
import re
import shlex
from pathlib import Path

import pytest
from dialects.hydra.playing import Caller
from support.factories import ADMIN

from ciserver.dialects.hydra.words import MODE, ROLE, STATE, STATE_BY_REASON
from ciserver.shipped import shipped
from ciserver.web.app import create_app

TEXT = (Path(__file__).parents[3] / "docs/dialects/hydra.md").read_text(encoding="utf-8")
BASE = "http://127.0.0.1:8080"
CALLS = re.findall(r"^    \$ (curl .*)\n    (.*)$", TEXT, re.MULTILINE)


@pytest.fixture
def ada(services, add_user):
    """Who plays it, with a token that may do it."""
    add_user("ada", roles=("create-projects",))
    return services.access.add_token(ADMIN, "ada", ("*",), None)[0]


def test_the_example_is_so(services, ada):
    """Each call has the answer that stands beneath it."""
    app = create_app(services, shipped("templates"), server_name="ci", base_url=BASE)
    assert len(CALLS) == 4
    for call, told in CALLS:
        assert curl(Caller(app).client, call.replace("TOKEN", ada)) == json.loads(told), call


def curl(client, call):
    """What curl would get, of the options that the example uses."""
    method, headers, body, url = "GET", {}, None, ""
    words = iter(shlex.split(call)[1:])
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-d":
                body = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case _:
                url = word
    path, _, query = url.removeprefix(BASE).partition("?")
    answer = client.simulate_request(method, path, query_string=query, headers=headers, body=body)
    return answer.json


def test_the_tables_are_so():
    """Every number and every role has its row."""
    told = set(re.findall(r"^\| 1, ([0-9]+) \|", TEXT, re.MULTILINE))
    numbers = {*STATE.values(), *STATE_BY_REASON.values()} - {None}
    assert told == set(map(str, numbers))
    roles = TEXT.partition("| role in")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([a-z-]+)`", roles, re.MULTILINE)) == {"admin", *ROLE.values()}
    modes = re.search(r"\| `enabled` of a jobset \| (.*) \|", TEXT)[1]
    assert re.findall(r"[0-9]", modes) == [str(one) for one in MODE.values()]
