"""Commands about whole evaluations."""

from typing import Any

import click

from ciserver.cli.client import Client
from ciserver.cli.options import client_options, json_output
from ciserver.cli.output import print_json, print_table

_evaluation = click.argument("evaluation_id", type=int, metavar="EVALUATION")


@click.group()
def evaluation() -> None:
    """Evaluations: all builds of one at once, and what changed between two."""


@evaluation.command()
@_evaluation
@client_options
def cancel(*, client: Client, evaluation_id: int) -> None:
    """Stop whatever of it has not ended."""
    _act(client, evaluation_id, "cancel", "stopped")


@evaluation.command("restart-failed")
@_evaluation
@client_options
def restart_failed(*, client: Client, evaluation_id: int) -> None:
    """Run again whatever ended and did not succeed, with the same pinned inputs."""
    _act(client, evaluation_id, "restart-failed", "run again")


@evaluation.command("restart-aborted")
@_evaluation
@client_options
def restart_aborted(*, client: Client, evaluation_id: int) -> None:
    """Run again what was canceled or ended by a fault of the server."""
    _act(client, evaluation_id, "restart-aborted", "run again")


@evaluation.command()
@_evaluation
@client_options
def bump(*, client: Client, evaluation_id: int) -> None:
    """Move its waiting builds to the front of the queue."""
    _act(client, evaluation_id, "bump", "moved to the front")


def _act(client: Client, evaluation_id: int, act: str, done: str) -> None:
    builds = client.post(f"/evaluations/{evaluation_id}/{act}")["builds"]
    told = f"{', '.join(map(str, builds))} {done}" if builds else f"nothing to be {done}"
    click.echo(f"evaluation {evaluation_id}: {told}")


@evaluation.command()
@_evaluation
@click.argument("other", required=False)
@click.option(
    "--ago",
    type=click.IntRange(min=0),
    metavar="SECONDS",
    help="In place of OTHER: what was there so long before it.",
)
@json_output
@client_options
def compare(
    *, client: Client, evaluation_id: int, other: str | None, ago: int | None, output: str
) -> None:
    """Tell what changed since the one before it, or since OTHER: an evaluation, or the newest
    finished one of a jobset ([PROJECT:]JOBSET).
    """
    if other is not None and ago is not None:
        raise click.UsageError("--ago stands in place of OTHER")
    against = other if ago is None else f"-{ago}"
    found = client.get(f"/evaluations/{evaluation_id}/comparison", **{"with": against})
    if output == "json":
        print_json(found)
    elif found["other"] is None:
        click.echo("there is nothing to compare with")
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    other = found["other"]
    click.echo(f"compared with evaluation {other['id']}: {other['ref']} at {other['revision']}")
    for one in found["inputs"]:
        click.echo(f"{one['name']}: {_pinned(one['old'])} -> {_pinned(one['new'])}")
        log = one["log"] or {"commits": []}
        sign = "-" if log.get("went_back") else "+"
        for commit in log["commits"]:
            click.echo(f"  {sign} {commit['revision'][:10]} {commit['subject']}")
        if log.get("more"):
            click.echo(f"  {sign} and earlier ones")
    rows = [
        (change, one["job"], one["system"], _result(one["before"]), _result(one["now"]))
        for change, jobs in found["changes"].items()
        for one in jobs
    ]
    print_table(("CHANGE", "JOB", "SYSTEM", "BEFORE", "NOW"), rows)


def _pinned(one: dict[str, Any] | None) -> str:
    return (one["revision"][:10] or one["value"] or one["uri"]) if one else "nothing"


def _result(one: dict[str, Any] | None) -> str:
    return f"{one['status']} ({one['build']})" if one else ""
