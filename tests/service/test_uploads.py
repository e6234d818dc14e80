"""Files that were sent in: there while a build is that they were sent for, and no longer."""

import io
import os

import pytest
from support.factories import ADMIN

from ciserver.model.project import JobsetSettings, ProjectSettings
from ciserver.service.source_builds import SourceSubmission
from ciserver.store.files import YOUNG_SECONDS


@pytest.fixture
def jobset(services):
    services.projects.put_project(ADMIN, "roses", ProjectSettings())
    return services.jobsets.put(ADMIN, "roses", "main", JobsetSettings(), ())[0]


@pytest.fixture
def send(services, jobset):
    """Sends a file in for two systems; answers the group of builds."""
    services.systems.add(ADMIN, "fedora-40-x86_64")

    def send():
        upload = services.source_builds.keep(ADMIN, "a-1-1.src.rpm", io.BytesIO(b"content"))
        return services.source_builds.submit(ADMIN, jobset.id, SourceSubmission(upload=upload))

    return send


@pytest.fixture
def swept(services, parts):
    """How many files are there after a sweep, which may be repeated."""

    def swept():
        for _ in range(2):
            services.uploads.sweep()
        return len(list((parts.data.root / "uploads").iterdir()))

    return swept


def end(services, group):
    services.groups.cancel(ADMIN, group)


def test_a_deleted_build_takes_its_file_along(services, send, swept):
    """When the last of its builds is gone; those of others stay."""
    first, other = send(), send()
    assert swept() == 2
    end(services, first)
    services.builds.delete(ADMIN, first)
    assert swept() == 2
    services.groups.delete(ADMIN, first)
    assert swept() == 1
    end(services, other)
    assert swept() == 1


def test_what_was_built_again_still_needs_it(services, send, swept):
    """A rebuild reads the same file."""
    group = send()
    (again,) = services.builds.rebuild(ADMIN, group)
    end(services, group)
    services.groups.delete(ADMIN, group)
    assert swept() == 1
    end(services, again)
    services.groups.delete(ADMIN, again)
    assert swept() == 0


@pytest.mark.parametrize("what", ["jobset", "project"])
def test_what_is_removed_takes_its_files_along(services, send, swept, what):
    """Nobody sees its builds any more."""
    end(services, send())
    if what == "jobset":
        services.jobsets.remove(ADMIN, "roses", "main")
    else:
        services.projects.remove_project(ADMIN, "roses")
    assert swept() == 0


def test_more_than_are_looked_at_at_once(services, send, swept):
    """All of them, batch by batch."""
    for _ in range(101):
        end(services, send())
    services.projects.remove_project(ADMIN, "roses")
    assert swept() == 0


def test_a_file_that_was_never_built_goes_when_it_is_old(services, parts, swept):
    """As one that a killed server was receiving; one that comes in now is left alone."""
    kept = services.source_builds.keep(ADMIN, "a-1-1.src.rpm", io.BytesIO(b"content"))
    assert swept() == 1
    path = parts.data.root / "uploads" / kept.id
    then = path.stat().st_mtime - YOUNG_SECONDS
    os.utime(path, (then, then))
    assert swept() == 0


def test_an_old_file_that_is_needed_stays(services, parts, send, swept):
    """However long its build waits."""
    send()
    (path,) = (parts.data.root / "uploads").iterdir()
    os.utime(path, (0, 0))
    assert swept() == 1
