"""Every request of Hydra's manual, literally, and what it shows for an answer."""

import hashlib
import io

import pytest
from dialects.hydra.playing import MAIL, Caller, job

ACCEPT = {"Accept": "application/json"}
# What today's Hydra has beside the keys of its manual, and what is ours.
PROJECT_TODAY = {"homepage", "enable_dynamic_run_command"}
JOBSET_TODAY = {
    *("name", "project", "description", "type", "flake", "visible", "inputs", "keepnr"),
    *("checkinterval", "schedulingshares", "enableemail", "enable_dynamic_run_command"),
    *("errortime", "lastcheckedtime", "triggertime", "starttime"),
}
EVALUATION_TODAY = {"timestamp", "checkouttime", "evaltime", "flake"}
BUILD_TODAY = {"drvpath", "ciserver_waiting_reason"}

ACODA = {
    "displayname": "Acoda",
    "name": "acoda",
    "releases": [],
    "description": "Acoda is a tool set for automatic data migration",
    "enabled": 0,
    "owner": "sander",
    "hidden": 1,
    "jobsets": ["trunk"],
}
HYDRA = {
    "description": "Hydra, the Nix-based continuous build system",
    "hidden": 0,
    "displayname": "Hydra",
    "jobsets": ["build-ng", "hydra-ant-logger-trunk", "hydra-master", "master"],
    "name": "hydra",
    "enabled": 1,
    "owner": "eelco",
    "releases": [],
}
JOBSET = {
    "errormsg": "evaluation failed due to signal 9 (Killed)",
    "fetcherrormsg": None,
    "nixexprpath": "release.nix",
    "nixexprinput": "hydraSrc",
    "emailoverride": MAIL,
    "jobsetinputs": {
        "officialRelease": {"jobsetinputalts": ["false"]},
        "hydraSrc": {"jobsetinputalts": ["https://github.com/NixOS/hydra.git build-ng"]},
        "nixpkgs": {"jobsetinputalts": ["https://github.com/NixOS/nixpkgs.git release-14.12"]},
    },
    "enabled": 0,
}
INPUTS = {
    "nixpkgs": {
        "dependency": None,
        "type": "git",
        "value": None,
        "uri": "https://github.com/NixOS/nixpkgs.git",
        "revision": "f60e48ce81b6f428d072d3c148f6f2e59f1dfd7a",
    },
    "hydraSrc": {
        "dependency": None,
        "type": "git",
        "value": None,
        "uri": "https://github.com/NixOS/hydra.git",
        "revision": "48d6f0de2ab94f728d287b9c9670c4d237e7c0f6",
    },
    "officialRelease": {
        "dependency": None,
        "value": "false",
        "type": "boolean",
        "uri": None,
        "revision": None,
    },
}


def assert_shows(answer, example, beside):
    """The keys and values of the example with their exact types, and these keys beside."""
    assert answer.keys() == example.keys() | beside
    for key, value in example.items():
        assert (type(answer[key]), answer[key]) == (type(value), value), key


@pytest.fixture
def build_ng(farm):
    return farm.build_ng()


def test_list_projects(anybody, build_ng):
    """GET / with the header Accept of the manual's curl: the enabled ones first, then by name."""
    listed = anybody.get("/", headers=ACCEPT)
    assert [one["name"] for one in listed] == ["hydra", "acoda", "cabal2nix"]
    assert_shows(listed[1], ACODA, PROJECT_TODAY)


def test_get_a_single_project(anybody, build_ng):
    assert_shows(anybody.get("/project/hydra", headers=ACCEPT), HYDRA, PROJECT_TODAY)


def test_get_a_single_jobset(farm, eelco_of_the_manual, build_ng):
    """By Content-Type, as the manual has it; to its owner, who may know whom it mails to."""
    farm.failed(build_ng, "evaluation failed due to signal 9 (Killed)")
    for headers in (ACCEPT, {"Content-Type": "application/json"}):
        answer = eelco_of_the_manual.get("/jobset/hydra/build-ng", headers=headers)
        assert_shows(answer, JOBSET, JOBSET_TODAY)
    assert answer["inputs"]["nixpkgs"] == {
        "name": "nixpkgs",
        "type": "git",
        "value": "https://github.com/NixOS/nixpkgs.git release-14.12",
        "emailresponsible": False,
    }


def test_list_evaluations(farm, anybody, build_ng):
    found, builds = farm.evaluated(build_ng, *map(job, "abcd"))
    answer = anybody.get("/jobset/hydra/build-ng/evals")
    assert answer.keys() == {"evals", "first", "last"}
    assert (answer["first"], answer["last"]) == ("?page=1", "?page=1")
    (listed,) = answer["evals"]
    example = {"jobsetevalinputs": INPUTS, "hasnewbuilds": 1, "builds": builds, "id": found}
    assert_shows(listed, example, EVALUATION_TODAY)
    assert anybody.get(f"/eval/{found}") == listed


def test_get_a_single_build(farm, anybody, build_ng, clock):
    """A report of the manual is a file here: what the build made and left."""
    name = "tests.api.x86_64-linux"
    found, (build_id,) = farm.evaluated(build_ng, job(name))
    queued_at = clock.now()
    farm.built(build_id, f"image-{name}", ("out/log.html", io.BytesIO(b"<p>good</p>")))
    answer = anybody.get(f"/build/{build_id}")
    started = answer["starttime"]
    product = answer["buildproducts"].pop("1")
    example = {
        "job": name,
        "jobsetevals": [found],
        "buildstatus": 0,
        "buildmetrics": None,
        "project": "hydra",
        "system": "x86_64-linux",
        "priority": 100,
        "releasename": None,
        "starttime": started,
        "nixname": name,
        "timestamp": int(queued_at.timestamp()) - 30,
        "id": build_id,
        "stoptime": started + 60,
        "jobset": "build-ng",
        "buildoutputs": {"out": {"path": f"/build/{build_id}/results/"}},
        "buildproducts": {},
        "finished": 1,
    }
    assert_shows(answer, example, BUILD_TODAY)
    assert product == {
        "path": f"/build/{build_id}/product/1/log.html",
        "sha1hash": None,
        "defaultpath": "",
        "type": "file",
        "sha256hash": hashlib.sha256(b"<p>good</p>").hexdigest(),
        "filesize": 11,
        "name": "log.html",
        "subtype": "",
    }
    for path in (product["path"], answer["buildoutputs"]["out"]["path"]):
        assert anybody.ask("GET", path).status_code == 200


@pytest.fixture
def eelco_of_the_manual(farm, services, parts, admin):
    return Caller(parts.app, services.access.add_token(admin, "eelco", ("*",), None)[0])
