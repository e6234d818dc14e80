"""The repositories of a job: how a manifest writes them, and which one is the pushed one."""

import re
from dataclasses import replace
from urllib.parse import urlsplit

from ciserver.model.build import Job, Source
from ciserver.model.errors import Invalid
from ciserver.model.project import InputType

SCHEMES = ("https", "http", "ssh", "git", "file")

# A host in brackets may hold `::`, a directory never does.
_DIRECTORY = re.compile(r"([^:@\[\]]*)::(.*)", re.DOTALL)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://", re.DOTALL)
_SCP = re.compile(r"(?:[A-Za-z0-9_~.+-]+@)?(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):(?!//)(.+)")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_NOT_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{")


def parse_source(text: str) -> Source:
    """Read `[DIRECTORY::]ADDRESS[#REF]`. Only the form is judged here, not whether this server
    wants to talk to that address. Raises Invalid, its message a sentence about the value.
    """
    named = _DIRECTORY.fullmatch(text)
    rest = named[2] if named else text
    written, hash_sign, ref = rest.partition("#")
    uri = _checked_address(written)
    if hash_sign:
        _check_ref(ref)
    directory = named[1].rstrip("/") if named else repository_name(uri)
    _check_directory(directory)
    return Source(uri=uri, directory=directory, ref=ref)


def repository_name(uri: str) -> str:
    """The last part of an address without `.git`: the directory that a clone gets by default."""
    path = uri.partition("?")[0].rstrip("/").removesuffix("/.git").rstrip("/")
    return re.split(r"[/:]", path)[-1].removesuffix(".git")


def with_pushed_source(
    job: Job,
    uri: str,
    ref: str,
    revision: str,
    *,
    type: InputType = InputType.GIT,  # noqa: A002
) -> Job:
    """The job with the pushed repository among its sources, at exactly the pushed revision.

    It takes the place of the first source with its name (the directory's, else the address's) and
    keeps that directory; without one it comes first. Other sources stay as they are.
    """
    name = repository_name(uri)
    place = _place_of(name, job.sources)
    if place is None:
        pushed = Source(uri=uri, directory=name, ref=ref, revision=revision, type=type)
        return job.having(sources=(pushed, *job.sources))
    pushed = replace(job.sources[place], uri=uri, ref=ref, revision=revision, type=type)
    return job.having(sources=(*job.sources[:place], pushed, *job.sources[place + 1 :]))


def _place_of(name: str, sources: tuple[Source, ...]) -> int | None:
    directories = [source.directory.rpartition("/")[2] for source in sources]
    names = [repository_name(source.uri) for source in sources]
    for candidates in (directories, names):
        if name in candidates:
            return candidates.index(name)
    return None


def _checked_address(written: str) -> str:
    uri = written.removeprefix("git+")
    if not uri:
        raise Invalid("must name a repository")
    if uri.startswith("-") or _FORBIDDEN.search(uri):
        raise Invalid("must have no spaces, control characters or backslashes, nor begin with '-'")
    scheme = _SCHEME.match(uri)
    if scheme:
        _check_url(uri, scheme[1].lower())
    elif written.startswith("git+") or not (uri.startswith("/") or _SCP.fullmatch(uri)):
        raise Invalid("must be a URL such as https://HOST/PATH, or USER@HOST:PATH")
    return uri


def _check_url(uri: str, scheme: str) -> None:
    if scheme.partition("+")[0] == "hg":
        raise Invalid("is a Mercurial repository; only git is supported")
    if scheme not in SCHEMES:
        raise Invalid(f"has the scheme {scheme[:40]}; known are {', '.join(SCHEMES)}")
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise Invalid(f"is not a URL: {error}") from error
    if scheme != "file" and not host:
        raise Invalid("names no host")
    if not parts.path.strip("/"):
        raise Invalid("names no repository on its host")


def _check_ref(ref: str) -> None:
    if not ref or ref.startswith(("-", "/")) or ref.endswith(("/", ".")) or _NOT_IN_REF.search(ref):
        raise Invalid("must have the name of a branch, tag or revision after '#'")


def _check_directory(directory: str) -> None:
    parts = directory.split("/")
    if any(_is_bad_part(part) for part in parts) or _FORBIDDEN.search(directory):
        raise Invalid(
            "must end in a usable directory name, or have one before '::': "
            "relative, without '..', spaces or a leading '-'"
        )


def is_directory(name: str) -> bool:
    """Whether a source can lie in a directory of this name."""
    return not _is_bad_part(name) and not _FORBIDDEN.search(name)


def _is_bad_part(part: str) -> bool:
    return part in {"", ".", "..", ".git"} or part.startswith("-") or len(part.encode()) > 255
