"""The table of triggers: ours, and those of other packages."""

import inspect
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from ciserver.model.errors import BadConfiguration
from triggers import GROUP, make_triggers
from triggers.email import Email, Smtp
from triggers.outgoing import Outgoing
from triggers.webhook import Webhook


class StillClock:
    def now(self):
        return datetime(2026, 1, 31, tzinfo=UTC)


@pytest.fixture
def make(templates):
    def build(*plugins):
        return make_triggers(
            smtp=Smtp(),
            templates=templates,
            http=Outgoing(),
            secret_of=lambda _: "",
            seal=bytes,
            clock=StillClock(),
            plugins=[EntryPoint(name, value, GROUP) for name, value in plugins],
        )

    return build


class Chat:
    action = "chat"

    def deliver(self, delivery):
        return "said"


class Mail(Chat):
    action = "email"


class Hook(Chat):
    action = "webhook"


class Mute:
    action = "mute"


@pytest.fixture
def chat_package(tmp_path):
    """An installed package that brings the trigger `chat`, as pip would leave it."""
    (tmp_path / "chat_plugin.py").write_text(inspect.getsource(Chat))
    about = tmp_path / "chat_plugin-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: chat-plugin\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{GROUP}]\nchat = chat_plugin:Chat\n")
    return tmp_path


PROGRAM = """
from pathlib import Path
from triggers import make_triggers
from triggers.email import Smtp
from triggers.outgoing import Outgoing
table = make_triggers(
    smtp=Smtp(), templates=Path("."), http=Outgoing(), secret_of=str, seal=bytes, clock=None
)
print(*sorted(table), table["chat"].deliver(None))
"""


def test_ours(make):
    """Email and webhook are always there, under their own names."""
    table = make()
    assert {name: type(one) for name, one in table.items()} == {"email": Email, "webhook": Webhook}
    assert all(name == one.action for name, one in table.items())


def test_installed_package_is_found(chat_package):
    """A package with an entry point needs only to be installed."""
    root = Path(__file__).parents[2]
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": f"{chat_package}:{root}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert found.stdout.split() == ["chat", "email", "webhook", "said"]


@pytest.mark.parametrize(
    "value",
    ["no_such_module:Chat", "textwrap:no_such_name", "math:sqrt", "types:SimpleNamespace"],
)
def test_broken_one_is_left_out_with_a_warning(make, caplog, value):
    """The server starts without it, and the log says which and why."""
    assert sorted(make(("broken", value))) == ["email", "webhook"]
    assert f"trigger broken ({value}) is left out" in caplog.text
    assert "Traceback" in caplog.text


def test_half_a_trigger_is_left_out(make, caplog):
    """What has no deliver is no trigger."""
    assert "mute" not in make(("mute", f"{__name__}:Mute"))
    assert "trigger mute" in caplog.text


def test_taken_names_are_refused(make):
    """No package takes over mails or webhooks, nor the action of another; all claims are told."""
    with pytest.raises(BadConfiguration) as caught:
        make(*((name, f"{__name__}:{name}") for name in ("Mail", "Chat", "Hook", "Chat")))
    assert [one.field for one in caught.value.complaints] == ["email", "webhook", "chat"]
    assert f"{__name__}:Mail" in caught.value.message
