"""Secrets: who keeps which, what they must be, and which builds are given them."""

import json

import pytest
from support.factories import ADMIN, OFFER, make_job
from support.keys import PGP, ssh_key

from ciserver.machine import native_system
from ciserver.model.account import Actor, Right
from ciserver.model.build import Offer
from ciserver.model.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    NotSignedIn,
)
from ciserver.model.push import Trust
from ciserver.model.request import Action
from ciserver.model.secret import MOST_BYTES, Holder, OpenSecret, SecretType
from ciserver.recipe.text import job_from_json
from ciserver.service.secret_texts import hidden_texts
from ciserver.service.secrets import MOST_SECRETS, GivenSecret
from ciserver.service.submissions import ManifestSubmission

MANIFEST = "image: host\nsecrets: [%s]\ntasks:\n  - work: make\n"
NOBODY = Actor("")


def file(value=b"hunter22", *, name="netrc", path="~/.netrc", **more):
    return GivenSecret("plaintext_file", value, name, path, **more)


@pytest.fixture
def secrets(services):
    return services.secrets


@pytest.fixture
def ada(make):
    return make.user("ada")


@pytest.fixture
def submit(services):
    """Submits a manifest that names these secrets; answers what a worker is then given."""

    def run(actor, *names, **more):
        text = MANIFEST % ", ".join(map(json.dumps, names))
        return services.submissions.submit(actor, ManifestSubmission(text, **more))

    return run


@pytest.fixture
def claimed(reporter, parts):
    """What the next build is given."""
    return lambda: reporter.claim(Offer("local-0", (native_system(),))).given


# -- kept -----------------------------------------------------------------------------------------


def test_a_secret_is_told_without_its_value(secrets, ada, clock):
    """When it is kept and whenever it is listed."""
    made = secrets.add_own(ada, file(mode="0640"))
    assert secrets.list_own(ada) == (made,)
    assert (made.type, made.name, made.path, made.mode) == (
        *("plaintext_file", "netrc", ".netrc"),
        0o640,
    )
    assert (made.created_at, made.last_used_at) == (clock.now(), None)
    assert "hunter22" not in repr(made) + repr(file())


def test_a_value_is_nowhere_in_the_database(secrets, ada, parts):
    """Only sealed."""
    secrets.add_own(ada, file())
    parts.store.database.close()
    for path in (parts.data.root).rglob("*"):
        if path.is_file():
            assert b"hunter22" not in path.read_bytes()
            assert b"aHVudGVyMj" not in path.read_bytes()


def test_everybody_has_their_own(secrets, ada, make, services):
    """Neither seen nor removed by others; an administrator sees and removes what they must name."""
    ben = make.user("ben")
    made = secrets.add_own(ada, file())
    assert secrets.list_own(ben) == ()
    with pytest.raises(NotFound):
        secrets.remove_own(ben, made.uuid)
    for act in (
        lambda: secrets.list_own(ben, "ada"),
        lambda: secrets.add_own(ben, file(), "ada"),
        lambda: secrets.remove_own(ben, made.uuid, "ada"),
    ):
        with pytest.raises(Forbidden):
            act()
    assert secrets.list_own(ADMIN, "ada") == (made,)
    secrets.remove_own(ADMIN, made.uuid, "ada")
    assert secrets.list_own(ada) == ()
    with pytest.raises(NotFound):
        secrets.list_own(ADMIN, "nobody")


def test_a_token_needs_its_scope(secrets):
    """To read for lists, to write for changes; and nobody has any."""
    reader, writer, other = (
        Actor("ada", scopes=(one,)) for one in ("secrets:read", "secrets:write", "builds:write")
    )
    made = secrets.add_own(writer, file())
    assert secrets.list_own(reader) == secrets.list_own(writer) == (made,)
    for act in (
        lambda: secrets.add_own(reader, file(name="other")),
        lambda: secrets.remove_own(reader, made.uuid),
        lambda: secrets.list_own(other),
    ):
        with pytest.raises(Forbidden):
            act()
    with pytest.raises(NotSignedIn):
        secrets.list_own(NOBODY)
    with pytest.raises(NotSignedIn):
        secrets.add_own(NOBODY, file())


