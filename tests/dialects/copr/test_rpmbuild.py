"""A source package is rebuilt by rpmbuild, without any script of the administrator's."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from support.server import Server
from support.waiting import until

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.bubblewrap import Bubblewrap
from ciserver.machine import build_user, native_system, scratch_root

IS_NESTED = "CISERVER_NESTED" in os.environ
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        shutil.which("rpmbuild") is None and os.environ.get("CI") != "true",
        reason="rpmbuild is not installed",
    ),
    pytest.mark.skipif(
        IS_NESTED and os.geteuid() == 0,
        reason="rpm reads all directories above its own, which only a sandbox of root's lets it",
    ),
]

HERE, OTHER = native_system(), "fedora-40-x86_64"
CONFIG = f"""
[builds]
sandbox = "{"plain" if IS_NESTED else "bubblewrap"}"
systems = ["{OTHER}"]
"""
SPEC = """
Name: rose
Version: 1.2
Release: 3
Summary: A flower
License: MIT
BuildArch: noarch
Source0: rose.txt
BuildRequires: no-such-package-here
%description
Red.
%package thorns
Summary: Its thorns
%description thorns
Sharp.
%prep
%build
{build}
%install
mkdir -p %{{buildroot}}/usr/share/rose
cp %{{SOURCE0}} %{{buildroot}}/usr/share/rose/
touch %{{buildroot}}/usr/share/rose/thorns
%files
/usr/share/rose/rose.txt
%files thorns
/usr/share/rose/thorns
"""


@pytest.fixture(scope="module")
def server():
    fault = "" if IS_NESTED else Bubblewrap(user=build_user(Settings())).probe()
    if fault and os.environ.get("CI") != "true":
        pytest.skip(fault)
    with tempfile.TemporaryDirectory(prefix="ciserver-test-") as made:
        place = Path(made)
        place.chmod(0o711)
        server = Server(place / "data", config=CONFIG)
        try:
            yield server.start()
        finally:
            server.stop()
            scratch = scratch_root(Settings(), DataDirectory(server.data))
            shutil.rmtree(scratch, ignore_errors=True)


@pytest.fixture
def make_package(tmp_path):
    """Makes a source package of which the build runs these commands."""

    def make_package(build="test -n here"):
        top = tmp_path / "top"
        for name in ("SOURCES", "SPECS"):
            (top / name).mkdir(parents=True)
        (top / "SOURCES" / "rose.txt").write_text("a rose\n")
        (top / "SPECS" / "rose.spec").write_text(SPEC.format(build=build))
        told = ["rpmbuild", "-bs", "--define", f"_topdir {top}", top / "SPECS" / "rose.spec"]
        subprocess.run(told, check=True, capture_output=True)
        (made,) = (top / "SRPMS").iterdir()
        return made

    return make_package


def ask(server, method, path, **rest):
    answer = server.request(method, path, **rest)
    assert answer.status < 300, answer.data
    return answer


def build_of(server, package, **metadata):
    """The build that is made of a file, when all of its tasks have ended."""
    project = ask(server, "POST", "/api_2/projects", json={"name": package.parents[2].name})
    number = int(project.headers["Location"].rpartition("/")[2])
    wanted = ask(server, "GET", "/ci/v1/systems").json()
    assert {one["name"] for one in wanted} >= {HERE, OTHER}
    fields = {
        "metadata": f'{{"project_id": {number}}}',
        "srpm": (package.name, package.read_bytes(), "application/x-rpm"),
    }
    made = ask(server, "POST", "/api_2/builds", fields=fields)
    path = made.headers["Location"].removeprefix(server.url) + "?show_build_tasks"

    def ended():
        found = ask(server, "GET", path).json()
        done = all(one["build_task"]["ended_on"] for one in found["build_tasks"])
        return found if done else None

    return until(ended, seconds=60, what="the build to end")


def test_a_source_package_becomes_packages(server, make_package, tmp_path):
    """For each chroot; they and the logs are files beneath the address of the results."""
    built = build_of(server, make_package())
    assert (built["build"]["state"], built["build"]["package_version"]) == ("succeeded", "1.2-3")
    packages = [{"name": name, "version": "1.2"} for name in ("rose", "rose-thorns")]
    assert built["build"]["built_packages"] == packages
    tasks = [one["build_task"] for one in built["build_tasks"]]
    assert {one["chroot_name"] for one in tasks} == {HERE, OTHER}
    for task in tasks:
        results = task["result_dir_url"].removeprefix(server.url)
        listed = ask(server, "GET", results, token=False).data.decode()
        for name in ("rose-1.2-3.noarch.rpm", "rose-1.2-3.src.rpm", "build.log", "setup.log"):
            assert f'href="{results}{name}"' in listed
        package = tmp_path / "rose.rpm"
        found = ask(server, "GET", f"{results}rose-1.2-3.noarch.rpm", token=False)
        package.write_bytes(found.data)
        told = ["rpm", "-qp", "--qf", "%{NAME} %{VERSION}-%{RELEASE}\n[%{FILENAMES}\n]", package]
        said = subprocess.run(told, check=True, capture_output=True, text=True).stdout
        assert said == "rose 1.2-3\n/usr/share/rose/rose.txt\n"


def test_a_package_that_cannot_be_built_fails(server, make_package):
    """With rpmbuild's own words in the log."""
    built = build_of(server, make_package("echo no water; exit 7"))
    assert built["build"]["state"] == "failed"
    task = built["build_tasks"][0]["build_task"]
    log = ask(server, "GET", f"{task['result_dir_url'].removeprefix(server.url)}build.log")
    assert b"no water" in log.data


def test_what_is_no_package_fails(server, tmp_path):
    """Whatever it is called."""
    package = tmp_path / "a" / "b" / "c" / "rose-1-1.src.rpm"
    package.parent.mkdir(parents=True)
    package.write_bytes(b"\0not a package")
    assert build_of(server, package)["build"]["state"] == "failed"
