"""A project keeps no more than it may, and says so wherever people look."""

import pytest

pytestmark = pytest.mark.e2e

RECIPE = """\
image: host
tasks:
  - work: head -c 700000 /dev/urandom > out.bin
artifacts: [out.bin]
"""


def test_a_quota(make_server, watch):
    """The build that does not fit fails for that reason; with a larger quota the next one fits."""
    server = make_server(config="[builds]\nproject_quota_mb = 1\n").start()
    repository = watch(server)
    for number in (1, 2):
        repository.commit({".build.yml": RECIPE, "number": str(number)})
        repository.push()
        server.until_built(number)
    second, first = server.builds()
    assert (first["status"], second["status"]) == ("succeeded", "failed")
    assert second["reason"] == "project-quota"
    assert second["detail"].endswith("keeps 700000 bytes and has no room for 700000 more")
    project = first["project"]
    assert server.api(f"/projects/{project}/quota")["products_bytes"] == 700_000

    server.cli("project", "quota", project, "--mb", "5")
    shown = server.cli("project", "quota", project).stdout
    assert shown == (
        f"project {project} keeps 700000 bytes (products 700000, logs 0); its quota: 5 MiB\n"
    )
    server.request("POST", f"/ci/v1/builds/{second['id']}/rerun", json={})
    again, _ = server.until_built(2)
    assert (again["status"], again["attempt"]) == ("succeeded", 2)
    server.cli("project", "quota", project, "--mb", "1")
    doctor = server.cli("doctor", check=False).stdout
    assert f"1 projects keep as much as they may: {project} (1 MiB)" in doctor
    page = server.request("GET", f"/project/{project}").data.decode()
    assert "This project keeps as much as it may" in page
    metrics = server.request("GET", "/metrics").data.decode()
    assert "ciserver_projects_full 1\n" in metrics
    assert 'ciserver_kept_bytes{what="products"} 1400000\n' in metrics
    assert "quota: 1 MiB" in server.cli("project", "quota", project).stdout
    server.cli("project", "quota", project, "--default")
