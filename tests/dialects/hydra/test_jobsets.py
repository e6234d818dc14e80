"""Jobsets by Hydra's rules, and the evaluations that come of saving them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from dialects.hydra.playing import HYDRA, MAIL, NIXPKGS, OURS, Farm
from support.factories import ADMIN

from ciserver.model.project import DEFAULT_RECIPE, DEFAULT_WATCH, JobsetMode, ScriptDefaults
from ciserver.model.request import Action
from ciserver.model.status import EvaluationStatus

SRC = {"type": "git", "value": f"{HYDRA} build-ng"}
TRUNK = {
    "description": "What is new",
    "nixexprinput": "src",
    "nixexprpath": "release.nix",
    "enabled": 1,
    "visible": True,
    "inputs": {"src": SRC},
}
PATH = "/jobset/nix/trunk"


@pytest.fixture
def nix(eelco):
    """The project nix of eelco."""
    eelco.put("/project/nix", {"displayname": "Nix", "enabled": 1, "visible": 1}, 201)
    return eelco


@pytest.fixture
def stored(store):
    """The jobset as the core has it."""
    return lambda: store.jobsets.get_by_name("nix", "trunk")


@pytest.fixture
def evaluations(services):
    """Its evaluations that wait."""

    def found():
        return services.queries.jobset(ADMIN, "nix", "trunk").evaluations.evaluations

    return found


def test_a_jobset_is_made(nix, stored, services):
    """Every field comes to its place, numbers also as texts."""
    given = {
        **TRUNK,
        "type": 0,
        "enabled": "3",
        "enableemail": True,
        "emailoverride": MAIL,
        "checkinterval": "0",
        "schedulingshares": "50",
        "keepnr": 7,
    }
    answer = nix.ask("PUT", PATH, given)
    uri = f"{OURS}/jobset/nix/trunk"
    assert (answer.status_code, answer.headers["location"]) == (201, uri)
    assert answer.json == {"name": "trunk", "type": "jobset", "uri": uri, "redirect": uri}
    settings, (source,) = stored().settings, stored().inputs
    assert (settings.mode, settings.hidden, settings.tell_by_mail, settings.mail_to) == (
        JobsetMode.ONE_AT_A_TIME,
        False,
        True,
        MAIL,
    )
    assert (settings.check_interval_seconds, settings.shares, settings.keep_evaluations) == (
        *(0, 50, 7),
    )
    assert (settings.recipe_input, settings.recipe_path) == ("src", ("release.nix",))
    assert (source.uri, source.ref) == (HYDRA, "refs/heads/build-ng")
    assert source.watch == ("refs/heads/build-ng",)
    made = services.requests.list_newest(ADMIN, limit=1)[0]
    assert (made.action, made.who, made.what) == (
        Action.ADD_JOBSET,
        "eelco",
        {"jobset": "nix:trunk"},
    )
    shown = nix.get(PATH)
    assert (shown["enabled"], shown["schedulingshares"], shown["keepnr"]) == (3, 50, 7)
    assert (shown["visible"], shown["enableemail"], shown["type"]) == (True, True, 0)


def test_a_jobset_is_replaced(nix, stored):
    """What is not given has the default of Hydra's interface; inputs are made anew."""
    nix.put(PATH, {**TRUNK, "schedulingshares": 50, "keepnr": 7, "enableemail": 1}, 201)
    answer = nix.put(PATH, {"nixexprinput": "n", "inputs": {"n": {**SRC, "value": NIXPKGS}}})
    assert answer == {"redirect": f"{OURS}/jobset/nix/trunk#tabs-configuration"}
    settings, (source,) = stored().settings, stored().inputs
    assert (settings.description, settings.mode, settings.hidden) == ("", JobsetMode.OFF, True)
    assert (settings.shares, settings.keep_evaluations, settings.tell_by_mail) == (1, 0, False)
    assert settings.recipe_path == DEFAULT_RECIPE
    assert (source.name, source.uri, source.ref) == ("n", NIXPKGS, "HEAD")
    assert source.watch == DEFAULT_WATCH


@pytest.mark.parametrize("mode", JobsetMode)
def test_enabled_is_a_number(nix, stored, mode):
    """Or a text or a boolean that stands for one."""
    number = list(JobsetMode).index(mode)
    for given in (number, str(number), *([bool(number)] if number < 2 else [])):
        nix.ask("PUT", PATH, {**TRUNK, "enabled": given})
        assert stored().settings.mode is mode
        assert nix.get(PATH)["enabled"] == number


