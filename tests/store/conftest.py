"""What the tests of the store share."""

import pytest
from support.factories import Factory
from support.postgresql import BOTH, database


@pytest.fixture(params=BOTH)
def database_url(request):
    """Each test of the store runs on both databases."""
    with database(request.param) as url:
        yield url


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


@pytest.fixture
def queue(store):
    return store.queue