def test_those_of_a_project_are_for_those_who_may_change_it(secrets, make, services):
    """Not for other members, and each project has its own."""
    jobset, other = make.jobset("one"), make.jobset("two")
    editor, builder = make.user("editor"), make.user("builder")
    services.projects.set_member(ADMIN, "one", "editor", frozenset({Right.EDIT}))
    services.projects.set_member(ADMIN, "one", "builder", frozenset({Right.EVALUATE}))
    made = secrets.add_to_project(editor, jobset.project, file())
    assert secrets.list_of_project(editor, "one") == (made,)
    assert secrets.list_of_project(ADMIN, other.project) == ()
    for act in (
        lambda: secrets.list_of_project(builder, "one"),
        lambda: secrets.add_to_project(builder, "one", file(name="more")),
        lambda: secrets.remove_from_project(builder, "one", made.uuid),
    ):
        with pytest.raises(Forbidden):
            act()
    with pytest.raises(NotFound):
        secrets.remove_from_project(ADMIN, "two", made.uuid)
    with pytest.raises(NotFound):
        secrets.remove_own(ADMIN, made.uuid)
    secrets.remove_from_project(editor, "one", made.uuid)
    assert secrets.list_of_project(editor, "one") == ()


def test_what_a_removed_project_kept_is_forgotten(secrets, make, services, store):
    """Its rows stay for what refers to them; nothing refers to these."""
    project_id = make.jobset("one").project_id
    secrets.add_to_project(ADMIN, "one", file())
    services.projects.remove_project(ADMIN, "one")
    assert store.secrets.list_of(Holder(project_id=project_id)) == ()


def test_the_audit_trail_says_who_and_which(secrets, ada, make, services):
    """And nothing of the value."""
    make.jobset("one")
    made = secrets.add_to_project(ADMIN, "one", file())
    secrets.remove_from_project(ADMIN, "one", made.uuid)
    own = secrets.add_own(ada, file())
    gone, added, mine = (
        services.requests.list_newest(ADMIN, limit=3)[index] for index in (1, 2, 0)
    )
    assert (gone.action, gone.what) == (
        Action.REMOVE_SECRET,
        {"project": "one", "secret": made.uuid},
    )
    told = {"secret": made.uuid, "name": "netrc", "type": "plaintext_file"}
    assert (added.action, added.what) == (Action.ADD_SECRET, {"project": "one", **told})
    assert (mine.who, mine.what["user"], mine.what["secret"]) == ("ada", "ada", own.uuid)


def test_a_name_is_given_once(secrets, ada, make):
    """By each user and in each project; without a name there may be many."""
    make.jobset("one")
    secrets.add_own(ada, file())
    with pytest.raises(AlreadyExists):
        secrets.add_own(ada, file(path="~/other"))
    secrets.add_own(make.user("ben"), file())
    secrets.add_to_project(ADMIN, "one", file())
    with pytest.raises(AlreadyExists):
        secrets.add_to_project(ADMIN, "one", file())
    secrets.add_own(ada, file(name=""))
    secrets.add_own(ada, file(name=""))


def test_there_is_a_most(secrets, ada, store, clock):
    """Nobody fills the database."""
    for _ in range(MOST_SECRETS):
        secrets.add_own(ada, file(b"x", name=""))
    with pytest.raises(Conflict):
        secrets.add_own(ada, file(name=""))


# -- what they must be ----------------------------------------------------------------------------

WRONG = [
    (GivenSecret("password", b"x"), {"type"}),
    (GivenSecret("ssh_key", b"x", path="~/a", mode="600"), {"path", "mode", "value"}),
    (file(b""), {"value"}),
    (file(b" \n"), {"value"}),
    (file(b"x" * (MOST_BYTES + 1)), {"value"}),
    (file(name="ab"), {"name"}),
    (file(name="x" * 513), {"name"}),
    (file(name="a\nbc"), {"name"}),
    (file(name=" abc"), {"name"}),
    (file(name="0b8f6c1e-5d0a-4c43-9d0f-6d3a0e0d3d58"), {"name"}),
    (file(mode="888", path=""), {"mode", "path"}),
    (file(mode="7777"), {"mode"}),
    (file(mode="rw-------"), {"mode"}),
    *(
        (file(path=path), {"path"})
        for path in (
            *(
                "",
                "/etc/passwd",
                "~root/x",
                "~",
                "~/",
                "/home/build",
                "/home/build/",
                "/home/builder/x",
            ),
            *(
                "../x",
                "~/../x",
                "a/../../x",
                "~/a/",
                ".",
                "a\nb",
                "a\0b",
                "x" * 256,
                "a/" * 600 + "a",
            ),
            *("~/~/x", "//etc/x"),
        )
    ),
]


