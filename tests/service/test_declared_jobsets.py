"""Jobsets that a file of a repository declares."""

import io
import json

import pytest
from support.factories import ADMIN, MAIN, done, make_push
from support.repositories import Repository

from ciserver.model.build import BuildResult, Offer, ProductKind
from ciserver.model.errors import Forbidden, Invalid
from ciserver.model.evaluation import Wish
from ciserver.model.project import (
    DECLARING,
    Credential,
    Declaration,
    Input,
    InputType,
    JobsetMode,
    JobsetSettings,
    ProjectSettings,
)
from ciserver.model.push import RefChange
from ciserver.model.status import BuildStatus, EvaluationStatus

LIB = "https://git.example.org/lib.git"
ONE = {
    "enabled": 1,
    "hidden": False,
    "description": "What is new",
    "nixexprinput": "src",
    "nixexprpath": "release.nix",
    "checkinterval": "60",
    "schedulingshares": 7,
    "enableemail": False,
    "emailoverride": "ada@example.org",
    "keepnr": 5,
    "inputs": {
        "src": {"type": "git", "value": f"{LIB} main", "emailresponsible": False},
        "fast": {"type": "boolean", "value": True},
    },
}
SHORT = {"nixexprinput": "src", "inputs": {"src": {"type": "git", "value": LIB}}}
RECIPE = "image: host\ntasks:\n  - write: echo\n"


class Declaring:
    """A project whose jobsets a file declares, in a repository that is pushed to."""

    def __init__(self, parts, make, repository):
        self.parts, self.make, self.repository = parts, make, repository
        self.store, self.services = parts.store, parts.services

    def declare(self, *, actor=ADMIN, file="spec.json", value=None, owner="", name="project"):
        declaration = Declaration(file, InputType.GIT, value or str(self.repository.bare))
        settings = ProjectSettings(declaration=declaration)
        return self.services.projects.put_project(actor, name, settings, owner=owner)[0]

    def write(self, spec, ref=MAIN, **files):
        """Commit and push it; a text is taken as it is."""
        text = spec if isinstance(spec, str) else json.dumps(spec)
        revision = self.repository.commit({"spec.json": text, **files}, "Declare")
        self.repository.push(f"main:{ref}")
        return revision

    def push(self, spec, ref=MAIN, **files):
        """The same, of which the server is told; answers the evaluation."""
        revision = self.write(spec, ref, **files)
        change = RefChange(ref, "0" * 40, revision)
        self.services.pushes.accept_push(self.make.received("project"), make_push(change))
        return self.evaluate()

    def evaluate(self):
        """The newest of the evaluations that wait, which all are worked off."""
        while self.services.evaluations.evaluate_next():
            pass
        found = self.services.queries.jobset(ADMIN, "project", DECLARING).evaluations.evaluations
        return self.services.queries.evaluation(ADMIN, found[0].id).evaluation

    def jobset(self, name):
        return self.store.jobsets.get_by_name("project", name)

    def jobsets(self):
        """Mode and whether it is hidden, of each."""
        found = self.store.jobsets.list_of_project(self.store.projects.get("project").id)
        return {one.name: (one.settings.mode, one.settings.hidden) for one in found}

    def build(self, content, *, name="jobsets.json", status=BuildStatus.SUCCEEDED, **kind):
        """The build that waits leaves this."""
        reporter = self.parts.reporter
        (system,) = {one.system for one in self.waiting()}
        lease = reporter.claim(Offer("local-0", (system,))).lease
        if content is not None:
            text = content if isinstance(content, bytes) else json.dumps(content).encode()
            reporter.add_product(lease, f"out/{name}", io.BytesIO(text), **kind)
        reporter.advance(lease, done(0), 1, sandbox="plain")
        reporter.finish(lease, BuildResult(status), (done(1),))
        evaluation = self.store.builds.get(lease.build_id).evaluation_id
        return self.services.queries.evaluation(ADMIN, evaluation).evaluation

    def waiting(self):
        return self.services.queries.queue(ADMIN).waiting.builds


