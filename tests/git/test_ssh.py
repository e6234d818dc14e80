"""Fetching by ssh, from a real sshd on this machine."""

import re
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.sshd import start_sshd
from support.waiting import until

from ciserver.git.address import Addresses
from ciserver.git.mirrors import Mirrors
from ciserver.model.errors import NotFound, RemoteFailure
from ciserver.model.project import Credential

NOWHERE = "1" * 40


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    server = start_sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


@pytest.fixture
def make_mirrors(tmp_path, sshd):
    def make(known_hosts=sshd.known_hosts, timeout_seconds=20):
        return Mirrors(
            tmp_path / "mirrors",
            Addresses(),
            timeout_seconds=timeout_seconds,
            known_hosts=known_hosts,
        )

    return make


@pytest.fixture
def open_mirror(make_mirrors, sshd, origin):
    """Opens the mirror of origin, by default as one that works."""

    def make(credential=None, user=None, **options):
        credential = credential or Credential(ssh_key=sshd.key)
        return make_mirrors(**options).open(sshd.uri(origin.bare, user), credential)

    return make


def refusal(mirror):
    """The lasting failure that a fetch ends with."""
    with pytest.raises(RemoteFailure) as failure:
        mirror.pin("refs/heads/main")
    assert not failure.value.temporary
    assert mirror.address in failure.value.message
    return failure.value


# -- what is fetched ------------------------------------------------------------------------------


@pytest.mark.parametrize("ref", ["refs/heads/main", "main", "v1"])
def test_a_ref_is_resolved_at_the_remote(open_mirror, origin, run_git, ref):
    """As from a repository on this machine."""
    revision = origin.commit_and_push({"a": "1"})
    run_git(origin.work, "tag", "-a", "v1", "-m", "one")
    origin.push("refs/tags/v1")
    assert open_mirror().pin(ref) == revision


def test_head_is_the_default_branch(open_mirror, origin, run_git):
    """Whatever its name is, and the mirror knows the name afterwards."""
    origin.commit_and_push({"a": "1"})
    revision = origin.commit({"a": "2"})
    origin.push("HEAD:refs/heads/trunk")
    run_git(origin.bare, "symbolic-ref", "HEAD", "refs/heads/trunk")
    mirror = open_mirror()
    assert mirror.pin("HEAD") == revision
    assert mirror.default_branch() == "refs/heads/trunk"


def test_a_pushed_revision_is_pinned(open_mirror, origin):
    """First everything, then what is new."""
    mirror = open_mirror()
    for number in range(2):
        revision = origin.commit_and_push({"a": str(number)})
        assert mirror.pin("refs/heads/main", revision) == revision
        assert mirror.read(revision, "a", limit=9) == str(number).encode()


def test_a_revision_that_no_ref_has_is_asked_for_by_itself(open_mirror, origin):
    """Its branch was removed before the server came to it."""
    origin.commit_and_push({"a": "1"})
    away = origin.commit({"a": "away"})
    origin.push("HEAD:refs/heads/away")
    origin.push(":refs/heads/away")
    mirror = open_mirror()
    assert mirror.pin("refs/heads/away", away) == away
    assert mirror.read(away, "a", limit=9) == b"away"


def test_what_is_nowhere_is_not_found(open_mirror, origin):
    """Neither a branch, nor a revision by its ref or by itself."""
    origin.commit_and_push()
    mirror = open_mirror()
    with pytest.raises(NotFound, match="refs/heads/none"):
        mirror.pin("refs/heads/none")
    with pytest.raises(NotFound, match=f"revision {NOWHERE}"):
        mirror.pin("refs/heads/main", NOWHERE)


# -- who is let in --------------------------------------------------------------------------------


def test_a_key_with_a_passphrase_opens(open_mirror, origin, sshd):
    """Also one that a shell would read otherwise."""
    revision = origin.commit_and_push()
    credential = Credential(ssh_key=sshd.locked_key, passphrase=sshd.passphrase)
    assert open_mirror(credential).pin("main") == revision


@pytest.mark.parametrize("pasted", [str.strip, lambda key: key.replace("\n", "\r\n")])
def test_a_key_is_read_however_its_lines_end(open_mirror, origin, sshd, pasted):
    """Keys are copied through forms and by other systems."""
    revision = origin.commit_and_push()
    assert open_mirror(Credential(ssh_key=pasted(sshd.key))).pin("main") == revision


def test_the_credential_names_the_user_where_the_address_does_not(open_mirror, origin, sshd):
    """What the address says stands above it."""
    revision = origin.commit_and_push()
    named = Credential(ssh_key=sshd.key, username=sshd.user)
    other = Credential(ssh_key=sshd.key, username="other")
    assert open_mirror(named, user="").pin("main") == revision
    assert open_mirror(other).pin("main") == revision
    refusal(open_mirror(other, user=""))


def test_nobody_named_is_git(open_mirror, origin, sshd):
    """As forges have it; never the user that the server runs as."""
    origin.commit_and_push()
    refusal(open_mirror(user=""))
    assert " git from 127.0.0.1" in sshd.log.read_text()


def test_a_user_name_is_no_line_of_configuration(open_mirror, origin, tmp_path):
    """It cannot smuggle in a command."""
    origin.commit_and_push()
    name = f"git\nProxyCommand touch {tmp_path}/run"
    failure = refusal(open_mirror(Credential(username=name, ssh_key="key"), user=""))
    assert "no user name" in failure.message
    assert not (tmp_path / "run").exists()


def test_a_wrong_key_is_refused_for_good(open_mirror, origin, sshd):
    """The failure names the repository and no secret; a passphrase is no password for the host."""
    origin.commit_and_push()
    credential = Credential(ssh_key=sshd.wrong_key, passphrase=sshd.passphrase)
    failure = refusal(open_mirror(credential))
    assert "Permission denied" in failure.message
    for secret in (*secret_lines(sshd.wrong_key), sshd.passphrase):
        assert secret not in failure.message + failure.hint
    assert "password" not in sshd.log.read_text()


