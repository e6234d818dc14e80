"""Commands about projects, their jobsets, and who may do what in them."""

from typing import Any

import click

from ciserver.cli.client import Client, path_of
from ciserver.cli.options import choice, client_options, json_output
from ciserver.cli.output import print_json, print_table, without_none
from ciserver.model.account import Right, Visibility
from ciserver.model.errors import NotFound
from ciserver.model.project import InputType, JobsetMode

SOURCE = "source"
# What an answer tells beside what may be set.
_TOLD = ("project", "name", "enabled", "paused", "pgo_strategy", "url")


@click.group()
def project() -> None:
    """Projects; `watch` makes one."""


@project.command()
@click.argument("name")
@click.option("--display-name", help="What people call it.")
@click.option("--description")
@click.option("--homepage")
@click.option("--visibility", type=choice(Visibility), help="Who sees it.")
@click.option("--owner", help="Whom it belongs to.")
@click.option("--enable/--disable", "enabled", default=None, help="Whether it builds.")
@click.option("--hide/--show", "hidden", default=None, help="Leave it out of the overview.")
@click.option(
    "--declaration",
    "declaration_file",
    metavar="FILE",
    help="A file that declares its jobsets; '' = people make them.",
)
@click.option(
    "--declared-by",
    "declaration_value",
    metavar="INPUT",
    help="Where the file lies: 'ADDRESS [BRANCH]', or 'PATH [SECONDS]'.",
)
@click.option(
    "--declared-as",
    "declaration_type",
    type=click.Choice(["git", "path"]),
    help="Which of the two that is; git where nothing is said.",
)
@client_options
def change(*, client: Client, name: str, **options: Any) -> None:
    """Change what is given of a project."""
    changed = client.patch(path_of("projects", name), without_none(options))
    click.echo(f"project {changed['name']} is changed")


@project.command()
@click.argument("name")
@client_options
def remove(*, client: Client, name: str) -> None:
    """Take a project with all that it built out of every list, for good."""
    client.delete(path_of("projects", name))
    click.echo(f"project {name} is removed")


@project.command()
@click.argument("name")
@click.option("--mb", type=click.IntRange(min=0), metavar="MIB", help="From now on; 0: no limit.")
@click.option("--default", "default", is_flag=True, help="That of the server from now on.")
@json_output
@client_options
def quota(*, client: Client, name: str, mb: int | None, default: bool, output: str) -> None:
    """Show how much a project keeps, or set how much it may."""
    if default and mb is not None:
        raise click.UsageError("--mb and --default exclude each other")
    path = path_of("projects", name, "quota")
    if default:
        shown = client.delete(path)
    elif mb is not None:
        shown = client.put(path, {"quota_mb": mb})
    else:
        shown = client.get(path)
    if output == "json":
        print_json(shown)
        return
    limit = f"{shown['quota_mb']} MiB" if shown["quota_mb"] else "no limit"
    click.echo(
        f"project {name} keeps {shown['kept_bytes']} bytes (products {shown['products_bytes']},"
        f" logs {shown['logs_bytes']}); its quota: {limit}"
    )


@click.group()
def jobset() -> None:
    """Jobsets: which repository of a project to watch, and where its recipe lies."""


@jobset.command("set")
@click.argument("jobset", metavar="PROJECT:JOBSET")
@click.option("--uri", help="The repository.")
@click.option("--path", help="In place of a repository: a path on the server, or a URL.")
@click.option(
    "--refresh",
    type=click.IntRange(min=0),
    metavar="SECONDS",
    help="How long what was read of the path counts as new; default 30.",
)
@click.option("--ref", help="What is built when no push says so; HEAD = the default branch.")
@click.option("--watch", multiple=True, metavar="GLOB", help="Which refs; repeatable.")
@click.option("--recipe", "recipe_path", multiple=True, metavar="GLOB", help="Where; repeatable.")
@click.option("--description")
@click.option("--mode", type=choice(JobsetMode), help="Whether it is evaluated.")
@click.option("--hide/--show", "hidden", default=None, help="Leave it out of the overview.")
@click.option("--shares", type=int, help="Its share of the workers; default 100.")
@click.option(
    "--check-every",
    "check_interval_seconds",
    type=int,
    metavar="SECONDS",
    help="Look by itself whether something was pushed; 0 = never.",
)
@click.option(
    "--reuse/--no-reuse",
    "reuse_results",
    default=None,
    help="Whether an earlier result stands for a job that nothing changed for.",
)
@click.option("--script", help="What a script build runs by default.")
@click.option("--parameters", help="NAME=VALUE words for it.")
@click.option("--timeout", "timeout_minutes", type=int, help="Its limit in minutes.")
@client_options
def set_jobset(
    *,
    client: Client,
    jobset: str,
    uri: str | None,
    path: str | None,
    refresh: int | None,
    ref: str | None,
    watch: tuple[str, ...],
    recipe_path: tuple[str, ...],
    **options: Any,
) -> None:
    """Make a jobset, or change what is given of one."""
    if path and (uri or ref or watch):
        raise click.UsageError("--path stands in place of --uri, and has no --ref and no --watch")
    place = path_of("projects", *_names(jobset, "jobsets"))
    before = _before(client, place)
    given = without_none({**options, "recipe_path": list(recipe_path) or None})
    kind = InputType.PATH if path else InputType.GIT if uri else None
    source = without_none(
        {
            "type": kind,
            "uri": path or uri,
            "refresh_seconds": refresh,
            "ref": ref,
            "watch": list(watch) or None,
        }
    )
    client.put(place, {**before, **given, "inputs": _with_source(before, source)})
    click.echo(f"jobset {':'.join(_names(jobset))} is set")


