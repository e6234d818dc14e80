"""`ciserver serve`: how it starts, and what keeps it from starting."""

import re
import socket

import pytest
from support.server import cli

pytestmark = pytest.mark.e2e

PLAIN = {"encode_multipart": False}  # forms as browsers send them


def refused(*arguments):
    """What `serve` said when it did not start, with its exit code."""
    done = cli("serve", *arguments, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_a_port_that_is_taken_is_a_refusal(offline):
    """Exit 2, with the address that is in use and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = refused("--data", str(offline.data), "--listen", address)
    assert code == 2
    assert f"cannot listen on {address}" in said
    assert "--listen" in said


@pytest.mark.parametrize("listen", ["8080", "localhost", "127.0.0.1:port", "127.0.0.1:99999"])
def test_a_bad_address_is_a_refusal(offline, listen):
    """Exit 2, with the form an address has."""
    code, said = refused("--data", str(offline.data), "--listen", listen)
    assert code == 2
    assert listen in said


def test_a_data_directory_has_one_server(make_server):
    """A second server over the same directory is refused with exit 2; the first goes on."""
    server = make_server().start()
    code, said = refused("--data", str(server.data), "--listen", "127.0.0.1:0")
    assert code == 2
    assert f"another server already uses {server.data}" in said
    assert server.request("GET", "/readyz").status == 200


def test_unknown_and_wrong_settings_are_all_named(offline):
    """Exit 2 with every fault of the configuration, and the nearest key that exists."""
    (offline.data / "ciserver.toml").write_text(
        '[server]\nlisen = "127.0.0.1:1"\n[builds]\nslots = "many"\n[extra]\n'
    )
    code, said = refused("--data", str(offline.data))
    assert code == 2
    assert "server.lisen: unknown key; did you mean listen?" in said
    assert "builds.slots: " in said
    assert "extra: unknown key" in said


def test_a_configuration_that_is_no_toml_is_a_refusal(offline):
    """Exit 2, with the file and where it breaks."""
    (offline.data / "ciserver.toml").write_text("[server\n")
    code, said = refused("--data", str(offline.data))
    assert code == 2
    assert "ciserver.toml cannot be read" in said
    assert "line 1" in said


def test_only_the_first_start_prints_a_link_and_it_works_once(make_server):
    """The first start prints a link with which the administrator sets a password; it signs in
    once, and later starts print none.
    """
    server = make_server().start()
    (link,) = re.findall(r"sign in as administrator\D*: (\S+)", server.log.read_text())
    path = link.removeprefix(server.url)
    assert server.request("GET", path, token=False).status == 200
    form = {"password": "correct horse battery"}
    origin = {"Origin": server.url}
    answer = server.request("POST", path, token=False, fields=form, headers=origin, **PLAIN)
    assert answer.status == 303, answer.data
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    again = server.request("POST", path, token=False, fields=form, headers=origin, **PLAIN)
    assert again.status == 404

    assert server.stop() == 0
    server.start()
    assert server.log.read_text().count("sign in as administrator") == 1


def test_a_server_says_where_it_is_and_how_it_builds(make_server):
    """The greeting names the address and the sandbox; the address file goes with the server."""
    server = make_server().start()
    said = server.log.read_text()
    assert f"is ready at {server.url}/" in said
    assert "sandbox: " in said
    address = server.data / "server.json"
    assert address.stat().st_mode & 0o077 == 0
    assert server.stop() == 0
    assert not address.exists()


def test_ctrl_c_stops_it_like_sigterm(make_server):
    """SIGINT is a graceful stop: exit 0."""
    server = make_server().start()
    server.process.send_signal(2)
    assert server.process.wait(10) == 0


def test_an_address_of_ipv6_is_taken(make_server):
    """`--listen [::1]:PORT` works where the machine has IPv6."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = make_server()
    server.url = f"http://[::1]:{server.port}"
    server.start("--listen", f"[::1]:{server.port}")
    assert server.cli("list").returncode == 0


def test_an_address_that_cannot_be_had_is_a_refusal(offline):
    """Where a name has several, each has to be free: else who asks one of them is not answered."""
    try:
        taken = socket.create_server(("::", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with taken:
        address = f"*:{taken.getsockname()[1]}"
        code, said = refused("--data", str(offline.data), "--listen", address)
    assert code == 2
    assert f"cannot listen on {address}" in said
