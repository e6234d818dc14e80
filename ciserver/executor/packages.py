"""The packages of a job: installed in its image, or looked for on this machine."""

import json
from collections.abc import Callable
from pathlib import Path

from ciserver.executor import apt
from ciserver.executor.host_packages import Host
from ciserver.executor.rooted import INSIDE, Rooted
from ciserver.executor.sandbox import Bind, Sandbox
from ciserver.model.build import Job
from ciserver.model.frozen import frozen
from ciserver.model.status import Reason

_HOOK, _WANTED = f"{INSIDE}/packages", f"{INSIDE}/wanted.json"
_RUN_HOOK = f'export HOME=/root; exec {_HOOK} "$@" <{_WANTED}'

_HAS_ALL = f"""if command -v dpkg-query >/dev/null; then
  {apt.CHECK}
elif command -v apk >/dev/null; then
  for name; do apk info -e "$name" >/dev/null || exit 1; done
elif command -v rpm >/dev/null; then
  for name; do rpm -q --whatprovides "$name" >/dev/null || exit 1; done
else
  [ "$#" = 0 ]
fi
"""

# Runs a program in a sandbox; gives its exit status, and the reason to have ended it.
Run = Callable[[tuple[str, ...], Sandbox], tuple[int, Reason]]


@frozen
class Fault:
    """Why a build cannot have its packages; a limit that was met says it by its name alone."""

    reason: Reason
    detail: str = ""


def install(
    job: Job,
    sandbox: Sandbox,
    folder: Path,
    run: Run,
    say: Callable[[str], None],
    *,
    host: Callable[[], Host] = Host.of_machine,
) -> Fault | None:
    """See to it that the tasks find what the job names; None when they will, or when nobody here
    can tell. `folder` takes files that the build does not see. Raises SandboxFailed.
    """
    if not job.packages and not job.repositories:
        return None
    if not isinstance(sandbox, Rooted):
        if sandbox.image:
            return _find_in_image(job, sandbox, run, say)
        return _find_on_host(job, host(), say)
    installer = _Installer(job, sandbox, folder, run, say)
    match sandbox.layer.image.facts.packages:
        case "hook":
            return installer.by_hook()
        case "apt":
            return installer.by_apt()
    return _unavailable(
        f"packages: the image {sandbox.layer.image.name} has neither apt-get nor a program of its"
        " own to install them; add one with `ciserver image add --packages-hook`"
    )


@frozen
class _Installer:
    job: Job
    sandbox: Rooted
    folder: Path
    run: Run
    say: Callable[[str], None]

    def by_hook(self) -> Fault | None:
        wanted = {"packages": self.job.packages, "repositories": self.job.repositories}
        path = self.folder / "wanted.json"
        path.write_text(json.dumps(wanted, indent=2) + "\n")
        path.chmod(0o644)
        self._say_what()
        root = self.sandbox.as_root(Bind(self.sandbox.layer.image.hook, _HOOK), Bind(path, _WANTED))
        command = (self.sandbox.shell, "-c", _RUN_HOOK, "sh", *self.job.packages)
        return self._ended(*self.run(command, root), "the image's program for packages")

    def by_apt(self) -> Fault | None:
        lines, faults = apt.read_repositories(self.job.repositories)
        if faults:
            return _unavailable("; ".join(faults))
        root, shell = self.sandbox.as_root(), self.sandbox.shell
        if not lines:
            status, reason = self.run((shell, "-c", apt.CHECK, "sh", *self.job.packages), root)
            if reason:
                return Fault(reason)
            if not status:
                self.say(f"packages: the image has them: {', '.join(self.job.packages)}")
                return None
        if not self.job.network:
            names = ", ".join(self.job.packages) or "those of the repositories"
            return _unavailable(
                f"packages: this build has no network to install them with: {names}; give the"
                " image what builds without network need"
            )
        self._say_what()
        command = (shell, "-c", apt.install_script(lines), "sh", *self.job.packages)
        return self._ended(*self.run(command, root), "apt-get")

    def _say_what(self) -> None:
        for name, value in self.job.repositories.items():
            self.say(f"repository: {name}: {value}")
        if self.job.packages:
            self.say(f"packages: installing {', '.join(self.job.packages)}")

    def _ended(self, status: int, reason: Reason, who: str) -> Fault | None:
        if reason:
            return Fault(reason)
        if status:
            return _unavailable(
                f"packages: {who} ended with status {status}: not everything is installed"
            )
        return None


def _find_in_image(
    job: Job, sandbox: Sandbox, run: Run, say: Callable[[str], None]
) -> Fault | None:
    """In an image that is read-only nothing is installed; it has what the job names, or not."""
    if job.repositories:
        say(
            f"warning: repositories: not added, the image {sandbox.image} is read-only here:"
            f" {', '.join(job.repositories)}"
        )
    status, reason = run((sandbox.shell, "-c", _HAS_ALL, "sh", *job.packages), sandbox)
    if reason:
        return Fault(reason)
    if status:
        return _unavailable(
            f"packages: the image {sandbox.image} lacks some of {', '.join(job.packages)}, and is"
            " read-only here; have an image made that has them"
        )
    if job.packages:
        say(f"packages: the image has them: {', '.join(job.packages)}")
    return None


def _find_on_host(job: Job, host: Host, say: Callable[[str], None]) -> Fault | None:
    """On its own file system this machine has what it has; nothing is installed for a build."""
    if job.repositories:
        say(
            "warning: repositories: not added, this build runs on the machine's own file system:"
            f" {', '.join(job.repositories)}"
        )
    missing = host.missing(job.packages)
    if not missing:
        if job.packages:
            say(f"packages: this machine has them: {', '.join(job.packages)}")
        return None
    names = ", ".join(missing)
    if host.names_are_of(job.image):
        add = "" if job.image in {"", "host"} else f"; or make the image: {_add(job.image)}"
        return _unavailable(
            f"packages: this machine lacks {names}; install them here"
            f" ({host.how_to_install(missing)}){add}"
        )
    say(
        f"warning: packages: not found here under these names: {names}. They are named for"
        f" {job.image}, and this machine is {host.distribution or 'something else'}: nothing is"
        " installed, and the tasks find what is here"
    )
    return None


def _add(image: str) -> str:
    return f"ciserver image add {image} --debootstrap {image.partition('/')[2] or 'SUITE'}"


def _unavailable(detail: str) -> Fault:
    return Fault(Reason.PACKAGES_UNAVAILABLE, detail)
