"""What an installation of the wheel holds, apart from the checkout.

By default a wheel is built and unpacked here. With CISERVER_PYTHON, the Python of an environment
that has ciserver installed from a wheel, that installation is what is tested.
"""

import contextlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import urllib3
from support.repositories import Repository
from support.waiting import until

from ciserver import __version__

pytestmark = pytest.mark.e2e

CHECKOUT = Path(__file__).parents[1]
RECIPE = "image: host\ntasks:\n  - build: echo built from a wheel\n"


class Installation:
    """Calls `ciserver` of an installation, from a directory where no checkout is."""

    def __init__(self, python, place, environment):
        self._python = python
        self._place = place
        self._environment = {**os.environ, **environment}

    def command(self, *arguments):
        return [self._python, "-P", "-m", "ciserver.cli.main", *arguments]

    def run(self, *arguments):
        done = self.python(*self.command(*arguments)[1:])
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def python(self, *arguments):
        return subprocess.run(
            [self._python, *arguments],
            cwd=self._place,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )

    @contextlib.contextmanager
    def serving(self, data):
        process = subprocess.Popen(
            self.command("serve", "--data", str(data), "--listen", "127.0.0.1:0"),
            cwd=self._place,
            env=self._environment,
        )
        try:
            address = data / "server.json"
            until(address.exists, what="the server to be ready")
            yield json.loads(address.read_text())["url"]
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout, built without the network."""
    directory = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    )
    (path,) = directory.glob("*.whl")
    return path


@pytest.fixture
def installation(request, place):
    if python := os.environ.get("CISERVER_PYTHON"):
        return Installation(python, place, {})
    unpacked = place / "unpacked"
    with zipfile.ZipFile(request.getfixturevalue("wheel")) as archive:
        archive.extractall(unpacked)
    return Installation(sys.executable, place, {"PYTHONPATH": str(unpacked)})


def test_the_wheel_holds_its_data_and_nothing_of_the_checkout(wheel):
    """Templates, hooks, migrations and licence travel; tests and demo stay at home."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for needed in (
        "ciserver/shipped/templates/base.html",
        "ciserver/shipped/templates/email/build.txt",
        "ciserver/shipped/templates/static/style.css",
        "ciserver/shipped/hooks/post-receive",
        "ciserver/store/migrations/0001_initial.py",
        "triggers/webhook.py",
        f"ciserver-{__version__}.dist-info/licenses/LICENSE",
    ):
        assert needed in names
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"ciserver", "triggers", f"ciserver-{__version__}.dist-info"}


def test_an_installation_is_not_the_checkout(installation):
    """What is tested below is the wheel, and it knows its version."""
    where = installation.python("-P", "-c", "import ciserver; print(ciserver.__file__)").stdout
    assert not Path(where.strip()).is_relative_to(CHECKOUT / "ciserver")
    assert installation.run("--version") == f"ciserver, version {__version__}\n"


def test_an_installation_serves_watches_and_builds(installation, place):
    """From an empty data directory to a succeeded build and a page, with nothing of a checkout."""
    data = place / "data"
    at_data = ("--data", str(data))
    repository = Repository(place / "repositories")
    repository.commit({".build.yml": RECIPE})
    with installation.serving(data) as url:
        installation.run("watch", str(repository.bare), *at_data)
        assert "/eval/1" in repository.push()

        def build():
            found = json.loads(installation.run("list", "-o", "json", *at_data))["builds"]
            return found[0] if found and found[0]["is_final"] else None

        assert until(build, what="the build to end")["status"] == "succeeded"
        assert "built from a wheel" in installation.run("log", "1", *at_data)
        page = urllib3.request("GET", f"{url}/build/1", headers={"Accept": "text/html"})
        assert (page.status, b"stylesheet" in page.data) == (200, True)
