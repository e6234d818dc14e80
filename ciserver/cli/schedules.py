"""Commands about builds that start by themselves."""

from typing import Any

import click

from ciserver.cli.client import Client
from ciserver.cli.options import client_options, json_output
from ciserver.cli.output import print_json, print_table
from ciserver.model.errors import Complaint, Invalid

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.group()
def schedule() -> None:
    """Nightly and other builds that start by themselves."""


@schedule.command()
@click.argument("jobset", metavar="PROJECT:JOBSET")
@click.option("--kind", type=click.Choice(["nightly", "pgo", "periodic"]), default="nightly")
@click.option("--cron", default="", help="Five fields, such as '0 3 * * *'.")
@click.option("--hours", default="", help="Hours of the day, such as 1,7,13,19.")
@click.option("--minutes", default="", help="Minutes of those hours; default 0.")
@click.option("--every", default="", help="An interval, such as 90m or 6h.")
@click.option("--zone", default="UTC", show_default=True, help="Such as Europe/Berlin.")
@click.option("--ref", default="HEAD", show_default=True, help="HEAD = the default branch.")
@click.option(
    "--only-if-changed/--always",
    default=None,
    help="Default: only if changed for nightly and pgo, always for periodic.",
)
@click.option("--last-good", is_flag=True, help="Prefer the newest revision with good builds.")
@click.option("--script", is_flag=True, help="Run the jobset's own script, not its recipe.")
@client_options
def add(
    *,
    client: Client,
    jobset: str,
    kind: str,
    cron: str,
    hours: str,
    minutes: str,
    every: str,
    zone: str,
    ref: str,
    only_if_changed: bool | None,
    last_good: bool,
    script: bool,
) -> None:
    """Add a schedule and print its id, alone."""
    body: dict[str, Any] = {
        "jobset": jobset,
        "kind": kind,
        "cron": cron,
        "hours": _numbers("hours", hours),
        "minutes": _numbers("minutes", minutes),
        "every_seconds": _seconds(every),
        "zone": zone,
        "ref": ref,
        "last_good": last_good,
        "script": script,
    }
    if only_if_changed is not None:
        body["only_if_changed"] = only_if_changed
    click.echo(client.post("/schedules", body)["id"])


def _numbers(field: str, text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    bad = [part for part in parts if not (part.isascii() and part.isdigit())]
    if bad:
        raise Invalid(
            "the schedule cannot be made",
            complaints=[Complaint(f"--{field}", f"{part} is not a number") for part in bad],
        )
    return [int(part) for part in parts]


def _seconds(text: str) -> int:
    """An interval such as 90m; a number alone means minutes."""
    if not text:
        return 0
    number, unit = (text[:-1], text[-1]) if text[-1] in _UNITS else (text, "m")
    if not (number.isascii() and number.isdigit()):
        raise Invalid(
            "the schedule cannot be made",
            complaints=[Complaint("--every", f"{text} is not an interval such as 90m or 6h")],
        )
    return int(number) * _UNITS[unit]


@schedule.command("list")
@json_output
@client_options
def list_schedules(*, client: Client, output: str) -> None:
    """List the schedules: when each is due next, and what came of the last time."""
    found = client.get("/schedules")
    if output == "json":
        print_json(found)
        return
    rows = []
    for one in found:
        last = one["firings"][0]["result"] if one["firings"] else "never fired"
        due = "paused" if one["paused"] else one["next_due_at"]
        warning = "; ".join(one["warnings"])
        rows.append((one["id"], one["jobset"], one["kind"], one["when"], due, last, warning))
    print_table(("ID", "JOBSET", "KIND", "WHEN", "NEXT", "LAST", "WARNING"), rows)


@schedule.command()
@click.argument("schedule_id", type=int, metavar="ID")
@json_output
@client_options
def show(*, client: Client, schedule_id: int, output: str) -> None:
    """Show one schedule with its history."""
    one = client.get(f"/schedules/{schedule_id}")
    if output == "json":
        print_json(one)
        return
    click.echo(f"schedule {one['id']} of {one['jobset']}: {one['kind']}, {one['when']}")
    click.echo(_due(one))
    for warning in one["warnings"]:
        click.echo(f"warning: {warning}")
    rows = [
        (firing["due_at"], firing["evaluation"], firing["missed"], firing["result"])
        for firing in one["firings"]
    ]
    print_table(("DUE", "EVALUATION", "MISSED BEFORE", "RESULT"), rows)


@schedule.command()
@click.argument("schedule_id", type=int, metavar="ID")
@client_options
def fire(*, client: Client, schedule_id: int) -> None:
    """Fire it now, whether or not something changed; print the evaluation's address."""
    click.echo(client.post(f"/schedules/{schedule_id}/fire")["url"])


@schedule.command()
@click.argument("schedule_id", type=int, metavar="ID")
@client_options
def remove(*, client: Client, schedule_id: int) -> None:
    """Remove it."""
    client.post(f"/schedules/{schedule_id}/remove")
    click.echo(f"schedule {schedule_id} is removed")


@schedule.command()
@click.argument("schedule_id", type=int, metavar="ID")
@client_options
def pause(*, client: Client, schedule_id: int) -> None:
    """Fire it no more until it is resumed."""
    client.post(f"/schedules/{schedule_id}/pause")
    click.echo(f"schedule {schedule_id} is paused")


@schedule.command()
@click.argument("schedule_id", type=int, metavar="ID")
@client_options
def resume(*, client: Client, schedule_id: int) -> None:
    """Go on with the next due moment."""
    found = client.post(f"/schedules/{schedule_id}/resume")
    click.echo(f"schedule {schedule_id}: {_due(found)}")


def _due(one: dict[str, Any]) -> str:
    if one["paused"]:
        return "paused"
    return f"next due {one['next_due_at']}" if one["next_due_at"] else "never due"


@schedule.command("pgo-strategy")
@click.argument("jobset", metavar="PROJECT:JOBSET")
@click.argument("strategy", type=click.Choice(["periodic", "per-push", "manual", "none"]))
@client_options
def pgo_strategy(*, client: Client, jobset: str, strategy: str) -> None:
    """How a jobset makes its PGO builds: by schedule, with every push, by hand, or not at all."""
    project, _, name = jobset.partition(":")
    client.post(f"/jobsets/{project}/{name or 'main'}/pgo-strategy", {"strategy": strategy})
    click.echo(f"the PGO strategy of {jobset} is {strategy}")
