"""What work costs a server, in calls and bytes that are counted: time is for the bench."""

from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MB = 32
LINES = MB * 10_000
CALLS_A_MB = 40  # a line at once would be 20,000
MEMORY_MB = 20
RECIPE = f"""
image: host
network: false
secrets: [masked]
tasks:
  - quiet: 'true'
  - talk: |
      set +x
      if [ -e project/loud ]; then yes {"x" * 99} | head -n {LINES} || true; fi
"""


@pytest.fixture
def built(make_server, watch):
    """Answers how to build with a long log or none, on a server that has built before."""
    server = make_server(config='[builds]\nsandbox = "plain"\n').start()
    repository = watch(server)
    kept = ("--name", "masked", "--path", "masked", "--project", "project")
    server.cli("secret", "add", "plaintext_file", "-", *kept, input_text="correct-horse-battery")
    made = []

    def build(*, loud):
        files = {".build.yml": RECIPE, "round": str(len(made))}
        repository.commit({**files, "loud": "yes"} if loud else files)
        repository.push()
        made.append(loud)
        newest, *_ = server.until_built(len(made), seconds=60)
        assert newest["status"] == "succeeded"
        return newest["id"]

    build(loud=False)
    return server, build


def test_a_long_log_costs_few_calls_and_no_memory(built):
    """What a build writes is moved in large pieces, masked, and held nowhere as a whole."""
    server, build = built
    before = calls(server)
    build(loud=False)
    quiet = calls(server) - before
    forget_peak(server)
    before, memory = calls(server), kilobytes(server, "VmRSS")
    number = build(loud=True)
    loud = calls(server) - before
    end = server.request("GET", f"/ci/v1/builds/{number}/steps/2/log?offset={MB * 1_000_000}")
    assert b"xxx\n" in end.data
    assert loud - quiet < MB * CALLS_A_MB
    assert kilobytes(server, "VmHWM") - memory < MEMORY_MB * 1024


def calls(server):
    """Reads and writes of the server's threads so far, without those of builds."""
    files = Path(f"/proc/{server.process.pid}/task").glob("*/io")
    lines = [line for one in files for line in one.read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith(("syscr", "syscw")))


def forget_peak(server):
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")


def kilobytes(server, what):
    status = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    (line,) = [line for line in status if line.startswith(f"{what}:")]
    return int(line.split()[1])
