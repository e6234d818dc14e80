"""What programs that were written for builds.sr.ht send, and what they rely on in the answers.

The command line srhtctl 0.5.0, and of postmarketOS's build coordinator the part that submits and
polls, were run against the server with another address and token; these are their requests.
"""

import pytest

MANIFEST = "image: alpine/latest\npackages:\n- xz\ntasks:\n- sign_it: |\n   echo signed\n"
STATUSES = {"pending", "queued", "running", "success", "failed", "timeout", "cancelled"}


@pytest.fixture
def deploy(ada):
    """Submits as srhtctl does: with every field, empty ones as well."""

    def deploy(manifest=MANIFEST, note="", tags=()):
        body = {"manifest": manifest, "note": note, "tags": list(tags)}
        answer = ada.post("/api/jobs", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json

    return deploy


def test_a_deployed_job_has_an_address_for_people(deploy, stranger):
    """Made of its owner and its number; empty fields are as good as none."""
    job = deploy()
    assert (job["note"], job["tags"]) == (None, None)
    page = stranger.get(f"/{job['owner']['canonical_name']}/job/{job['id']}")
    assert page.status_code in {200, 301, 302, 303, 307, 308}
    assert page.headers.get("location", "").endswith(f"/build/{job['id']}")


def test_a_job_is_submitted_again_from_what_is_told_of_it(deploy, ada, stranger):
    """Its manifest, and its tags taken apart at the slashes."""
    first = deploy(note="A note", tags=["library", "commits"])
    manifest = stranger.get(f"/api/jobs/{first['id']}/manifest").text
    told = ada.job(first["id"])
    assert told["tags"].split("/") == ["library", "commits"]
    note = f"Resubmission of build [#{first['id']}](/~ada/job/{first['id']})"
    again = deploy(manifest, note, told["tags"].split("/"))
    assert (again["note"], again["tags"]) == (note, first["tags"])


def test_the_logs_of_a_failed_job_are_read_without_a_token(deploy, ada, stranger, worker):
    """That of the setup, and those of the tasks that failed, by the addresses in the job."""
    job_id = deploy()["id"]
    lease = worker.start()
    worker.log(lease, b"set up\n", 0)
    worker.log(lease, b"boom\n", 1)
    job = ada.job(job_id)
    for address, text in ((job["setup_log"], "set up\n"), (job["tasks"][0]["log"], "boom\n")):
        assert stranger.get(address.removeprefix("http://falconframework.org")).text == text


def test_a_coordinator_submits_with_secrets_and_polls(program, worker):
    """A status that it does not know would stop it."""
    coordinator = program("ada", "*")
    manifest = f"""{MANIFEST}secrets:
- 46f739e5-4538-45dd-a79f-bf173b7a2ed9
triggers:
- action: webhook
  condition: failure
  url: https://build.example.org/api/public/update-job-status
"""
    job_id = coordinator.submit(
        manifest=manifest, note="Signing", tags=["sign_index"], execute=True, secrets=True
    )
    seen = [coordinator.job(job_id)["status"]]
    worker.finish(worker.start())
    seen.append(coordinator.job(job_id)["status"])
    assert set(seen) <= STATUSES
    assert seen[0] == "queued"
