"""The data directory: who may read it, and which server holds it."""

import os
import stat
import subprocess
import sys

import pytest

from ciserver.datadir import DataDirectory, RunningServer
from ciserver.model.errors import BadConfiguration, Conflict

SERVER = """
import sys
from pathlib import Path
from ciserver.datadir import DataDirectory
data = DataDirectory(Path(sys.argv[1]))
for line in sys.stdin:
    match line.strip():
        case "hold":
            data.hold()
        case "announce":
            data.announce("http://127.0.0.1:1", "token")
        case "withdraw":
            data.withdraw()
    print("done", flush=True)
"""


@pytest.fixture
def data(place):
    made = DataDirectory(place / "data")
    made.make()
    return made


class OtherServer(subprocess.Popen):
    """A process that is told to hold the directory and to say where it is reached."""

    def __init__(self, root):
        command = [sys.executable, "-c", SERVER, str(root)]
        super().__init__(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, *orders):
        for order in orders:
            self.stdin.write(f"{order}\n")
            self.stdin.flush()
            assert self.stdout.readline() == "done\n"


@pytest.fixture
def other_server(data):
    with OtherServer(data.root) as process:
        yield process
        process.kill()


def test_who_may_enter(tmp_path):
    """Nobody else, whatever the mode was before."""
    (tmp_path / "data").mkdir(mode=0o755)
    DataDirectory(tmp_path / "data").make()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_directory_that_cannot_be_made(tmp_path):
    """The error names the directory and the way out."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BadConfiguration, match="cannot be made") as raised:
        DataDirectory(tmp_path / "file" / "data").make()
    assert "--data" in raised.value.hint


def test_one_server_a_directory(data, other_server):
    """The second one is refused; commands find the first."""
    other_server.tell("hold", "announce")
    with pytest.raises(Conflict, match="another server already uses"):
        DataDirectory(data.root).hold()
    assert data.running_server() == RunningServer("http://127.0.0.1:1", "token", other_server.pid)


def test_after_a_crash(data, other_server):
    """What a killed server left behind is not believed in, and the next one may start."""
    other_server.tell("hold", "announce")
    other_server.kill()
    other_server.wait(10)
    assert (data.root / "server.json").exists()
    assert data.running_server() is None
    with OtherServer(data.root) as fresh:
        fresh.tell("hold")
        fresh.kill()


def test_nobody_runs(data, tmp_path):
    """Neither in a fresh directory nor where there is none."""
    assert data.running_server() is None
    assert DataDirectory(tmp_path / "missing").running_server() is None


def test_the_token_is_private(data):
    """The address file is for the owner only, also when it is written again."""
    for token in ("first", "second"):
        data.announce("http://127.0.0.1:1", token)
        address = data.root / "server.json"
        assert stat.S_IMODE(address.stat().st_mode) == 0o600
        assert token in address.read_text()


def test_a_server_that_is_starting(data, other_server):
    """Between holding and announcing, and after withdrawing, a command is told to wait."""
    other_server.tell("hold")
    with pytest.raises(Conflict, match="starting or stopping"):
        data.running_server()
    other_server.tell("announce")
    assert data.running_server().token == "token"
    other_server.tell("withdraw")
    with pytest.raises(Conflict, match="starting or stopping"):
        data.running_server()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_another_user(data, other_server, mode):
    """Who may not read the directory, or the token in it, is told to become the server's user."""
    data.root.chmod(mode)
    other_server.tell("hold", "announce")
    os.seteuid(65534)
    try:
        with pytest.raises(Conflict, match="may not be read"):
            data.running_server()
    finally:
        os.seteuid(0)
