"""What a server loads before it answers is memory that it keeps, and time until it answers."""

import re
import sys

import pytest
from support.waiting import until

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
LIBRARY = {"ciserver.git.checkout", "ciserver.git.mirror", "pygit2"}
RECIPES = {"ciserver.recipe.manifest", "yaml"}


def loaded(server, since=0):
    return set(LOADED.findall(server.log.read_text()[since:]))


def test_a_server_loads_nothing_that_only_others_need(make_server):
    """With SQLite and builds of its own, from its start until it is ready."""
    found = loaded(make_server(program=TELLING).start())
    assert {"ciserver.cli.serve", "ciserver.git.mirrors", "falcon.app", "peewee"} <= found
    assert found & OF_OTHERS == set()


def test_what_reads_pushes_is_loaded_when_there_are_some(make_server, watch):
    """Repositories and recipes: by the first push, and of a server that had pushes by itself, so
    that the next need not wait for it.
    """
    server = make_server(program=TELLING).start()
    assert loaded(server) & (LIBRARY | RECIPES) == set()
    repository = watch(server)
    repository.commit({".build.yml": "image: host\ntasks:\n  - work: 'true'\n"})
    repository.push()
    server.until_built()
    assert loaded(server) >= LIBRARY | RECIPES
    server.stop()
    before = len(server.log.read_text())
    server.start()
    until(lambda: loaded(server, before) >= LIBRARY | RECIPES, what="all of it to be loaded")
