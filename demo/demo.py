"""The demonstration: a repository, a server, a push; then its log, its mail and its webhook; and a
nightly build, fired at once.

Everything it makes lies in one directory, which the next run makes anew. With a terminal it stays
until Ctrl-C; without one it ends with the result of the builds as its exit status.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from standardwebhooks import Webhook

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.sandbox import SandboxBroken
from ciserver.machine import choose_sandbox
from ciserver.model.errors import CiError

CHECKOUT = Path(__file__).parents[1]
PROJECT = Path(__file__).parent / "project"
PATIENCE_SECONDS = 60
# What lies in the pushed repository, by the names of the files here.
FILES = {
    "words.py": "words.py",
    "test_words.py": "test_words.py",
    ".build.yml": ".build.yml",
    "nightly.yml": ".builds/nightly.yml",
}
# The person who pushes; whatever this machine's own git settings are, they stay out of it.
GIT_ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


def main() -> int:
    place = _arguments().place.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if DataDirectory(place / "server").running_server():
        sys.exit(f"a demonstration already runs in {place}; end it first")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    with _mail_receiver() as mails, _webhook_receiver() as hooks:
        _step("Start a server, with a mail server and a webhook receiver beside it")
        data = _configure(place, mails.port, hooks.port)
        with _server(data) as url:
            print(f"The server is at {url}, its data in {data}")
            return _tell(place, data, mails, hooks)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--place", type=Path, default=CHECKOUT / "demo-data", metavar="DIRECTORY")
    return parser.parse_args()


def _tell(place: Path, data: Path, mails: "Mails", hooks: "Hooks") -> int:
    _step("Make a repository and let the server watch it")
    tree = _make_repository(place, hooks.port)
    _ciserver(data, "watch", str(place / "words.git"))

    _step("Push, as a person would")
    _run("git", "-C", str(tree), "push", "origin", "main")

    _step("Follow the build (ciserver log --follow)")
    build = _await("the build", lambda: _builds(data, "push"))[0]
    result = _follow(data, build)
    _ciserver(data, "show", str(build["id"]))

    _step("The mail that came out")
    _show_mail(_await("the mail", lambda: mails.received)[0])

    _step("The webhook that came out")
    secret = _output(data, "hook", "secret", "outgoing", "words")
    _show_hook(_await("the webhook", lambda: hooks.received)[0], secret)

    _step("Do now what the nightly schedule of .builds/nightly.yml does at night")
    _ciserver(data, "schedule", "list")
    _ciserver(data, "schedule", "fire", "1")
    nightly = _await("the nightly build", lambda: _builds(data, "nightly"))[0]
    result = _follow(data, nightly) or result
    _ciserver(data, "schedule", "show", "1")

    _step("Look at it")
    print(f"The build:  {build['url']}")
    print(f"By night:   {nightly['url']}")
    print(f"Sign in:    {_output(data, 'user', 'link', 'admin')}")
    if sys.stdin.isatty() and sys.stdout.isatty():
        print("\nThe server runs until Ctrl-C.")
        with suppress(KeyboardInterrupt):
            signal.pause()
    return result


# The server.


def _configure(place: Path, smtp_port: int, hook_port: int) -> Path:
    """Write the server's configuration, with only what a demonstration needs."""
    data = place / "server"
    data.mkdir(mode=0o700)
    tried = choose_sandbox(Settings(), DataDirectory(data))
    if isinstance(tried, SandboxBroken):
        print(f"Builds run as plain processes, because {tried.reason} ({tried.remedy})")
    else:
        print(f"Builds run in {tried.about}")
    sandbox = "plain" if isinstance(tried, SandboxBroken) else tried.name
    (data / "ciserver.toml").write_text(
        f"""\
[builds]
sandbox = "{sandbox}"

[smtp]
host = "127.0.0.1"
port = {smtp_port}
from_address = "ciserver@demo.example"

[outgoing]
allow = ["127.0.0.1"]  # for the webhook receiver at port {hook_port}
"""
    )
    return data


