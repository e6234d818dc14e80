"""`ciserver system`: added, listed, changed and removed by command."""

import json

import pytest

pytestmark = pytest.mark.e2e


def listed(online, name):
    found = json.loads(online.cli("system", "list", "-o", "json").stdout)
    return next((one for one in found if one["name"] == name), None)


def test_a_system_from_its_beginning_to_its_end(online):
    """Labels are set one by one, images together."""
    name = "fedora-40-s390x"
    labels = ("--label", "os_release=fedora", "--label", "note=a=b")
    online.cli("system", "add", name, *labels, "--image", "fedora:40", "--inactive")
    made = listed(online, name)
    assert (made["active"], made["images"]) == (False, ["fedora:40"])
    assert made["labels"] == {"os_release": "fedora", "note": "a=b"}
    said = online.cli(
        "system", "set", name, "--active", "--label", "note=", "--label", "arch=s390x"
    )
    assert said.stdout == f"the system {name} is active\n"
    assert listed(online, name)["labels"] == {"os_release": "fedora", "arch": "s390x"}
    assert listed(online, name)["images"] == ["fedora:40"]
    table = online.cli("system", "list").stdout
    assert f"{name}  active" in table
    online.cli("system", "remove", name)
    assert listed(online, name) is None


@pytest.mark.parametrize(
    ("told", "code", "said"),
    [
        (("add", "linux"), 2, "two parts"),
        (("add", "a-b", "--label", "x"), 2, "NAME=TEXT"),
        (("set", "none-1", "--inactive"), 4, "there is no system none-1"),
        (("remove", "../none-1"), 4, "there is no system"),
    ],
)
def test_what_is_refused(online, told, code, said):
    """With what to do about it."""
    done = online.cli("system", *told, check=False)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
