"""Builds made, canceled and deleted through /api_2: what is taken, what is refused, who may."""

import io
import json

import pytest
from support.factories import ADMIN

from ciserver.model.account import Right, Visibility
from ciserver.model.project import ProjectSettings
from ciserver.model.request import RequestStatus
from ciserver.model.status import BuildStatus

S = BuildStatus
LINUX = "x86_64-linux"
URL = "https://example.org/rose-1.0-2.src.rpm"
BOUNDARY = "marker"
GOOD_PARTS = (("metadata", None, '{"project_id": %d}'), ("srpm", "rose-1.0-2.src.rpm", "content"))


@pytest.fixture
def ada(add_user):
    return add_user("ada")


@pytest.fixture
def jobset(make_jobset, ada):
    return make_jobset("roses", owner="ada")


@pytest.fixture
def post(client):
    def post(body, headers, *, kind="application/json"):
        text = body if isinstance(body, bytes | str) else json.dumps(body)
        return client.simulate_post(
            "/api_2/builds", body=text, headers={"Content-Type": kind, **headers}
        )

    return post


@pytest.fixture
def upload(post, ada):
    """The answer to a form of these parts, each a name, a file name and a text."""

    def upload(*parts):
        lines = []
        for name, file, text in parts:
            of_file = "" if file is None else f'; filename="{file}"'
            lines += [f"--{BOUNDARY}", f'Content-Disposition: form-data; name="{name}"{of_file}']
            lines += ["", text]
        body = "\r\n".join([*lines, f"--{BOUNDARY}--", ""])
        return post(body, ada, kind=f"multipart/form-data; boundary={BOUNDARY}")

    return upload


@pytest.fixture
def kept(parts):
    """The names of the uploads that are on the disk."""
    return lambda: [one.name for one in (parts.data.root / "uploads").iterdir()]


