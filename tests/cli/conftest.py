"""A server with finished builds for commands to look at; data directories without a server."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.repositories import Repository
from support.server import Server, cli
from support.waiting import until

from ciserver.cli.main import main
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.machine import scratch_root

RECIPES = {
    ".builds/good.yml": "image: host\ntasks:\n  - work: echo worked\n  - more: echo and more\n",
    ".builds/bad.yml": "image: host\ntasks:\n  - work: exit 3\n",
    ".builds/slow.yml": "image: host\ntimeout: 0.01\ntasks:\n  - work: sleep 60\n",
    ".builds/foreign.yml": "image: host\narch: riscv64\ntasks:\n  - work: echo worked\n",
}


class Place:
    """A data directory, and the command line over it."""

    def __init__(self, root, config=""):
        self.data = root / "data"
        self.data.mkdir(parents=True)
        (self.data / "ciserver.toml").write_text(config)

    def cli(self, *arguments, **options):
        return cli(*arguments, "--data", str(self.data), **options)


@pytest.fixture
def offline(place):
    """A data directory that no server uses."""
    made = Place(place)
    yield made
    shutil.rmtree(scratch_root(Settings(), DataDirectory(made.data)))


class Online(Server):
    """A server whose commands run in the process of the tests: only the start of an interpreter
    is saved, what they say goes over HTTP.
    """

    def cli(self, *arguments, input_text="", check=True):
        told = [*arguments, "--data", str(self.data)]
        done = CliRunner().invoke(main, told, input=input_text, catch_exceptions=False)
        assert not check or done.exit_code == 0, done.output
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def online():
    """A running server that watches a repository, with one build of every ending.

    `ids` gives the number of a build by its job: good, bad, slow, foreign (which waits).
    """
    with tempfile.TemporaryDirectory(prefix="ciserver-test-") as made:
        ground = Path(made)
        ground.chmod(0o711)
        server = Online(ground / "data").start()
        repository = Repository(ground / "repositories", "hello")
        server.cli("watch", str(repository.bare))
        repository.commit(RECIPES, "Four endings")
        repository.push()
        builds = until(lambda: _ended(server), seconds=30)
        server.ids = {one["job"]: str(one["id"]) for one in builds}
        yield server
        server.stop()
        shutil.rmtree(scratch_root(Settings(), DataDirectory(server.data)))


def _ended(server):
    builds = server.builds()
    ended = [one for one in builds if one["is_final"]]
    return builds if len(ended) == len(RECIPES) - 1 else None