def _before(client: Client, path: str) -> dict[str, Any]:
    try:
        found = client.get(path)
    except NotFound:
        return {"inputs": []}
    return {name: value for name, value in found.items() if name not in _TOLD}


def _with_source(before: dict[str, Any], given: dict[str, Any]) -> list[dict[str, Any]]:
    """The inputs, the one with the recipe changed, or made where there is none."""
    name = before.get("recipe_input", SOURCE)
    inputs: list[dict[str, Any]] = before["inputs"]
    if given and name not in {one["name"] for one in inputs}:
        inputs = [*inputs, {"name": name}]
    return [_changed(one, given) if one["name"] == name else one for one in inputs]


def _changed(one: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Of an input that becomes another type only the name stays."""
    is_other = given.get("type", one.get("type")) != one.get("type")
    return ({"name": one["name"]} if is_other else one) | given


@jobset.command("remove")
@click.argument("jobset", metavar="PROJECT:JOBSET")
@client_options
def remove_jobset(*, client: Client, jobset: str) -> None:
    """Take a jobset with all that it built out of every list, for good."""
    client.delete(path_of("projects", *_names(jobset, "jobsets")))
    click.echo(f"jobset {':'.join(_names(jobset))} is removed")


@jobset.command()
@click.argument("jobset", metavar="PROJECT:JOBSET")
@client_options
def pause(*, client: Client, jobset: str) -> None:
    """Let its builds wait; pushes are still evaluated, and what runs goes on."""
    client.post(path_of("jobsets", *_names(jobset), "pause"))
    click.echo(f"jobset {':'.join(_names(jobset))} is paused")


@jobset.command()
@click.argument("jobset", metavar="PROJECT:JOBSET")
@client_options
def resume(*, client: Client, jobset: str) -> None:
    """Go on with its builds."""
    client.post(path_of("jobsets", *_names(jobset), "resume"))
    click.echo(f"jobset {':'.join(_names(jobset))} goes on")


@jobset.command()
@click.argument("jobset", metavar="PROJECT:JOBSET")
@click.option("--revision", default="", help="Default: the newest.")
@click.option("--kind", default="manual", show_default=True, help="What the recipe takes it for.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=REVISION",
    help="An input at exactly this revision; repeatable.",
)
@client_options
def evaluate(
    *, client: Client, jobset: str, revision: str, kind: str, inputs: tuple[str, ...]
) -> None:
    """Evaluate it now; print the evaluation's address."""
    pairs = [one.partition("=") for one in inputs]
    body = {
        "revision": revision,
        "kind": kind,
        "inputs": [{"name": name, "revision": wanted} for name, _, wanted in pairs],
    }
    path = path_of("jobsets", *_names(jobset), "evaluate")
    click.echo(client.post(path, body)["url"])


def _names(jobset: str, between: str = "") -> tuple[str, ...]:
    project_name, _, name = jobset.partition(":")
    return tuple(filter(None, (project_name, between, name or "main")))


@click.group()
def member() -> None:
    """Who has rights in a project beside its owner."""


@member.command("set")
@click.argument("project")
@click.argument("user")
@click.argument("rights", nargs=-1, required=True, type=choice(Right), metavar="RIGHT...")
@client_options
def set_member(*, client: Client, project: str, user: str, rights: tuple[str, ...]) -> None:
    """Give somebody exactly these rights."""
    path = path_of("projects", project, "members", user)
    told = client.put(path, {"rights": list(rights)})["rights"]
    click.echo(f"{user} may in {project}: {', '.join(told)}")


@member.command("list")
@click.argument("project")
@json_output
@client_options
def list_members(*, client: Client, project: str, output: str) -> None:
    """List the members with their rights."""
    found = client.get(path_of("projects", project, "members"))
    if output == "json":
        print_json(found)
        return
    print_table(("USER", "RIGHTS"), [(one["user"], ", ".join(one["rights"])) for one in found])


@member.command("remove")
@click.argument("project")
@click.argument("user")
@client_options
def remove_member(*, client: Client, project: str, user: str) -> None:
    """End a membership."""
    client.put(path_of("projects", project, "members", user), {"rights": []})
    click.echo(f"{user} is no member of {project} any more")
