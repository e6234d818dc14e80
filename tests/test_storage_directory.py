"""`storage.directory`: where the files lie that belong to rows, all of them or none."""

import io
import stat
from dataclasses import replace

import pytest
from support.factories import Factory
from support.prepared import put_database

from ciserver.config import Settings, Storage, load
from ciserver.datadir import DataDirectory
from ciserver.machine import make_addresses, own_directories
from ciserver.model.errors import BadAddress, BadConfiguration
from ciserver.opening import open_store
from ciserver.store.files import FOLDERS
from ciserver.wiring import make_parts


@pytest.fixture
def data(tmp_path):
    return put_database(DataDirectory(tmp_path / "data"))


@pytest.fixture
def settings(tmp_path):
    return Settings(storage=Storage(tmp_path / "shared"))


def keep_one_of_each(store):
    """Of every kind of file that belongs to a row."""
    store.files.write_log(1, 1, 0, 0, b"log")
    store.files.keep_product(io.BytesIO(b"product"))
    store.cache_files.keep(io.BytesIO(b"cache"))
    store.upload_files.keep(io.BytesIO(b"upload"))
    store.incoming.write(1, 1, "ab" * 32, 0, b"piece", most=0)


def folders(root):
    """Those in which there is a file."""
    return {one.relative_to(root).parts[0] for one in root.rglob("*/*") if one.is_file()}


def test_all_files_lie_there(settings, data, tmp_path):
    """For the server's user alone, and none is left in the data directory."""
    keep_one_of_each(open_store(settings, data))
    assert folders(tmp_path / "shared") == set(FOLDERS)
    assert folders(data.root) == set()
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o700


def test_without_it_they_lie_in_the_data_directory(data):
    keep_one_of_each(open_store(Settings(), data))
    assert folders(data.root) == set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_files_that_would_be_left_behind(settings, data, folder):
    """A server that would no longer find them does not start; empty folders do no harm."""
    (data.root / folder / "0").mkdir(parents=True)
    open_store(settings, data)
    (data.root / folder / "0" / "file").write_bytes(b"kept")
    with pytest.raises(BadConfiguration, match=f"still has files in {folder}") as raised:
        make_parts(settings, data)
    assert "move these folders" in raised.value.hint


def test_files_that_were_moved_are_found(settings, data, tmp_path, clock):
    """As the hint says: the folders moved, the server started again."""
    parts = make_parts(Settings(), data, clock=clock)
    sha256, _ = parts.store.files.keep_product(io.BytesIO(b"product"))
    build = Factory(parts, clock).build()
    parts.store.database.close()
    (tmp_path / "shared").mkdir()
    for one in FOLDERS:
        (data.root / one).rename(tmp_path / "shared" / one)
    moved = make_parts(settings, data, clock=clock)
    assert moved.store.builds.get(build.id) == build
    with moved.store.files.open_product(sha256) as file:
        assert file.read() == b"product"
    moved.store.database.close()


def test_a_disk_that_is_not_mounted(settings, data, tmp_path):
    """No directory above it is made up."""
    far = replace(settings, storage=Storage(tmp_path / "mnt" / "shared"))
    with pytest.raises(BadConfiguration, match="cannot be made: No such file or directory"):
        open_store(far, data)
    assert not (tmp_path / "mnt").exists()


def test_builds_and_inputs_stay_out_of_it(settings, data, tmp_path):
    """It is hidden as the data directory is."""
    assert tmp_path / "shared" in own_directories(settings, data)
    (tmp_path / "shared").mkdir()
    with pytest.raises(BadAddress):
        make_addresses(settings, data).check_path(str(tmp_path / "shared"), local=True)


@pytest.mark.parametrize("written", ['""', '"shared"', '"./shared"'])
def test_what_may_be_written(tmp_path, written):
    """Empty is none; a relative path would be another one for each command."""
    path = tmp_path / "ciserver.toml"
    path.write_text(f"[storage]\ndirectory = {written}\n")
    if written == '""':
        assert load(path, {}).storage.directory is None
        return
    with pytest.raises(BadConfiguration) as raised:
        load(path, {})
    (complaint,) = raised.value.complaints
    assert (complaint.field, complaint.message) == (
        "storage.directory",
        "must be an absolute path, such as /srv/ciserver",
    )
