"""Packages: what apt is asked for, and what builds on this machine's own files are told."""

import os
import subprocess

import pytest

from ciserver.executor import apt
from ciserver.executor.host_packages import Host
from ciserver.executor.one_user import filter_program
from ciserver.executor.packages import install
from ciserver.executor.plain import Plain
from ciserver.executor.sandbox import find_shell
from ciserver.model.build import Job
from ciserver.model.status import BuildStatus, Reason

KEY = "6B1296C65B24472674E7B6520585B50AC6A4914D"
DEBIAN = Host(("debian",), frozenset({"gcc", "python3", "awk"}))


@pytest.mark.parametrize(
    ("value", "line", "key"),
    [
        ("https://a.org/deb sid main", "deb https://a.org/deb sid main", ""),
        ("https://a.org/deb sid main contrib", "deb https://a.org/deb sid main contrib", ""),
        ("http://a.org/x ./", "deb http://a.org/x ./", ""),
        (
            f"https://a.org/deb sid main {KEY}",
            "deb [signed-by=/etc/apt/keyrings/it.asc] https://a.org/deb sid main",
            f"https://keyserver.ubuntu.com/pks/lookup?op=get&options=mr&search=0x{KEY}",
        ),
        (
            "https://a.org/deb sid main https://a.org/key.asc",
            "deb [signed-by=/etc/apt/keyrings/it.asc] https://a.org/deb sid main",
            "https://a.org/key.asc",
        ),
    ],
)
def test_repositories_are_written_as_on_builds_sr_ht(value, line, key):
    """`URL DISTRIBUTION COMPONENT [KEY]`; a key is an id, or where it lies."""
    assert apt.read_repositories({"it": value}) == ((("it", line, key),), ())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("../it", "https://a.org/deb sid main"),
        ("it", ""),
        ("it", "https://a.org/deb"),
        ("it", "file:///etc sid main"),
        ("it", "https://a.org/deb sid ma$(id)in"),
        ("it", "https://a.org/deb sid main [trusted=yes]"),
        ("it", "https://a.org/deb\nsid main"),
    ],
)
def test_other_repositories_are_named(name, value):
    """Each with what is wrong; a new line in one is a blank as any other."""
    lines, faults = apt.read_repositories({name: value})
    assert (not lines and faults[0].startswith(f"repositories: {name}: ")) or "\n" in value
    assert all("\n" not in line for _, line, _ in lines)


def test_the_script_quotes_what_it_is_given():
    """No word of a repository is one of the shell's."""
    lines, _ = apt.read_repositories({"it": "https://a.org/$(id)';x sid main"})
    script = apt.install_script(lines)
    assert "echo 'deb https://a.org/$(id)'\"'\"';x sid main' >/etc/apt/sources.list.d/it" in script
    subprocess.run([find_shell(), "-n"], input=script, text=True, check=True)


@pytest.fixture
def on_host(tools):
    """What a build on the machine's own files is told of its packages."""

    def ask(host, image, *packages, repositories=None):
        said = []
        job = Job(
            "a", "a.yml", image, "here", (), packages=packages, repositories=repositories or {}
        )
        sandbox = Plain(user=tools.build_user())
        fault = install(job, sandbox, None, None, said.append, host=lambda: host)
        return fault, "\n".join(said)

    return ask


def test_installed_packages_are_found(on_host):
    """By name, with a version or an architecture, and by what provides them."""
    fault, said = on_host(DEBIAN, "debian/stable", "gcc", "python3=3.11", "gcc:amd64", "awk")
    assert fault is None
    assert said == "packages: this machine has them: gcc, python3=3.11, gcc:amd64, awk"


@pytest.mark.parametrize("image", ["debian/stable", "host", ""])
def test_missing_packages_end_the_build_where_names_are_the_same(on_host, image):
    """Named, with what to do; a machine like Debian is one, too."""
    for host in (DEBIAN, Host(("ubuntu", "debian"), DEBIAN.installed)):
        fault, _ = on_host(host, image, "gcc", "make", "clang")
        assert fault.reason is Reason.PACKAGES_UNAVAILABLE
        assert "this machine lacks make, clang" in fault.detail
        assert "apt-get install make clang" in fault.detail
        made = "ciserver image add debian/stable --debootstrap stable"
        assert (made in fault.detail) == (image == "debian/stable")


@pytest.mark.parametrize("host", [DEBIAN, Host(("fedora",), None)])
def test_packages_of_another_distribution_are_a_warning(on_host, host):
    """Its names mean nothing here: the tasks are tried, and the log says what was not found."""
    fault, said = on_host(host, "alpine/edge", "gcc", "py3-pip")
    assert fault is None
    assert "warning: packages: not found here under these names: " in said
    assert "py3-pip" in said
    assert f"this machine is {host.distribution}" in said


def test_repositories_are_not_added_to_this_machine(on_host):
    """Nothing is changed here, and the log says so."""
    _, said = on_host(DEBIAN, "debian/sid", repositories={"mine": "https://a.org/ sid main"})
    assert "warning: repositories: not added" in said


def test_this_machine_is_asked(make_world, plain):
    """A package that is nowhere, through the whole build."""
    if Host.of_machine().installed is None:
        pytest.skip("this machine has no dpkg")
    world = make_world(plain)
    result = world.run("true", image="host", packages=("no-such-package",))
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.PACKAGES_UNAVAILABLE)
    assert "this machine lacks no-such-package" in result.detail
    assert 1 not in world.recorder.logs


def test_the_filter_is_known_where_it_must_be():
    """For the two machines that builds run on; on others there is none."""
    assert len(filter_program("x86_64")) % 8 == 0
    assert filter_program("x86_64") != filter_program("aarch64") != b""
    assert filter_program("vax") == b""


def test_the_filter_does_nothing_and_says_it_did(bubblewrap_works, tools, place):
    """Owners stay, devices are not made; pipes and files are, and other calls work as ever."""
    if not filter_program():
        pytest.skip("no filter for this machine")
    script = (
        "set -e; chown 12:13 file; chown -h 12:13 file; mknod device c 1 3; mkfifo pipe; : >plain; "
        "stat -c %u file; ls; setpriv --reuid=5 --regid=5 --clear-groups id -u"
    )
    reading, writing = os.pipe()
    os.write(writing, filter_program())
    os.close(writing)
    (place / "file").touch()
    user = tools.build_user()
    if user:
        for path in (place, place / "file"):
            os.chown(path, user.uid, user.gid)
    words = ("--unshare-user", "--uid", "0", "--gid", "0", "--seccomp", str(reading))
    files = ("--ro-bind", "/", "/", "--bind", place, place, "--chdir", place)
    done = subprocess.run(
        ["bwrap", *words, *files, "--", "/bin/sh", "-c", script],
        pass_fds=(reading,),
        capture_output=True,
        text=True,
        check=False,
        user=user and user.uid,
        group=user and user.gid,
        extra_groups=user and [],
    )
    os.close(reading)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "file", "pipe", "plain", "0"]
    assert (place / "file").stat().st_uid == (user.uid if user else os.geteuid())
