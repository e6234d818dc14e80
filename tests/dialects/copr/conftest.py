"""Clients of /api_2 in front of one application, and groups of builds in any state behind it."""

import base64

import pytest
from falcon.testing import TestClient
from support.factories import ADMIN, Factory, make_job
from support.prepared import add_account

from ciserver.model.build import Offer
from ciserver.model.status import BuildStatus, EvaluationStatus
from ciserver.recipe.text import job_to_json
from ciserver.store.arrivals import Texts

PASSWORD = "correct horse battery"


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


@pytest.fixture
def client(parts):
    """A program without a proof."""
    return TestClient(parts.app)


@pytest.fixture
def get(client):
    """The JSON of a good answer."""

    def get(path, **rest):
        answer = client.simulate_get(path, **rest)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        return answer.json

    return get


@pytest.fixture
def make_group(make, store, clock):
    """Builds of one job over these systems, made together; a system may have a status."""

    def make_group(*systems, jobset=None, held=False, **changes):
        evaluation = make.evaluation(jobset, revision=changes.pop("revision", "a" * 40))
        wanted = [one if isinstance(one, tuple) else (one, BuildStatus.QUEUED) for one in systems]
        made = []
        with store.transaction():
            for number, (system, _) in enumerate(wanted):
                store.systems.add(system)
                image = f"image-{evaluation.id}-{number}"  # the claim finds this one and no other
                job = make_job(**{"system": system, "image": image, **changes})
                texts = Texts(store.queue.add_text(job_to_json(job)))
                first = made[0] if made else None
                made.append(
                    store.queue.add(evaluation, job, texts, clock.now(), group_id=first, held=held)
                )
            store.evaluations.count_builds(evaluation.id, total=len(made))
            store.evaluations.finish(evaluation.id, EvaluationStatus.SUCCEEDED, clock.now())
        for build_id, (system, status) in zip(made, wanted, strict=True):
            if status is not BuildStatus.QUEUED:
                build = store.builds.get(build_id)
                make._bring(build, status, Offer("local-0", (system,), (build.image,)))
        return store.listings.of_group(made[0])

    return make_group


@pytest.fixture
def add_user(parts, services):
    """A user with an API token; answers the headers of each kind of proof."""

    def add_user(name, *scopes, expires_at=None):
        add_account(parts, name, PASSWORD)
        token, _ = services.access.add_token(ADMIN, name, scopes or ("*",), expires_at)
        return basic(name, token)

    return add_user


@pytest.fixture
def make_jobset(services, store):
    """The jobset of a project with this owner and these settings."""

    def make_jobset(name, owner="", settings=None):
        uri = f"https://example.org/{name}.git"
        services.projects.watch(ADMIN, name, uri, owner=owner)
        if settings is not None:
            services.projects.put_project(ADMIN, name, settings)
        return store.jobsets.get_by_name(name, "main")

    return make_jobset


def basic(login, token):
    pair = base64.b64encode(f"{login}:{token}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}
