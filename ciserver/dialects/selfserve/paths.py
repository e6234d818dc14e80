"""The addresses of self-serve, as its pages and answers name them."""

from urllib.parse import quote

from ciserver.dialects.selfserve.show import branch_name
from ciserver.model.build import Build
from ciserver.model.project import Jobset

ROOT = "/self-serve"
JOBS = f"{ROOT}/jobs"
PENDING, RUNNING, REPORTS = "/pending", "/running", "/reports"
DUMPS = "/builddata/buildjson"


def path(*parts: object) -> str:
    """Beneath the root; every part is quoted, so a name never leaves its place."""
    return ROOT + "".join("/" + quote(str(part), safe="") for part in parts)


class Place:
    """The addresses of one branch."""

    def __init__(self, jobset: Jobset) -> None:
        self.name = branch_name(jobset)
        self.root = path(self.name)
        self.rebuild = path(self.name, "request")
        self.builders = path(self.name, "builders")
        quoted = quote(self.name, safe="")
        self.pending, self.running = f"{PENDING}/{quoted}", f"{RUNNING}/{quoted}"
        self.waits = f"{REPORTS}/waittimes/{quoted}"
        self.pushes = f"{REPORTS}/endtoend/{quoted}"

    def revision(self, revision: str, *rest: str) -> str:
        return path(self.name, "rev", revision, *rest)

    def builder(self, name: str, revision: str) -> str:
        return path(self.name, "builders", name, revision)

    def request(self, build: Build) -> str:
        return path(self.name, "request", build.id)

    def build(self, build: Build) -> str:
        return path(self.name, "build", build.id)

    def user(self, user: str) -> str:
        return path(self.name, "user", user)


def job(request_id: int) -> str:
    return path("jobs", request_id)
