"""Commands for the person who runs the server: users, tokens, watched repositories, hooks."""

import re
import sys
from pathlib import Path
from typing import Any, TextIO

import click

from ciserver.cli.client import Client, path_of
from ciserver.cli.options import client_options, json_output, place_ignored
from ciserver.cli.output import print_json, print_table, without_none
from ciserver.cli.webhook_keys import key
from ciserver.git import hook as git_hook
from ciserver.model.account import ROLES
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.project import DEFAULT_WATCH
from ciserver.shipped import shipped

_REPOSITORY = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command()
@click.argument("repository")
@click.option("--name", help="The project's name; default: the repository's.")
@click.option("--ref", "refs", multiple=True, metavar="GLOB", help="Which refs; repeatable.")
@click.option("--username", default="", help="To read a private repository by https.")
@click.option("--password-stdin", is_flag=True, help="The password or token, on standard input.")
@click.option("--ssh-key", type=click.File(), help="A private key, to read it by ssh.")
@click.option("--passphrase-stdin", is_flag=True, help="The key's passphrase, on standard input.")
@client_options
def watch(
    *,
    client: Client,
    repository: str,
    name: str | None,
    refs: tuple[str, ...],
    username: str,
    password_stdin: bool,
    ssh_key: TextIO | None,
    passphrase_stdin: bool,
) -> None:
    """Build every push to a repository: makes a project and its jobset `main`.

    A bare repository on this machine gets the post-receive hook. For one elsewhere (an https or
    ssh address) the address and the secret for the forge's webhook are printed.
    """
    path = Path(repository).resolve() if Path(repository).is_dir() else None
    if path is not None:
        git_hook.check(path)  # before anything is made that would be left behind
    made = client.post(
        "/projects",
        {
            "name": name or _name_of(repository if path is None else str(path)),
            "uri": repository if path is None else str(path),
            "refs": list(refs or DEFAULT_WATCH),
            "local": path is not None,
            "username": username,
            "password": sys.stdin.readline().rstrip("\n") if password_stdin else "",
            "ssh_key": ssh_key.read() if ssh_key else "",
            "passphrase": sys.stdin.readline().rstrip("\n") if passphrase_stdin else "",
        },
    )
    if path is not None:
        _install(path, made["hook_url"], made["hook_secret"])
    click.echo(f"watching {path or repository} as project {made['project']}: {made['url']}")
    if path is None:
        doors = made["hook_url"].replace("/generic/", "/{github,gitea,gitlab}/")
        click.echo(f"webhook address: {doors}")
        click.echo(f"webhook secret: {made['hook_secret']}")


def _name_of(repository: str) -> str:
    parts = [part for part in re.split(r"[/:]", repository) if part not in {"", ".git"}]
    last = parts[-1].removesuffix(".git") if parts else ""
    return re.sub(r"[^A-Za-z0-9._-]", "-", last).lstrip("._-") or "project"


def _install(repository: Path, url: str, secret: str) -> None:
    script = shipped("hooks") / "post-receive"
    git_hook.install(repository, script=script, url=url, secret=secret)


@click.group()
def hook() -> None:
    """The post-receive hook of a repository, and the secrets that hooks are signed with."""


@hook.command()
@click.argument("repository", type=_REPOSITORY)
@click.option("--project", help="The project that watches it; default: the repository's name.")
@client_options
def install(*, client: Client, repository: Path, project: str | None) -> None:
    """Install the hook again, with a new secret."""
    path = repository.resolve()
    name = project or _name_of(str(path))
    git_hook.check(path)
    secret = client.post(f"/projects/{name}/hook-secrets")["secret"]
    _install(path, f"{client.url}/hooks/generic/{name}", secret)
    click.echo(f"the hook is installed in {path}")


@hook.command()
@click.argument("repository", type=_REPOSITORY)
@place_ignored
def remove(*, repository: Path) -> None:
    """Remove our hook; a foreign one is left alone."""
    git_hook.remove(repository.resolve())
    click.echo(f"the hook is removed from {repository.resolve()}")


@hook.command()
@click.argument("repository", type=_REPOSITORY)
@place_ignored
def flush(*, repository: Path) -> None:
    """Send the pushes that were kept while the server was away."""
    click.echo(git_hook.flush(repository.resolve()), nl=False)


hook.add_command(key)


@hook.group()
def secret() -> None:
    """Secrets that sign a project's incoming hooks; several may be in force."""