@pytest.fixture
def declaring(parts, make, repository):
    made = Declaring(parts, make, repository)
    made.write({})
    return made


ON, OFF = JobsetMode.ON, JobsetMode.OFF


def test_a_list_is_what_there_is(declaring):
    """Made at once when it is declared, with all that the file says."""
    declaring.write({"trunk": ONE, "short": SHORT})
    declaring.declare()
    evaluation = declaring.evaluate()
    assert (evaluation.status, evaluation.note) == (
        EvaluationStatus.SUCCEEDED,
        "made trunk, short",
    )
    trunk, short = declaring.jobset("trunk"), declaring.jobset("short")
    assert trunk.settings == JobsetSettings(
        description="What is new",
        recipe_input="src",
        recipe_path=("release.nix",),
        check_interval_seconds=60,
        shares=7,
        keep_evaluations=5,
        tell_by_mail=False,
        mail_to="ada@example.org",
    )
    assert trunk.inputs == (
        Input("src", LIB, MAIN, (MAIN,)),
        Input("fast", type=InputType.BOOLEAN, value="true", watch=short.source.watch),
    )
    assert short.settings == JobsetSettings(recipe_input="src", check_interval_seconds=300)
    assert declaring.store.projects.get("project").declared_by == evaluation.id


def test_a_push_changes_it(declaring):
    """What is not named any more is off and hidden, and comes back as it was; nothing is deleted,
    and the same again changes nothing.
    """
    declaring.declare()
    declaring.evaluate()
    assert declaring.push({"a": SHORT, "b": SHORT}).note == "made a, b"
    first = declaring.jobset("a").id
    assert declaring.push({"a": {**SHORT, "enabled": 3}}).note == "changed a; switched off b"
    on = {DECLARING: (ON, False), "a": (JobsetMode.ONE_AT_A_TIME, False)}
    assert declaring.jobsets() == {**on, "b": (OFF, True)}
    again = declaring.push({"a": {**SHORT, "enabled": 3}}, other="1")
    assert again.note == "the declared jobsets are as they were"
    assert declaring.push({"a": SHORT, "b": SHORT}).note == "changed a, b"
    assert declaring.jobsets() == {DECLARING: (ON, False), "a": (ON, False), "b": (ON, False)}
    assert declaring.jobset("a").id == first


def test_the_look_of_the_clock_finds_it(declaring, services, clock):
    """No hook is needed."""
    declaring.declare()
    declaring.evaluate()
    declaring.write({"late": SHORT})
    clock.forward(seconds=301)
    while services.polls.check_next():
        pass
    assert declaring.evaluate().note == "made late"


def test_one_bad_jobset_is_left_out_and_told(declaring):
    """With everything that is wrong with it; the others are made, and it stays as it was."""
    declaring.declare()
    declaring.push({"good": SHORT, "kept": SHORT})
    bad = {
        "enabled": 4,
        "checkinterval": "soon",
        "schedulingshares": 0,
        "nixexprinput": "nowhere",
        "nixexprpath": "../x",
        "emailoverride": "nobody",
        "color": "red",
        "type": 1,
        "inputs": {"src": {"type": "hg", "value": ""}, "lib": {"type": "git", "value": "a b c"}},
    }
    told = declaring.push({"kept": bad, "-x": SHORT, "good": {**SHORT, "keepnr": 1}, "n": 3})
    assert told.status is EvaluationStatus.FAILED  # not all are objects, and it is no setup
    told = declaring.push({"kept": bad, "-x": SHORT, "good": {**SHORT, "keepnr": 1}})
    assert (told.status, told.note) == (EvaluationStatus.SUCCEEDED, "changed good")
    assert {one.file for one in told.complaints} == {"spec.json"}
    assert {one.field for one in told.complaints} == {
        "-x",
        *(f"kept.{one}" for one in ("enabled", "checkinterval", "schedulingshares", "color")),
        *(f"kept.{one}" for one in ("nixexprpath", "emailoverride", "type")),
        *("kept.inputs.src.type", "kept.inputs.lib.value"),
    }
    assert declaring.jobsets()["kept"] == (ON, False)
    assert declaring.jobset("good").settings.keep_evaluations == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"a": 1, "a": 2}', '{"a": NaN}', "[" * 100_000]
)
def test_what_is_no_declaration_changes_nothing(declaring, text):
    """It fails and says why."""
    declaring.declare()
    declaring.push({"a": SHORT})
    told = declaring.push(text)
    assert told.status is EvaluationStatus.FAILED
    assert [one.file for one in told.complaints] == ["spec.json"]
    assert declaring.jobsets()["a"] == (ON, False)


