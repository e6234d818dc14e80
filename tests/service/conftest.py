"""What the tests of the services share."""

import pytest
from support.factories import Factory


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


@pytest.fixture
def reporter(parts):
    return parts.reporter
