"""Looking at an archive of a root file system before anything of it is unpacked."""

import tarfile
from pathlib import Path, PurePosixPath

from ciserver.model.errors import Complaint, Invalid

_MOST_ENTRIES = 1_000_000
_MOST_BYTES = 64 << 30
_MOST_COMPLAINTS = 20
_SPECIAL = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
_KINDS = (*tarfile.REGULAR_TYPES, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE)
_PAX_SPARSE = "GNU.sparse"


def examine(archive: Path) -> tuple[str, ...]:
    """The names of devices and pipes in the archive, which are to be left out. Raises Invalid,
    naming what must not be unpacked; nothing of the content is kept in memory.
    """
    left_out: list[str] = []
    complaints: list[Complaint] = []
    entries = size = 0
    try:
        with tarfile.open(archive, "r|*", errors="surrogateescape") as opened:
            for member in opened:
                opened.members = []  # type: ignore[attr-defined]  # it would remember every entry
                entries, size = entries + 1, size + member.size
                if fault := _too_much(entries, size):
                    raise _refusal([Complaint(archive.name, fault)])
                if fault := _fault(member):
                    complaints.append(Complaint(repr(member.name)[1:-1][:200], fault))
                elif member.type in _SPECIAL:
                    left_out.append(member.name)
                if len(complaints) >= _MOST_COMPLAINTS:
                    break
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Invalid(
            f"the archive cannot be read: {error}",
            hint="it must be a tar file, as it is or compressed with gzip, bzip2 or xz",
        ) from error
    if complaints:
        raise _refusal(complaints)
    if not entries:
        raise _refusal([Complaint(archive.name, "it is empty")])
    return tuple(left_out)


def _refusal(complaints: list[Complaint]) -> Invalid:
    return Invalid("the archive is not unpacked", complaints=complaints)


def _too_much(entries: int, size: int) -> str:
    if entries > _MOST_ENTRIES:
        return f"it has more than {_MOST_ENTRIES} entries"
    return f"it has more than {_MOST_BYTES >> 30} GiB" if size > _MOST_BYTES else ""


def _fault(member: tarfile.TarInfo) -> str:
    if fault := _name_fault(member.name):
        return fault
    if member.type == tarfile.GNUTYPE_SPARSE or any(
        key.startswith(_PAX_SPARSE) for key in member.pax_headers
    ):
        return "is a sparse file"
    if member.type not in (*_KINDS, *_SPECIAL):
        return "is neither file, directory, link, device nor pipe"
    if member.islnk() and (fault := _name_fault(member.linkname)):
        return f"is a link to what {fault}"
    return ""


def _name_fault(name: str) -> str:
    if not name.isprintable():
        return "has a name that is no text in UTF-8"
    if name.startswith("/"):
        return "has an absolute name"
    return "has a name with .." if ".." in PurePosixPath(name).parts else ""
