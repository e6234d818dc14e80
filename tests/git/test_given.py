"""Work trees from packs of a server's mirrors: the same as those that the server would make."""

import tempfile
from pathlib import Path

import pytest
from support.repositories import Repository, git

from ciserver.git.address import Addresses
from ciserver.git.checkout import Checkouts
from ciserver.git.given import GivenCheckouts
from ciserver.git.mirrors import Mirrors
from ciserver.model.build import Source
from ciserver.model.errors import Invalid, RemoteFailure
from ciserver.model.worker import Checkout


class Server:
    """Mirrors with addresses, and what a worker may ask of them for one source."""

    def __init__(self, root, repositories):
        self.checkouts = Checkouts(Mirrors(root, Addresses(local_roots=(repositories,))))
        self.asked, self.sent = [], []

    def list(self, source):
        self.places = list(self.checkouts.places(source))
        return tuple(
            Checkout(one.path, one.mirror.name, one.revision, one.mirror.refs())
            for one in self.places
        )

    def pack(self, mirror, have):
        place = next(one for one in self.places if one.mirror.name == mirror)
        packed = tempfile.TemporaryFile()  # noqa: SIM115  the worker closes it
        place.mirror.write_pack(place.revision, have, packed)
        self.asked.append(have)
        self.sent.append(packed.tell())
        packed.seek(0)
        return packed


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "repositories")


@pytest.fixture
def server(tmp_path, repository):
    return Server(tmp_path / "server", tmp_path / "repositories")


@pytest.fixture
def worker(tmp_path):
    """A machine that may read no repository at all."""
    return GivenCheckouts(Mirrors(tmp_path / "worker", Addresses()), most_have=50)


@pytest.fixture
def put(server, worker, tmp_path):
    """Check a source out on the worker; gives the work tree."""
    trees = []

    def make(repository, revision, **more):
        source = Source(str(repository.bare), "x", revision=revision, **more)
        into = tmp_path / f"tree-{len(trees)}"
        trees.append(into)
        worker.make(source, server.list(source), into, server.pack, str)
        return into

    return make


def files(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(root).parts
    }


def test_a_work_tree_is_the_same_as_at_the_server(repository, server, put, tmp_path):
    """Files, history, tags and branches."""
    repository.commit({"a.txt": "one\n", "deep/b.txt": "two\n"})
    git(repository.tree, "tag", "-a", "v1", "-m", "first")
    new = repository.commit({"a.txt": "changed\n"}, "Change it")
    repository.push("main", "v1")
    given = put(repository, new)
    made = tmp_path / "at-server"
    server.checkouts.make(Source(str(repository.bare), "x", revision=new), made)
    assert files(given) == files(made)
    for question in (("log", "--oneline"), ("describe",), ("status", "--short"), ("branch", "-r")):
        assert git(given, *question) == git(made, *question)
    assert git(given, "describe").startswith("v1-1-g")


def test_only_what_is_missing_is_sent(repository, server, put):
    """The second time a worker says what it has, and gets little."""
    old = repository.commit({f"{n}.txt": f"{n}\n" * 2000 for n in range(50)})
    repository.push()
    put(repository, old)
    new = repository.commit({"small.txt": "small\n"})
    repository.push()
    tree = put(repository, new)
    assert (tree / "small.txt").read_text() == "small\n"
    assert server.asked == [(), (old,)]
    assert server.sent[1] < 1000 < server.sent[0]


def test_nothing_is_asked_for_what_is_there(repository, server, put):
    """A second build of a revision costs no pack."""
    revision = repository.commit({"a": "1"})
    repository.push()
    put(repository, revision)
    put(repository, revision)
    assert len(server.asked) == 1


def test_what_came_before_is_put_without_asking_the_server(
    repository, server, put, worker, tmp_path
):
    """Not even what the source is made of; what did not come, or has submodules, is left alone."""
    revision = repository.commit({"a": "1"})
    later = repository.commit({".gitmodules": ""})
    repository.push()
    tree = put(repository, revision)
    (place,) = server.places

    def again(wanted, **more):
        source, into = (
            Source(str(repository.bare), "x", revision=wanted, **more),
            tmp_path / "again",
        )
        return worker.again(source, place.mirror.name, into, None, str)

    assert again("1" * 40) is None
    assert again(later) is None
    assert not (tmp_path / "again").exists()
    assert again(revision)
    assert files(tmp_path / "again") == files(tree)


def with_submodule(tmp_path):
    inner, outer = (Repository(tmp_path / "repositories", name) for name in ("lib", "outer"))
    pinned = inner.commit({"inner.txt": "inner\n"})
    inner.push()
    git(outer.tree, "-c", "protocol.file.allow=always", "submodule", "add", "../lib.git", "lib")
    return inner, outer, pinned


def test_submodules_come_along(tmp_path, server, put):
    """Each from a mirror of its own."""
    _, outer, pinned = with_submodule(tmp_path)
    revision = outer.commit({"outer.txt": "outer\n"})
    outer.push()
    tree = put(outer, revision)
    assert (tree / "lib" / "inner.txt").read_text() == "inner\n"
    assert git(tree / "lib", "rev-parse", "HEAD") == pinned
    assert [one.path for one in server.places] == ["", "lib"]
    bare = put(outer, revision, submodules=False)
    assert not list((bare / "lib").iterdir())


def test_no_address_of_the_server_is_written(tmp_path, server, put):
    """A submodule is where the recipe's repository says, and not where the server found it."""
    inner, outer, _ = with_submodule(tmp_path)
    revision = outer.commit({"outer.txt": "outer\n"})
    outer.push()
    config = (put(outer, revision) / "lib" / ".git" / "config").read_text()
    assert 'url = "../lib.git"' in config
    assert str(inner.bare) not in config


def test_a_submodule_that_is_not_given_is_refused(tmp_path, server, worker):
    """The worker looks nowhere else for it."""
    _, outer, _ = with_submodule(tmp_path)
    revision = outer.commit({"outer.txt": "outer\n"})
    outer.push()
    source = Source(str(outer.bare), "x", revision=revision)
    listed = server.list(source)[:1]
    with pytest.raises(Invalid, match="does not give the submodule 'lib'"):
        worker.make(source, listed, tmp_path / "tree", server.pack, str)
    assert not (tmp_path / "tree").exists()


def test_what_is_no_pack_may_pass(repository, server, worker, tmp_path):
    """An answer that was cut off is worth another try."""
    revision = repository.commit({"a": "1"})
    repository.push()
    source = Source(str(repository.bare), "x", revision=revision)
    cut = tempfile.TemporaryFile()  # noqa: SIM115  the worker closes it
    cut.write(b"PACK")
    cut.seek(0)
    with pytest.raises(RemoteFailure) as caught:
        worker.make(source, server.list(source), tmp_path / "x", lambda *_: cut, str)
    assert caught.value.temporary


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", "a.b"])
def test_a_mirror_is_no_path(repository, worker, tmp_path, name):
    """Whatever the server calls it."""
    given = (Checkout("", name, "1" * 40, {}),)
    with pytest.raises(Invalid, match="no name of a mirror"):
        worker.make(Source("x", "x", revision="1" * 40), given, tmp_path / "x", None, str)
    assert not (Path(tmp_path) / "x").exists()
