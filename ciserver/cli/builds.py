"""Commands about builds and their deliveries."""

import time
from collections.abc import Iterator
from typing import Any

import click

from ciserver.cli.client import Client
from ciserver.cli.options import client_options, json_output
from ciserver.cli.output import print_json, print_table, result_code, write_bytes
from ciserver.model.errors import NotFound

_WAIT = 20


@click.command("list")
@click.argument("what", type=click.Choice(["builds", "projects", "queue"]), default="builds")
@click.option("--project", help="Only builds of this project's jobset main (or --jobset).")
@click.option("--jobset", default="main", show_default=True)
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@json_output
@client_options
def list_things(
    *, client: Client, what: str, project: str | None, jobset: str, limit: int, output: str
) -> None:
    """List builds (newest first), projects, or the queue."""
    if what == "builds":
        found = client.get("/builds", project=project, jobset=jobset, limit=limit)
        shown = found["builds"]
    else:
        found = shown = client.get(f"/{what}")
    if output == "json":
        print_json(found)
    elif what == "builds":
        _print_builds(shown)
    elif what == "projects":
        _print_projects(shown)
    else:
        _print_queue(shown)


def _print_builds(builds: list[dict[str, Any]]) -> None:
    rows = [
        (one["id"], _name(one), one["status"], one["ref"], one["revision"][:10], one["subject"])
        for one in builds
    ]
    print_table(("BUILD", "JOB", "STATUS", "REF", "REVISION", "SUBJECT"), rows)


def _print_projects(projects: list[dict[str, Any]]) -> None:
    rows = []
    for project in projects:
        for jobset in project["jobsets"]:
            latest = jobset["latest"]
            source = jobset["inputs"][0]["uri"] if jobset["inputs"] else ""
            state = latest["status"] if latest else "never evaluated"
            rows.append((f"{project['name']}:{jobset['name']}", state, source))
    print_table(("JOBSET", "LATEST", "SOURCE"), rows)


def _print_queue(queue: dict[str, Any]) -> None:
    rows = [(one["id"], _name(one), one["status"], "") for one in queue["running"]]
    rows += [(one["id"], _name(one), one["status"], one["waiting_for"]) for one in queue["waiting"]]
    print_table(("BUILD", "JOB", "STATUS", "WAITS FOR"), rows)
    for one in queue["evaluations"]:
        click.echo(f"evaluation {one['id']} of {one['project']}:{one['jobset']} is {one['status']}")
    for one in queue["paused"]:
        by = f" by {one['by']}" if "by" in one else ""
        why = f": {one['reason']}" if "reason" in one else ""
        what = f"worker {one['worker']}" if one["worker"] else "the queue"
        click.echo(f"{what} is paused{by}{why}")


def _name(build: dict[str, Any]) -> str:
    return f"{build['project']}:{build['jobset']}:{build['job']}"


@click.command()
@click.argument("build_id", type=int, metavar="BUILD")
@click.option("--evaluation", is_flag=True, help="BUILD is the number of an evaluation.")
@json_output
@client_options
def show(*, client: Client, build_id: int, evaluation: bool, output: str) -> None:
    """Show one build, or one evaluation."""
    kind = "evaluations" if evaluation else "builds"
    found = client.get(f"/{kind}/{build_id}")
    if output == "json":
        print_json(found)
    elif evaluation:
        _show_evaluation(found)
    else:
        _show_build(found)


def _show_evaluation(one: dict[str, Any]) -> None:
    click.echo(f"evaluation {one['id']} of {one['project']}:{one['jobset']}: {one['status']}")
    click.echo(f"{one['ref']} at {one['revision']}  {one['subject']}")
    if one["note"]:
        click.echo(one["note"])
    for each in one["complaints"]:
        click.echo(f"  {each['file']}: {each['field']}: {each['message']}")
    for each in one["skipped"]:
        click.echo(f"  left out: {each['job']}: {each['reason']}")
    for each in one["reused"]:
        click.echo(f"  reused: {each['job']}: build {each['id']}")
    _print_builds(one["builds"])
    for each in one["builds"]:
        if each["waiting_for"]:
            click.echo(f"build {each['id']} waits: {each['waiting_for']}")
    click.echo(one["url"])


def _show_build(build: dict[str, Any]) -> None:
    reason = f" ({build['reason']})" if build["reason"] else ""
    click.echo(f"build {build['id']} {_name(build)} #{build['number']}: {build['status']}{reason}")
    for line in (build["detail"], build["waiting_for"] and f"waits: {build['waiting_for']}"):
        if line:
            click.echo(line)
    click.echo(f"{build['ref']} at {build['revision']}  {build['subject']}")
    for label, ids in (("needs", build["needs"]), ("needed by", build["needed_by"])):
        if ids:
            click.echo(f"{label}: {', '.join(map(str, ids))}")
    for attempt in build["attempts"]:
        click.echo(f"attempt {attempt['number']}: {attempt['status']} {attempt['detail']}".rstrip())
        for step in attempt["steps"]:
            status = "" if step["exit_code"] is None else f", exit status {step['exit_code']}"
            click.echo(f"  {step['name']}: {step['status']}{status}")
    for product in build["products"]:
        click.echo(f"product {product['name']}: {product['size']} bytes, {product['url']}")
    for one in build["deliveries"]:
        click.echo(f"{one['action']} to {one['target']}: {one['status']} {one['detail']}".rstrip())
    click.echo(build["url"])