def refused(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["message"]
    return answer.json


def test_a_build_for_each_chroot(client, get, post, jobset, ada, store):
    """Of one group; its address is absolute, and the answer has no body."""
    with store.transaction():
        store.systems.add("fedora-40-x86_64")
    answer = post({"project_id": jobset.id, "srpm_url": URL}, ada)
    assert (answer.status_code, answer.text) == (201, "")
    place = answer.headers["location"]
    assert place.startswith("http://falconframework.org/api_2/builds/")
    made = get(place.removeprefix("http://falconframework.org") + "?show_build_tasks")
    build = made["build"]
    assert (build["state"], build["package_name"], build["submitter"]) == ("pending", "rose", "ada")
    assert build["enable_net"] is True
    chroots = [one["build_task"]["chroot_name"] for one in made["build_tasks"]]
    assert chroots == ["fedora-40-x86_64", LINUX]


@pytest.mark.parametrize(
    ("more", "chroots"),
    [
        ({"chroots": []}, [LINUX]),
        ({"chroots": None}, [LINUX]),
        ({"chroots": [LINUX, "unknown-1-x86_64", LINUX]}, [LINUX]),
        ({"unknown": {}, "enable_net": False}, [LINUX]),
    ],
)
def test_unknown_chroots_and_keys_are_left_out(post, jobset, ada, store, more, chroots):
    """As Copr does; none at all is every one."""
    answer = post({"project_id": str(jobset.id), "srpm_url": URL, **more}, ada)
    group = int(answer.headers["location"].rpartition("/")[2])
    assert [one.system for one in store.listings.of_group(group)] == chroots


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, {"project_id", "srpm_url"}),
        ({"project_id": True, "srpm_url": URL}, {"project_id"}),
        ({"project_id": 1.5, "srpm_url": 1}, {"project_id", "srpm_url"}),
        ({"project_id": "9" * 19, "srpm_url": URL}, {"project_id"}),
        ({"project_id": -1, "srpm_url": URL}, {"project_id"}),
        ({"srpm_url": ""}, {"srpm_url"}),
        ({"srpm_url": "ftp://example.org/a.src.rpm"}, {"srpm_url"}),
        ({"srpm_url": "/etc/passwd"}, {"srpm_url"}),
        ({"srpm_url": "file:///etc/passwd"}, {"srpm_url"}),
        ({"srpm_url": "http://example.org/a.src.rpm"}, {"srpm_url"}),
        ({"srpm_url": "https://u:p@example.org/a.src.rpm"}, {"srpm_url"}),
        ({"srpm_url": "https://example.org/../a.src.rpm"}, {"srpm_url"}),
        ({"srpm_url": "https://example.org/a%22b.src.rpm"}, {"srpm_url"}),
        ({"srpm_url": URL, "chroots": LINUX}, {"chroots"}),
        ({"srpm_url": URL, "chroots": [1]}, {"chroots"}),
        ({"srpm_url": URL, "chroots": ["unknown-1-x86_64"]}, {"chroots"}),
        ({"srpm_url": URL, "enable_net": "yes"}, {"enable_net"}),
    ],
)
def test_what_cannot_be_built(post, jobset, ada, services, given, names):
    """Every fault is named, and nothing is made."""
    body = given if "project_id" in given or not given else {"project_id": jobset.id, **given}
    error = refused(post(body, ada), 400)["data"]["error"]
    assert {one.partition(":")[0] for one in error.split("; ")} == names
    assert not services.queries.builds(ADMIN).builds


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("{", "application/json"),
        ("[]", "application/json"),
        ("null", "application/json"),
        ("[" * 100_000, "application/json"),
        ('{"project_id": 1, "project_id": 1}', "application/json"),
        ('{"project_id": NaN}', "application/json"),
        (b"\xff", "application/json"),
        ("{}", "text/plain"),
        ("{}", ""),
        ("{}", "multipart/form-data"),
        ("{}", "multipart/form-data; boundary=marker"),
        ("--marker\r\n\r\n", "multipart/form-data; boundary=marker"),
    ],
)
def test_bodies_that_cannot_be_read(post, ada, body, kind):
    """Told in JSON, whatever was sent."""
    refused(post(body, ada, kind=kind), 400)


def test_an_upload_in_either_order(upload, jobset, store, kept):
    """The file is kept for the builds, and named by them."""
    metadata, srpm = GOOD_PARTS
    metadata = (*metadata[:2], metadata[2] % jobset.id)
    for parts in ((metadata, srpm), (srpm, metadata)):
        answer = upload(*parts)
        assert answer.status_code == 201, answer.text
    assert len(kept()) == 2
    for name in kept():
        with store.upload_files.open(name) as content:
            assert content.read() == b"content"


def test_where_a_build_came_from(get, post, upload, jobset, ada, client):
    """An address or a file, with what its name tells of the package; never null."""
    made = [
        post({"project_id": jobset.id, "srpm_url": URL}, ada),
        upload((*GOOD_PARTS[0][:2], GOOD_PARTS[0][2] % jobset.id), GOOD_PARTS[1]),
    ]
    told = [get(one.headers["location"].partition(".org")[2])["build"] for one in made]
    sources = [(one["source_type"], one["source_metadata"]) for one in told]
    pkg = {"pkg": "rose-1.0-2.src.rpm"}
    assert sources == [("link", {"url": URL, **pkg}), ("upload", pkg)]
    assert [(one["package_name"], one["package_version"]) for one in told] == [
        ("rose", "1.0-2")
    ] * 2


