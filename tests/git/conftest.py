"""Repositories made by the real git program."""

import os
import subprocess
from pathlib import Path

import pytest

from ciserver.git.address import Addresses
from ciserver.git.checkout import Checkouts
from ciserver.git.mirrors import Mirrors

ENVIRONMENT = {
    "PATH": os.defpath,
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_COMMITTER_DATE": "2024-02-29T12:00:00+0100",
    "GIT_ALLOW_PROTOCOL": "file",
}


def git(folder, *arguments, stdin=b""):
    done = subprocess.run(
        ["git", *map(str, arguments)],
        cwd=folder,
        input=stdin,
        env=ENVIRONMENT | {"HOME": str(folder)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


class Origin:
    """A bare repository and the work tree that is pushed to it."""

    def __init__(self, folder: Path, name: str = "origin") -> None:
        self.bare = folder / f"{name}.git"
        self.work = folder / f"{name}-work"
        for path, options in ((self.bare, ["--bare"]), (self.work, [])):
            path.mkdir()
            git(path, "init", "-q", "-b", "main", *options)
        git(self.work, "remote", "add", "origin", self.bare)

    @property
    def uri(self) -> str:
        return str(self.bare)

    def commit(self, files=(), message="A change"):
        for name, content in dict(files).items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "--allow-empty", "-m", message)
        return git(self.work, "rev-parse", "HEAD")

    def push(self, *refs):
        git(self.work, "push", "-q", "origin", *(refs or ["HEAD:refs/heads/main"]))

    def commit_and_push(self, files=(), message="A change"):
        revision = self.commit(files, message)
        self.push()
        return revision


@pytest.fixture
def origin(tmp_path):
    return Origin(tmp_path)


@pytest.fixture
def make_origin(tmp_path):
    return lambda name: Origin(tmp_path, name)


@pytest.fixture
def run_git():
    return git


@pytest.fixture
def mirrors(tmp_path):
    root = tmp_path / "data" / "mirrors"
    return Mirrors(root, Addresses(forbidden=(tmp_path / "data",)), timeout_seconds=30)


@pytest.fixture
def mirror(mirrors, origin):
    return mirrors.open(origin.uri, local=True)


@pytest.fixture
def checkouts(mirrors):
    return Checkouts(mirrors)
