"""Jobs that a push made: clients see them as git.sr.ht's, with note and tags."""

import pytest
from support.factories import MAIN, make_push

from ciserver.model.push import ZERO, RefChange

RECIPE = "image: host\ntasks:\n  - build: echo built\n"


@pytest.fixture
def pushed(services, make, repository, admin):
    """Pushes these files to a branch, by ada; answers the revision."""
    services.projects.watch(admin, "project", str(repository.bare), local=True)

    def push(files, subject, *, ref=MAIN, options=()):
        revision = repository.commit(files, subject)
        repository.push(f"HEAD:{ref}")
        change = RefChange(ref, ZERO, revision)
        push = make_push(change, pusher="ada", options=options)
        services.pushes.accept_push(make.received("project"), push)
        assert services.evaluations.evaluate_next()
        return revision

    return push


def test_a_pushed_job_has_the_commit_as_its_note_and_tags(pushed, ada):
    """The tags lead from the repository over the branch to the manifest."""
    revision = pushed({".build.yml": RECIPE}, "Say <b>hello</b>", ref="refs/heads/a/b")
    job = ada.job(1)
    assert job["tags"] == "project/commits/a/b/build"
    assert job["note"].startswith(f"[{revision[:12]}](http")
    assert job["note"].endswith(": Say <b>hello</b>")
    assert job["owner"] == {"canonical_name": "~ada", "name": "ada"}


def test_a_job_that_is_run_anew_keeps_its_label(pushed, services, admin, ada):
    """A new build of the same commit is called and sorted as the first one."""
    pushed({".build.yml": RECIPE}, "Say hello")
    (made,) = services.builds.rebuild(admin, 1)
    first, again = ada.job(1), ada.job(made)
    assert (again["tags"], again["note"]) == (first["tags"], first["note"])


@pytest.mark.parametrize("word", ["private", "privat"])
def test_a_push_may_be_seen_by_fewer(pushed, ada, program, word):
    """Whoever is no member of the project does not see what it built."""
    pushed({".build.yml": RECIPE}, "Say hello", options=(f"visibility={word}",))
    assert ada.get("/api/jobs/1").status_code == 404
    assert program("eve", "jobs:read").get("/api/jobs").json["results"] == []
    pushed({"a": "b", ".build.yml": f"{RECIPE}always: true\n"}, "Say it to all")
    assert ada.get("/api/jobs/2").status_code == 200