def test_the_packages_that_were_built(get, make, jobset, make_group):
    """Each once, over all chroots; sources and other files are none."""
    running = make_group((LINUX, S.RUNNING), ("fedora-40-aarch64", S.RUNNING), jobset=jobset)
    rpms = ("rose-1.0-2.noarch", "rose-libs-1.0-2.{}", "rose-1.0-2.src", "rose-1.0-2.nosrc")
    for build, arch in zip(running, ("aarch64", "x86_64"), strict=True):
        for name in (*(f"{one.format(arch)}.rpm" for one in rpms), "build.log", "odd.rpm"):
            make.reporter.add_product(make.leases[build.id], f"results/{name}", io.BytesIO(b"x"))
    built = [{"name": "rose", "version": "1.0"}, {"name": "rose-libs", "version": "1.0"}]
    assert get(f"/api_2/builds/{running[0].group_id}")["build"]["built_packages"] == built
    assert get("/api_2/builds")["builds"][0]["build"]["built_packages"] == built


@pytest.mark.parametrize(
    ("given", "name"),
    [({"srpm_url": "https://example.org/rose-1.0.tar.gz"}, "srpm_url"), (None, "srpm")],
)
def test_what_rpmbuild_cannot_build(post, upload, jobset, ada, kept, given, name):
    """Without scripts of the administrator's a source is a source package."""
    if given is None:
        metadata = ("metadata", None, f'{{"project_id": {jobset.id}}}')
        answer = upload(metadata, ("srpm", "rose.tar.gz", "content"))
    else:
        answer = post({"project_id": jobset.id, **given}, ada)
    error = refused(answer, 400)["data"]["error"]
    assert error == f"{name}: its name must end with .src.rpm: no other source is built here"
    assert kept() == []


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=marker"])
def test_what_says_that_it_is_too_large_is_not_read(client, ada, kept, kind):
    """It is refused by its length alone."""
    length = str((101 << 20) + 1)
    headers = {"Content-Type": kind, "Content-Length": length, **ada}
    answer = client.simulate_post("/api_2/builds", body="", headers=headers)
    assert "100 MiB" in refused(answer, 413)["message"]
    assert kept() == []


def test_a_body_that_is_no_json_is_repeated(post, upload, ada):
    """As far as it is needed to see what is wrong."""
    told = refused(post('{"project_id": ' + "x" * 5000, ada), 400)
    assert told["data"]["request_string"] == ('{"project_id": ' + "x" * 5000)[:1000]
    told = refused(upload(("metadata", None, "{"), GOOD_PARTS[1]), 400)
    assert told["data"] == {"request_string": "{"}
    assert told["message"].startswith("metadata is not JSON")


def test_an_upload_is_done_again_elsewhere(client, upload, jobset):
    """The script wants the file beside it, since nobody else gets it from here."""
    metadata, srpm = GOOD_PARTS
    made = upload((*metadata[:2], metadata[2] % jobset.id), srpm)
    build_id = made.headers["location"].rpartition("/")[2]
    script = client.simulate_get(f"/build/{build_id}/reproduce").text
    assert "[ -f rose-1.0-2.src.rpm ] || fail" in script
    assert "copy source ./rose-1.0-2.src.rpm" in script


@pytest.mark.parametrize(
    "sent",
    [
        [],
        ["metadata"],
        ["srpm"],
        ["srpm", "srpm", "metadata"],
        ["srpm", "metadata", "metadata"],
        ["srpm", "metadata", "more"],
        ["srpm", "unknown project"],
        ["srpm", "no json"],
        ["srpm", "a list"],
        ["srpm", "no project"],
        ["srpm", "too long"],
    ],
)
def test_uploads_that_are_refused_are_not_kept(upload, jobset, kept, sent):
    """Wherever the fault is found."""
    known = {
        "metadata": (*GOOD_PARTS[0][:2], GOOD_PARTS[0][2] % jobset.id),
        "srpm": GOOD_PARTS[1],
        "more": ("more", None, ""),
        "unknown project": ("metadata", None, '{"project_id": 1000}'),
        "no json": ("metadata", None, "{"),
        "a list": ("metadata", None, "[]"),
        "no project": ("metadata", None, "{}"),
        "too long": ("metadata", None, " " * (1024 * 1024 + 1)),
    }
    refused(upload(*(known[one] for one in sent)), 404 if "unknown project" in sent else 400)
    assert kept() == []


