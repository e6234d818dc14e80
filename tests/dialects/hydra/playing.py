"""What plays Hydra's clients, and brings about what its manual shows."""

import json

from falcon.testing import TestClient
from support.factories import ADMIN, Factory, done, make_job

from ciserver.model.build import BuildResult, Offer
from ciserver.model.errors import Complaint
from ciserver.model.evaluation import PinnedInput
from ciserver.model.project import Input, InputType, JobsetMode, JobsetSettings, ProjectSettings
from ciserver.model.status import BuildStatus, EvaluationStatus
from ciserver.recipe.text import job_to_json
from ciserver.store.arrivals import Texts

PASSWORD = "correct horse battery"
OURS = "http://falconframework.org"
JSON = {"Content-Type": "application/json"}
NIXPKGS = "https://github.com/NixOS/nixpkgs.git"
HYDRA = "https://github.com/NixOS/hydra.git"
RELEASE = "refs/heads/release-14.12"
MAIL = "rob.vermaas@gmail.com, eelco.dolstra@logicblox.com"
INPUTS = (
    Input("officialRelease", type=InputType.BOOLEAN, value="false"),
    Input("hydraSrc", HYDRA, "refs/heads/build-ng"),
    Input("nixpkgs", NIXPKGS, RELEASE),
)
PINNED = (
    PinnedInput("nixpkgs", NIXPKGS, RELEASE, "f60e48ce81b6f428d072d3c148f6f2e59f1dfd7a"),
    PinnedInput(
        "hydraSrc", HYDRA, "refs/heads/build-ng", "48d6f0de2ab94f728d287b9c9670c4d237e7c0f6"
    ),
    PinnedInput("officialRelease", type=InputType.BOOLEAN, value="false"),
)


class Caller:
    """A client that asks as Hydra's do: by the content type of the request, whatever its method."""

    def __init__(self, app, token=""):
        self.client = TestClient(app)
        self.proof = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, method, path, body=None, *, headers=JSON, **rest):
        path, _, query = path.partition("?")
        if body is not None:
            rest["body"] = body if isinstance(body, str | bytes) else json.dumps(body)
        rest = {"query_string": query, **rest}
        return self.client.simulate_request(method, path, headers={**self.proof, **headers}, **rest)

    def get(self, path, **rest):
        """The JSON of a good answer."""
        answer = self.ask("GET", path, **rest)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        return answer.json

    def put(self, path, body, status=200):
        answer = self.ask("PUT", path, body)
        assert answer.status_code == status, answer.text
        return answer.json

    def refusal(self, method, path, body=None, **rest):
        """Status and message of what is refused in Hydra's shape."""
        answer = self.ask(method, path, body, **rest)
        assert answer.headers["content-type"] == "application/json", answer.text
        assert answer.json.keys() - {"errors", "jobsetsTriggered"} == {"error"}
        return answer.status_code, answer.json["error"]


class Farm:
    """The projects of the manual, with an evaluation of hydra:build-ng and its builds."""

    def __init__(self, parts, clock):
        self.store, self.services, self.clock = parts.store, parts.services, clock
        self.factory = Factory(parts, clock)
        self.reporter = parts.reporter

    def users(self, *names):
        with self.store.transaction():
            for name in names:
                self.store.accounts.add(
                    name, email="", password_hash="", is_admin=False, now=self.clock.now()
                )

    def project(self, name, owner, jobsets, **settings):
        self.services.projects.put_project(ADMIN, name, ProjectSettings(**settings), owner=owner)
        for one in jobsets:
            self.services.jobsets.put(ADMIN, name, one, JobsetSettings(recipe_input=""), ())

    def build_ng(self, **changes):
        settings = JobsetSettings(
            recipe_input="hydraSrc",
            recipe_path=("release.nix",),
            mail_to=MAIL,
            mode=JobsetMode.OFF,
            **changes,
        )
        put = self.services.jobsets.put
        return put(ADMIN, "hydra", "build-ng", settings, INPUTS)[0]

    def evaluated(self, jobset, *jobs):
        """An evaluation with the inputs of the manual, requested, pinned and ended a while after
        one another, and its builds.
        """
        store, clock = self.store, self.clock
        evaluation = self.factory.evaluation(jobset)
        with store.transaction():
            store.evaluations.claim(clock.forward(seconds=10), clock.forward(minutes=5))
        pinned_at = clock.forward(seconds=2)
        with store.transaction():
            for job in jobs:
                store.queue.add(
                    evaluation, job, Texts(store.queue.add_text(job_to_json(job))), clock.now()
                )
            store.evaluations.count_builds(evaluation.id, total=len(jobs))
            store.evaluations.finish(
                evaluation.id,
                EvaluationStatus.SUCCEEDED,
                clock.forward(seconds=30),
                inputs=PINNED,
                pinned_at=pinned_at,
            )
        return evaluation.id, [one.id for one in store.builds.list_of_evaluation(evaluation.id)]

    def failed(self, jobset, message, *, pinned=True):
        """An evaluation that ended with a complaint, before or after it had its inputs."""
        evaluation = self.factory.evaluation(jobset)
        rest = {"inputs": PINNED, "pinned_at": self.clock.now()} if pinned else {}
        with self.store.transaction():
            self.store.evaluations.finish(
                evaluation.id,
                EvaluationStatus.FAILED,
                self.clock.now(),
                complaints=(Complaint("", message),),
                **rest,
            )

    def built(self, build_id, image, product=None):
        """The build starts, makes a product and succeeds."""
        self.clock.forward(seconds=20)
        lease = self.factory.claim(Offer("local-0", ("x86_64-linux",), (image,))).lease
        assert lease.build_id == build_id
        self.reporter.advance(lease, done(0), 1, sandbox="plain")
        if product:
            self.reporter.add_product(lease, *product)
        self.clock.forward(seconds=60)
        self.reporter.finish(lease, BuildResult(BuildStatus.SUCCEEDED), (done(1),))


def job(name, **changes):
    return make_job(name=name, image=f"image-{name}", **changes)
