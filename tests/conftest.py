"""Fixtures that every shelf may use."""

import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

import falcon.inspect
import hypothesis
import pytest
import structlog
from support import ordinary as ordinary_user
from support.clock import StillClock
from support.internet import Internet
from support.internet import fault as internet_fault
from support.internet import missing as missing_programs
from support.memory import keep_temporary_files_in_memory
from support.postgresql import database, drop_databases
from support.prepared import put_database
from support.repositories import Repository
from support.server import Server

from ciserver.config import Database, Settings, Storage
from ciserver.datadir import DataDirectory
from ciserver.edge.addresses import Addresses
from ciserver.model.account import Actor
from ciserver.wiring import make_parts, scratch_root

RECIPE = "image: host\ntasks:\n  - build: echo built\n"
ADMIN = Actor("root", is_admin=True, scopes=("*",))


def pytest_configure():
    keep_temporary_files_in_memory()
    usual, slow = hypothesis.settings(), [hypothesis.HealthCheck.too_slow]
    # A busy machine is no fault.
    hypothesis.settings.register_profile(
        "patient", usual, deadline=None, suppress_health_check=slow
    )
    hypothesis.settings.load_profile("patient")


@falcon.inspect.register_router(Addresses)
def _routes(addresses):
    parts = map(falcon.inspect.inspect_compiled_router, addresses.parts)
    return [route for part in parts for route in part]


def pytest_collection_modifyitems(config, items):
    """Beside others, what may take longest begins first: nobody waits for it alone at the end."""
    if hasattr(config, "workerinput"):  # one process of several
        items.sort(key=_limit, reverse=True)


def _limit(item):
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0] if marker else item.config.getini("timeout"))


def forget_scratch(data):
    """What a server that runs as root keeps outside of its data directory."""
    scratch = scratch_root(Settings(), DataDirectory(data))
    if scratch != data.resolve():
        shutil.rmtree(scratch, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _plain_traces():
    """Crashes are logged without the values of all variables, which take seconds to draw."""
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], console])


@pytest.fixture
def clock():
    return StillClock()


@pytest.fixture
def admin():
    return ADMIN


@pytest.fixture(scope="session", autouse=True)
def _no_database_stays():
    yield
    drop_databases()


@pytest.fixture
def database_url(request):
    """Where rows are kept; empty: SQLite. All tests run on PostgreSQL when the environment asks."""
    usual = os.environ.get("CISERVER_TEST_DATABASE", "sqlite")
    with database(getattr(request, "param", usual)) as url:
        yield url


@pytest.fixture
def sqlite_alone(database_url):
    """The test uses what other databases do not have."""
    if database_url:
        pytest.skip("this test is of SQLite")


@pytest.fixture
def parts(tmp_path, clock, database_url, file_storage):
    """A whole server without anything that runs: services, store and application."""
    data = put_database(DataDirectory(tmp_path / "data"))
    settings = Settings(database=Database(database_url), storage=file_storage)
    made = make_parts(settings, data, clock=clock)
    yield made
    made.store.database.close()
    forget_scratch(tmp_path / "data")


@pytest.fixture
def store(parts):
    return parts.store


@pytest.fixture
def services(parts):
    return parts.services


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "repositories")


@pytest.fixture
def watched(services, repository, admin):
    """The repository is watched as project `project`, with a recipe on its main branch."""
    repository.commit({".build.yml": RECIPE}, "Add a recipe")
    repository.push()
    return services.projects.watch(admin, "project", str(repository.bare), local=True)


@pytest.fixture
def place():
    """A directory that builds of another user may pass through, unlike tmp_path."""
    with tempfile.TemporaryDirectory(prefix="ciserver-test-") as made:
        Path(made).chmod(0o711)
        yield Path(made)


def start_storage(directory, **how):
    from support.s3 import Storage as Started  # what it needs is slow, and for few tests

    started = Started(directory / "storage.log", **how)
    yield started
    started.stop()


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    """An object storage on this machine, which believes everybody."""
    yield from start_storage(tmp_path_factory.mktemp("s3"))


@pytest.fixture(scope="session")
def s3_with_keys(tmp_path_factory):
    """Another one, which checks keys and signatures."""
    yield from start_storage(tmp_path_factory.mktemp("s3"), checks_keys=True)


@pytest.fixture
def file_storage(request):
    """Where finished logs and products lie, as settings; by itself the data directory."""
    if getattr(request, "param", "directory") == "directory":
        return Storage()
    return request.getfixturevalue("s3").make_bucket().as_settings()


@pytest.fixture
def internet():
    """The test is on a machine of its own, with an internet that ends there."""
    if programs := missing_programs():
        is_due = os.environ.get("CI") == "true" and os.geteuid() == 0
        (pytest.fail if is_due else pytest.skip)(f"not installed: {programs}")
    if fault := internet_fault():
        pytest.skip(fault)
    made = Internet()
    yield made
    made.close()


@pytest.fixture
def ordinary(internet, place):
    """Python as an ordinary user of that machine."""
    if programs := ordinary_user.missing():
        is_due = os.environ.get("CI") == "true"
        (pytest.fail if is_due else pytest.skip)(f"not installed: {programs}")
    if fault := ordinary_user.fault(place):
        pytest.skip(f"no ordinary user here who can open /dev/net/tun: {fault}")
    return partial(ordinary_user.python, place)


@pytest.fixture
def make_server(place):
    """Starts real servers; what still runs at the end is stopped."""
    servers = []

    def make(name="server-data", **options):
        server = Server(place / name, **options)
        servers.append(server)
        return server

    yield make
    for server in servers:
        if server.process is not None and server.process.poll() is None:
            server.stop()
        forget_scratch(server.data)
