"""The secrets of a build: where tasks find them, and where nothing of them is left."""

import itertools
import subprocess
from uuid import UUID

import pytest
from support.keys import need

from ciserver.executor.own_secrets import BadSecret, OwnSecrets
from ciserver.model.build import Cache, Source
from ciserver.model.secret import BuildSecrets, OpenSecret, SecretType
from ciserver.model.status import BuildStatus, Reason

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\r\nabcdefghijklmnop\r\n-----END-----"
NUMBERS = itertools.count(1)


def secret(kind, value=b"hunter22", *, path="", mode=0o600, name=""):
    uuid = str(UUID(int=next(NUMBERS)))
    return OpenSecret(uuid, kind, name, path, mode, value)


def file(path, value=b"hunter22", **more):
    return secret(SecretType.PLAINTEXT_FILE, value, path=path, **more)


def given(*secrets):
    return BuildSecrets(secrets)


def test_ssh_keys_lie_in_the_home_for_its_user_alone(world):
    """Each under its UUID, with line ends that ssh accepts; the first is the usual one, too."""
    first, second = secret(SecretType.SSH_KEY, KEY), secret(SecretType.SSH_KEY, b"second key")
    script = (
        "cd ~/.ssh; stat -c '%a %U %n' . *; readlink id_rsa; id -un;"
        f" cmp {first.uuid} <(printf '%s\\n' '-----BEGIN OPENSSH PRIVATE KEY-----'"
        " 'abcdefghijkl''mnop' '-----END-----')"
    )
    assert world.run(script, given=given(first, second)).status is BuildStatus.SUCCEEDED
    log = world.recorder.log(1)
    user = log.partition("+ id -un\n")[2].split()[0]
    assert f"700 {user} ." in log
    assert f"600 {user} {first.uuid}" in log
    assert f"600 {user} {second.uuid}" in log
    assert f"\n{first.uuid}\n" in log
    assert f"secret: {first.uuid} is ~/.ssh/id_rsa too\n" in world.recorder.log(0)


def test_a_file_has_its_path_its_mode_and_its_bytes(world):
    """With the directories above it, whatever its bytes are."""
    content = bytes(range(256))
    one = file(".config/deep/key.bin", content, mode=0o440, name="keystore")
    script = (
        "stat -c '%a %U' ~/.config/deep/key.bin; id -un;"
        " od -An -v -tx1 ~/.config/deep/key.bin | tr -d ' \\n'"
    )
    assert world.run(script, given=given(one)).status is BuildStatus.SUCCEEDED
    log = world.recorder.log(1)
    assert content.hex() in log
    assert f"secret: keystore ({one.uuid}) is ~/.config/deep/key.bin\n" in world.recorder.log(0)
    user = log.partition("+ id -un\n")[2].split()[0]
    assert f"440 {user}\n" in log


def test_secrets_are_there_before_sources(world, place):
    """The order is the one that people know: environment, secrets, sources."""
    (place / "app").mkdir()
    sources = (Source(str(place / "app"), "app"),)
    world.run("true", given=given(file(".netrc")), sources=sources)
    log = world.recorder.log(0)
    assert log.index("environment:") < log.index("secret:") < log.index("source:")


@pytest.mark.parametrize("path", [".buildenv", ".tasks/task1", ".tasks"])
def test_nothing_of_ours_is_overwritten(world, path):
    """A path that is taken fails the build in its setup, and names the secret."""
    one = file(path)
    result = world.run("true", given=given(one))
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.SECRET_UNAVAILABLE)
    assert result.detail == (
        f"the secret {one.uuid} cannot be put at ~/{path}: something is there already"
    )


def test_a_file_where_a_directory_is_needed_fails_the_build(world):
    """Two secrets may get in each other's way."""
    one, other = file("x"), file("x/y")
    result = world.run("true", given=given(one, other))
    assert result.detail == (f"the secret {other.uuid} cannot be put at ~/x/y: Not a directory")


def test_no_link_is_walked(place):
    """Whoever placed one in the home, nothing outside of it is written."""
    outside, home = place / "outside", place / "home"
    outside.mkdir()
    home.mkdir()
    (home / "a").symlink_to(outside)
    own = OwnSecrets(given(file("a/b")), home, None, "/bin/sh", lambda _: 0)
    with pytest.raises(BadSecret, match="cannot be put at ~/a/b"):
        list(own.put())
    assert list(outside.iterdir()) == []
    (outside / "b").write_text("kept")
    assert list(own.take_away())
    assert (outside / "b").read_text() == "kept"


def test_what_cannot_be_had_fails_the_build_in_its_setup(world):
    """No task runs without the secrets that it counts on."""
    refused = BuildSecrets(refused="the project has no secret deploy")
    result = world.run("echo ran", given=refused)
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.SECRET_UNAVAILABLE)
    assert result.detail == "the project has no secret deploy"
    assert "the project has no secret deploy\n" in world.recorder.log(0)
    assert world.recorder.log(1) == ""


