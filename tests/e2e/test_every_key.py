"""One manifest with every key there is, pushed to a real server and built in a sandbox."""

import json
from pathlib import Path

import pytest
import yaml
from support.repositories import Repository, git
from support.waiting import until

from ciserver.machine import native_system
from ciserver.recipe.schema import Manifest

pytestmark = pytest.mark.e2e

# Where `arch` stands `systems` cannot.
WITHOUT = {"systems"}
SECRET = "correct horse battery staple"
MANIFEST = """\
image: alpine/edge
arch: @MACHINE@
packages:
  - nothing-of-that-name
repositories:
  extra: https://packages.example.org/extra
sources:
  - https://git.sr.ht/~ada/project#main
  - vendor/lib::@LIBRARY@#v1
environment:
  NAME: hello
  COUNT: 3
  SWITCH: yes
  NOTHING:
  FLAGS: [-O2, "-D X"]
secrets:
  - staple
oauth: git.sr.ht/REPOSITORIES:RO
shell: true
submitter:
  git.sr.ht:
    enabled: true
    allow-refs: [refs/heads/main]
  hub.sr.ht:
    enabled: false
tasks:
  - _prepare: |
      test "$NAME-$COUNT-$SWITCH-$NOTHING" = hello-3-true-
      test "${FLAGS[1]}" = "-D X"
      test "$(cat ~/.staple)" = "@SECRET@"
      cat ~/.staple
      test "$(git -C project rev-parse HEAD)" = "$CI_COMMIT_SHA"
      test "$(cat vendor/lib/version)" = 1
      test "$python" = three
      echo "export LATER=yes" >> ~/.buildenv
  - build: |
      test "$LATER" = yes
      test "$BUILD_SUBMITTER" = git.sr.ht
      test "$GIT_REF" = refs/heads/main
      mkdir -p out .cache/kept
      echo made > out/made.txt
      echo '<testsuite><testcase name="adds"/></testsuite>' > out/tests.xml
      printf '1..1\\nok 1 - taps\\n' > out/tests.tap
      printf 'SF:a.c\\nDA:1,1\\nend_of_record\\n' > out/coverage.info
  - done: complete-build
  - never: "false"
artifacts:
  - out/made.txt
triggers:
  - action: webhook
    condition: always
    url: @RECEIVER@
timeout: 5
silence: 2
priority: 2
when:
  kinds: [push]
  refs: [main]
  paths: ["**/*.yml"]
network: false
matrix:
  python: [two, three]
  exclude:
    - python: two
needs: [first]
runs_on: [every]
retries: 1
retry_on_failure: 1
concurrency:
  group: every-key
  policy: queue
paths: ["*"]
resources:
  memory: 512M
  pids: 200
  disk: 1G
cache:
  - key: kept
    paths: [.cache/kept]
reports:
  junit: ["out/*.xml"]
  tap: ["out/*.tap"]
  coverage: ["out/*.info"]
maintainers: [ada@example.org]
always: true
schedules:
  - kind: nightly
    cron: 0 4 * * *
"""


def test_every_key_at_once(make_server, watch, receiver, tmp_path):
    """Each has its effect, or its note in the log of the setup, and none is in another's way."""
    library = Repository(tmp_path / "repositories" / "library", "lib")
    library.commit({"version": "1\n"})
    git(library.tree, "tag", "v1")
    library.commit({"version": "2\n"})
    library.push("main", "v1")
    config = f'[outgoing]\nallow = ["127.0.0.1"]\n[git]\nlocal_roots = ["{tmp_path}"]\n'
    config += '[builds]\nlabels = ["every"]\n'
    server = make_server(config=config).start()
    repository = watch(server, "hello")
    secret = {"type": "plaintext_file", "name": "staple", "path": "~/.staple", "value": SECRET}
    answer = server.request("POST", "/ci/v1/projects/hello/secrets", json=secret)
    assert answer.status == 201, answer.data
    manifest = filled(library.bare, receiver.url())
    first = "image: host\ntasks:\n  - first: echo first\n"
    repository.commit({".builds/first.yml": first, ".builds/every.yml": manifest}, "Add all")
    repository.push()
    builds = {one["job"]: one for one in server.until_built(2)}
    build = server.api(f"/builds/{builds['every.three']['id']}")
    setup = server.step_log(build["id"], 0).decode()
    assert build["status"] == "succeeded", setup + server.step_log(build["id"], 1).decode()
    steps = {one["name"]: one["status"] for one in build["attempts"][0]["steps"]}
    assert steps == {
        "setup": "succeeded",
        "_prepare": "succeeded",
        "build": "succeeded",
        "done": "succeeded",
        "never": "skipped",
    }
    (product,) = build["products"]
    assert (product["name"], build["tests"]["passed"]) == ("made.txt", 2)
    assert (build["priority"], build["concurrency"]) == (2, "every-key")
    assert build["tags"] == ["project", "commits", "main", "every"]
    for told in ("note: oauth:", "note: shell:", "repositories: not added", "not found here"):
        assert told in setup
    assert SECRET not in server.step_log(build["id"], 1).decode()
    until(receiver.events, what="the webhook")
    (schedule,) = server.api("/schedules")
    assert (schedule["kind"], schedule["declared_by"]) == ("nightly", ".builds/every.yml")
    assert server.stop() == 0


def filled(library: Path, receiver: str) -> str:
    """The manifest for this machine; no key is missing from it."""
    places = {
        "MACHINE": native_system().partition("-")[0],
        "LIBRARY": f"file://{library}",
        "SECRET": SECRET,
        "RECEIVER": json.dumps(receiver),
    }
    text = MANIFEST
    for name, value in places.items():
        text = text.replace(f"@{name}@", value)
    assert yaml.safe_load(text).keys() == Manifest.model_fields.keys() - WITHOUT
    return text