def test_a_file_that_is_not_there(declaring):
    """Nothing changes, and the evaluation says so."""
    declaring.declare(file="nix/other.json")
    told = declaring.evaluate()
    assert told.status is EvaluationStatus.FAILED
    assert [one.file for one in told.complaints] == ["nix/other.json"]


def test_hostile_names_and_values_are_complaints(declaring):
    """They are shown as what can be shown, and break nothing."""
    declaring.declare()
    spec = {
        "a\u0000b": SHORT,
        "\ud800": {"description": "\udfff", "inputs": {"\udfff": {"type": "string"}}},
        ".jobsets": SHORT,
        "x" * 5000: SHORT,
        "..": SHORT,
    }
    told = declaring.push(spec)
    assert "\\ud800" not in repr(told.complaints)
    assert {one.field.partition(".")[0] for one in told.complaints} >= {"a?b", "?", "x" * 100}
    assert declaring.jobsets() == {DECLARING: (ON, False)}


def test_nobody_changes_them_by_hand(declaring, services, make):
    """Neither the owner nor an administrator: the file does. They are paused and evaluated as any
    other.
    """
    olga = make.user("olga")
    declaring.declare(owner="olga")
    declaring.push({"a": SHORT})
    for actor in (olga, ADMIN):
        for name in ("a", "new", DECLARING):
            with pytest.raises(Forbidden, match="can't modify jobset of declarative project"):
                services.jobsets.put(actor, "project", name, JobsetSettings(), ())
        for name in ("a", DECLARING):
            with pytest.raises(Forbidden, match="can't modify jobset of declarative project"):
                services.jobsets.remove(actor, "project", name)
    services.pauses.pause_jobset(olga, "project", "a", paused=True)
    assert services.evaluations.request(olga, declaring.jobset("a"))


def test_without_a_file_people_make_them_again(declaring, services):
    """What declared them is removed, and they stay as they are."""
    declaring.declare()
    declaring.push({"a": SHORT})
    services.projects.put_project(ADMIN, "project", ProjectSettings())
    assert declaring.jobsets() == {"a": (ON, False)}
    assert declaring.store.projects.get("project").declared_by is None
    services.jobsets.put(ADMIN, "project", "a", JobsetSettings(), ())
    services.jobsets.remove(ADMIN, "project", "a")
    declaring.declare()
    assert declaring.evaluate().note == "made a"


def test_who_may_not_name_paths_may_not_declare_by_them(declaring, services, make):
    """Only administrators give leave, which stays while the address does."""
    olga = make.user("olga", roles=("create-projects",))
    with pytest.raises(Invalid) as raised:
        declaring.declare(actor=olga)
    assert [one.field for one in raised.value.complaints] == ["declaration.value"]
    declaring.declare(owner="olga")
    declaring.declare(actor=olga)
    with pytest.raises(Invalid):
        declaring.declare(actor=olga, value=f"{declaring.repository.tree} main")


