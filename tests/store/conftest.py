"""What the tests of the store share."""

import pytest
from support.factories import Factory


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


@pytest.fixture
def queue(store):
    return store.queue
