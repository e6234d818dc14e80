"""The scenarios of the folder beside this file, each as a push to one server with a sandbox."""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.repositories import git
from support.waiting import until

pytestmark = pytest.mark.e2e

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.toml"))


@dataclass(frozen=True)
class Evaluation:
    status: str
    kind: str = "push"
    ref: str = "refs/heads/main"
    note: str = ""  # a part of it; empty: there is none
    complaints: list[str] = field(default_factory=list)  # their fields
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Build:
    """What must be true of a build. `log` and `lacks` are parts of the logs of steps."""

    job: str
    status: str
    reason: str = ""
    detail: str = ""
    waiting_for: str = ""
    steps: list[str] | None = None
    log: dict[str, list[str]] = field(default_factory=dict)
    lacks: dict[str, list[str]] = field(default_factory=dict)
    products: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    promise: str
    files: dict[str, str]
    evaluation: Evaluation
    builds: list[Build]
    message: str = "a commit"
    tag: str = ""
    push: tuple[str, ...] = ("main",)
    deliveries: list[str] = field(default_factory=list)


def read(path, *, receiver):
    """The scenario of a file; a key that does not exist is an error."""
    text = path.read_text().replace("@RECEIVER@", receiver.url(path.stem))
    written = tomllib.loads(text.replace("@PORT@", str(receiver.port)))
    written["evaluation"] = Evaluation(**written["evaluation"])
    written["builds"] = [Build(**one) for one in written.get("builds", ())]
    return Scenario(**written)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_push_goes_as_its_scenario_says(path, shared_server, shared_receiver, watch):
    """The promise stands in the scenario's file."""
    scenario = read(path, receiver=shared_receiver)
    repository = watch(shared_server, path.stem)
    repository.commit(scenario.files, scenario.message)
    if scenario.tag:
        git(repository.tree, "tag", scenario.tag)
    said = repository.push("--push-option=debug", *scenario.push)
    evaluation = settled(shared_server, int(re.search(r"/eval/(\d+)", said)[1]))

    check_evaluation(evaluation, scenario.evaluation)
    assert sorted(one["job"] for one in evaluation["builds"]) == [
        one.job for one in scenario.builds
    ]
    for expected in scenario.builds:
        (found,) = [one for one in evaluation["builds"] if one["job"] == expected.job]
        check_build(shared_server, shared_server.api(f"/builds/{found['id']}"), expected)
    check_deliveries(shared_receiver, path.stem, scenario.deliveries)


def settled(server, evaluation_id):
    """The evaluation when it has ended, and its builds too, save those that nobody can run."""

    def ended():
        one = server.api(f"/evaluations/{evaluation_id}")
        if one["status"] in {"requested", "running"}:
            return None
        native = [build for build in one["builds"] if "riscv" not in build["system"]]
        return one if all(build["is_final"] for build in native) else None

    return until(ended, what=f"evaluation {evaluation_id} to end; see {server.log}")


def check_evaluation(found, expected):
    assert (found["status"], found["kind"], found["ref"]) == (
        expected.status,
        expected.kind,
        expected.ref,
    ), found
    assert expected.note in found["note"]
    assert bool(found["note"]) == bool(expected.note)
    assert sorted(one["field"] for one in found["complaints"]) == sorted(expected.complaints)
    assert all(one["message"] for one in found["complaints"])
    assert [f"{one['job']}: {one['reason']}" for one in found["skipped"]] == expected.skipped


def check_build(server, build, expected):
    assert (build["status"], build["reason"]) == (expected.status, expected.reason), build["detail"]
    assert expected.detail in build["detail"]
    assert expected.waiting_for in build["waiting_for"]
    steps = build["attempts"][0]["steps"] if build["attempts"] else []
    if expected.steps is not None:
        assert [f"{one['name']} {one['status']}" for one in steps] == expected.steps
    for step in steps:
        text = server.step_log(build["id"], step["number"]).decode()
        for part in expected.log.get(step["name"], ()):
            assert part in text
        for part in expected.lacks.get(step["name"], ()):
            assert not re.search(f"^{part}", text, re.MULTILINE), text
    assert {*expected.log, *expected.lacks} <= {one["name"] for one in steps}
    assert {
        one["name"]: server.request("GET", one["url"].removeprefix(server.url)).data.decode()
        for one in build["products"]
    } == expected.products


def check_deliveries(receiver, name, statuses):
    until(lambda: len(receiver.events(name)) >= len(statuses), what=f"deliveries at /{name}")
    told = [one["data"]["build"]["status"] for one in receiver.events(name)]
    assert told == statuses
