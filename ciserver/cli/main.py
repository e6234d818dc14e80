"""`ciserver`: the commands, and how they end."""

import sys
from typing import Any, NoReturn

import click

from ciserver import __version__
from ciserver.cli.admin import hook, migrate, token, user, watch
from ciserver.cli.builds import cancel, delivery, list_things, log, rerun, show
from ciserver.cli.doctor import doctor
from ciserver.cli.local import lint, run
from ciserver.cli.output import EXIT_INTERRUPTED, exit_code, print_error
from ciserver.cli.serve import serve
from ciserver.model.errors import CiError


class Commands(click.Group):
    """Turns refusals into a message and the exit code that scripts expect."""

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
def cli() -> None:
    """A CI service for your own git repositories: a push becomes builds, builds tell."""


for command in (
    serve,
    watch,
    list_things,
    show,
    log,
    cancel,
    rerun,
    run,
    lint,
    delivery,
    hook,
    user,
    token,
    doctor,
    migrate,
):
    cli.add_command(command)


def main() -> NoReturn:
    cli()
    sys.exit(0)  # click has exited already; this keeps the promise visible


if __name__ == "__main__":
    main()
