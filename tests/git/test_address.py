"""Which addresses, refs and revisions are accepted, and which addresses are the same."""

import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ciserver.git.address import Addresses, check_ref, check_revision, repository_key
from ciserver.model.errors import BadAddress, Invalid

HOSTILE = [
    "",
    "-",
    "--upload-pack=touch /tmp/owned",
    "-oProxyCommand=sh",
    "ext::sh -c touch% /tmp/owned",
    "fd::17/foo",
    "transport::https://example.org/r",
    "https::https://example.org/r",
    "EXT::sh",
    "git+ext::sh -c id",
    "::sh",
    "ssh://-oProxyCommand=sh/r",
    "ssh://git@-oProxyCommand=sh/r",
    "ssh://-oProxyCommand=sh@example.org/r",
    "git+ssh://-oProxyCommand=sh/r",
    "ssh://%2doProxyCommand=sh/r",
    "ssh://example.org/-r",
    "ssh://example.org/%2dr",
    "ssh://example.org:0/r",
    "ssh://example.org:99999/r",
    "ssh://example.org:x/r",
    "ssh://example.org:/r",
    "ssh://exa mple.org/r",
    "ssh:///r",
    "ssh://example.org",
    "-oProxyCommand=sh:r",
    "git@-oProxyCommand=sh:r",
    "-x@example.org:r",
    "git@example.org:-r",
    "git@example.org:",
    "git:secret@example.org:r",
    "https://user:secret@example.org/r",
    "https://:secret@example.org/r",
    "https://example.org/r\n",
    "https://example.org/r\nHost: x",
    "https://example.org/%0aHost",
    "https://example.org/r\0",
    "https://example.org/%00",
    "https://example.org/r\x1b[2J",
    "https://example.org/r\x7f",
    "https://example.org\\@evil.org/r",
    "https://example.org/%5c..%5cx",
    "https://example.org/a/../b",
    "https://example.org/%2e%2e/b",
    "https://example.org/r?service=x",
    "https://example.org/r#x",
    "https://exämple.org/r",
    "https://[::1/r",
    "https://",
    "https:///etc",
    "https:/example.org/r",
    "http://example.org/r",
    "git://example.org/r",
    "ftp://example.org/r",
    "javascript://example.org/r",
    "file://example.org/srv/r",
    "file://",
    "file:relative",
    "file:///srv/%00",
    "/srv/r",
    "file:///srv/r",
    "FILE:///srv/r",
    "relative",
    "./relative",
    "../up",
    "~/r",
    "C:\\r",
    "\\\\host\\share",
]

GOOD = [
    "https://example.org/o/r.git",
    "https://git.sr.ht/~user/r",
    "https://user@example.org/o/r",
    "https://example.org:8443/o/r",
    "https://127.0.0.1/r",
    "https://[::1]:8443/r",
    "ssh://git@example.org:2222/o/r.git",
    "ssh://example.org/~user/r",
    "git@example.org:o/r.git",
    "git@git.sr.ht:~user/r",
    "example.org:r",
    "git@example.org:/srv/r.git",
]


@pytest.mark.parametrize("uri", HOSTILE)
def test_a_hostile_address_is_refused(uri):
    """What could run a program, read a file or mislead the eye is refused, with a reason."""
    with pytest.raises(BadAddress) as refusal:
        Addresses().check(uri)
    assert refusal.value.hint
    assert "secret" not in refusal.value.message


@pytest.mark.parametrize("uri", HOSTILE[:57])
def test_an_administrator_cannot_register_a_hostile_address_either(uri):
    """`local` opens paths and nothing else."""
    with pytest.raises(BadAddress):
        Addresses().check(uri, local=True)


@pytest.mark.parametrize("uri", GOOD)
def test_an_ordinary_address_is_used_as_it_is(uri):
    """Addresses of https and both forms of ssh need no setting."""
    assert Addresses().check(uri) == uri


@pytest.mark.parametrize("rest", ["https://git.sr.ht/~u/r", "ssh://git@git.sr.ht/~u/r"])
def test_the_git_plus_prefix_is_taken_off(rest):
    """builds.sr.ht's manifests write git+https:// and git+ssh://."""
    assert Addresses().check(f"git+{rest}") == rest


def test_plain_http_and_git_are_opt_in():
    """Each is accepted where the configuration says so."""
    addresses = Addresses(allow_http=True, allow_git=True)
    assert addresses.check("http://example.org/r") == "http://example.org/r"
    assert addresses.check("git://example.org/r") == "git://example.org/r"
    assert addresses.schemes == {"https", "ssh", "http", "git"}


def test_a_path_beneath_a_local_root_is_open_to_all(tmp_path):
    """Both spellings give the real path."""
    addresses = Addresses(local_roots=(tmp_path,))
    assert addresses.check(f"{tmp_path}/a b/../r/") == f"{tmp_path}/r"
    assert addresses.check(f"file://localhost{tmp_path}/a%20b") == f"{tmp_path}/a b"


