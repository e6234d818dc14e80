"""The post-receive hook in somebody's repository: put it there, take it away, send what it kept.

The files belong to the owner of the repository, also when root installs them. Nothing that is not
ours is replaced, and nothing is written before everything has been checked.
"""

import json
import os
import stat
import subprocess
import sys
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from ciserver.model.errors import Busy, Complaint, Conflict, Forbidden, Invalid, NotFound

_MARKER = b"# ciserver-hook:"  # stands on the second line of hooks/post-receive
_INTERPRETER = Path("/usr/bin/python3")
_PATH = "/usr/local/bin:/usr/bin:/bin"
_GIT_SECONDS = 10
_FLUSH_SECONDS = 90  # longer than the hook's own limit
_SHARED_WORDS = frozenset({"true", "yes", "on", "1", "group", "2", "all", "world", "everybody"})


def install(repository: Path, *, script: Path, url: str, secret: str) -> Path:
    """Put the hook and its configuration into a bare repository or a work tree's `.git`.

    May be repeated, also to change the address or the secret. Returns the path of the hook.
    Raises Invalid with every fault of the arguments, Conflict when another hook is in place or
    git looks for hooks elsewhere, Forbidden when the files cannot be written.
    """
    git_dir = _check(repository, script, url, secret)
    hook = _hook_in(git_dir)
    check(git_dir)
    with _writing_to(git_dir):
        _write_home(git_dir, url, secret)
        _advertise_push_options(git_dir)
        if not hook.parent.is_dir():
            _make_folder(hook.parent, git_dir, 0o755)
        # Last, so that a hook is never there without its configuration.
        _write(hook, _runnable(script.read_bytes()), git_dir, 0o755)
    return hook


def check(repository: Path) -> None:
    """Raise what `install` would say against this repository: Invalid, Conflict, Forbidden."""
    git_dir = _git_dir_of(repository)
    _refuse_other_hooks(git_dir, _hook_in(git_dir))
    _require_owner(git_dir)


def remove(repository: Path) -> None:
    """Take our hook and its secret out of the repository. Pushes it still keeps stay where they
    are, in `ciserver/spool`, and `receive.advertisePushOptions` stays set.

    Safe to repeat. Raises Invalid when this is no repository, Conflict when the hook is not ours,
    Forbidden when the files cannot be removed.
    """
    git_dir = _git_dir_of(repository)
    hook = _hook_in(git_dir)
    if os.path.lexists(hook) and not _is_ours(hook):
        raise Conflict(
            f"{hook} is not a hook of ciserver",
            hint="take the call of ciserver out of it by hand",
        )
    home = git_dir / "ciserver"
    with _writing_to(git_dir):
        hook.unlink(missing_ok=True)
        (home / "hook.json").unlink(missing_ok=True)
        for folder in (home / "spool", home / "refused", home):
            with suppress(OSError):  # it still holds pushes, or was never there
                folder.rmdir()


def flush(repository: Path) -> str:
    """Send the pushes that the installed hook keeps, and return what it says.

    Raises Invalid when this is no repository, NotFound when the hook is not installed, Conflict
    when it cannot be run, Busy when sending takes too long.
    """
    git_dir = _git_dir_of(repository)
    hook = _hook_in(git_dir)
    if not _is_ours(hook):
        raise NotFound(
            f"no hook of ciserver in {git_dir}", hint="install it with: ciserver hook install"
        )
    owner = git_dir.stat()
    # The hook is a file that the owner may have changed: root must not run it as root.
    is_foreign = os.geteuid() == 0 and owner.st_uid != 0
    try:
        done = subprocess.run(
            [str(hook), "--flush"],
            cwd=git_dir,
            env={"GIT_DIR": str(git_dir), "PATH": _PATH},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_FLUSH_SECONDS,
            check=False,
            user=owner.st_uid if is_foreign else None,
            group=owner.st_gid if is_foreign else None,
            extra_groups=[] if is_foreign else None,
        )
    except subprocess.TimeoutExpired as error:
        raise Busy(
            f"the hook in {git_dir} was still sending after {_FLUSH_SECONDS} seconds",
            hint="try again; what was sent is not sent twice",
        ) from error
    except OSError as error:
        raise Conflict(
            f"{hook} cannot be run: {error.strerror}",
            hint="install it again: ciserver hook install",
        ) from error
    return done.stdout.decode("utf-8", "replace")


def is_installed(repository: Path) -> bool:
    """Whether our hook is in the repository, ready to run. Never raises."""
    try:
        hook = _hook_in(_git_dir_of(repository))
    except Invalid:
        return False
    return _is_ours(hook) and os.access(hook, os.X_OK)


def _check(repository: Path, script: Path, url: str, secret: str) -> Path:
    """The git directory, or Invalid with all faults of the arguments."""
    complaints = [*_complaints_of_url(url), *_complaints_of_secret(secret)]
    if not _is_ours(script):
        complaints.append(Complaint("script", f"{script} is not the hook of ciserver"))
    try:
        git_dir = _git_dir_of(repository)
    except Invalid as error:
        complaints.extend(error.complaints)
    if complaints:
        raise Invalid(
            f"the hook cannot be installed in {repository}: {'; '.join(map(str, complaints))}",
            complaints=complaints,
            hint="correct what is named and run the command again",
        )
    return git_dir


def _complaints_of_url(url: str) -> Iterator[Complaint]:
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_sound = False
    if not (is_sound and url.isascii() and url.isprintable() and " " not in url):
        yield Complaint("url", f"{url!r} is not an http or https address")
    elif parts.username is not None:
        yield Complaint("url", "the address must not hold a user name or password")


