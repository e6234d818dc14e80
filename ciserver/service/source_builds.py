"""Builds of a source that is sent in, as an address or as a file: one for each of its systems.

What is run is a script of this server's administrator, not of the source.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from ciserver.git.address import Addresses
from ciserver.git.names import file_name
from ciserver.model.account import Actor, Right, Visibility
from ciserver.model.build import Job, Source, Task
from ciserver.model.errors import BadAddress, Complaint, Conflict, Invalid, TooLarge
from ciserver.model.frozen import frozen
from ciserver.model.ports import Clock
from ciserver.model.project import InputType, Jobset
from ciserver.model.request import Action
from ciserver.model.source import Origin, SourceSettings, SourceSystem
from ciserver.model.uploads import Upload, upload_of
from ciserver.recipe.text import job_to_json
from ciserver.service.audit import Audit
from ciserver.service.rights import Rights
from ciserver.service.source_projects import systems_of
from ciserver.store.arrivals import Texts
from ciserver.store.store import Store

_DIRECTORY = "source"
_DEFAULT, _HOST = "default", "host"
_SOURCE_NAME, _REPOSITORIES = "SOURCE_NAME", "REPOS"
_LONGEST_SCRIPT = 1024 * 1024
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+~^-]{0,254}")
_PACKAGE = re.compile(r"(?P<name>.+)-(?P<version>[^-]+-[^-]+)\.(?:no)?src\.rpm")
_IS_PACKAGE = re.compile(r".+\.(?:no)?src\.rpm")
_PLAIN = "must be that of a file: letters, digits and any of _ . + ~ ^ -"

# Tasks are programs of their own, and only they know their home.
_PLACES = f"""\
export SOURCE_FILE="$HOME/{_DIRECTORY}/$SOURCE_NAME" RESULTS="$HOME/results"
"""
_RPMBUILD = """\
if ! command -v rpmbuild; then
    echo "rpmbuild is not installed here: install it, or name a script in source_builds.scripts" >&2
    exit 1
fi
mkdir -p "$HOME/rpmbuild/tmp"
set -- --define "_topdir $HOME/rpmbuild" --define "_tmppath $HOME/rpmbuild/tmp"
if ! rpm --query rpm > /dev/null 2>&1; then
    echo "rpm does not know what is installed here, so what the source needs is not looked for"
    set -- "$@" --nodeps --define "_dbpath $HOME/rpmbuild/db"
fi
rpmbuild --rebuild "$@" "$SOURCE_FILE"
find "$HOME/rpmbuild/RPMS" -type f -exec mv -- {} "$RESULTS/" \\;
cp -- "$SOURCE_FILE" "$RESULTS/"
"""
# What lies in the directory of results is stated as products of the build.
_KEEP = """\
mkdir -p "$CISERVER_OUT/nix-support"
cd "$RESULTS"
for one in *; do
    [ -f "$one" ] || continue
    printf 'file source-build "%s"\\n' "$RESULTS/$one" \\
        >> "$CISERVER_OUT/nix-support/hydra-build-products"