@pytest.mark.parametrize(
    ("value", "ref", "watch"),
    [
        (HYDRA, "HEAD", DEFAULT_WATCH),
        (f"{HYDRA} build-ng", "refs/heads/build-ng", ("refs/heads/build-ng",)),
        (f"{HYDRA} refs/tags/v1", "refs/tags/v1", ("refs/tags/v1",)),
        (f"{HYDRA} {'a' * 40}", "a" * 40, ()),
    ],
)
def test_what_of_a_repository_is_followed(nix, stored, value, ref, watch):
    """Only pushes to it are; and it is shown as it was written."""
    inputs = {"src": {"type": "git", "value": value, "emailresponsible": False}}
    nix.put(PATH, {**TRUNK, "inputs": inputs}, 201)
    assert (stored().source.ref, stored().source.watch) == (ref, watch)
    shown = nix.get(PATH)
    assert shown["inputs"] == {"src": {"name": "src", **inputs["src"]}}
    assert shown["jobsetinputs"] == {"src": {"jobsetinputalts": [value]}}


def test_the_whole_history_is_always_there(nix):
    """So the word for it means nothing."""
    inputs = {"src": {"type": "git", "value": f" {HYDRA}  build-ng deep "}}
    nix.put(PATH, {**TRUNK, "inputs": inputs}, 201)
    assert nix.get(PATH)["inputs"]["src"]["value"] == f"{HYDRA} build-ng"


def test_values_stand_for_themselves(nix):
    """A boolean may be one of JSON."""
    given = {
        "src": SRC,
        "greeting": {"type": "string", "value": "hello  world"},
        "official": {"type": "boolean", "value": "true"},
        "draft": {"type": "boolean", "value": False},
    }
    nix.put(PATH, {**TRUNK, "inputs": given}, 201)
    shown = nix.get(PATH)["inputs"]
    assert {name: one["value"] for name, one in shown.items()} == {
        "src": f"{HYDRA} build-ng",
        "greeting": "hello  world",
        "official": "true",
        "draft": "false",
    }


@pytest.mark.parametrize(
    ("value", "uri", "seconds", "shown"),
    [
        ("https://files.example/x?y=1", "https://files.example/x?y=1", 30, None),
        ("https://files.example/x 300", "https://files.example/x", 300, None),
        (" https://files.example/x   0", "https://files.example/x", 0, "https://files.example/x 0"),
        ("https://files.example/x 30", "https://files.example/x", 30, "https://files.example/x"),
    ],
)
def test_a_path_has_its_seconds_behind_it(nix, stored, value, uri, seconds, shown):
    inputs = {"src": SRC, "data": {"type": "path", "value": value}}
    nix.put(PATH, {**TRUNK, "inputs": inputs}, 201)
    data = stored().inputs[1]
    assert (data.type, data.uri, data.refresh_seconds) == ("path", uri, seconds)
    again = nix.get(PATH)
    assert again["inputs"]["data"]["value"] == (shown or value)
    assert again["jobsetinputs"]["data"] == {"jobsetinputalts": [shown or value]}
    nix.put(PATH, again)
    assert stored().inputs[1] == data


def test_a_path_may_have_spaces(nix, root, stored, tmp_path):
    """One that ends like seconds is shown with its seconds, and so is the same again."""
    path = tmp_path / "data 2024"
    path.mkdir()
    given = {**TRUNK, "inputs": {"src": SRC, "data": {"type": "path", "value": f"{path} 30"}}}
    assert nix.refusal("PUT", PATH, given)[0] == 400
    root.put(PATH, given, 201)
    assert nix.get(PATH)["inputs"]["data"]["value"] == f"{path} 30"
    nix.put(PATH, nix.get(PATH))
    assert (stored().inputs[1].uri, stored().inputs[1].refresh_seconds) == (str(path), 30)


def test_an_expression_is_a_text(nix, stored):
    inputs = {"src": SRC, "args": {"type": "nix", "value": "{ a = 1; }"}}
    nix.put(PATH, {**TRUNK, "inputs": inputs}, 201)
    assert (stored().inputs[1].type, stored().inputs[1].value) == ("nix", "{ a = 1; }")
    assert nix.get(PATH)["inputs"]["args"]["value"] == "{ a = 1; }"


def test_what_hydra_has_no_word_for_stays(nix, services, make, store):
    """The refs that are watched, where the input stays what it was, and script defaults."""
    watched = services.projects.watch(ADMIN, "other", HYDRA, refs=("refs/heads/x/*",)).jobset
    script = ScriptDefaults("build.sh", "A=1", 10)
    settings = replace(watched.settings, script=script)
    services.jobsets.put(ADMIN, "other", "main", settings, watched.inputs)
    services.projects.set_member(ADMIN, "other", "eelco", frozenset({"edit"}))
    shown = nix.get("/jobset/other/main")
    nix.put("/jobset/other/main", shown | {"description": "New"})
    now = store.jobsets.get_by_name("other", "main")
    assert now.source.watch == ("refs/heads/x/*",)
    assert (now.settings.script, now.settings.description) == (script, "New")
    assert now.settings.recipe_path == DEFAULT_RECIPE