@pytest.mark.parametrize(
    "name",
    ["", "..", ".", "../a.rpm", "/etc/passwd", "a/b", "a\\\\b", ".hidden", "-x", "a b", "a" * 256],
)
def test_names_of_uploads(upload, jobset, kept, name):
    """One that is more than the name of a file, or less, is refused before it is kept."""
    answer = upload(("srpm", name, "content"), ("metadata", None, f'{{"project_id": {jobset.id}}}'))
    assert "srpm" in refused(answer, 400)["data"]["error"]
    assert kept() == []


def test_who_may_build(post, add_user, jobset, services):
    """Whoever may have things evaluated there; what is hidden is not there for others."""
    body = {"project_id": jobset.id, "srpm_url": URL}
    refused(post(body, {}), 401)
    eve = add_user("eve")
    refused(post(body, eve), 403)
    (request,) = services.requests.list_newest(ADMIN, limit=1)
    assert (request.who, request.status) == ("eve", RequestStatus.FAILED)
    refused(post(body, add_user("reader", "builds:read")), 403)
    services.projects.set_member(ADMIN, "roses", "eve", frozenset({Right.EVALUATE}))
    assert post(body, eve).status_code == 201
    hidden = ProjectSettings(visibility=Visibility.PRIVATE)
    services.projects.put_project(ADMIN, "roses", hidden)
    answer = refused(post(body, add_user("bob")), 404)
    assert answer["data"] == {"project_id": jobset.id}


def test_a_build_is_canceled_as_a_whole(client, get, post, jobset, ada, store):
    """Twice is once; other states are taken and change nothing."""
    with store.transaction():
        store.systems.add("fedora-40-x86_64")
    place = post({"project_id": jobset.id, "srpm_url": URL}, ada).headers["location"]
    path = place.removeprefix("http://falconframework.org")
    refused(client.simulate_delete(path, headers=ada), 400)
    for body, state in (('{"state": "running"}', "pending"), ('{"state": "canceled"}', "canceled")):
        for _ in range(2):
            answer = client.simulate_put(path, body=body, headers=ada)
            assert (answer.status_code, answer.headers["location"]) == (201, place)
            assert get(path)["build"]["state"] == state
    for body in ("{}", '{"state": null}', '{"state": 2}', "{", "[]", ""):
        refused(client.simulate_put(path, body=body, headers=ada), 400)
    assert client.simulate_delete(path, headers=ada).status_code == 204
    for answer in (
        client.simulate_delete(path, headers=ada),
        client.simulate_put(path, body='{"state": "canceled"}', headers=ada),
        client.simulate_get(path),
    ):
        assert refused(answer, 404)["data"] == {"build_id": int(path.rpartition("/")[2])}


def test_what_finished_cannot_be_canceled(client, make, ada, make_group, jobset):
    """It stays as it is."""
    (build,) = make_group((LINUX, BuildStatus.SUCCEEDED), jobset=jobset)
    answer = client.simulate_put(
        f"/api_2/builds/{build.group_id}", body='{"state": "canceled"}', headers=ada
    )
    refused(answer, 400)


def test_who_may_cancel_and_delete(client, add_user, make_group, jobset, services):
    """To cancel is a right of its own; to delete is for who may change the project."""
    (build,) = make_group(LINUX, jobset=jobset)
    path, body = f"/api_2/builds/{build.group_id}", '{"state": "canceled"}'
    refused(client.simulate_put(path, body=body), 401)
    refused(client.simulate_delete(path), 401)
    eve = add_user("eve")
    refused(client.simulate_put(path, body=body, headers=eve), 403)
    services.projects.set_member(ADMIN, "roses", "eve", frozenset({Right.CANCEL}))
    assert client.simulate_put(path, body=body, headers=eve).status_code == 201
    refused(client.simulate_delete(path, headers=eve), 403)