@pytest.mark.parametrize(("given", "fields"), WRONG)
def test_what_is_wrong_is_said_at_once(secrets, ada, given, fields):
    """With its fields, and without the value."""
    with pytest.raises(Invalid) as refused:
        secrets.add_own(ada, given)
    assert {one.field for one in refused.value.complaints} == fields
    assert secrets.list_own(ada) == ()


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("~/.netrc", ".netrc"),
        (".config/a/b", ".config/a/b"),
        ("/home/build/.netrc", ".netrc"),
        ("~/./a//b", "a/b"),
        ("...", "..."),
    ],
)
def test_a_path_is_one_of_the_home(secrets, ada, path, kept):
    """However it is written."""
    assert secrets.add_own(ada, file(path=path)).path == kept


def test_keys_must_be_usable(secrets, ada, tmp_path):
    """A public key, or one that wants a passphrase, is refused when it is given."""
    folder = tmp_path / "keys"
    folder.mkdir()
    good, pem = ssh_key(folder), ssh_key(folder, pem=True)
    for value in (good, pem, good.replace(b"\n", b"\r\n")):
        secrets.add_own(ada, GivenSecret("ssh_key", value))
    for wrong in (
        ssh_key(folder, passphrase="secret"),
        ssh_key(folder, passphrase="secret", pem=True),
        (folder / "key-0.pub").read_bytes(),
        PGP,
        b"hunter22",
    ):
        with pytest.raises(Invalid) as refused:
            secrets.add_own(ada, GivenSecret("ssh_key", wrong))
        assert [one.field for one in refused.value.complaints] == ["value"]
    secrets.add_own(ada, GivenSecret("pgp_key", PGP))
    for wrong in (good, PGP.replace(b"PRIVATE", b"PUBLIC")):
        with pytest.raises(Invalid):
            secrets.add_own(ada, GivenSecret("pgp_key", wrong))


# -- given ----------------------------------------------------------------------------------------


def test_a_submission_is_given_the_submitters_own(secrets, ada, submit, claimed, clock):
    """By UUID or name, in the order of the manifest, each once; and they are used now."""
    one, other = secrets.add_own(ada, file()), secrets.add_own(ada, file(b"two", name="another"))
    submit(ada, "another", one.uuid.upper(), "netrc")
    assert [(each.uuid, each.value) for each in claimed().given] == [
        (other.uuid, b"two"),
        (one.uuid, b"hunter22"),
    ]
    assert {each.last_used_at for each in secrets.list_own(ada)} == {clock.now()}


def test_nobody_is_given_what_is_others(secrets, ada, make, submit, claimed):
    """Neither another user's nor a project's, though the UUID is known."""
    make.jobset("one")
    hers = secrets.add_own(ada, file())
    ours = secrets.add_to_project(ADMIN, "one", file())
    for uuid in (hers.uuid, ours.uuid, "netrc"):
        submit(make.user(f"ben-{uuid}"), uuid)
        found = claimed()
        assert found.given == ()
        assert found.refused == f"ben-{uuid} has no secret {uuid}"


def test_whoever_runs_a_submission_again_it_has_the_submitters(
    secrets, ada, submit, claimed, services, make, store
):
    """What somebody else wrote never gets at the secrets of who presses a button."""
    secrets.add_own(ADMIN, file(b"of root"))
    secrets.add_own(ada, file())
    build = submit(ada, "netrc")
    assert [one.value for one in claimed().given] == [b"hunter22"]
    services.builds.rebuild(ADMIN, build.id)
    assert [one.value for one in claimed().given] == [b"hunter22"]


def test_secrets_can_be_off(secrets, ada, submit, claimed):
    """As the request says; the setup log says so, and a missing one is no matter then."""
    secrets.add_own(ada, file())
    submit(ada, "netrc", "unknown", secrets=False)
    found = claimed()
    assert (found.given, found.refused) == ((), "")
    assert "asked for none" in found.note


def test_a_token_without_the_scope_is_refused_at_once(secrets, ada, submit):
    """Not in the middle of a build; without secrets it may."""
    token = Actor("ada", scopes=("builds:write",))
    with pytest.raises(Forbidden, match="secrets:read"):
        submit(token, "netrc")
    submit(token, "netrc", secrets=False)
    submit(token)
    submit(Actor("ada", scopes=("builds:write", "secrets:read")), "netrc")


