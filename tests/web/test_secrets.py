"""Secrets by the API and in the browser: added, listed, removed, and never told."""

import base64

import pytest
from support.factories import ADMIN
from support.keys import ssh_key
from support.prepared import add_account

from ciserver.model.account import Right

OWN, PROJECT = "/ci/v1/secrets", "/ci/v1/projects/hello/secrets"
FILE = {"type": "plaintext_file", "name": "netrc", "path": "~/.netrc", "value": "hunter22"}
TOLD = {"uuid", "type", "name", "path", "mode", "created_at", "last_used_at"}
PASSWORD = "correct horse battery"


@pytest.fixture
def ada(parts, services, browser):
    """Signed in, and owns `hello`."""
    add_account(parts, "ada", PASSWORD)
    services.projects.watch(ADMIN, "hello", "https://git.example.org/hello.git", owner="ada")
    return browser.sign_in("ada")


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize("place", [OWN, PROJECT, "/ci/v1/users/ada/secrets"])
def test_no_answer_has_a_value(script, place):
    """Not the one that adds it, nor any list."""
    made = script.post(place, json=FILE)
    assert made.status_code == 201
    assert made.json.keys() == TOLD
    assert (made.json["path"], made.json["mode"]) == ("~/.netrc", "600")
    listed = script.get(place)
    assert listed.json == [made.json]
    assert "hunter22" not in made.text + listed.text
    gone = script.request("DELETE", f"{place}/{made.json['uuid']}")
    assert gone.json == {"removed": made.json["uuid"]}
    assert script.get(place).json == []
    assert script.request("DELETE", f"{place}/{made.json['uuid']}").status_code == 404


def test_bytes_that_are_no_text_come_in_base64(script, store):
    """As files may be; both at once, or what is no base64, are refused."""
    content = bytes(range(256))
    body = {**FILE, "value": "", "value_base64": base64.b64encode(content).decode()}
    assert script.post(OWN, json=body).status_code == 201
    for wrong in (
        {**body, "value": "x"},
        {**body, "value_base64": "x"},
        {**body, "value_base64": 1},
    ):
        answer = script.post(OWN, json={**wrong, "name": "other"})
        assert answer.status_code == 400
        assert {one["field"] for one in answer.json["error"]["complaints"]} == {"value_base64"}


def test_every_fault_is_told_without_the_value(script):
    """With its field."""
    wrong = {"type": "x", "name": "a", "value": "hunter22" * 9000, "extra": 1}
    assert script.post(OWN, json=wrong).status_code == 400
    del wrong["extra"]
    answer = script.post(OWN, json=wrong)
    assert {one["field"] for one in answer.json["error"]["complaints"]} == {
        *("type", "name", "value"),
    }
    assert "hunter22" not in answer.text


def test_a_person_adds_and_removes_their_own(ada, tmp_path):
    """In the browser, whose line ends are not those of files."""
    page = ada.page("/secrets")
    assert "There are none yet" in page.text
    key = ssh_key(tmp_path).decode().replace("\n", "\r\n")
    added = ada.post("/secrets", csrf=page.csrf, type="ssh_key", name="deploy", value=key)
    assert (added.status_code, added.headers["location"]) == (303, "/secrets")
    page = ada.page("/secrets")
    assert "deploy" in page.text
    assert "never" in page.text
    assert key.splitlines()[1] not in page.text
    (action,) = (one["action"] for one in page.all("form") if one["action"].endswith("/remove"))
    assert ada.post(action, csrf="wrong").status_code == 403
    assert ada.post(action, csrf=page.csrf).status_code == 303
    assert "There are none yet" in ada.page("/secrets").text


def test_a_form_with_faults_comes_back_without_the_value(ada):
    """What else was written is still there, with what is wrong beside it."""
    page = ada.page("/project/hello/secrets")
    wrong = {"type": "plaintext_file", "name": "<b>no</b>", "path": "/etc/x", "mode": "9"}
    answer = ada.post("/project/hello/secrets", csrf=page.csrf, value="hunter22", **wrong)
    assert answer.status_code == 400
    page = ada.parse(answer.text)
    assert "must lie in the home" in page.text
    assert "must be three octal digits" in page.text
    assert "hunter22" not in answer.text
    assert "<b>no</b>" not in answer.text
    fields = {one["name"]: one.get("value") for one in page.all("input") if "name" in one}
    assert (fields["name"], fields["path"]) == ("<b>no</b>", "/etc/x")


def test_a_taken_name_is_told_at_its_field(ada):
    """As other faults are."""
    form = {"type": "plaintext_file", "name": "netrc", "path": "~/x", "value": "hunter22"}
    for status in (303, 400):
        csrf = ada.page("/project/hello/secrets").csrf
        assert ada.post("/project/hello/secrets", csrf=csrf, **form).status_code == status


def test_only_those_who_may_change_a_project_are_led_there(ada, parts, services, browser):
    """Its page has the link for them alone."""
    link = "/project/hello/secrets"
    assert link in [one["href"] for one in ada.page("/project/hello").all("a")]
    add_account(parts, "ben", PASSWORD)
    services.projects.set_member(ADMIN, "hello", "ben", frozenset({Right.EVALUATE}))
    browser.cookies.clear()
    ben = browser.sign_in("ben")
    assert link not in [one["href"] for one in ben.page("/project/hello").all("a")]
    assert ben.get(link).status_code == 403
    assert ben.get("/project/none/secrets").status_code == 404
