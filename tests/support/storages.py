"""Both places for finished logs and products."""

import pytest

on_both_storages = pytest.mark.parametrize("file_storage", ["directory", "bucket"], indirect=True)