def test_a_trusted_build_is_given_those_of_its_project(secrets, make, claimed, ada):
    """Those of users are not meant, whatever they are called."""
    jobset = make.jobset("one")
    secrets.add_to_project(ADMIN, "one", file(b"the project's"))
    secrets.add_own(ada, file())
    make.evaluated(jobset, make_job(secrets=("netrc",)))
    assert [one.value for one in make.claim().given.given] == [b"the project's"]


def test_an_untrusted_build_is_given_none(secrets, make):
    """And says so; it runs."""
    jobset = make.jobset("one")
    secrets.add_to_project(ADMIN, "one", file())
    make.evaluated(jobset, make_job(secrets=("netrc",)), trust=Trust.UNTRUSTED)
    work = make.claim()
    assert (work.given.given, work.given.refused) == ((), "")
    assert "may not push" in work.given.note
    assert work.secrets == ()


def test_unknown_secrets_are_named(make, secrets):
    """All of them; what is known is not given either."""
    jobset = make.jobset("one")
    secrets.add_to_project(ADMIN, "one", file())
    make.evaluated(jobset, make_job(secrets=("netrc", "abc", "def")))
    found = make.claim().given
    assert found.refused == "the project has no secret abc and no secret def"
    assert found.given == ()


@pytest.mark.parametrize("damage", ["another key", "another row"])
def test_what_cannot_be_opened_is_named(make, secrets, store, parts, damage):
    """The build ends with the reason; the queue goes on."""
    jobset = make.jobset("one")
    secrets.add_to_project(ADMIN, "one", file())
    secrets.add_to_project(ADMIN, "one", file(name="other"))
    with store.transaction():
        if damage == "another key":
            store.database.sql("UPDATE secrets SET sealed = ?", (b"ab",))
        else:
            store.database.sql(
                "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE name = 'other')"
            )
    make.evaluated(jobset, make_job(secrets=("netrc",)))
    refused = make.claim().given.refused
    assert refused.startswith("the secret netrc cannot be read: ")
    assert str(parts.data.root) not in refused


def test_a_build_that_runs_again_rereads_its_secrets(make, secrets, services, store):
    """Nothing of them is stored with the build."""
    jobset = make.jobset("one")
    made = secrets.add_to_project(ADMIN, "one", file())
    make.evaluated(jobset, make_job(secrets=("netrc",)))
    work = make.claim()
    text = store.builds.job_text(work.lease.build_id)
    assert "hunter22" not in text
    assert job_from_json(text).secrets == ("netrc",)
    services.builds.cancel(ADMIN, work.lease.build_id)
    secrets.remove_from_project(ADMIN, "one", made.uuid)
    secrets.add_to_project(ADMIN, "one", file(b"renewed"))
    services.builds.recover(OFFER.worker)
    services.builds.rerun(ADMIN, work.lease.build_id)
    assert [one.value for one in make.claim().given.given] == [b"renewed"]


def test_what_a_build_is_given_is_hidden_in_its_logs(make, secrets):
    """Every value as a whole; a key is nothing else."""
    jobset = make.jobset("one")
    secrets.add_to_project(ADMIN, "one", file())
    secrets.add_to_project(ADMIN, "one", GivenSecret("pgp_key", PGP, "signer"))
    make.evaluated(jobset, make_job(secrets=("netrc", "signer")))
    work = make.claim()
    assert set(work.secrets) == {"hunter22", PGP.decode()}
    assert "hunter22" not in repr(work)


@pytest.mark.parametrize(
    ("line", "hidden"),
    [
        ("machine a login ada password hunter22", ["hunter22"]),
        ('password it\'s-"all"-of,it;', ['it\'s-"all"-of,it']),
        ('export API_TOKEN="a b;c,def"', ["a b;c,def"]),
        ("api.key = 'abc def'", ["abc def"]),
        ('{"auth": {"access_token": "abcdefg", "x": 1}, "Secret":"zyxwvu"}', ["abcdefg", "zyxwvu"]),
        ("key: short", []),
        ("path=/usr/local/bin", []),
        ("key" * 5000, []),
        ("key=" * 4000, ["key=" * 3999]),
    ],
)
def test_what_sounds_secret_in_a_file_is_hidden_by_itself(line, hidden):
    """Tasks use it without the rest of its line."""
    given = OpenSecret("uuid", SecretType.PLAINTEXT_FILE, "", ".env", 0o600, line.encode())
    assert list(hidden_texts(given)) == [line, *hidden]
    key = OpenSecret("uuid", SecretType.SSH_KEY, "", "", 0o600, line.encode())
    assert list(hidden_texts(key)) == [line]
