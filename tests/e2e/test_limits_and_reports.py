"""A pushed recipe with limits, a cache, reports and metrics, built by a real server."""

import pytest

pytestmark = pytest.mark.e2e

RECIPE = """\
image: host
tasks:
  - build: |
      cat .cache/count || true
      mkdir -p .cache
      echo built before >> .cache/count
      echo '<testsuite><testcase name="adds"/></testsuite>' > out.xml
      echo "size 12 kB" >> "$CISERVER_METRICS"
  - hungry: |
      if test -e project/hungry; then tail /dev/zero; fi
resources:
  memory: 64M
  pids: 50
  disk: 100M
cache:
  - key: count
    paths: [.cache]
reports:
  junit: ["*.xml"]
"""


def test_builds_share_a_cache_and_tell_of_tests(make_server, watch):
    """The second build finds what the first one kept; both tell; a third is over its limit."""
    server = make_server().start()
    repository = watch(server)
    for number, files in enumerate(({".build.yml": RECIPE}, {"a": "a"}, {"hungry": "x"}), 1):
        repository.commit(files, f"Push {number}")
        repository.push()
        server.until_built(number)
    first, second, third = (server.api(f"/builds/{number}") for number in (1, 2, 3))
    assert (first["status"], second["status"]) == ("succeeded", "succeeded")
    assert (third["status"], third["reason"]) == ("failed", "memory-limit")
    assert b"cache: count: nothing under this key" in server.step_log(1, 0)
    assert b"cache: count: 10 KiB restored" in server.step_log(2, 0)
    assert b"\nbuilt before\n" in server.step_log(2, 1)
    assert b"cache: count: 10 KiB saved" in server.step_log(2, 2)
    for one in (first, second, third):
        assert (one["tests"]["passed"], one["metrics"][0]["value"]) == (1, 12.0)
    assert server.stop() == 0