def test_a_symbolic_link_does_not_lead_out_of_a_local_root(tmp_path):
    """What counts is where the path ends."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(BadAddress, match="path on this machine"):
        Addresses(local_roots=(root,)).check(f"{root}/link/other")
    with pytest.raises(BadAddress, match="path on this machine"):
        Addresses(local_roots=(root,)).check(f"{root}/../other")
    with pytest.raises(BadAddress, match="path on this machine"):
        Addresses(local_roots=(root,)).check(f"{tmp_path}/root-of-another")


def test_the_data_of_the_server_is_never_a_repository(tmp_path):
    """Not for an administrator, not beneath a root, not through a link."""
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "link").symlink_to(data)
    addresses = Addresses(local_roots=(tmp_path,), forbidden=(data,))
    for uri in (f"{data}", f"{data}/x", f"file://{data}/x", f"{tmp_path}/link/x"):
        with pytest.raises(BadAddress, match="server itself"):
            addresses.check(uri, local=True)
    assert addresses.check(f"{tmp_path}/database", local=True)


@pytest.mark.parametrize(
    "uri",
    [
        "https://GitHub.com/o/r.git",
        "https://github.com/o/r/",
        "https://user:secret@github.com:443/o//r.git",
        "http://github.com/o/r",
        "git+https://github.com/o/r",
        "git@github.com:o/r",
        "github.com:/o/r.git",
        "ssh://git@github.com:22/o/r.git",
        "git://github.com/o/r.git",
        " https://github.com/o/r ",
    ],
)
def test_all_ways_to_one_repository_have_one_key(uri):
    """A push is recognised whatever way its repository is written."""
    assert repository_key(uri) == "github.com/o/r"


def test_different_repositories_have_different_keys():
    """Another port is another server; the case of a path counts."""
    uris = [
        "https://h/o/r",
        "https://h:8443/o/r",
        "https://h/O/r",
        "https://h/o/r2",
        "https://g/o/r",
    ]
    assert len({repository_key(uri) for uri in uris}) == len(uris)


def test_the_key_of_a_path_is_the_real_path(tmp_path):
    """Links, slashes and file:// make no difference."""
    (tmp_path / "r").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "r")
    for uri in (f"{tmp_path}/r/", f"{tmp_path}/link", f"file://{tmp_path}/x/../r"):
        assert repository_key(uri) == f"{tmp_path}/r"


@given(st.text() | st.sampled_from(HOSTILE))
@example("https://[")
@example("/\0")
def test_a_key_is_never_an_error(uri):
    """Payloads come from outside: any text has a key."""
    assert isinstance(repository_key(uri), str)


def accepted_by_git(ref):
    return subprocess.run(["git", "check-ref-format", ref], check=False).returncode == 0


@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                "refs",
                "/",
                ".",
                "..",
                ".lock",
                "@",
                "@{",
                "-",
                "~",
                "^",
                ":",
                "?",
                "*",
                "[",
                "\\",
            ]
        )
        | st.sampled_from([" ", "\t", "\n", "\x7f", "é", "lock", "{", "}", "_", "//"]),
        max_size=6,
    ).map(lambda parts: "refs/" + "".join(parts))
)
@example("refs/heads/x.lock")
@example("refs/heads/x.lock/y")
@example("refs/heads/.x")
@example("refs/heads/a..b")
@example("refs/heads/@{-1}")
@example("refs/@")
def test_ref_names_are_judged_as_git_does(ref):
    """Whatever git refuses is refused, and nothing else."""
    try:
        accepted = check_ref(ref) == ref
    except Invalid:
        accepted = False
    assert accepted == accepted_by_git(ref)


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "main",
        "HEAD",
        "heads/main",
        "--upload-pack=x",
        "refs/",
        "refs/heads/a\0b",
        "refs/heads/a..b",
        "refs/heads/@{-1}",
        "refs/heads/x\n",
        "refs/heads//x",
        "refs/heads/x.",
    ],
)
def test_what_is_no_full_ref_is_refused(ref):
    """Only refs/... reaches git."""
    with pytest.raises(Invalid) as refusal:
        check_ref(ref)
    assert refusal.value.complaints


@pytest.mark.parametrize("text", ["0123456789abcdef" * 2 + "01234567", "a" * 64])
def test_a_full_revision_is_accepted(text):
    """40 hex digits, or 64."""
    assert check_revision(text) == text


@pytest.mark.parametrize(
    "text", ["", "a" * 39, "A" * 40, "g" * 40, "a" * 41, "a" * 40 + "\n", "-" + "a" * 39, "HEAD"]
)
def test_anything_else_is_no_revision(text):
    """No short forms, no names."""
    with pytest.raises(Invalid):
        check_revision(text)
