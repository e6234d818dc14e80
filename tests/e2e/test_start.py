"""What a server loads before it answers is memory that it keeps, and time until it answers."""

import re
import sys

import pytest
from support.server import Server

pytestmark = pytest.mark.e2e

TELLING = (sys.executable, "-v", "-m", "ciserver.cli.main")
LOADED = re.compile(r"^import '(\S+)' #", re.MULTILINE)
# Of commands, of workers elsewhere, of brokers, of buckets, of recipes in other languages.
OF_OTHERS = {
    "boto3",
    "botocore",
    "celery",
    "ciserver.cli.client",
    "ciserver.executor.remote",
    "ciserver.ringing",
    "ciserver.store.s3",
    "ciserver.worker",
    "jsonschema",
    "kombu",
    "redis",
    "starlark",
    "unittest",
    "urllib3",
}


def test_a_server_loads_nothing_that_only_others_need(tmp_path):
    """With SQLite and builds of its own, from its start until it is ready."""
    server = Server(tmp_path / "data", program=TELLING).start()
    try:
        loaded = set(LOADED.findall(server.log.read_text()))
        assert {"ciserver.cli.serve", "falcon.app", "peewee", "pygit2"} <= loaded
        assert loaded & OF_OTHERS == set()
    finally:
        server.stop()