@click.command()
@click.argument("build_id", type=int, metavar="BUILD")
@click.argument("step", required=False)
@click.option("-f", "--follow", is_flag=True, help="Until the build ends; exit status = result.")
@client_options
def log(*, client: Client, build_id: int, step: str | None, follow: bool) -> None:
    """Print the log of a build, or of one of its steps."""
    if follow:
        raise SystemExit(follow_build(client, build_id, step))
    build = client.get(f"/builds/{build_id}")
    steps = _steps(build, step)
    for one in steps:
        for chunk in _read_log(client, build, one["number"], wait=0):
            write_bytes(chunk)


def follow_build(client: Client, build_id: int, step: str | None = None) -> int:
    """Print the logs of a build as they grow; answers the exit code that says how it ended."""
    shown = 0
    while True:
        build = _await_start(client, build_id)
        if build["attempt"] != shown:  # a lost attempt is followed by another
            shown = build["attempt"]
            for one in _steps(build, step):
                for chunk in _read_log(client, build, one["number"], wait=_WAIT):
                    write_bytes(chunk)
        elif build["is_final"]:
            return result_code(build["status"])
        else:
            time.sleep(0.1)


def _await_start(client: Client, build_id: int) -> dict[str, Any]:
    told = ""
    while True:
        build: dict[str, Any] = client.get(f"/builds/{build_id}")
        if build["is_final"] or not build["waiting_for"]:
            return build
        if build["waiting_for"] != told:
            told = build["waiting_for"]
            click.echo(f"build {build_id} waits: {told}", err=True)
        time.sleep(0.2)


def _steps(build: dict[str, Any], name: str | None) -> list[dict[str, Any]]:
    steps = build["attempts"][0]["steps"] if build["attempts"] else []
    wanted = [one for one in steps if name in {None, one["name"], str(one["number"])}]
    if name is not None and not wanted:
        raise NotFound(f"build {build['id']} has no step {name}")
    return wanted


def _read_log(client: Client, build: dict[str, Any], step: int, *, wait: int) -> Iterator[bytes]:
    """The chunks of one step's log, to its end when waiting. A step that never starts ends with
    its attempt.
    """
    offset, path = 0, f"/builds/{build['id']}/steps/{step}/log"
    attempt = build["attempts"][0]["number"]
    while True:
        answer = client.get_raw(path, attempt=attempt, offset=offset, wait=wait)
        yield answer.content
        offset = int(answer.headers["X-Log-Next"])
        if answer.headers["X-Log-Complete"] == "true" or not (wait or answer.content):
            return
        if not answer.content:
            now = client.get(f"/builds/{build['id']}")
            if now["is_final"] or now["attempt"] != attempt:
                return


@click.command()
@click.argument("build_id", type=int, metavar="BUILD")
@client_options
def cancel(*, client: Client, build_id: int) -> None:
    """Stop a build, whether it waits or runs."""
    build = client.post(f"/builds/{build_id}/cancel")
    click.echo(f"build {build_id} is {build['status']}")


@click.command()
@click.argument("build_id", type=int, metavar="BUILD")
@click.option("-f", "--follow", is_flag=True, help="Follow its log; exit status = result.")
@client_options
def rerun(*, client: Client, build_id: int, follow: bool) -> None:
    """Run a finished build again, with the same pinned inputs."""
    build = client.post(f"/builds/{build_id}/rerun")
    click.echo(f"build {build_id} is {build['status']}", err=follow)
    if follow:
        raise SystemExit(follow_build(client, build_id))


@click.group()
def delivery() -> None:
    """Mails and webhooks that were or will be sent."""


@delivery.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@json_output
@client_options
def list_deliveries(*, client: Client, limit: int, output: str) -> None:
    """List deliveries, newest first."""
    found = client.get("/deliveries", limit=limit)
    if output == "json":
        print_json(found)
        return
    rows = [
        (
            one["id"],
            one["build"] or f"evaluation {one['evaluation']}",
            one["action"],
            one["target"],
            one["status"],
            one["tries"],
            one["detail"],
        )
        for one in found
    ]
    print_table(("DELIVERY", "BUILD", "ACTION", "TARGET", "STATUS", "TRIES", "DETAIL"), rows)


@delivery.command()
@click.argument("delivery_id", metavar="DELIVERY")
@client_options
def resend(*, client: Client, delivery_id: str) -> None:
    """Send a delivery again, now; it keeps its id."""
    found = client.post(f"/deliveries/{delivery_id}/resend")
    click.echo(f"delivery {found['id']} is {found['status']}")