def test_what_is_declared_names_no_path_but_its_own(declaring, tmp_path):
    """Whoever may push to the file does not read what else lies on this machine, though an
    administrator owns the project.
    """
    other = Repository(tmp_path / "others", "secret")
    other.commit({"a": "1"})
    other.push()
    declaring.declare()
    declaring.evaluate()
    own = {"src": {"type": "git", "value": f"{declaring.repository.bare} main"}}
    theirs = {"src": {"type": "git", "value": str(other.bare)}}
    paths = {"src": {"type": "git", "value": LIB}, "p": {"type": "path", "value": str(tmp_path)}}
    told = declaring.push(
        {
            "own": {**SHORT, "inputs": own},
            "theirs": {**SHORT, "inputs": theirs},
            "paths": {**SHORT, "inputs": paths},
        }
    )
    assert told.note == "made own"
    assert {one.field for one in told.complaints} == {"theirs.inputs.src", "paths.inputs.p"}
    assert declaring.jobset("own").source.local


def test_no_credential_goes_to_what_is_declared(declaring, services, store):
    """Not even that of a jobset which people made before, for the same address."""
    services.projects.watch(ADMIN, "project", LIB, credential=Credential(password="secret"))
    declaring.declare()
    main = store.jobsets.get_by_name("project", "main")
    assert store.jobsets.list_credentials(main.id)
    declaring.push({"main": SHORT})
    assert store.jobsets.list_credentials(main.id) == ()


def test_only_the_followed_branch_counts(declaring):
    """A push elsewhere, or a proposal, declares nothing, and says so."""
    declaring.declare()
    declaring.push({"a": SHORT})
    side = declaring.push({"evil": SHORT}, ref="refs/heads/side")
    assert (side.status, side.note) == (
        EvaluationStatus.SKIPPED,
        "only what refs/heads/main declares is put in force",
    )
    assert set(declaring.jobsets()) == {DECLARING, "a"}


def test_a_revision_of_choice_is_not_put_in_force(declaring, services, make):
    """Who may evaluate may not so change what only who pushes may."""
    declaring.declare()
    old = declaring.write({"old": SHORT})
    declaring.push({"new": SHORT})
    evan = make.user("evan", roles=("evaluate",))
    jobset = declaring.jobset(DECLARING)
    services.evaluations.request(evan, jobset, revision=old)
    assert declaring.evaluate().status is EvaluationStatus.SKIPPED
    services.evaluations.request(evan, jobset, wish=Wish(environment={"A": "b"}))
    assert declaring.evaluate().status is EvaluationStatus.SKIPPED
    assert set(declaring.jobsets()) == {DECLARING, "new"}
    services.evaluations.request(evan, jobset)
    assert declaring.evaluate().note == "the declared jobsets are as they were"


def test_an_earlier_evaluation_that_comes_late_changes_nothing(declaring, store, make):
    """The newest is in force, in whatever order they are worked off."""
    declaring.declare()
    declaring.push({"a": SHORT})
    project = store.projects.get("project")
    with store.transaction():
        store.projects.set_declared_by(project.id, 10_000)
    late = declaring.push({"b": SHORT})
    assert (late.status, late.note) == (
        EvaluationStatus.SKIPPED,
        "what a later evaluation declares is in force already",
    )


# -- by a build -----------------------------------------------------------------------------------

BUILT = {
    "enabled": 1,
    "nixexprinput": "src",
    "nixexprpath": "jobsets.yml",
    "checkinterval": 60,
    "inputs": {"src": {"type": "git", "value": ""}, "who": {"type": "string", "value": "me"}},
}


@pytest.fixture
def built(declaring):
    """Its file says which recipe does it, in the same repository."""
    spec = json.loads(json.dumps(BUILT))
    spec["inputs"]["src"]["value"] = str(declaring.repository.bare)
    declaring.spec = spec
    declaring.write(spec, **{"jobsets.yml": RECIPE})
    declaring.declare()
    return declaring


