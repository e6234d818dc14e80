"""Copr's own client, release 1.112, in front of a real server."""

import http.server
import io
import json
import re
import shutil
import tempfile
import threading
from pathlib import Path

import pytest
from copr.client_v2.client import CoprClient
from copr.client_v2.net_client import AuthError, RequestError
from support.server import Server
from support.waiting import until

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.machine import scratch_root

LINUX = "x86_64-linux"
PASSWORD = "correct horse battery"
SOURCE = b"not really a package\n"
CONFIG = """
[builds]
sandbox = "plain"
[git]
allow_http = true
[outgoing]
allow = ["127.0.0.1"]
[source_builds]
scripts = "{scripts}"
upload_limit_mb = 1
"""
SCRIPT = """
cp "$SOURCE_FILE" "$RESULTS/built-for-$CHROOT.txt"
case $SOURCE_NAME in slow*) while :; do sleep 1; done;; broken*) exit 1;; esac
"""


class Files(http.server.BaseHTTPRequestHandler):
    """Any path is the same source."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(SOURCE)))
        self.end_headers()
        self.wfile.write(SOURCE)

    def log_message(self, *_):
        """Nobody reads it."""


@pytest.fixture(scope="module")
def files():
    """The address of a server with sources."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server():
    """One for all tests here, each of which has a project of its own."""
    with tempfile.TemporaryDirectory(prefix="ciserver-test-") as made:
        place = Path(made)
        place.chmod(0o711)
        (place / "scripts").mkdir()
        (place / "scripts" / "default.sh").write_text(SCRIPT)
        server = Server(place / "data", config=CONFIG.format(scripts=place / "scripts"))
        try:
            yield server.start()
        finally:
            server.stop()
            scratch = scratch_root(Settings(), DataDirectory(server.data))
            shutil.rmtree(scratch, ignore_errors=True)


def connect(server, login, token):
    with pytest.warns(FutureWarning, match="deprecated APIv2"):
        return CoprClient.create_from_params(server.url, login, token)


def add_user(server, name, **more):
    """The client of a new user, with their login and token."""
    post(server, "/users", {"name": name, "password": PASSWORD, **more})
    token = post(server, f"/users/{name}/tokens", {"scopes": ["*"]})["token"]
    return connect(server, name, token)


def post(server, path, body):
    answer = server.request("POST", f"/ci/v1{path}", json=body)
    assert answer.status < 300, answer.data
    return json.loads(answer.data)


@pytest.fixture(scope="module")
def client(server):
    return add_user(server, "ada", admin=True)


@pytest.fixture
def project(server, client, request):
    name = re.sub(r"\W", "-", request.node.name)
    post(server, "/projects", {"name": name, "uri": f"https://git.example.org/{name}.git"})
    (found,) = client.projects.get_list(name=name)
    return found


def ended(build):
    """The build once every task has ended; one is canceled before its last task stops."""

    def look():
        states = {one.state for one in build.get_build_tasks()}
        return states <= {"failed", "succeeded", "canceled"} and build.get_self()

    return until(look, what="the build to end")


def status_of(error):
    return error.value.response.status_code


def test_a_build_from_an_address(server, client, project, files):
    """Made, read in every way that the client has, finished, deleted."""
    build = client.builds.create_from_url(project.id, f"{files}/rose-1.0-2.src.rpm")
    assert (build.package_name, build.enable_net) == ("rose", True)
    build = ended(build)
    assert (build.state, build.is_finished()) == ("succeeded", True)
    (task,) = build.get_build_tasks()
    assert (task.build_id, task.chroot_name, task.state) == (build.id, LINUX, "succeeded")
    assert len(task.git_hash) == 40
    assert task.started_on <= task.ended_on
    assert task.get_self().result_dir_url == task.result_dir_url
    listing = server.request("GET", task.result_dir_url.removeprefix(server.url), token=False)
    assert f"built-for-{LINUX}.txt".encode() in listing.data
    assert [one.id for one in client.builds.get_list(project_id=project.id)] == [build.id]
    assert build.id in [one.id for one in client.builds.get_list(owner=project.owner)]
    assert [one.build_id for one in project.get_build_tasks(state="succeeded")] == [build.id]
    assert not list(project.get_build_tasks(state="failed"))
    assert build.delete().is_successful()
    assert not list(project.get_builds())
    with pytest.raises(RequestError) as error:
        build.delete()
    assert status_of(error) == 404
    assert error.value.response_json["data"] == {"build_id": build.id}


def test_a_build_from_a_file(server, client, project, tmp_path):
    """What is built is what was sent."""
    sent = tmp_path / "tulip-2-1.src.rpm"
    sent.write_bytes(SOURCE)
    build = ended(project.create_build_from_file(str(sent), chroots=[LINUX], enable_net=False))
    assert (build.state, build.package_name, build.enable_net) == ("succeeded", "tulip", False)
    results = f"/build/{build.id}/results"
    built = server.request("GET", f"{results}/built-for-{LINUX}.txt", token=False)
    assert (built.status, built.data) == (200, SOURCE)
    failed = project.create_build_from_file(
        file_obj=io.BytesIO(SOURCE), file_name="broken.src.rpm", chroots=[LINUX, "other-1-x86_64"]
    )
    assert ended(failed).state == "failed"


