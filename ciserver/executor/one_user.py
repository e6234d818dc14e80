"""Being root where there is only one user: a filter of system calls for images.

An unprivileged sandbox has one user and one group, whatever they are called inside. Giving a file
to another owner fails there, and package managers do little else. The filter answers such calls
with success and does nothing: every file stays the build's. Device files are not made either, and
a program that wants to become somebody else stays who it is.
"""

import platform
import struct

_LOAD, _EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06
_ALLOW, _SUCCEED = 0x7FFF0000, 0x00050000
_NUMBER, _MACHINE, _SECOND, _THIRD = 0, 4, 24, 32  # where the kernel's record of a call has them
_KIND_MASK, _CHARACTER, _BLOCK = 0o170000, 0o020000, 0o060000
# The kernel's number of the machine; calls that change an owner or the user; calls that make a
# file, with the place of the argument that says which kind.
_CALLS = {
    "x86_64": (
        0xC000003E,
        (92, 93, 94, 260, 105, 106, 113, 114, 116, 117, 119, 122, 123),
        ((133, _SECOND), (259, _THIRD)),
    ),
    "aarch64": (
        0xC00000B7,
        (54, 55, 143, 144, 145, 146, 147, 149, 151, 152, 159),
        ((33, _THIRD),),
    ),
}


def filter_program(machine: str = "") -> bytes:
    """The filter, as the kernel takes it; empty for machines whose calls are not known here."""
    found = _CALLS.get(machine or platform.machine())
    if found is None:
        return b""
    number, calls, makers = found
    lines = [_line(_LOAD, _MACHINE), _line(_EQUAL, number, 1, 0), _line(_RETURN, _ALLOW)]
    lines.append(_line(_LOAD, _NUMBER))
    for call in calls:
        lines += [_line(_EQUAL, call, 0, 1), _line(_RETURN, _SUCCEED)]
    for call, place in makers:
        lines += [
            _line(_EQUAL, call, 0, 6),
            _line(_LOAD, place),
            _line(_AND, _KIND_MASK),
            _line(_EQUAL, _CHARACTER, 1, 0),
            _line(_EQUAL, _BLOCK, 0, 1),
            _line(_RETURN, _SUCCEED),
            _line(_RETURN, _ALLOW),
        ]
    return b"".join([*lines, _line(_RETURN, _ALLOW)])


def _line(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
