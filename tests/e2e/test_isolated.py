"""A server that is root, on a machine that forwards packets: builds have networks of their own."""

import pytest
from support.internet import PRIVATE, PUBLIC, said_by
from support.worker import Worker

pytestmark = pytest.mark.e2e

KNOCK = """
image: host
tasks:
  - knock: |
      set +x
      for place in {places}; do
        if (: </dev/tcp/$place) 2>/dev/null; then echo "+$place"; else echo "-$place"; fi
      done
"""
CONFIG = '[builds]\nsandbox = "bubblewrap"\nslots = 1\n'


def push_knock(repository, *places):
    repository.commit({".build.yml": KNOCK.format(places=" ".join(places))}, "Knock")
    repository.push()


def test_a_pushed_build_reaches_the_internet_and_not_its_server(internet, make_server, watch):
    """Nobody has to ask for that. Doctor and the start say so, and so does the log of the build;
    what a server that was killed left behind is gone when the next one stops.
    """
    server = make_server(config=CONFIG).start()
    places = (f"{PUBLIC}/80", f"127.0.0.1/{server.port}", f"{PRIVATE[0]}/80")
    push_knock(watch(server), *places)
    (build,) = server.until_built()
    told = server.step_log(build["id"], 1).decode().split()[-3:]
    assert told == [f"+{places[0]}", f"-{places[1]}", f"-{places[2]}"]
    isolated = "isolated (public IPv4 addresses, no private ones)"
    assert f"network: {isolated}" in server.step_log(build["id"], 0).decode()
    assert f"ok    network of builds: {isolated}" in server.cli("doctor").stdout
    assert f"network of builds: {isolated}" in server.log.read_text()
    server.kill()
    assert "ciserver_0" in said_by("nft", "list", "tables")
    server.start()
    assert server.stop() == 0
    assert said_by("nft", "list", "tables") == ""
    assert "ci0-" not in said_by("ip", "-brief", "link")


def test_a_worker_isolates_by_the_settings_of_its_machine(internet, make_server, watch, place):
    """Its server has none of it to say."""
    server = make_server(config=CONFIG + 'network = "none"\n').start()
    server.cli("queue", "pause", "--worker", "local")
    config = f'{CONFIG}network = "isolated"\nnetwork_allow = ["{PRIVATE[0]}:80"]\n'
    worker = Worker(server, place / "elsewhere", config=config).start()
    places = (f"{PUBLIC}/80", f"{PRIVATE[0]}/80", f"{PRIVATE[1]}/80")
    push_knock(watch(server), *places)
    (build,) = server.until_built()
    told = server.step_log(build["id"], 1).decode().split()[-3:]
    assert told == [f"+{places[0]}", f"+{places[1]}", f"-{places[2]}"]
    assert worker.stop() == 0
    assert said_by("nft", "list", "tables") == ""