def test_what_a_client_was_shown_it_may_send_back(nix):
    """A changed answer is a good request."""
    nix.put(PATH, {**TRUNK, "emailoverride": MAIL, "nixexprpath": "a.yml, b/*.yml"}, 201)
    shown = nix.get(PATH)
    nix.put(PATH, shown | {"description": "New", "enableemail": None})
    assert nix.get(PATH) == shown | {"description": "New"}


def test_whom_it_mails_to_is_for_who_may_edit_it(nix, anybody, add_user):
    """Addresses are nobody else's business."""
    nix.put(PATH, {**TRUNK, "emailoverride": MAIL}, 201)
    assert nix.get(PATH)["emailoverride"] == MAIL
    for other in (anybody, add_user("rob")):
        assert other.get(PATH)["emailoverride"] == ""


def test_a_jobset_is_renamed(nix):
    """By the name in the body; what it built goes with it."""
    nix.put(PATH, TRUNK, 201)
    answer = nix.put(PATH, {**TRUNK, "name": "x.y"})
    assert answer == {"redirect": f"{OURS}/jobset/nix/x.y#tabs-configuration"}
    assert nix.get("/jobset/nix/x.y")["description"] == "What is new"
    moved = nix.ask("GET", PATH)
    assert (moved.status_code, moved.headers["location"]) == (301, "/jobset/nix/x.y")
    nix.put(PATH, TRUNK, 201)
    assert nix.refusal("PUT", PATH, {**TRUNK, "name": "x.y"})[0] == 400


def test_a_jobset_is_deleted(nix, services, anybody):
    """The right to edit the project is enough."""
    nix.put(PATH, TRUNK, 201)
    assert nix.ask("DELETE", PATH).json == {"redirect": f"{OURS}/project/nix"}
    assert anybody.refusal("GET", PATH)[0] == 404
    assert services.requests.list_newest(ADMIN, limit=1)[0].action is Action.REMOVE_JOBSET
    assert nix.refusal("DELETE", PATH)[0] == 404


def test_a_saved_jobset_is_evaluated_if_the_clock_does_it(nix, evaluations, services, clock):
    """Enabled and with an interval; saving it again while that waits asks for nothing more. The
    clock looks after the interval, not beside the evaluation.
    """
    nix.put(PATH, {**TRUNK, "checkinterval": 0}, 201)
    nix.put(PATH, {**TRUNK, "checkinterval": 300, "enabled": 0})
    assert evaluations() == ()
    for _ in range(2):
        nix.put(PATH, {**TRUNK, "checkinterval": 300})
        (one,) = evaluations()
        assert (one.status, one.requested_by) == (EvaluationStatus.REQUESTED, "eelco")
    assert nix.get(PATH)["triggertime"] == int(one.requested_at.timestamp())
    assert services.polls.next_due() == clock.now() + timedelta(seconds=300)


def test_saving_needs_no_right_to_evaluate(nix, services, parts, evaluations):
    """A token for projects alone saves and asks for nothing."""
    token, _ = services.access.add_token(ADMIN, "eelco", ("projects:write",), None)
    proof = {"Authorization": f"Bearer {token}"}
    nix.proof = proof
    nix.put(PATH, {**TRUNK, "checkinterval": 300}, 201)
    assert evaluations() == ()


def test_how_the_last_evaluation_went(nix, farm_of_nix, stored, clock):
    """What is wrong with a recipe, or with what it is fetched from, until an evaluation is good."""
    nix.put(PATH, TRUNK, 201)
    keys = ("errormsg", "fetcherrormsg", "errortime", "lastcheckedtime")
    never = nix.get(PATH)
    assert [never[key] for key in keys] == ["", None, None, None]
    assert (never["triggertime"], never["starttime"]) == (None, None)
    moment = int(clock.now().timestamp())
    farm_of_nix.failed(stored(), "release.nix: no such file")
    assert [nix.get(PATH)[key] for key in keys] == [
        *("release.nix: no such file", None, moment, moment)
    ]
    farm_of_nix.failed(stored(), "no route to host", pinned=False)
    assert [nix.get(PATH)[key] for key in keys] == ["", "no route to host", moment, moment]
    farm_of_nix.factory.evaluation(stored())
    waiting = nix.get(PATH)
    assert [waiting[key] for key in keys] == ["", "no route to host", moment, moment]
    assert waiting["triggertime"] == moment
    farm_of_nix.evaluated(stored())
    now = nix.get(PATH)
    assert [now[key] for key in keys[:3]] == ["", None, None]
    assert now["lastcheckedtime"] == int(clock.now().timestamp())


