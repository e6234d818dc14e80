"""What a server keeps outside of its data directory, beside those of others on this machine."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.removal import remove_tree
from ciserver.machine import forget_abandoned_scratch, scratch_root


@pytest.mark.skipif(os.geteuid() != 0, reason="only a server that runs as root keeps some")
def test_servers_that_start_at_once_forget_the_same(tmp_path):
    """What another one is just removing is no fault; what is in use stays."""
    used = scratch_root(Settings(), DataDirectory(tmp_path))
    left = [scratch_root(Settings(), DataDirectory(tmp_path / str(n))) for n in range(100)]
    with ThreadPoolExecutor(4) as servers:
        list(servers.map(lambda _: forget_abandoned_scratch(), range(4)))
    assert not any(one.exists() for one in left)
    assert used.exists()
    remove_tree(used)