@contextmanager
def _server(data: Path) -> Iterator[str]:
    """A server on a free port, in a session of its own so that Ctrl-C reaches it only once."""
    with (data.parent / "server.log").open("wb") as log:
        process = subprocess.Popen(
            _command(data, "serve", "--listen", "127.0.0.1:0"),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield _await("the server", lambda: _address(process, data))
    finally:
        process.terminate()
        process.wait()


def _address(process: "subprocess.Popen[bytes]", data: Path) -> str:
    if process.poll() is not None:
        sys.exit((data.parent / "server.log").read_text())
    with suppress(CiError):  # it is still starting
        running = DataDirectory(data).running_server()
        return running.url if running else ""
    return ""


def _command(data: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "ciserver.cli.main", *arguments, "--data", str(data)]


def _ciserver(data: Path, *arguments: str) -> None:
    print(f"$ ciserver {' '.join(arguments)}", flush=True)
    subprocess.run(_command(data, *arguments), check=True)


def _output(data: Path, *arguments: str) -> str:
    command = _command(data, *arguments)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _json(data: Path, *arguments: str) -> Any:
    return json.loads(_output(data, *arguments, "-o", "json"))


def _builds(data: Path, kind: str) -> list[dict[str, Any]]:
    return [one for one in _json(data, "list", "builds")["builds"] if one["kind"] == kind]


def _follow(data: Path, build: dict[str, Any]) -> int:
    """Print the log until its build has ended; answers the result as an exit status."""
    command = _command(data, "log", "--follow", str(build["id"]))
    return subprocess.run(command, check=False).returncode


# The repository.


def _make_repository(place: Path, hook_port: int) -> Path:
    """A bare repository, and a work tree of it with one commit that is not pushed yet."""
    tree = place / "words"
    _run("git", "init", "--quiet", "--bare", "--initial-branch=main", str(place / "words.git"))
    _run("git", "init", "--quiet", "--initial-branch=main", str(tree))
    (tree / ".builds").mkdir()
    for name, target in FILES.items():
        text = (PROJECT / name).read_text(encoding="utf-8")
        url = f"http://127.0.0.1:{hook_port}/builds"
        (tree / target).write_text(text.replace("WEBHOOK_URL", url), encoding="utf-8")
    _run("git", "-C", str(tree), "remote", "add", "origin", str(place / "words.git"))
    _run("git", "-C", str(tree), "add", "--all")
    _run("git", "-C", str(tree), "commit", "--quiet", "--message=Count words")
    return tree


def _run(*command: str) -> None:
    print(f"$ {' '.join(command)}", flush=True)
    subprocess.run(command, check=True, env=GIT_ENVIRONMENT)


# The receivers.


@dataclass
class Mails:
    """What the mail server received; called by it."""

    port: int = 0
    received: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        mail = message_from_bytes(envelope.content, EmailMessage, policy=policy.default)
        self.received.append(mail)
        return "250 received"


@contextmanager
def _mail_receiver() -> Iterator[Mails]:
    mails = Mails()
    controller = Controller(mails, hostname="127.0.0.1", port=_free_port())
    controller.start()
    mails.port = controller.port
    try:
        yield mails
    finally:
        controller.stop()


def _free_port() -> int:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as probe:
        return probe.server_port


@dataclass
class Hooks:
    """What the webhook receiver received: headers and body."""

    port: int = 0
    received: list[tuple[dict[str, str], str]] = field(default_factory=list)


@contextmanager
def _webhook_receiver() -> Iterator[Hooks]:
    hooks = Hooks()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send_response(204)
            self.end_headers()
            hooks.received.append((dict(self.headers), body))

        def log_message(self, *_: Any) -> None:
            """The terminal belongs to the story."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hooks.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield hooks
    finally:
        server.shutdown()
        server.server_close()


# What is printed.


def _show_mail(mail: EmailMessage) -> None:
    for name in ("From", "To", "Subject"):
        print(f"  {name}: {mail[name]}")
    body = mail.get_body(("plain",))
    for line in body.get_content().splitlines() if body else ():
        print(f"  {line}")


def _show_hook(received: tuple[dict[str, str], str], secret: str) -> None:
    headers, body = received
    Webhook(secret).verify(body, headers)  # raises when the signature is not right
    print("The signature is right, says the standardwebhooks library.")
    for name in ("Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"):
        print(f"  {name}: {headers[name]}")
    for line in json.dumps(json.loads(body), indent=2).splitlines():
        print(f"  {line}")


def _step(what: str) -> None:
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}== {what}{plain}", flush=True)


def _await(what: str, found: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if answer := found():
            return answer
        time.sleep(0.05)
    sys.exit(f"{what} did not come within {PATIENCE_SECONDS} s; see server.log")


if __name__ == "__main__":
    sys.exit(main())
