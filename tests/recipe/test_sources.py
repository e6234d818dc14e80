"""How sources are written, and where the pushed repository goes among them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ciserver.model.build import Job, Source, Task
from ciserver.model.errors import Invalid
from ciserver.recipe.sources import parse_source, repository_name, with_pushed_source

# A busy machine is no failure; two seconds for one small text would be.
patient = settings(deadline=2000, suppress_health_check=[HealthCheck.too_slow])

REVISION = "a" * 40


def job_of(*sources):
    tasks = (Task("build", "make"),)
    return Job("build", ".build.yml", "debian", "x86_64-linux", tasks, sources)


@pytest.mark.parametrize(
    ("text", "uri", "directory", "ref"),
    [
        ("https://x.org/a/b", "https://x.org/a/b", "b", ""),
        ("https://x.org/a/b.git/", "https://x.org/a/b.git/", "b", ""),
        ("https://x.org/b#refs/heads/a/b", "https://x.org/b", "b", "refs/heads/a/b"),
        ("git+https://x.org/b", "https://x.org/b", "b", ""),
        ("git+ssh://git@x.org:22/b", "ssh://git@x.org:22/b", "b", ""),
        ("c::https://x.org/b#v1", "https://x.org/b", "c", "v1"),
        ("c/d/::https://x.org/b", "https://x.org/b", "c/d", ""),
        ("git@x.org:~jo/b.git", "git@x.org:~jo/b.git", "b", ""),
        ("x.org:b", "x.org:b", "b", ""),
        ("c::git@[::1]:b.git", "git@[::1]:b.git", "c", ""),
        ("https://[::1]/b", "https://[::1]/b", "b", ""),
        ("file:///srv/b.git", "file:///srv/b.git", "b", ""),
        ("/srv/b/.git", "/srv/b/.git", "b", ""),
    ],
)
def test_every_form_of_a_source_is_read(text, uri, directory, ref):
    """Address, directory and ref come out; nothing is pinned yet."""
    assert parse_source(text) == Source(uri, directory, ref, revision="")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must name a repository"),
        ("hg+https://x.org/b", "only git is supported"),
        ("hg+ssh://x.org/b", "only git is supported"),
        ("ftp://x.org/b", "has the scheme ftp"),
        ("git+x.org:b", "must be a URL"),
        ("ext::sh -c id", "must have no spaces"),
        ("-oProxyCommand=x:b", "nor begin with '-'"),
        ("https://x.org/a b", "must have no spaces"),
        ("../b", "must be a URL"),
        ("https:///b", "names no host"),
        ("https://x.org/", "names no repository"),
        ("https://x.org:99999/b", "is not a URL"),
        ("https://[x/b", "is not a URL"),
        ("https://x.org/b#", "after '#'"),
        ("https://x.org/b#-f", "after '#'"),
        ("https://x.org/b#a..b", "after '#'"),
        ("/c::https://x.org/b", "must end in a usable directory name"),
        ("::https://x.org/b", "must end in a usable directory name"),
        ("a/../../c::https://x.org/b", "without '..'"),
        ("https://x.org/..", "without '..'"),
        (".git::https://x.org/b", "must end in a usable directory name"),
        (f"{'c' * 256}::https://x.org/b", "must end in a usable directory name"),
    ],
)
def test_a_bad_source_is_refused_with_a_reason(text, message):
    """The reason is a sentence about the value."""
    with pytest.raises(Invalid) as caught:
        parse_source(text)
    assert message in caught.value.message


@patient
@given(st.text(max_size=40) | st.from_regex(r"[a-z/.]{0,5}(::)?[a-z+]{0,8}:(//)?\S{0,20}"))
def test_no_text_breaks_the_reading_of_a_source(text):
    """Any text is a source or refused, and no directory leaves the home."""
    try:
        source = parse_source(text)
    except Invalid:
        return
    assert not source.directory.startswith("/")
    assert not {"", ".", ".."} & set(source.directory.split("/"))


@pytest.mark.parametrize(
    "uri", ["/srv/git/app.git", "/srv/app/.git/", "https://x.org/app", "git@x.org:app.git"]
)
def test_a_repository_is_named_after_the_end_of_its_address(uri):
    """The name is the same for every way to the repository."""
    assert repository_name(uri) == "app"


def test_the_pushed_repository_takes_the_place_of_its_source():
    """The source with its name is pinned to the pushed revision; the others stay unpinned."""
    lib = Source("https://x.org/lib", "lib", "v1")
    job = job_of(lib, Source("https://x.org/app", "app", "main"))
    pushed = Source("/srv/app.git", "app", "refs/heads/next", REVISION)
    assert with_pushed_source(job, "/srv/app.git", "refs/heads/next", REVISION) == job_of(
        lib, pushed
    )


def test_the_pushed_repository_keeps_the_directory_that_the_recipe_chose():
    """A source found by its address is cloned where the recipe says."""
    job = job_of(Source("https://x.org/app.git", "src/code"))
    (source,) = with_pushed_source(job, "/srv/app.git", "refs/heads/x", REVISION).sources
    assert source == Source("/srv/app.git", "src/code", "refs/heads/x", REVISION)


@pytest.mark.parametrize(
    "written",
    [
        "https://git.sr.ht/~jo/app",
        "https://git.sr.ht/~jo/app.git#main",
        "git+https://git.sr.ht/~jo/app",
        "git+ssh://git@git.sr.ht/~jo/app#v1",
        "git@git.sr.ht:~jo/app",
        "app::https://x.org/elsewhere",
    ],
)
def test_the_pushed_repository_is_known_by_its_name_however_it_is_written(written):
    """It is where the server has it, at exactly what was pushed, and there only once."""
    job = job_of(parse_source(written), parse_source("https://x.org/lib"))
    replaced, lib = with_pushed_source(job, "/srv/app.git", "refs/heads/x", REVISION).sources
    assert replaced == Source("/srv/app.git", "app", "refs/heads/x", REVISION)
    assert lib == Source("https://x.org/lib", "lib")


def test_a_second_copy_of_the_pushed_repository_stays_as_written():
    """Only one source is the pushed one: that in the directory of its name before others."""
    old = Source("https://x.org/app.git", "old", "v1")
    job = job_of(old, Source("https://x.org/app.git", "app"))
    sources = with_pushed_source(job, "/srv/app.git", "refs/heads/x", REVISION).sources
    assert sources[0] == old
    assert sources[1].revision == REVISION


def test_the_pushed_repository_comes_first_when_no_source_names_it():
    """A recipe without sources still gets the tree that it stands in."""
    lib = Source("https://x.org/lib", "lib")
    sources = with_pushed_source(job_of(lib), "/srv/app.git", "refs/tags/v1", REVISION).sources
    assert sources == (Source("/srv/app.git", "app", "refs/tags/v1", REVISION), lib)