def _complaints_of_secret(secret: str) -> Iterator[Complaint]:
    """The secret itself is never repeated in a message."""
    try:
        is_sound = secret.startswith("whsec_") and bool(
            b64decode(secret.removeprefix("whsec_"), validate=True)
        )
    except ValueError:
        is_sound = False
    if not is_sound:
        yield Complaint("secret", "it is not whsec_ followed by base64")


def _git_dir_of(repository: Path) -> Path:
    """The git directory of a bare repository or a work tree, or Invalid."""
    for candidate in (repository, repository / ".git"):
        if (candidate / "HEAD").is_file() and (candidate / "objects").is_dir():
            return candidate.resolve()
    complaint = Complaint("repository", f"{repository} is not a git repository")
    raise Invalid(
        str(complaint),
        complaints=[complaint],
        hint="name a bare repository, or the work tree that holds .git",
    )


def _hook_in(git_dir: Path) -> Path:
    return git_dir / "hooks" / "post-receive"


def _is_ours(hook: Path) -> bool:
    try:
        with hook.open("rb") as file:
            return _MARKER in file.read(256)
    except OSError:
        return False


def _refuse_other_hooks(git_dir: Path, hook: Path) -> None:
    hooks_path = _git(git_dir, "config", "--type=path", "--get", "core.hooksPath")
    if hooks_path and (git_dir / hooks_path).resolve() != hook.parent:
        raise Conflict(
            f"git runs the hooks of {git_dir} from {hooks_path} (core.hooksPath)",
            hint="unset core.hooksPath, or call the hook from there by hand: see hooks/README.md",
        )
    home = git_dir / "ciserver"
    for folder in (hook.parent, home, home / "spool", home / "refused"):
        if folder.is_symlink():
            raise Conflict(
                f"{folder} is a symbolic link, so others may share what it holds",
                hint="replace it by a folder, or install by hand: see hooks/README.md",
            )
    if os.path.lexists(hook) and not _is_ours(hook):
        raise Conflict(
            f"{hook} is another hook",
            hint="keep it and let it call ours: see 'Together with another hook' in "
            "hooks/README.md",
        )


def _require_owner(git_dir: Path) -> None:
    if os.geteuid() not in {0, git_dir.stat().st_uid}:
        raise Forbidden(
            f"{git_dir} belongs to somebody else", hint="run the command as its owner or as root"
        )


@contextmanager
def _writing_to(git_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Forbidden(
            f"cannot write in {git_dir}: {error.strerror}: {error.filename}",
            hint="run the command as the owner of the repository, and see that there is room",
        ) from error


def _write_home(git_dir: Path, url: str, secret: str) -> None:
    """`ciserver/` with the configuration and the folders that every pusher must write in."""
    home, is_shared = git_dir / "ciserver", _is_shared(git_dir)
    _make_folder(home, git_dir, 0o750 if is_shared else 0o700)
    for name in ("spool", "refused"):
        _make_folder(home / name, git_dir, 0o2770 if is_shared else 0o700)
    # A work tree is known by its own path, not by that of its .git.
    known_as = git_dir.parent if git_dir.name == ".git" else git_dir
    settings = {"url": url, "secret": secret, "repository": str(known_as)}
    text = json.dumps(settings, indent=2) + "\n"
    _write(home / "hook.json", text.encode(), git_dir, 0o640 if is_shared else 0o600)


def _is_shared(git_dir: Path) -> bool:
    """Whether several users of one group push to it."""
    setting = _git(git_dir, "config", "--get", "core.sharedRepository").lower()
    if setting in _SHARED_WORDS or git_dir.stat().st_mode & stat.S_IWGRP:
        return True
    is_octal = setting.startswith("0") and set(setting) <= set("01234567")
    return is_octal and bool(int(setting, 8) & stat.S_IWGRP)


def _advertise_push_options(git_dir: Path) -> None:
    config = git_dir / "config"
    setting = ("receive.advertisePushOptions", "true")
    _git(git_dir, "config", "--file", str(config), "--replace-all", *setting)
    _give_to_owner(config, git_dir)  # git has replaced the file


def _git(git_dir: Path, *arguments: str) -> str:
    """What git prints, without the settings and variables of whoever runs this."""
    environment = {"PATH": _PATH, "HOME": "/nonexistent", "LC_ALL": "C"}
    done = subprocess.run(
        ["git", f"--git-dir={git_dir}", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_GIT_SECONDS,
        check=False,
    )
    if done.returncode > 1:  # 1: the setting is not there
        raise Conflict(
            f"git cannot use the configuration of {git_dir}: {done.stderr.strip()}",
            hint="correct the file named config in it",
        )
    return done.stdout.strip()


def _make_folder(path: Path, git_dir: Path, mode: int) -> None:
    path.mkdir(exist_ok=True)
    _give_to_owner(path, git_dir)
    path.chmod(mode)


def _write(path: Path, content: bytes, git_dir: Path, mode: int) -> None:
    """Replace a file in one move: nobody ever sees half of it, or it with a wrong mode."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _give_to_owner(Path(draft), git_dir)
        Path(draft).chmod(mode)
        Path(draft).replace(path)
    except OSError:
        Path(draft).unlink()
        raise


def _give_to_owner(path: Path, git_dir: Path) -> None:
    now, owner = path.lstat(), git_dir.stat()
    if (now.st_uid, now.st_gid) != (owner.st_uid, owner.st_gid):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _runnable(script: bytes) -> bytes:
    """The script, for this Python where the machine keeps none at the usual place."""
    if _INTERPRETER.exists():
        return script
    first, newline, rest = script.partition(b"\n")
    return first.replace(bytes(_INTERPRETER), os.fsencode(sys.executable)) + newline + rest
