"""A script that does on any machine what a build did: the same sources, variables and tasks."""

import re
import shlex
from collections.abc import Iterator
from urllib.parse import urlsplit

from ciserver.model.account import Actor
from ciserver.model.build import Build, EnvironmentValue, Job, Source, Task
from ciserver.model.links import Links
from ciserver.model.project import InputType
from ciserver.model.uploads import upload_of
from ciserver.recipe.text import job_from_json
from ciserver.service.reporter import environment
from ciserver.service.rights import Rights
from ciserver.service.scripts import HIDDEN, is_secret, read_parameters
from ciserver.store.store import Store

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_END = "END_OF_TEXT"
_HEAD = """\
set -eu

fail() { printf '%s\\n' "$*" >&2; exit 1; }
command -v bash > /dev/null || fail 'bash is needed'
place=${1:-build-NUMBER}
if [ -e "$place" ]; then fail "$place is there already: name a new directory"; fi
mkdir -p -- "$place"
place=$(cd -- "$place" && pwd)
mkdir "$place/.out" "$place/.tasks"

# A commit of a repository: fetch DIRECTORY REVISION ADDRESS
fetch() {
    mkdir -p "$place/$1"
    git init --quiet "$place/$1"
    git -C "$place/$1" fetch --quiet -- "$3" "$2" 2> /dev/null ||
        git -C "$place/$1" fetch --quiet -- "$3" '+refs/*:refs/original/*'
    git -C "$place/$1" checkout --quiet --detach "$2"
}

# What a path holds now, which need not be what it held then: copy DIRECTORY PATH
copy() {
    mkdir -p "$place/$1"
    case $2 in
        http://* | https://*) curl -fsSL -o "$place/$1/${2##*/}" "$2" ;;
        *) if [ -d "$2" ]; then cp -R "$2/." "$place/$1"; else cp "$2" "$place/$1"; fi ;;
    esac
}

# A task: run NAME
run() {
    if [ -e "$place/.complete-build" ]; then return; fi
    printf '== %s\\n' "$1" >&2
    status=0
    (cd "$place" && env -i HOME="$place" USER="$(id -un)" LOGNAME="$(id -un)" SHELL="$bash" \\
        PATH="$PATH" LANG=C.UTF-8 TERM=dumb "$bash" ".tasks/$1") || status=$?
    if [ "$status" -ne 0 ] && [ "$status" -ne "$partial" ]; then
        fail "task $1 exited with status $status; everything is in $place"
    fi
}
"""


class Reproduction:
    def __init__(self, store: Store, rights: Rights, links: Links) -> None:
        self._store = store
        self._rights = rights
        self._links = links

    def script(self, actor: Actor, build_id: int) -> str:
        """Commands for a POSIX shell, which run the tasks as whoever calls them, outside of any
        sandbox. Addresses are without passwords. Raises NotFound.
        """
        build = self._rights.build(actor, build_id)
        job = job_from_json(self._store.builds.job_text(build_id))
        evaluation = self._store.evaluations.get(build.evaluation_id)
        own = environment(
            evaluation,
            self._links,
            build_id=build.id,
            number=build.number,
            job=build.job,
            requested_by=build.requested_by,
        )
        lines = [
            "#!/bin/sh",
            *(f"# {_comment(one)}" for one in _about(build, job, self._links)),
            _HEAD.replace("NUMBER", str(build.id)),
            f"partial={job.partial_exit_code}",
            "bash=$(command -v bash)",
            "",
            *map(_source, job.sources),
            "",
            *_variables({**job.environment, **_hidden(job), **own}),
        ]
        for task in job.tasks:
            lines += _task(task)
        lines += [f"run {shlex.quote(task.name)}" for task in job.tasks]
        lines += ["printf 'Done: everything is in %s\\n' \"$place\" >&2", ""]
        return "\n".join(lines)


def _about(build: Build, job: Job, links: Links) -> Iterator[str]:
    yield f"Does what build {build.id} did: {build.full_name} #{build.number} for {build.system},"
    yield f"{links.build(build.id)}"
    yield f"Call: sh reproduce-build-{build.id}.sh [DIRECTORY]   (a new one)"
    yield "Read it first: it runs what the build ran, as you and without a sandbox."
    if job.image:
        yield f"The build ran in the image {job.image}."
    if job.packages:
        yield f"It asked for these packages: {', '.join(job.packages)}"
    if not job.network:
        yield "It had no network."
    if hidden := _hidden(job):
        yield f"These are not told here, put them in: {', '.join(hidden)}"


def _hidden(job: Job) -> dict[str, str]:
    """The parameters that nobody shall read."""
    given, _ = read_parameters(job.parameters)
    return {name: HIDDEN for name, value in given.items() if value and is_secret(name)}


def _comment(text: str) -> str:
    """In one line, whatever is in it."""
    return "".join(one if one.isprintable() else " " for one in text)


def _source(one: Source) -> str:
    address = shlex.quote(_without_password(one.uri))
    directory = shlex.quote(one.directory)
    if (upload := upload_of(one.uri)) is not None:
        absent = f"{upload.name} was sent in for this build: put it into this directory"
        return f'[ -f {upload.name} ] || fail "{absent}"\ncopy {directory} ./{upload.name}'
    if one.type is InputType.PATH:
        return f"copy {directory} {address}"
    line = f"fetch {directory} {shlex.quote(one.revision or 'HEAD')} {address}"
    if not one.submodules:
        return line
    return f'{line}\ngit -C "$place"/{directory} submodule --quiet update --init --recursive'


def _without_password(uri: str) -> str:
    """Of a web address nothing is left in front of the host."""
    parts = urlsplit(uri)
    if not parts.scheme or "@" not in parts.netloc:
        return uri
    user, _, host = parts.netloc.rpartition("@")
    if parts.scheme in {"http", "https"}:
        return parts._replace(netloc=host).geturl()
    return parts._replace(netloc=f"{user.partition(':')[0]}@{host}").geturl()


def _variables(values: dict[str, EnvironmentValue]) -> Iterator[str]:
    lines = [
        f"export {name}={shlex.quote(value)}"
        if isinstance(value, str)
        else f"{name}=({shlex.join(value)})"
        for name, value in values.items()
        if _VARIABLE.fullmatch(name)
    ]
    lines.append('export CISERVER_METRICS="$HOME/.metrics" CISERVER_OUT="$HOME/.out"')
    lines.append('complete-build() { : > "$HOME/.complete-build"; exit 0; }')
    yield from _written('"$place/.buildenv"', "\n".join(lines))


def _task(one: Task) -> Iterator[str]:
    text = f". ~/.buildenv\nset -xe\n{one.script}"
    return _written(f'"$place/.tasks/"{shlex.quote(one.name)}', text)


def _written(path: str, text: str) -> Iterator[str]:
    """The lines that write a text into a file as it is."""
    end = _END
    while end in text.split("\n"):
        end += "_"
    yield f"cat > {path} << '{end}'"
    yield text
    yield end
    yield ""