@pytest.mark.parametrize(
    "credential",
    [
        {"password": "pa55word"},
        {"ssh_key": "no key at all"},
        {"passphrase": "without a key"},
        {"ssh_key": "locked", "passphrase": "wr0ng"},
        {"ssh_key": "locked"},
    ],
)
def test_what_is_no_usable_key_is_refused(open_mirror, origin, sshd, credential):
    """Nobody is asked for anything, and it is not tried again."""
    origin.commit_and_push()
    if credential.get("ssh_key") == "locked":
        credential = {**credential, "ssh_key": sshd.locked_key}
    refusal(open_mirror(Credential(**credential)))


def test_no_credential_offers_no_key(make_mirrors, origin, sshd):
    """Who names a repository in a recipe does not borrow the keys of the service's user."""
    origin.commit_and_push()
    refusal(make_mirrors().open(sshd.uri(origin.bare)))


def test_a_repository_that_is_not_there_is_a_lasting_failure(make_mirrors, sshd, tmp_path):
    """The host answered: it has none."""
    credential = Credential(ssh_key=sshd.key)
    refusal(make_mirrors().open(sshd.uri(tmp_path / "none.git"), credential))


# -- which host is believed -----------------------------------------------------------------------


def test_an_unknown_host_is_refused(open_mirror, origin, tmp_path):
    """A key that `known_hosts` does not have is neither believed nor learned."""
    origin.commit_and_push()
    empty = tmp_path / "empty"
    empty.touch()
    failure = refusal(open_mirror(known_hosts=empty))
    assert "host key" in failure.message
    assert "known_hosts" in failure.hint
    assert empty.read_text() == ""


def test_a_host_with_another_key_is_refused(open_mirror, origin, sshd):
    """Somebody else may have taken its place."""
    origin.commit_and_push()
    failure = refusal(open_mirror(known_hosts=sshd.mistaken_hosts))
    assert "Host key verification failed" in failure.message


def test_a_revoked_key_is_refused(open_mirror, origin, sshd, tmp_path):
    """Although it is known as well."""
    origin.commit_and_push()
    known = sshd.known_hosts.read_text()
    revoked = tmp_path / "revoked"
    revoked.write_text(f"{known}@revoked {known}")
    assert "revoked" in refusal(open_mirror(known_hosts=revoked)).message


def test_without_known_hosts_an_unknown_host_is_refused(open_mirror, origin):
    """The user's own file decides then, which does not know this host."""
    origin.commit_and_push()
    failure = refusal(open_mirror(known_hosts=None))
    assert "No ED25519 host key is known" in failure.message


# -- what passes by itself ------------------------------------------------------------------------


def test_a_host_that_is_away_is_a_passing_failure(make_mirrors, sshd):
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    mirror = make_mirrors().open(f"ssh://git@127.0.0.1:{port}/r", Credential(ssh_key=sshd.key))
    with pytest.raises(RemoteFailure) as failure:
        mirror.pin("main")
    assert failure.value.temporary


def test_a_silent_host_is_given_up(make_mirrors, sshd):
    """It accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"ssh://git@127.0.0.1:{silent.getsockname()[1]}/r"
        with pytest.raises(RemoteFailure) as failure:
            make_mirrors(timeout_seconds=0.3).open(uri, Credential(ssh_key=sshd.key)).pin("main")
    assert failure.value.temporary


# -- where the key is -----------------------------------------------------------------------------


def test_the_key_is_in_memory_while_it_is_needed(open_mirror, origin, sshd):
    """No file has it, whenever the server is killed, nor a process among its arguments or in its
    environment; the passphrase is in a private file that goes away.
    """
    revision = origin.commit_and_push()
    credential = Credential(ssh_key=sshd.locked_key, passphrase=sshd.passphrase)
    mirror = open_mirror(credential)
    sshd.hold.touch()
    with ThreadPoolExecutor(1) as pool:
        pinned = pool.submit(mirror.pin, "main")
        try:
            told = until(lambda: told_to_ssh(sshd.port), what="ssh to run")
            folder = Path(re.search(rb"-F\0([^\0]+)/ssh_config\0", told)[1].decode())
            place = re.search(
                r'^IdentityFile "(.*)"$', (folder / "ssh_config").read_text(), re.MULTILINE
            )
            key = Path(place[1]).read_text()
            private = (folder, folder / "passphrase", Path(place[1]))
            modes = [stat.S_IMODE(path.stat().st_mode) for path in private]
            on_disk = files_with(mirror.objects.parents[1], secret_lines(key)[0])
        finally:
            sshd.hold.unlink()
        assert pinned.result() == revision
    assert key == sshd.locked_key
    assert modes == [0o700, 0o600, 0o600]
    assert on_disk == []
    for secret in (*secret_lines(key), sshd.passphrase):
        assert secret.encode() not in told
    assert not folder.exists()
    assert files_with(mirror.objects.parents[1], secret_lines(key)[0]) == []


def files_with(folder, text):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if text.encode() in path.read_bytes()]


def secret_lines(key):
    return [line for line in key.splitlines() if not line.startswith("-")]


def told_to_ssh(port):
    """Arguments and environments of git and of ssh, once ssh is on its way to this port."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes()
            program = arguments.partition(b"\0")[0]
            if program in {b"git", b"ssh"} and str(port).encode() in arguments:
                found[program] = arguments + (entry / "environ").read_bytes()
        except OSError:
            continue  # it ended just now
    return b"".join(found.values()) if len(found) == 2 else None
