"""A broker with queues of the test's own, reached over a link that can be cut."""

import gc
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from support import rabbitmq
from support.link import Link


@pytest.fixture
def broker():
    with rabbitmq.broker() as made:
        yield made


@pytest.fixture
def link(broker):
    link = Link(urlsplit(broker.url).port or 5672).up()
    yield link
    link.down()
    gc.collect()  # what a cut left behind belongs to this test


@pytest.fixture
def linked(broker, link):
    """The broker as those see it whom the link leads there."""
    parts = urlsplit(broker.url)
    who = parts.netloc.rpartition("@")[0]
    there = parts._replace(netloc=f"{who}@127.0.0.1:{link.port}")
    return replace(broker, url=there.geturl())
