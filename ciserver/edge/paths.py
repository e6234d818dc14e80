"""Whose an address is, told by how its path begins."""

# Ours, for programs: no page lies there, and refusals are JSON even for a browser.
_FOR_PROGRAMS = {"ci", "hooks", "worker", "healthz", "readyz", "version", "metrics"}


def is_under(path: str, prefix: str) -> bool:
    """Whether the path begins with these whole segments: /api/v10 is not under /api/v1."""
    return path == prefix or path.startswith(prefix + "/")


def is_for_programs(path: str) -> bool:
    """Whether the path is of our own API, of a hook door, or says how the server is."""
    return path.startswith("/") and path[1:].partition("/")[0] in _FOR_PROGRAMS


def with_slashes(segment: str) -> str:
    """A name as it is, from the segment of a path in which its slashes were sent encoded."""
    return segment.replace("%2F", "/")