@secret.command("add")
@click.argument("project")
@click.option("--value-stdin", is_flag=True, help="Use the value on standard input.")
@client_options
def add_secret(*, client: Client, project: str, value_stdin: bool) -> None:
    """Add a secret and print it, alone. Give it to the forge's webhook."""
    body = {"value": sys.stdin.readline().rstrip("\n")} if value_stdin else {}
    if value_stdin and not body["value"]:
        raise Invalid(
            "the hook secret cannot be used",
            complaints=[Complaint("--value-stdin", "standard input is empty")],
        )
    click.echo(client.post(f"/projects/{project}/hook-secrets", body)["secret"])


@secret.command("outgoing")
@click.argument("project")
@client_options
def outgoing_secret(*, client: Client, project: str) -> None:
    """Print the secret that the project's own webhooks are signed with, alone. Give it to
    receivers.
    """
    click.echo(client.get(f"/projects/{project}/signing-secret")["secret"])


@click.group()
def user() -> None:
    """People who may sign in."""


@user.command("add")
@click.argument("name")
@click.option("--admin", is_flag=True, help="May do everything.")
@click.option("--email", default="", help="Their mail address.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@client_options
def add_user(*, client: Client, name: str, admin: bool, email: str, password_stdin: bool) -> None:
    """Add a user."""
    password = (
        sys.stdin.readline().rstrip("\n")
        if password_stdin
        else click.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    body = {"name": name, "email": email, "password": password, "admin": admin}
    made = client.post("/users", body)
    click.echo(f"added {'administrator' if made['is_admin'] else 'user'} {made['name']}")


@user.command()
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    help=f"Exactly these from now on; repeatable: {', '.join(ROLES)}.",
)
@click.option("--no-roles", is_flag=True, help="None any more.")
@click.option("--admin/--no-admin", default=None, help="May do everything.")
@click.option("--email", help="Their mail address.")
@click.option("--full-name", help="What they are called.")
@client_options
def change(
    *,
    client: Client,
    name: str,
    roles: tuple[str, ...],
    no_roles: bool,
    admin: bool | None,
    email: str | None,
    full_name: str | None,
) -> None:
    """Change what is given of a user."""
    given = {
        "roles": list(roles) if roles or no_roles else None,
        "admin": admin,
        "email": email,
        "full_name": full_name,
    }
    changed = client.patch(path_of("users", name), without_none(given))
    click.echo(f"user {changed['name']}: {_standing(changed)}")


def _standing(one: dict[str, Any]) -> str:
    return "administrator" if one["is_admin"] else ", ".join(one["roles"]) or "no roles"


@user.command("list")
@json_output
@client_options
def list_users(*, client: Client, output: str) -> None:
    """List the users."""
    found = client.get("/users")
    if output == "json":
        print_json(found)
        return
    rows = [
        (one["name"], one["email"], "yes" if one["is_admin"] else "", ", ".join(one["roles"]))
        for one in found
    ]
    print_table(("NAME", "EMAIL", "ADMIN", "ROLES"), rows)


@user.command()
@click.argument("name")
@client_options
def link(*, client: Client, name: str) -> None:
    """Print a one-time link with which a user sets a new password."""
    click.echo(client.post(f"/users/{name}/links")["url"])


@click.group()
def token() -> None:
    """Tokens for scripts."""


@token.command("add")
@click.argument("user_name", metavar="USER")
@click.option("--scopes", required=True, help="Comma-separated; * = all.")
@click.option("--expires", metavar="DAYS", help="Days until it expires, such as 90.")
@client_options
def add_token(*, client: Client, user_name: str, scopes: str, expires: str | None) -> None:
    """Make an API token and print it, alone. It is shown only now."""
    days = (expires or "0").removesuffix("d")
    if not days.isascii() or not days.isdigit():
        raise Invalid(
            "the token cannot be made", complaints=[Complaint("--expires", "must be days, as 90")]
        )
    names = [one.strip() for one in scopes.split(",") if one.strip()]
    body = {"scopes": names, "expires_in_days": int(days)}
    click.echo(client.post(f"/users/{user_name}/tokens", body)["token"])


@click.command()
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@json_output
@client_options
def audit(*, client: Client, limit: int, output: str) -> None:
    """List who asked for which change and what came of it, newest first."""
    found = client.get("/requests", limit=limit)
    if output == "json":
        print_json(found)
        return
    rows = [
        (
            one["id"],
            one["requested_at"][:19],
            one["who"],
            one["action"],
            ", ".join(f"{name} {value}" for name, value in one["what"].items()),
            one["status"],
            one["message"],
        )
        for one in found["requests"]
    ]
    print_table(("ID", "WHEN", "WHO", "ACTION", "ABOUT", "STATUS", "MESSAGE"), rows)