@pytest.fixture
def farm_of_nix(parts, clock):
    return Farm(parts, clock)


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({"enabled": 4}, {"enabled"}),
        ({"enabled": "yes"}, {"enabled"}),
        ({"enabled": 1.0}, {"enabled"}),
        ({"enabled": [1]}, {"enabled"}),
        ({"type": 1, "flake": "github:NixOS/hydra"}, {"type"}),
        ({"flake": "github:NixOS/hydra"}, {"type"}),
        ({"enable_dynamic_run_command": 1}, {"enable_dynamic_run_command"}),
        ({"checkinterval": -1, "schedulingshares": 0, "keepnr": "-5"}, None),
        ({"checkinterval": 10**30, "schedulingshares": "9" * 5000, "keepnr": "x"}, None),
        ({"nixexprinput": "other"}, {"nixexprinput"}),
        ({"nixexprpath": "../release.nix"}, {"nixexprpath"}),
        ({"nixexprpath": ["release.nix"], "emailoverride": {}, "description": 5}, None),
        ({"nixexprpath": "a\0b"}, {"nixexprpath"}),
        ({"name": "a b"}, {"name"}),
        ({"inputs": []}, {"inputs"}),
        ({"inputs": {"src": SRC, "x": "git"}}, {"inputs.x"}),
        ({"inputs": {"src": SRC, "\ud800": SRC}}, {"inputs"}),
        ({"inputs": {"src": SRC, "a b": SRC}}, {"inputs.a b"}),
        ({"inputs": {"src": SRC, "x": {}}}, {"inputs.x"}),
        ({"inputs": {"src": SRC, "x": {"type": [], "value": {}}}}, {"inputs.x"}),
        ({"inputs": {"src": SRC, "x": {**SRC, "value": 5}}}, {"inputs.x.value"}),
        ({"inputs": {"src": SRC, "x": {**SRC, "value": "\ud800"}}}, {"inputs.x.value"}),
        ({"inputs": {"src": SRC, "x": {**SRC, "value": "  "}}}, {"inputs.x"}),
        ({"inputs": {"src": SRC, "x": {**SRC, "value": f"{HYDRA} b timeout=5"}}}, {"inputs.x"}),
        ({"inputs": {"src": SRC, "x": {**SRC, "value": f"{HYDRA} a..b"}}}, {"inputs.x"}),
        ({"inputs": {"src": SRC, "x": {**SRC, "value": "file:///etc"}}}, {"inputs.x"}),
        ({"inputs": {"src": SRC, "x": {"type": "boolean", "value": "1"}}}, {"inputs.x"}),
        (
            {"enabled": 9, "name": "", "keepnr": -1, "inputs": {"src": {**SRC, "value": "?"}}},
            {"enabled", "keepnr", "inputs.src"},
        ),
    ],
)
def test_every_fault_is_named(nix, given, faults):
    """All at once, by Hydra's names for the fields; and nothing is made."""
    answer = nix.ask("PUT", PATH, {**TRUNK, **given})
    fields = {one["field"] for one in answer.json.get("errors", ())}
    assert (answer.status_code, fields) == (400, faults or given.keys())
    assert all(one["message"] in answer.json["error"] for one in answer.json["errors"])
    assert nix.refusal("GET", PATH)[0] == 404


def test_an_unknown_type_of_input_tells_the_known(nix):
    """In Hydra's words."""
    inputs = {"src": SRC, "x": {"type": "svn", "value": "https://example.org/svn"}}
    status, message = nix.refusal("PUT", PATH, {**TRUNK, "inputs": inputs})
    known = "git, path, string, boolean, nix, build, sysbuild, eval"
    told = f"inputs.x: Invalid input type \u2018svn\u2019; valid types: {known}"
    assert (status, message) == (400, told)


def test_a_path_of_this_machine_is_for_administrators(nix, root, repository):
    """As everywhere."""
    inputs = {"src": {"type": "git", "value": f"{repository.bare} main"}}
    assert nix.refusal("PUT", PATH, {**TRUNK, "inputs": inputs})[0] == 400
    root.put(PATH, {**TRUNK, "inputs": inputs}, 201)
    nix.put(PATH, {**TRUNK, "inputs": inputs})