def test_a_build_declares_them(built):
    """The one of the job `jobsets`; its jobset is set up as the file says."""
    evaluation = built.evaluate()
    assert evaluation.status is EvaluationStatus.SUCCEEDED, evaluation
    declaring = built.jobset(DECLARING)
    assert [one.name for one in declaring.inputs] == ["declInput", "projectName", "src", "who"]
    assert declaring.recipe_input == "src"
    assert {one.name: one.value for one in declaring.inputs}["projectName"] == "project"
    (build,) = built.waiting()
    assert (build.job, build.jobset) == ("jobsets", DECLARING)
    told = built.build({"a": ONE, "b": SHORT})
    assert told.note == "made a, b"
    assert built.jobset("a").settings.shares == 7
    told = built.push(built.spec, other="1")
    assert len(told.inputs) == 4
    assert {one.revision for one in told.inputs if one.uri} == {told.revision}
    told = built.build({"b": SHORT, "c": {"enabled": "often"}})
    assert told.note == "switched off a"
    assert [one.field for one in told.complaints] == ["c.enabled"]
    assert built.jobsets()["a"] == (OFF, True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "exactly one product"),
        (b"{", "is not JSON"),
        (b"[]", "must be a JSON object"),
        (b" " * (1024 * 1024 + 1), "is over 1024 KiB"),
    ],
)
def test_a_build_that_declares_nothing_changes_nothing(built, content, said):
    """It succeeded all the same; the evaluation says what is wrong, once."""
    built.evaluate()
    built.build({"a": SHORT})
    built.push(built.spec, other="1")
    told = built.build(content)
    assert [said in one.message for one in told.complaints] == [True]
    assert built.jobsets()["a"] == (ON, False)


def test_a_build_of_nix_is_its_output(built):
    """The file that it is, whatever its name."""
    built.evaluate()
    told = built.build({"a": SHORT}, name="spec.json", kind=ProductKind("nix-build"))
    assert told.note == "made a"


def test_a_failed_build_declares_nothing(built):
    """What it left does not count."""
    built.evaluate()
    built.build({"a": SHORT}, status=BuildStatus.FAILED)
    assert set(built.jobsets()) == {DECLARING}


def test_a_build_that_is_not_in_force_declares_nothing(built):
    """A newer evaluation came meanwhile."""
    built.evaluate()
    built.push(built.spec, other="1")
    built.build({"old": SHORT})
    assert set(built.jobsets()) == {DECLARING}
    built.build({"new": SHORT})
    assert set(built.jobsets()) == {DECLARING, "new"}


def test_run_again_it_says_the_same(built, services):
    """Idempotent, and told once."""
    evaluation = built.evaluate()
    built.build({"a": SHORT, "b": {"enabled": "x"}})
    (build,) = services.queries.evaluation(ADMIN, evaluation.id).builds
    services.builds.rerun(ADMIN, build.id)
    told = built.build({"a": SHORT, "b": {"enabled": "x"}})
    assert told.note == "the declared jobsets are as they were"
    assert len(told.complaints) == 1


def test_a_setup_that_cannot_be_used(built):
    """The evaluation fails with all that is wrong, and the setup stays."""
    built.evaluate()
    told = built.push({**built.spec, "nixexprinput": "nowhere", "keepnr": -1})
    assert told.status is EvaluationStatus.FAILED
    assert {one.field for one in told.complaints} == {
        ".jobsets.nixexprinput",
        ".jobsets.keepnr",
    }
    assert built.jobset(DECLARING).recipe_input == "src"


def test_the_recipe_may_lie_beside_the_file(declaring):
    """In the input that is there anyway; and a list may take its place later."""
    setup = {**BUILT, "nixexprinput": "declInput", "inputs": {}}
    declaring.declare()
    declaring.evaluate()
    told = declaring.push(setup, **{"jobsets.yml": RECIPE})
    assert told.status is EvaluationStatus.SUCCEEDED, told
    assert declaring.jobset(DECLARING).recipe_input == "declInput"
    assert declaring.build({"a": SHORT}).note == "made a"
    assert declaring.push({"a": SHORT, "b": SHORT}).note == "made b"
