"""The hook is put into repositories and taken out again without harming anything else."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from ciserver.git import hook
from ciserver.model.errors import Conflict, Invalid, NotFound

SCRIPT = Path(__file__).parents[2] / "hooks" / "post-receive"
URL = "http://127.0.0.1:9/hooks/generic/demo"
SECRET = "whsec_c2l4dGVlbiBieXRlcyBvciBtb3Jl"
FOREIGN = "#!/bin/sh\necho mine\n"
KEPT = '{"id": "msg_1", "body": "{}"}'


def _git(repository: Path, *arguments: str) -> str:
    return subprocess.check_output(["git", "-C", str(repository), *arguments], text=True).strip()


@pytest.fixture
def bare(tmp_path):
    subprocess.run(["git", "init", "--quiet", "--bare", tmp_path / "repo.git"], check=True)
    return tmp_path / "repo.git"


def _install(repository: Path) -> Path:
    return hook.install(repository, script=SCRIPT, url=URL, secret=SECRET)


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_install_makes_hook_configuration_and_option(bare):
    """After one call the next push is told, with a key that only the owner can read."""
    path = _install(bare)
    assert path == bare / "hooks" / "post-receive"
    assert _mode(path) == 0o755
    assert json.loads((bare / "ciserver" / "hook.json").read_text()) == {
        "url": URL,
        "secret": SECRET,
        "repository": str(bare.resolve()),
    }
    assert _mode(bare / "ciserver" / "hook.json") == 0o600
    assert _mode(bare / "ciserver") == 0o700
    assert _git(bare, "config", "--type=bool", "receive.advertisePushOptions") == "true"
    assert hook.is_installed(bare)


def test_install_again_updates_and_keeps_what_waits(bare):
    """A second call changes address and script, nothing else."""
    path = _install(bare)
    path.write_text("#!/usr/bin/python3\n# ciserver-hook: an earlier one\n")
    (bare / "ciserver" / "spool" / "1-msg_1.json").write_text(KEPT)
    _git(bare, "config", "--add", "receive.advertisePushOptions", "false")
    hook.install(bare, script=SCRIPT, url="https://ci.example.org/x", secret=SECRET)
    assert path.read_bytes() == SCRIPT.read_bytes()
    assert "https://ci.example.org/x" in (bare / "ciserver" / "hook.json").read_text()
    assert (bare / "ciserver" / "spool" / "1-msg_1.json").exists()
    assert _git(bare, "config", "--get-all", "receive.advertisePushOptions") == "true"
    assert not [path for path in bare.rglob(".*") if path.is_file()]


@pytest.mark.parametrize("how", ["setting", "octal setting", "mode"])
def test_shared_repository_lets_its_group_keep_pushes(bare, how):
    """Several users push: all may read the key and write the spool, the world may not."""
    if how == "mode":
        bare.chmod(0o775)
    else:
        _git(bare, "config", "core.sharedRepository", "group" if how == "setting" else "0660")
    _install(bare)
    home = bare / "ciserver"
    assert _mode(home) == 0o750
    assert _mode(home / "hook.json") == 0o640
    assert _mode(home / "spool") == _mode(home / "refused") == 0o2770


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_installs_for_the_owner(bare):
    """All files belong to the owner of the repository, git's configuration included."""
    for path in (bare, *bare.rglob("*")):
        os.chown(path, 4321, 4322)
    _install(bare)
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (bare, *bare.rglob("*"))}
    assert owners == {(4321, 4322)}