def test_a_build_is_canceled(client, project, files):
    """Once, and again without harm; what finished otherwise is refused, as is to delete early."""
    build = client.builds.create_from_url(project.id, f"{files}/slow.src.rpm")
    until(lambda: build.get_self().state == "running", what="the build to run")
    with pytest.raises(RequestError) as error:
        client.builds.delete(build.id)
    assert status_of(error) == 400
    for _ in range(2):
        assert build.cancel()._response.status_code == 201
    assert ended(build).state == "canceled"
    assert client.builds.delete(build.id).is_successful()
    good = ended(client.builds.create_from_url(project.id, f"{files}/good.src.rpm"))
    with pytest.raises(RequestError) as error:
        good.cancel()
    assert status_of(error) == 400


def test_projects_and_chroots(client, project):
    """Everything that a client may read of them."""
    name = project.name
    assert client.projects.get_one(project.id).name == name
    assert [one.name for one in client.projects.get_list(search_query=name[:-1], limit=5)] == [name]
    assert [one.name for one in project.get_project_chroot_list()] == [LINUX]
    assert project.get_project_chroot(LINUX).name == LINUX
    assert [one.name for one in client.mock_chroots.get_list()] == [LINUX]
    assert client.mock_chroots.get_one(LINUX).is_active is True


def test_chroots_are_switched_off_and_on(client, project, files):
    """As the client asks for it; what is off is not built for."""
    (chroot,) = project.get_project_chroot_list()
    chroot.buildroot_pkgs = ["gcc", "make"]
    assert chroot.update()._response.status_code == 200
    assert project.get_project_chroot(LINUX).buildroot_pkgs == ["gcc", "make"]
    assert chroot.disable()._response.status_code == 204
    assert not list(project.get_project_chroot_list())
    with pytest.raises(RequestError) as error:
        project.get_project_chroot(LINUX)
    assert status_of(error) == 404
    with pytest.raises(RequestError) as error:
        project.create_build_from_url(f"{files}/rose.src.rpm")
    assert status_of(error) == 400
    assert project.enable_project_chroot(LINUX)._response.status_code == 201
    with pytest.raises(RequestError) as error:
        project.enable_project_chroot(LINUX)
    assert status_of(error) == 409
    assert project.get_project_chroot(LINUX).buildroot_pkgs == []


def test_a_project_is_made_changed_and_deleted(client, files):
    """As the client sends it, with a null for whatever is open."""
    made = client.projects.create("daisies", "ada", [LINUX], homepage="https://example.org")
    assert (made.name, made.owner, made.description) == ("daisies", "ada", "")
    with pytest.raises(RequestError) as error:
        client.projects.create("daisies", "ada", [LINUX])
    assert status_of(error) == 409
    made.description = "White ones"
    assert made.update()._response.status_code == 204
    seen = made.get_self()
    assert (seen.description, seen.homepage) == ("White ones", "https://example.org")
    build = made.create_build_from_url(f"{files}/slow.src.rpm")
    with pytest.raises(RequestError) as error:
        made.delete()
    assert status_of(error) == 400
    build.cancel()
    ended(build)
    assert made.delete().is_successful()
    assert not list(client.projects.get_list(name="daisies"))


def test_what_is_refused(server, client, project, files):
    """The client finds a message in every refusal."""
    address = f"{files}/rose.src.rpm"
    for login, token in (("ada", "cis_wrong"), ("ada", "wrong"), ("nobody", PASSWORD)):
        with pytest.raises(RequestError) as error:
            connect(server, login, token).builds.create_from_url(project.id, address)
        assert status_of(error) == 401
        assert error.value.response_json["message"]
    with pytest.raises(RequestError) as error:
        client.builds.create_from_url(10**9, address)
    assert status_of(error) == 404
    for name in ("../rose.src.rpm", "..", "a/b.src.rpm"):
        with pytest.raises(RequestError) as error:
            project.create_build_from_file(file_obj=io.BytesIO(SOURCE), file_name=name)
        assert (status_of(error), "srpm" in str(error.value.response_json)) == (400, True)
    large = io.BytesIO(bytes(1024 * 1024 + 1))
    with pytest.raises(RequestError) as error:
        project.create_build_from_file(file_obj=large, file_name="large.src.rpm")
    assert status_of(error) == 413
    assert "1 MiB" in error.value.response_json["message"]
    assert not list(project.get_builds())


def test_somebody_without_the_right(server, project, files):
    """The client has an error of its own for these."""
    with pytest.raises(AuthError):
        add_user(server, "eve").builds.create_from_url(project.id, f"{files}/rose.src.rpm")