done
"""


@frozen
class SourceSubmission:
    """A source as somebody sends it: the `url` of a file, or an `upload` that is kept already.
    No `systems` are all that the jobset has; without a word on the network the jobset's stands.
    """

    url: str = ""
    upload: Upload | None = None
    systems: tuple[str, ...] = ()
    network: bool | None = None


class SourceBuilds:
    """`scripts` is a directory with `SYSTEM.sh` or `default.sh`, which build a source; without it
    a source is rebuilt by rpmbuild. `ring` wakes the workers.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rights: Rights,
        audit: Audit,
        addresses: Addresses,
        *,
        scripts: Path | None,
        most_bytes: int,
        ring: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._rights = rights
        self._audit = audit
        self._addresses = addresses
        self._scripts = scripts
        self.most_bytes = most_bytes
        self._ring = ring

    def require_scope(self, actor: Actor) -> None:
        """For doors that ask before they read what is sent. Raises NotSignedIn, Forbidden."""
        self._rights.require_scope(actor, Right.EVALUATE.scope)

    def keep(self, actor: Actor, name: str, content: IO[bytes]) -> Upload:
        """Keep a file until it is submitted, or discarded. Raises Invalid for a name that is more
        than that of a file, TooLarge, NotSignedIn, Forbidden.
        """
        self.require_scope(actor)
        if not _FILE_NAME.fullmatch(name):
            fault = Complaint("srpm", f"its name {_PLAIN}")
            raise Invalid("the source cannot be used", complaints=[fault])
        bounded = _Bounded(content, self.most_bytes)
        kept, *_ = self._store.upload_files.keep(bounded)
        return Upload(kept, name)

    def discard(self, upload: Upload) -> None:
        """Forget a file that was kept for nothing."""
        self._store.upload_files.remove([upload.id])

    def submit(self, actor: Actor, jobset_id: int, given: SourceSubmission) -> int:
        """Make a build for each system, as one group; answers its number. Systems that the jobset
        does not have, or that are not active, are left out. Raises Invalid with every fault,
        NotFound, NotSignedIn, Forbidden.
        """
        jobset = self._store.jobsets.get(jobset_id)
        self._rights.jobset_of_id(actor, jobset_id)
        with self._audit.record(actor, Action.SUBMIT_BUILD, jobset=jobset.full_name) as outcome:
            self._rights.jobset_of_id(actor, jobset_id, Right.EVALUATE)
            jobs = self._jobs(jobset, given)
            outcome.created += self._add(actor, jobset, jobs, given.upload)
        self._ring()
        return outcome.created[0]

    def _jobs(self, jobset: Jobset, given: SourceSubmission) -> list[Job]:
        faults: list[Complaint] = []
        source = self._source(given, faults)
        active = {one.name: one for one in self._store.systems.list_all() if one.active}
        known = [one for one in systems_of(self._store, jobset.id) if one.system in active]
        systems = [one for one in known if one.system in given.systems or not given.systems]
        if not systems:
            told = ", ".join(one.system for one in known) or "none"
            faults.append(Complaint("chroots", f"none of them is known, only {told}"))
        if faults:
            raise Invalid("the build cannot be made", complaints=faults)
        found = self._store.source_projects.settings([jobset.id])
        settings = found.get(jobset.id, SourceSettings())
        jobs = [self._job(one, source, settings, given) for one in systems]
        return [replace(one, image=next(iter(active[one.system].images), _HOST)) for one in jobs]

    def _job(
        self,
        system: SourceSystem,
        source: Source,
        settings: SourceSettings,
        given: SourceSubmission,
    ) -> Job:
        name = _name_of(given)
        return Job(
            name=_package(name),
            file=name,
            image=_HOST,
            system=system.system,
            tasks=(
                Task("build", f'{_PLACES}mkdir -p "$RESULTS"\n{self._script(system.system)}'),
                Task("results", _PLACES + _KEEP),
            ),
            sources=(source,),
            environment={
                "CHROOT": system.system,
                _SOURCE_NAME: name,
                "BUILDROOT_PACKAGES": " ".join(system.packages),
                "COMPS": system.comps,
                _REPOSITORIES: "\n".join(settings.repositories),
                "CREATEREPO": "1" if settings.makes_index else "0",
            },
            network=settings.network if given.network is None else given.network,
        )

    def _source(self, given: SourceSubmission, faults: list[Complaint]) -> Source:
        if self._scripts is None and not _IS_PACKAGE.fullmatch(_name_of(given)):
            fault = "its name must end with .src.rpm: no other source is built here"
            faults.append(Complaint("srpm" if given.upload else "srpm_url", fault))
        if given.upload is not None:
            return Source(given.upload.uri, _DIRECTORY, type=InputType.PATH)
        if not given.url.startswith(("http://", "https://")):
            faults.append(Complaint("srpm_url", "must begin with http:// or https://"))
        elif not _FILE_NAME.fullmatch(file_name(given.url)):
            faults.append(Complaint("srpm_url", f"its last part {_PLAIN}"))
        else:
            try:
                self._addresses.check_path(given.url)
            except BadAddress as error:
                faults.append(Complaint("srpm_url", error.message))
        return Source(given.url, _DIRECTORY, type=InputType.PATH)

    def _script(self, system: str) -> str:
        """Raises Conflict where the administrator's directory has none."""
        if self._scripts is None:
            return _RPMBUILD
        for name in (system, _DEFAULT):
            path = self._scripts / f"{name}.sh"
            if path.is_file() and path.stat().st_size <= _LONGEST_SCRIPT:
                return path.read_text(encoding="utf-8", errors="replace")
        raise Conflict(
            f"this server has no script that builds a source for {system}",
            hint=f"its administrator puts {system}.sh or {_DEFAULT}.sh into source_builds.scripts",
        )

    def _add(
        self, actor: Actor, jobset: Jobset, jobs: Sequence[Job], upload: Upload | None
    ) -> list[int]:
        now = self._clock.now()
        evaluation_id = self._store.evaluations.add_submitted(
            jobset.id,
            requested_by=actor.name,
            visibility=Visibility.PUBLIC,
            now=now,
            note=jobs[0].file,
        )
        self._store.evaluations.count_builds(evaluation_id, total=len(jobs))
        if upload is not None:
            self._store.uploads.add(upload.id, evaluation_id)
        evaluation = self._store.evaluations.get(evaluation_id)
        made: list[int] = []
        texts = self._store.queue.add_texts(map(job_to_json, jobs))
        with self._store.queue.arrivals(evaluation, now, len(jobs)) as arrivals:
            for job, text in zip(jobs, texts, strict=True):
                made.append(arrivals.add(job, Texts(text), group_id=made[0] if made else None))
        return made


def origin_of(job: Job) -> Origin | None:
    """The source that a job builds; None for one that a recipe states."""
    name = job.environment.get(_SOURCE_NAME)
    if len(job.sources) != 1 or job.sources[0].directory != _DIRECTORY or name != job.file:
        return None
    uri, found = job.sources[0].uri, _PACKAGE.fullmatch(job.file)
    return Origin(
        job.file,
        url="" if upload_of(uri) else uri,
        version=found["version"] if found else "",
        repositories=tuple(str(job.environment.get(_REPOSITORIES, "")).split()),
    )


def _name_of(given: SourceSubmission) -> str:
    return given.upload.name if given.upload else file_name(given.url)


def _package(name: str) -> str:
    """NAME of NAME-VERSION-RELEASE.src.rpm; of other files the name without its endings."""
    found = _PACKAGE.fullmatch(name)
    wanted = found["name"] if found else name.partition(".")[0] or name
    return re.sub(r"[^A-Za-z0-9_.+-]", "-", wanted)[:128].lstrip("-.") or "source"


class _Bounded:
    """A file of which at most so many bytes are read. Raises TooLarge at the first one more."""

    def __init__(self, content: IO[bytes], most_bytes: int) -> None:
        self._content = content
        self._left = self._most = most_bytes

    def read(self, size: int) -> bytes:
        chunk = self._content.read(min(size, self._left + 1))
        self._left -= len(chunk)
        if self._left < 0:
            raise TooLarge(f"the source is over {self._most // (1024 * 1024)} MiB")
        return chunk