def test_a_build_without_secrets_says_why(world):
    """In its setup log; it runs."""
    result = world.run("true", given=BuildSecrets(note="secrets: none are given, as we say so"))
    assert result.status is BuildStatus.SUCCEEDED
    assert "secrets: none are given, as we say so\n" in world.recorder.log(0)


def test_what_is_kept_of_a_build_has_no_secret(world):
    """Neither artifacts nor caches: a task would have to copy it."""
    key, netrc = secret(SecretType.SSH_KEY, KEY), file(".netrc")
    result = world.run(
        "chmod 500 ~/.ssh; echo made > ~/made; echo here > ~/.ssh-note",
        given=given(key, netrc),
        artifacts=("made",),
        cache=(Cache("home", (".ssh", ".netrc", ".ssh-note")),),
        cache_bytes=1 << 20,
    )
    assert result.status is BuildStatus.SUCCEEDED, world.recorder.log(0)
    kept = world.recorder.caches["home"]
    assert b".ssh-note" in kept
    for hidden in (b"hunter22", b"abcdefgh", b"netrc", key.uuid.encode(), b"id_rsa"):
        assert hidden not in kept
    assert world.recorder.products == {"made": b"made\n"}


def test_an_artifact_that_is_a_secret_is_not_there(world):
    """The build fails, as it does for any artifact that is missing."""
    result = world.run("true", given=given(file(".netrc")), artifacts=(".netrc",))
    assert result.reason is Reason.MISSING_ARTIFACT
    assert world.recorder.products == {}


def test_a_failed_build_keeps_none_either(world):
    """What a build says it made is kept of a failed one, too."""
    script = "ln ~/.netrc ~/.out/x 2>/dev/null; echo 'file doc ~/.netrc' ; exit 1"
    world.run(script, given=given(file(".netrc")), artifacts=(".netrc",))
    assert world.recorder.products == {}


def test_a_secret_in_the_log_is_hidden(world):
    """Also what `set -x` shows of it, and in parts."""
    world.run(
        'cat ~/.netrc; x=$(cat ~/.netrc); echo "<$x>"; base64 ~/.netrc',
        'printf hunt; sleep 0.1; printf "er22\\n"',
        given=given(file(".netrc", b"hunter22")),
    )
    log = world.recorder.log(1)
    assert "hunter22" not in log + world.recorder.log(2)
    assert "hunt***" not in world.recorder.log(2)
    assert "<***>" in log
    assert "aHVudGVyMj" not in log


# -- gpg ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pgp_key(tmp_path_factory):
    need("gpg", "gnupg")
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--passphrase", "", "--quiet"]
    make = ["--quick-generate-key", "Ada <ada@example.org>", "ed25519", "sign"]
    subprocess.run([*gpg, *make], check=True, capture_output=True)
    export = [*gpg, "--armor", "--export-secret-keys"]
    key = subprocess.run(export, check=True, capture_output=True).stdout
    kill = ["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"]
    subprocess.run(kill, check=False)
    return key


def test_tasks_sign_with_a_pgp_key(world, pgp_key):
    """It is in the keyring of every task, and no file of ours lies beside it."""
    sign = "echo text | gpg --batch --clearsign > ~/signed; grep -c PGP ~/signed"
    one = secret(SecretType.PGP_KEY, pgp_key, name="release")
    result = world.run(
        sign,
        "gpg --batch --verify ~/signed 2>&1; ls -A ~",
        given=given(one),
        cache=(Cache("keys", (".gnupg",)),),
        cache_bytes=1 << 20,
    )
    assert result.status is BuildStatus.SUCCEEDED, world.recorder.log(0) + world.recorder.log(1)
    assert f"secret: release ({one.uuid}) is in the keyring of gpg\n" in world.recorder.log(0)
    assert 'Good signature from "Ada' in world.recorder.log(2)
    assert ".pgp-" not in world.recorder.log(2)
    assert world.recorder.caches == {}


@pytest.mark.usefixtures("pgp_key")
def test_what_gpg_does_not_take_fails_the_build(world):
    """Its own words are in the log, and the secret is named."""
    one = secret(SecretType.PGP_KEY, b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nbroken\n")
    result = world.run("true", given=given(one))
    assert result.reason is Reason.SECRET_UNAVAILABLE
    assert result.detail == f"the secret {one.uuid} cannot be imported: gpg exited with status 2"
    assert "gpg:" in world.recorder.log(0)


def test_without_gpg_the_build_says_so(place):
    """What to do is said with it."""
    one = secret(SecretType.PGP_KEY, b"a key")

    def run(command):
        return subprocess.run(command, env={"PATH": str(place)}, check=False).returncode

    own = OwnSecrets(given(one), place, None, "/bin/sh", run)
    with pytest.raises(BadSecret, match="there is no gpg where the build runs"):
        list(own.put())
    assert list(place.iterdir()) == []
