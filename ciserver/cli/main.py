"""`ciserver`: the commands, and how they end."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from ciserver import __version__
from ciserver.cli.output import EXIT_INTERRUPTED, exit_code, print_error
from ciserver.model.errors import CiError

# Loaded when they are asked for: a command that talks to a server needs little of the program.
_COMMANDS = {
    "serve": "serve:serve",
    "worker": "worker:worker",
    "watch": "admin:watch",
    "list": "builds:list_things",
    "show": "builds:show",
    "log": "builds:log",
    "cancel": "builds:cancel",
    "rerun": "builds:rerun",
    "submit": "changes:submit",
    "build": "changes:build",
    "evaluation": "evaluations:evaluation",
    "queue": "queue:queue",
    "run": "local:run",
    "plan": "recipes:plan",
    "lint": "recipes:lint",
    "project": "projects:project",
    "jobset": "projects:jobset",
    "member": "projects:member",
    "schedule": "schedules:schedule",
    "system": "systems:system",
    "worker-credential": "worker_credentials:worker_credential",
    "delivery": "builds:delivery",
    "hook": "admin:hook",
    "user": "admin:user",
    "token": "admin:token",
    "secret": "secrets:secret",
    "audit": "admin:audit",
    "image": "images:image",
    "doctor": "doctor:doctor",
    "migrate": "schema:migrate",
    "storage": "storage:storage",
}


@contextmanager
def _kept() -> Iterator[None]:
    """What is made within stays until the process ends. It is not looked through for garbage, now
    or later: while a server is loaded that would be a tenth of its start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class Commands(click.Group):
    """Turns refusals into a message and the exit code that scripts expect."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        with _kept():
            command: click.Command = getattr(import_module(f"ciserver.cli.{module}"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CiError as error:
            print_error(error)
            ctx.exit(exit_code(error))
        except KeyboardInterrupt:
            ctx.exit(EXIT_INTERRUPTED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ciserver")
def main() -> None:
    """A CI service for your own git repositories: a push becomes builds, builds tell."""


if __name__ == "__main__":
    main()
