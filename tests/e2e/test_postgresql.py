"""The server over PostgreSQL: it builds, outlives its database going away, and moves there."""

import psycopg
import pytest
from support.postgresql import empty_database, make_database
from support.repositories import Repository

pytestmark = pytest.mark.e2e

RECIPE = "image: host\ntasks:\n  - build: cat project/name.txt\n"


@pytest.fixture
def url():
    made = make_database()
    yield made
    empty_database(made)


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "repositories")


def push(repository, text):
    repository.commit({".build.yml": RECIPE, "name.txt": f"{text}\n"}, text)
    repository.push()


def cut_off(url):
    """What a restart of the database does to those who are connected."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
        )


def test_pushes_are_built_while_the_database_comes_and_goes(make_server, repository, url):
    server = make_server(config=f'[database]\nurl = "{url}"\n').start()
    server.cli("watch", str(repository.bare))
    push(repository, "before")
    server.until_built(1)
    for text in ("one", "two", "three"):
        cut_off(url)
        push(repository, text)
    builds = server.until_built(4)
    assert [one["status"] for one in builds] == ["succeeded"] * 4
    assert {server.step_log(one["id"], 1).splitlines()[-1] for one in builds} == {
        *(b"before", b"one", b"two", b"three")
    }
    assert server.stop() == 0


def test_a_server_moves_to_postgresql(make_server, repository, url):
    """Builds, logs and accounts are there, and the next build goes on counting."""
    server = make_server().start()
    server.cli("watch", str(repository.bare))
    push(repository, "before")
    server.until_built(1)
    refused = server.cli(
        "migrate", "--from", f"sqlite:{server.data / 'ciserver.db'}", "--to", url, check=False
    )
    assert refused.returncode != 0
    assert "another server already uses" in refused.stderr
    server.stop()

    done = server.cli("migrate", "--from", f"sqlite:{server.data / 'ciserver.db'}", "--to", url)
    assert "compared them" in done.stdout
    assert "builds" in done.stderr.splitlines()
    (server.data / "ciserver.db").rename(server.data / "old.db")
    (server.data / "ciserver.toml").write_text(f'[database]\nurl = "{url}"\n')
    server.start()
    push(repository, "after")
    after, before = server.until_built(2)
    assert (before["id"], after["id"]) == (1, 2)
    assert server.step_log(1, 1).endswith(b"before\n")
    assert not (server.data / "ciserver.db").exists()
    shown = server.cli("doctor").stdout
    assert f"the database {url} is up to date" in shown


def test_a_database_that_is_not_there(make_server):
    """The refusal names it without its password, and says what to look at."""
    absent = "postgresql://ada:hunter22@127.0.0.1:9/nothing"
    server = make_server(config=f'[database]\nurl = "{absent}"\n')
    done = server.cli("migrate", check=False)
    assert done.returncode != 0
    assert "the database postgresql://ada@127.0.0.1:9/nothing does not answer" in done.stderr
    assert "hunter22" not in done.stderr
    assert "hunter22" not in server.cli("doctor", check=False).stdout