@pytest.mark.parametrize("named", [".", ".git"])
def test_work_tree_is_known_by_its_own_path(tmp_path, named):
    """A work tree's hook goes into .git; the server knows it by the path people clone."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    assert _install(tmp_path / named) == tmp_path / ".git" / "hooks" / "post-receive"
    told = json.loads((tmp_path / ".git" / "ciserver" / "hook.json").read_text())
    assert told["repository"] == str(tmp_path.resolve())


def test_repository_without_hooks_folder_gets_one(bare):
    """Templates may leave it out."""
    for sample in (bare / "hooks").iterdir():
        sample.unlink()
    (bare / "hooks").rmdir()
    assert _install(bare).is_file()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_foreign_hook_is_never_replaced(bare, tmp_path, kind):
    """The owner is told how to have both; nothing at all is written."""
    path = bare / "hooks" / "post-receive"
    if kind == "file":
        path.write_text(FOREIGN)
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(Conflict, match="another hook") as caught:
        _install(bare)
    assert "Together with another hook" in caught.value.hint
    assert not (bare / "ciserver").exists()
    assert not hook.is_installed(bare)
    with pytest.raises(Conflict, match="not a hook of ciserver"):
        hook.remove(bare)
    assert os.path.lexists(path)


def test_hooks_that_git_looks_for_elsewhere_are_a_conflict(bare, tmp_path):
    """A hook that git would never run is not installed."""
    _git(bare, "config", "core.hooksPath", str(tmp_path / "shared"))
    with pytest.raises(Conflict, match=r"core\.hooksPath"):
        _install(bare)
    _git(bare, "config", "core.hooksPath", "hooks")
    assert _install(bare).is_file()


@pytest.mark.parametrize("name", ["hooks", "ciserver", "ciserver/spool"])
def test_links_out_of_the_repository_are_not_followed(bare, tmp_path, name):
    """A folder that others share is not written to."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    if "/" in name:
        (bare / "ciserver").mkdir()
    if name == "hooks":
        (bare / "hooks").rename(tmp_path / "hooks-before")
    (bare / name).symlink_to(elsewhere)
    with pytest.raises(Conflict, match="symbolic link"):
        _install(bare)
    assert list(elsewhere.iterdir()) == []
    assert _mode(elsewhere) == 0o755


def test_all_faults_are_told_at_once(tmp_path):
    """Repository, address, secret and script are each named; the secret is not repeated."""
    with pytest.raises(Invalid) as caught:
        hook.install(tmp_path, script=tmp_path / "x", url="file:///etc", secret="hunter2")
    fields = {complaint.field for complaint in caught.value.complaints}
    assert fields == {"repository", "url", "secret", "script"}
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://", "http://u:p@h/", "http://h:0/", "http://h:x/", "http://h/a b", "http://\u00fc/"],
)
def test_address_that_the_hook_could_not_use_is_refused(bare, url):
    """Better now than at the first push."""
    with pytest.raises(Invalid, match="url: "):
        hook.install(bare, script=SCRIPT, url=url, secret=SECRET)


def test_broken_git_configuration_is_told(bare):
    """What git says is passed on."""
    (bare / "config").write_text("[core\n")
    with pytest.raises(Conflict, match="bad config"):
        _install(bare)


def test_remove_takes_hook_and_secret_away(bare):
    """Nothing of ours is left, and doing it again is no fault."""
    _install(bare)
    hook.remove(bare)
    hook.remove(bare)
    assert not (bare / "ciserver").exists()
    assert not hook.is_installed(bare)


def test_remove_leaves_pushes_that_wait(bare):
    """What was not sent is not thrown away; the secret is."""
    _install(bare)
    kept = bare / "ciserver" / "spool" / "1-msg_1.json"
    kept.write_text(KEPT)
    hook.remove(bare)
    assert kept.exists()
    assert not (bare / "ciserver" / "hook.json").exists()


def test_flush_returns_what_the_hook_says(bare):
    """Nobody listens at the address: the push stays, and the cause is told."""
    _install(bare)
    kept = bare / "ciserver" / "spool" / "1-msg_1.json"
    kept.write_text(KEPT)
    assert "server not reachable" in hook.flush(bare)
    assert kept.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a right to give up")
def test_root_flushes_as_the_owner():
    """The owner may have changed the hook, so root does not run it with root's rights."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others
        Path(folder).chmod(0o755)
        bare = Path(folder) / "repo.git"
        subprocess.run(["git", "init", "--quiet", "--bare", bare], check=True)
        path = _install(bare)
        path.write_text("#!/bin/sh\n# ciserver-hook: changed by its owner\nid -u; id -G\n")
        os.chown(bare, 4321, 4322)
        assert hook.flush(bare).split() == ["4321", "4322"]


def test_flush_without_hook_is_not_found(bare):
    """There is nothing that could be run."""
    with pytest.raises(NotFound, match="no hook of ciserver"):
        hook.flush(bare)


def test_flush_of_a_hook_that_cannot_run_is_a_conflict(bare):
    """Installing again puts it right."""
    path = _install(bare)
    path.write_text("#!/nonexistent/python\n# ciserver-hook: on another machine\n")
    with pytest.raises(Conflict, match="cannot be run"):
        hook.flush(bare)


def test_is_installed_of_no_repository_is_false(tmp_path):
    """A question, not a demand: it does not raise."""
    assert not hook.is_installed(tmp_path / "nowhere")
