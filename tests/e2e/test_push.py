"""The main job: a push becomes a build that people can watch."""

import pytest
from support.repositories import Repository

pytestmark = pytest.mark.e2e

RECIPE = """\
image: host
environment:
  GREETING: hello
tasks:
  - build: |
      cd project
      echo "$GREETING from $(cat name.txt)"
  - test: test -f project/name.txt
artifacts:
  - project/name.txt
"""


def test_a_push_becomes_a_build_with_logs_and_products(make_server, tmp_path):
    """From `ciserver watch` and `git push` to a succeeded build, its log and its product."""
    server = make_server().start()
    repository = Repository(tmp_path / "repositories")
    server.cli("watch", str(repository.bare))
    repository.commit({".build.yml": RECIPE, "name.txt": "ada\n"}, "Say hello")
    said = repository.push()
    assert "ciserver: Build(s) started:" in said
    assert f"ciserver: {server.url}/build/1 [build]" in said

    (build,) = server.until_built()
    assert (build["status"], build["job"], build["subject"]) == ("succeeded", "build", "Say hello")
    assert b"hello from ada" in server.step_log(build["id"], 1)
    whole = server.api(f"/builds/{build['id']}")
    (product,) = whole["products"]
    assert server.request("GET", product["url"].removeprefix(server.url)).data == b"ada\n"
    assert server.stop() == 0


def test_a_push_that_wants_no_builds(make_server, tmp_path):
    """The pusher reads why, and the project's page keeps it."""
    server = make_server().start()
    repository = Repository(tmp_path / "repositories")
    server.cli("watch", str(repository.bare))
    repository.commit({".build.yml": RECIPE, "name.txt": "ada\n"}, "Say hello")
    said = repository.push("-o", "skip-ci", "main")
    reason = "the push option skip-ci asks for no builds"
    assert f"ciserver: not built: {reason}" in said
    assert server.builds() == []
    page = server.request("GET", "/jobset/project/main", headers={"Accept": "text/html"})
    assert reason in page.data.decode()
    assert server.stop() == 0
