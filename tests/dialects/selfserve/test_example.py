"""The example of the document, played as a reader would type it."""

import argparse
import base64
import json
import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

from falcon.testing import TestClient
from support.factories import ADMIN

DOCUMENT = Path(__file__).parents[3] / "docs" / "dialects" / "selfserve.md"
PASSWORD = "correct horse battery"


def curl(client, line):
    """What curl with these words would answer."""
    words = argparse.ArgumentParser()
    words.add_argument("-u", dest="user")
    words.add_argument("-H", dest="header", default=":")
    words.add_argument("-d", dest="data", action="append", default=[])
    words.add_argument("url")
    given = words.parse_args(shlex.split(line))
    name, _, value = given.header.partition(":")
    headers = {name: value.strip()} if name else {}
    if given.user:
        headers["Authorization"] = f"Basic {base64.b64encode(given.user.encode()).decode()}"
    if given.data:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    url = urlsplit(given.url)
    answer = client.simulate_request(
        "POST" if given.data else "GET",
        url.path,
        query_string=url.query,
        headers=headers,
        body="&".join(given.data),
    )
    return answer.json


def test_the_example_of_the_document(parts, services, pushed, perform):
    """Each command answers what the document shows beneath it, but for the numbers of requests."""
    services.access.add_user(ADMIN, "ada", email="", password=PASSWORD, admin=True)
    client = TestClient(parts.app)
    example = DOCUMENT.read_text().partition("\n## An example\n")[2].partition("\n## ")[0]
    example = example.replace("REVISION", pushed).replace("PASSWORD", f"'{PASSWORD}'")
    steps = re.findall(r"^    \$ curl (.*)\n((?:    .*\n)+)", example, re.MULTILINE)
    assert len(steps) == 3
    request_id = ""
    for command, expected in steps:
        answer = curl(client, command.replace("/jobs/7", f"/jobs/{request_id}"))
        request_id = request_id or answer["request_id"]
        assert answer == json.loads(re.sub(r'(request_id"): 7\b', rf"\1: {request_id}", expected))
        perform()
