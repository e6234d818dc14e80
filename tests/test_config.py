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


def test_what_isolated_builds_reach_is_told_exactly(write):
    """An address or a network, and a port; every fault is named with what it is about."""
    good = ["10.1.2.3", "10.1.2.3:443", "192.168.0.0/24", "192.168.0.0/24:8080"]
    found = load(write(f"[builds]\nnetwork_allow = {json.dumps(good)}"), {})
    assert [str(one) for one in found.builds.network_allow] == good
    assert effective(found)["builds"]["network_allow"] == ", ".join(good)
    bad = ["git.example.org", "10.1.2.3/8", "10.1.2.3:0", "10.1.2.3:65536", "10.1.2.3:", "::1", 7]
    bad += ["127.0.0.1:8080", "0.0.0.0/0"]
    text = f'[builds]\nnetwork_allow = {json.dumps(bad)}\nnetwork_pool = "10.9.8.0/24"'
    told = faults(write(text + '\nnetwork = "open"'))
    assert set(told) == {
        *(f"builds.network_allow.{number}" for number in range(len(bad))),
        "builds.network_pool",
        "builds.network",
    }
    assert "no ipv4 address" in told["builds.network_allow.0"]
    assert "loopback" in told["builds.network_allow.7"]


@pytest.mark.parametrize("name", ["linux", "", "a--b", "-linux", "x-y\n", "../x-y", "a b-c"])
def test_more_systems_are_told_by_their_names(write, name):
    """The worker runs them beside the machine's own, each once."""
    good = f"systems = ['fedora-40-x86_64', '{native_system()}', 'fedora-40-x86_64']"
    settings = load(write(f"[builds]\n{good}"), {})
    assert offered_systems(settings) == (native_system(), "fedora-40-x86_64")
    assert set(faults(write(f"[builds]\nsystems = [{json.dumps(name)}]"))) == {"builds.systems.0"}


def test_images_of_podman_have_whole_names(write):
    """Both are checked: what recipes say, and what podman knows; all faults are named."""
    good = "'debian/stable' = 'localhost/debian:12'\n'a' = 'reg.example.org:5000/x/y:1.0'\n"
    by_id = f"b = '{'0a' * 32}'\n"
    settings = load(write(f"[images.podman]\n{good}{by_id}"), {})
    assert settings.images.podman["debian/stable"] == "localhost/debian:12"
    assert effective(settings)["images"]["podman"].startswith("a = reg.example.org:5000/x/y:1.0, ")
    assert effective(Settings())["images"]["podman"] == "(none)"
    bad = "host = 'localhost/a:1'\n'A b' = 'localhost/a:1'\nc = 'alpine'\nd = '--privileged'\n"
    assert len(faults(write(f"[images.podman]\n{bad}"))) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s3_prefix = 'ci'", "s3_bucket must be set where others of s3_ are"),
        (
            "s3_bucket = 'ci-files'\ns3_access_key = 'A'",
            "s3_access_key and s3_secret_key (or its file) belong together",
        ),
    ],
)
def test_what_belongs_to_a_bucket(write, text, message):
    """Half of it is none."""
    assert faults(write(f"[storage]\n{text}\n")) == {"storage": message}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("s3_bucket", "Not A Bucket"),
        ("s3_endpoint", "s3.example.org"),
        ("s3_endpoint", "https://ada:secret@s3.example.org"),
        ("s3_prefix", "ci files"),
    ],
)
def test_what_is_no_address_of_a_bucket(write, key, value):
    given = {"s3_bucket": "ci-files", key: value}
    text = "\n".join(f"{name} = {one!r}" for name, one in given.items())
    assert set(faults(write(f"[storage]\n{text}\n"))) == {f"storage.{key}"}


@pytest.mark.parametrize("place", ["file", "environment", "configuration"])
def test_the_secret_key_of_a_bucket(write, tmp_path, place):
    """Is read from where it may be, and shown nowhere."""
    (tmp_path / "key").write_text("hush-hush\n")
    line = {
        "file": f"s3_secret_key_file = '{tmp_path / 'key'}'",
        "environment": "",
        "configuration": "s3_secret_key = 'hush-hush'",
    }[place]
    environ = {"CISERVER_S3_SECRET_KEY": "hush-hush"} if place == "environment" else {}
    path = write(f"[storage]\ns3_bucket = 'ci-files'\ns3_access_key = 'A'\n{line}\n")
    settings = load(path, environ)
    assert settings.storage.s3_secret_key == "hush-hush"
    assert "hush-hush" not in f"{effective(settings)} {settings!r}"


@pytest.mark.parametrize(
    ("text", "environ", "told"),
    [
        (
            "kind = 'celery'\nqueue_prefix = 'A b'",
            {},
            {
                "engine.broker": "must be set where engine.kind is celery",
                "engine.queue_prefix": ...,
            },
        ),
        ("broker = 'http://ci:s3cret@mq'", {}, {"engine.broker": ...}),
        ("broker = 'amqp://ci:s3cret@mq:x'", {}, {"engine.broker": ...}),
        ("broker = 'amqp:///ci'", {}, {"engine.broker": ...}),
        ("kind = 'redis'", {}, {"engine.kind": ...}),
        (
            "kind = 'celery'",
            {"CISERVER_BROKER_URL": "redis://ci:s3cret@mq"},
            {"engine.broker": ...},
        ),
    ],
)
def test_an_engine_that_cannot_be(write, text, environ, told):
    """Every fault is told, and the address of a broker, which has a password, never."""
    found = faults(write(f"[engine]\n{text}\n"), environ)
    assert found.keys() == told.keys()
    assert all(said in {found[key], ...} for key, said in told.items())
    assert "s3cret" not in str(found)


def test_a_broker_by_the_environment(write):
    """It goes before the file, and is hidden where settings are shown."""
    environ = {"CISERVER_BROKER_URL": "amqps://ci:s3cret@mq.example.org:5671/ci"}
    settings = load(write("[engine]\nkind = 'celery'\nbroker = 'amqp://other'\n"), environ)
    assert settings.engine.broker == environ["CISERVER_BROKER_URL"]
    assert effective(settings)["engine"]["broker"] == "(hidden)"
    assert "s3cret" not in repr(settings)
