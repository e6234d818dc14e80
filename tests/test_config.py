"""The configuration: one file, every fault named, secrets hidden."""

import json
from pathlib import Path

import pytest

from ciserver.config import Settings, effective, load
from ciserver.machine import native_system, offered_systems
from ciserver.model.errors import BadConfiguration


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "ciserver.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def faults(path, environ=()):
    with pytest.raises(BadConfiguration) as raised:
        load(path, dict(environ))
    return {one.field: one.message for one in raised.value.complaints}


def test_everything_has_a_default(write):
    """Neither a file nor a key is needed."""
    assert load(None, {}) == Settings()
    assert load(write(""), {}) == Settings()


def test_what_is_written_counts(write):
    """Values come in their types; the rest keeps its default."""
    settings = load(
        write(
            "[builds]\nslots = 3\nsandbox = 'plain'\nreadable = ['/opt']\n"
            "[git]\nallow_http = true\n[outgoing]\nallow = ['10.1.0.0/16']\n"
        ),
        {},
    )
    assert (settings.builds.slots, settings.builds.sandbox) == (3, "plain")
    assert settings.builds.readable == (Path("/opt"),)
    assert settings.git.allow_http is True
    assert settings.outgoing.allow == ("10.1.0.0/16",)
    assert settings.server == Settings().server


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("[server]\nlisten_on = 'x'", "server.listen_on", "unknown key; did you mean listen?"),
        ("[sever]\nlisten = 'x'", "sever", "unknown key; did you mean server?"),
        ("[smtp]\npasword = 'x'", "smtp.pasword", "unknown key; did you mean password?"),
        ("[server]\nzzz = 1", "server.zzz", "unknown key"),
        ("listen = 'x'", "listen", "unknown key"),
    ],
)
def test_unknown_keys(write, text, field, message):
    """An unknown key is refused with the nearest known one."""
    assert faults(write(text)) == {field: message}


def test_every_fault_at_once(write):
    """Three faults are three complaints."""
    text = "[builds]\nslots = 'many'\nsandbox = 'magic'\n[smtp]\nprot = 25\n"
    assert set(faults(write(text))) == {"builds.slots", "builds.sandbox", "smtp.prot"}


def test_complaints_name_the_file(write):
    """Who has several files knows which one to mend."""
    path = write("[server]\nzzz = 1")
    with pytest.raises(BadConfiguration, match="cannot be used") as raised:
        load(path, {})
    assert str(raised.value.complaints[0]).startswith(f"{path}: server.zzz")


@pytest.mark.parametrize("text", ["[server", "x = ", b"name = '\xff'"])
def test_what_is_no_toml(write, text):
    """A file that cannot be read is named."""
    with pytest.raises(BadConfiguration, match=r"ciserver\.toml cannot be read"):
        load(write(text), {})


def test_a_missing_file(tmp_path):
    """A file that was named must be there."""
    with pytest.raises(BadConfiguration, match="No such file"):
        load(tmp_path / "missing.toml", {})


@pytest.mark.parametrize("text", ["smtp = 3", "[smtp]\nhost = 'mail'\npassword = 'old'", ""])
def test_the_environment_gives_the_password(write, text):
    """It goes before the file, and a broken section is still a complaint."""
    environ = {"CISERVER_SMTP_PASSWORD": "hunter2", "CISERVER_SMTP_HOST": "ignored"}
    if text.startswith("smtp ="):
        assert set(faults(write(text), environ)) == {"smtp"}
    else:
        settings = load(write(text), environ)
        assert settings.smtp.password == "hunter2"
        assert settings.smtp.host in {"mail", ""}


def test_a_password_file(write, tmp_path):
    """The password is the file's text without its last newline."""
    (tmp_path / "password").write_text("hunter 2 \n")
    settings = load(write(f"[smtp]\npassword_file = '{tmp_path}/password'"), {})
    assert settings.smtp.password == "hunter 2 "


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "not text"])
def test_a_password_file_that_cannot_be_read(write, tmp_path, content):
    """The key is named, and what the file holds is not shown."""
    if content:
        (tmp_path / "password").write_bytes(content)
    with pytest.raises(BadConfiguration, match=r"smtp\.password_file cannot be read"):
        load(write(f"[smtp]\npassword_file = '{tmp_path}/password'"), {})


def test_effective_settings_hide_secrets(write):
    """Every key is shown, and the password is not."""
    settings = load(write("[smtp]\npassword = 'hunter2'"), {})
    shown = effective(settings)
    assert shown["smtp"]["password"] == "(hidden)"
    assert shown["server"]["listen"] == "127.0.0.1:8080"
    assert shown["builds"]["readable"] == "(none)"
    assert "hunter2" not in f"{shown}{settings!r}"
    assert effective(Settings())["smtp"]["password"] == "(none)"


def test_other_sites_and_front_ends_are_told_exactly(write):
    """An origin has no path, and a network is one; every fault is named."""
    good = write(
        '[selfserve]\nallowed_origins = ["https://a.example.org", "http://localhost:8000"]\n'
        'remote_user_from = ["127.0.0.1", "10.1.0.0/16", "::1"]\nmost_rebuilds = 5\n'
    )
    found = load(good, {}).selfserve
    assert found.allowed_origins == ("https://a.example.org", "http://localhost:8000")
    networks = ["127.0.0.1/32", "10.1.0.0/16", "::1/128"]
    assert [str(one) for one in found.remote_user_from] == networks
    assert found.most_rebuilds == 5
    bad = write(
        '[selfserve]\nallowed_origins = ["*", "null", "https://a.example.org/", "a.example.org"]\n'
        'remote_user_from = ["proxy.example.org", "10.1.2.3/16", ""]\nmost_rebuilds = 0\n'
    )
    with pytest.raises(BadConfiguration) as refused:
        load(bad, {})
    fields = {one.field.partition(".ip")[0] for one in refused.value.complaints}
    assert fields >= {f"selfserve.allowed_origins.{n}" for n in range(4)}
    for number in range(3):
        assert any(one.startswith(f"selfserve.remote_user_from.{number}") for one in fields)
    assert "selfserve.most_rebuilds" in fields


@pytest.mark.parametrize("name", ["linux", "", "a--b", "-linux", "x-y\n", "../x-y", "a b-c"])
def test_more_systems_are_told_by_their_names(write, name):
    """The worker runs them beside the machine's own, each once."""
    good = f"systems = ['fedora-40-x86_64', '{native_system()}', 'fedora-40-x86_64']"
    settings = load(write(f"[builds]\n{good}"), {})
    assert offered_systems(settings) == (native_system(), "fedora-40-x86_64")
    assert set(faults(write(f"[builds]\nsystems = [{json.dumps(name)}]"))) == {"builds.systems.0"}
