"""What the tests of the store share."""

import pytest
from support.factories import Factory
from support.postgresql import empty_database, make_database


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request):
    """Each test of the store runs on both databases."""
    if request.param == "sqlite":
        yield ""
        return
    url = make_database()
    yield url
    empty_database(url)


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


@pytest.fixture
def queue(store):
    return store.queue
