"""One build, seen through every dialect and the page, at each stage of its life.

What they say is the table in docs/dialects.md: told apart there and here, a word cannot change
without being read.
"""

import re
from pathlib import Path

import pytest
from falcon.testing import TestClient
from support.factories import Factory, done

from ciserver.model.build import BuildResult, Offer
from ciserver.model.status import BuildStatus, Reason, StepStatus

ROOT = Path(__file__).parents[2]
CHROOT = "fedora-rawhide-x86_64"
JSON = {"Accept": "application/json"}
_ENDS = {
    "succeeded": BuildResult(BuildStatus.SUCCEEDED),
    "partial": BuildResult(BuildStatus.PARTIAL),
    "failed": BuildResult(BuildStatus.FAILED, Reason.EXIT_CODE, "task compile exited with 2"),
    "timed out": BuildResult(BuildStatus.TIMED_OUT, Reason.TIME_LIMIT, "longer than its limit"),
    "errored": BuildResult(BuildStatus.ERRORED, Reason.SANDBOX_BROKEN, "no sandbox"),
}


class Life:
    """A build of its own that is brought from stage to stage as workers and people do."""

    def __init__(self, factory, admin, stage):
        self.factory, self.admin = factory, admin
        self.offer = Offer("local", (CHROOT,), (stage,))
        self.build = factory.build(system=CHROOT, image=stage)

    def start(self):
        self.lease = self.factory.claim(self.offer).lease

    def run(self):
        self.factory.reporter.advance(self.lease, done(0), 1, sandbox="plain")

    def cancel(self):
        self.factory.services.builds.cancel(self.admin, self.build.id)

    def end(self, result):
        status = StepStatus.SUCCEEDED if result.status.is_good else StepStatus.FAILED
        self.factory.reporter.finish(self.lease, result, (done(1, status),))


class Eyes:
    """What everybody says of a build."""

    def __init__(self, parts, token):
        self.client = TestClient(parts.app)
        self.token = {"Authorization": f"Bearer {token}"}

    def _json(self, path, headers=None):
        answer = self.client.simulate_get(path, headers={**JSON, **(headers or {})})
        assert answer.status_code == 200, (path, answer.text)
        return answer.json

    def look(self, build):
        return (
            self.hydra(build),
            self.srht(build),
            self.selfserve(build),
            self.abf(build),
            self.copr(build),
            self.page(build),
        )

    def hydra(self, build):
        told = self._json(f"/build/{build.id}")
        started = ", started" if told["starttime"] and not told["finished"] else ""
        status = "null" if told["buildstatus"] is None else told["buildstatus"]
        return f"{told['finished']}, {status}{started}"

    def srht(self, build):
        return self._json(f"/api/jobs/{build.id}", self.token)["status"]

    def selfserve(self, build):
        branch = f"{build.project}:{build.jobset}"
        listed = self._json(f"/self-serve/{branch}/rev/{build.revision}")
        (item,) = listed
        if "build_id" not in item:
            return "pending request"
        return "running build" if item["status"] is None else f"build, {item['status']}"

    def abf(self, build):
        told = self._json(f"/api/v1/product_build_lists/{build.id}.json")
        return str(told["product_build_list"]["status"])

    def copr(self, build):
        return self._json(f"/api_2/build_tasks/{build.group_id}/{CHROOT}")["build_task"]["state"]

    def page(self, build):
        text = self.client.simulate_get(f"/build/{build.id}").text
        found = re.search(r'<span class="status[^"]*"[^>]*>(.*?)</span>', text, re.DOTALL)
        return " ".join(re.sub(r"<.*?>", " ", found[1]).split())


@pytest.fixture
def eyes(parts, admin):
    parts.services.access.add_user(admin, "eve", email="", password="x" * 8, admin=False)
    token, _ = parts.services.access.add_token(admin, "eve", ("builds:read",), None)
    return Eyes(parts, token)


@pytest.fixture
def seen(parts, clock, admin, eyes):
    """Stage -> what everybody says, in the order of the life."""
    told, factory = {}, Factory(parts, clock)
    for stage, result in _ENDS.items():
        life = Life(factory, admin, stage)
        told["queued"] = eyes.look(life.build)
        life.start()
        told["starting"] = eyes.look(life.build)
        life.run()
        told["running"] = eyes.look(life.build)
        life.end(result)
        told[stage] = eyes.look(life.build)
    life = Life(factory, admin, "canceled")
    life.start()
    life.run()
    life.cancel()
    told["canceling"] = eyes.look(life.build)
    life.end(BuildResult(BuildStatus.CANCELED, Reason.CANCELED_BY, "canceled"))
    told["canceled"] = eyes.look(life.build)
    return told


def test_everybody_says_what_the_table_says(seen):
    """docs/dialects.md has a row for each stage, with the words of the answers."""
    assert table() == seen


def table():
    section = (ROOT / "docs/dialects.md").read_text().partition("## One build")[2]
    rows = re.findall(r"^\| (?!Stage|---)(.*) \|$", section.partition("\n## ")[0], re.MULTILINE)
    cells = ([cell.strip() for cell in row.split("|")] for row in rows)
    return {stage: tuple(words) for stage, *words in cells}
