"""What is written into the home of a build before its tasks run: `.buildenv` and `.tasks/NAME`."""

import errno
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ciserver.executor.sandbox import PATH, BuildUser, Sandbox
from ciserver.model.build import EnvironmentValue, Task

COMPLETE = ".complete-build"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def write_scripts(
    home: Path,
    tasks: tuple[Task, ...],
    environment: Mapping[str, EnvironmentValue],
    *,
    shell: str,
    home_inside: str,
    user: BuildUser | None,
) -> None:
    """Write everything the tasks of a build are started from.

    Called once, before anything of the build runs: later a link may stand where a file goes.
    Raises OSError.
    """
    bash = is_bash(shell)
    text = build_environment(environment, bash=bash, done=f"{home_inside}/{COMPLETE}")
    _write(f"{home}/.buildenv", text, 0o600, user)
    folder = f"{home}/.tasks"
    make_directory(folder, user)
    for task in tasks:
        _write(f"{folder}/{task.name}", task_script(task, shell), 0o755, user)


def make_directory(path: str, user: BuildUser | None) -> None:
    """A new directory of the build. Before anything of it runs. Raises OSError."""
    os.mkdir(path, 0o755)  # noqa: PTH102 - for each build
    if user:
        os.chown(path, user.uid, user.gid)


def own_variables(sandbox: Sandbox, home: Path) -> dict[str, str]:
    """What every program of a build is started with."""
    return {
        "PATH": PATH,
        "HOME": sandbox.home_inside(home),
        "USER": sandbox.login,
        "LOGNAME": sandbox.login,
        "SHELL": sandbox.shell,
        "TERM": "dumb",
    }


def is_bash(shell: str) -> bool:
    return PurePosixPath(shell).name == "bash"


def is_complete(home: Path) -> bool:
    """Whether a task called `complete-build`."""
    return os.path.lexists(f"{home}/{COMPLETE}")


def bad_names(environment: Mapping[str, EnvironmentValue]) -> tuple[str, ...]:
    """The names that no shell takes as a variable; they are left out."""
    return tuple(name for name in environment if not _NAME.fullmatch(name))


def build_environment(environment: Mapping[str, EnvironmentValue], *, bash: bool, done: str) -> str:
    """The text of `.buildenv` for bash, or for a plain sh, which has no arrays and takes no
    function with a hyphen in its name.
    """
    lines = [
        _assignment(name, value, bash=bash)
        for name, value in environment.items()
        if _NAME.fullmatch(name)
    ]
    body = f"{{ : > {shlex.quote(done)}; exit 0; }}"
    if bash:
        lines.append(f"complete-build() {body}")
    else:
        lines += [f"complete_build() {body}", "alias complete-build=complete_build"]
    return "\n".join(lines) + "\n"


def task_script(task: Task, shell: str) -> str:
    return f"#!{shell}\n. ~/.buildenv\nset -xe\n{task.script}\n"


def _assignment(name: str, value: EnvironmentValue, *, bash: bool) -> str:
    if isinstance(value, str):
        return f"export {name}={shlex.quote(value)}"
    if bash:
        return f"{name}=({shlex.join(value)})"
    return f"{name}={shlex.quote(' '.join(value))}"


def _write(path: str, text: str, mode: int, user: BuildUser | None) -> None:
    content = text.encode(errors="surrogateescape")
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        if os.write(file, content) != len(content):
            raise OSError(errno.ENOSPC, f"{path} was written in part only")
        os.fchmod(file, mode)
        if user:
            os.fchown(file, user.uid, user.gid)
    finally:
        os.close(file)
