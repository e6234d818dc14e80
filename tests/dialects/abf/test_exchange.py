"""Every request of ABF's document on product build lists, played as it stands there."""

import io
from urllib.parse import urlsplit

import pytest
from dialects.abf.playing import LISTS, PARAMS

from ciserver.machine import native_system
from ciserver.model.build import BuildResult, Offer, StepResult
from ciserver.model.status import BuildStatus, StepStatus

# As documented, but for these decisions: numbers are integers, the url is that of the list itself,
# its project is the product's, and beside it stand the reason of a status, when the results may be
# removed and what holds them besides, and how the product starts by itself.
SHOWN = {
    "id": 1,
    "status": 0,
    "notified_at": 1772366405,
    "time_living": 60,
    "url": "/api/v1/product_build_lists/1.json",
    "product": {
        "id": 1,
        "name": "rosa2012lts_ee",
        "description": "Extended Edition",
        "main_script": "MATRIX",
        "params": PARAMS,
        "time_living": 60,
        "autostart_status": None,
        "autostart_only_if_changed": False,
        "autostart": None,
        "url": "/api/v1/products/1.json",
    },
    "project": {
        "id": 1,
        "name": "evil_tools",
        "visibility": "open",
        "fullname": "ivan/evil_tools",
        "url": "/api/v1/projects/1.json",
        "git_url": "REPOSITORY",
        "ssh_url": "",
        "maintainer": {
            "id": 1,
            "name": "Ivan Aivazovsky",
            "uname": "ivan",
            "url": "/api/v1/users/1.json",
            "email": "ivan@example.org",
        },
    },
    "arch": {"id": 1, "name": native_system().removesuffix("-linux")},
    "main_script": "MATRIX",
    "params": PARAMS,
    "commit_hash": "COMMIT",
    "results": [
        {
            "file_name": "rosa.iso",
            "size": 5,
            "url": "http://falconframework.org/build/1/product/1/rosa.iso",
        },
        {
            "file_name": "archives.tar.gz",
            "size": 8,
            "url": "http://falconframework.org/build/1/product/2/archives.tar.gz",
        },
        {
            "file_name": "abfworker::iso-worker-1.log",
            "size": 9,
            "url": "http://falconframework.org/log/build-1",
        },
    ],
    "created_at": 1772366400,
    "updated_at": 1772366405,
    "not_delete": False,
    "autostarted": False,
    "reason": "",
    "removable_at": 1772366405 + 90 * 24 * 3600,
    "kept_why": "an evaluation that is kept has it",
}
ITEM = {key: SHOWN[key] for key in ("id", "status", "notified_at", "time_living", "url")}


def claim(parts):
    work = parts.reporter.claim(Offer("local", (native_system(),)))
    parts.reporter.advance(work.lease, StepResult(0, StepStatus.SUCCEEDED, 0), 1, sandbox="plain")
    return work.lease


@pytest.fixture
def built(parts, clock, create):
    """A list that completed five seconds after it was made, with two files and a log."""
    build_id = create()
    lease = claim(parts)
    parts.reporter.append_log(lease, 0, 0, b"set up\n")
    parts.reporter.append_log(lease, 1, 0, b"1\n")
    parts.reporter.add_product(lease, "results/rosa.iso", io.BytesIO(b"made\n"))
    parts.reporter.add_product(lease, "results/archives.tar.gz", io.BytesIO(b"archived"))
    clock.forward(seconds=5)
    parts.reporter.finish(
        lease, BuildResult(BuildStatus.SUCCEEDED), (StepResult(1, StepStatus.SUCCEEDED, 0),)
    )
    return build_id


@pytest.fixture
def shown(repository, commit):
    project = SHOWN["project"] | {"git_url": str(repository.bare)}
    return SHOWN | {"commit_hash": commit, "project": project}


def test_a_single_list(ivan, built, shown):
    """Key by key, in the order of the document."""
    answer = ivan.get(f"{LISTS}/{built}.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == {"product_build_list": shown}
    assert list(answer.json["product_build_list"]) == list(SHOWN)


def test_strangers_read_what_is_open_without_mail_addresses(anybody, built, shown):
    """Everything else is the same."""
    maintainer = shown["project"]["maintainer"] | {"email": ""}
    assert anybody.show(built) == shown | {"project": shown["project"] | {"maintainer": maintainer}}


def test_the_addresses_of_results_work(anybody, built):
    """They are whole, and lead to the files."""
    contents = (b"made\n", b"archived", b"set up\n1\n")
    for one, content in zip(anybody.show(built)["results"], contents, strict=True):
        answer = anybody.http.simulate_get(urlsplit(one["url"]).path)
        assert (answer.status_code, answer.content) == (200, content)


def test_the_log_is_a_result_when_it_is_complete(ivan, parts, create):
    """Not before, and not of what never ran."""
    build_id, canceled = create(), create()
    ivan.ask("PUT", f"{LISTS}/{canceled}/cancel.json")
    lease = claim(parts)
    parts.reporter.append_log(lease, 1, 0, b"began\n")
    assert ivan.show(build_id)["results"] == ivan.show(canceled)["results"] == []
    parts.reporter.finish(lease, BuildResult(BuildStatus.FAILED), ())
    assert [one["size"] for one in ivan.show(build_id)["results"]] == [6]


@pytest.mark.parametrize("path", [LISTS, "/api/v1/products/1/product_build_lists"])
@pytest.mark.parametrize("suffix", ["", ".json"])
def test_the_lists(anybody, built, path, suffix):
    """All of them and those of a product; the url is that of all. The suffix may be left out."""
    answer = anybody.get(path + suffix)
    assert answer.status_code == 200
    assert answer.json == {
        "product_build_lists": [ITEM],
        "url": "/api/v1/product_build_lists.json",
    }


@pytest.mark.parametrize("path", ["/api/v1/product_build_list.json", f"{LISTS}.json"])
@pytest.mark.parametrize("number", [str, int])
def test_create(ivan, services, admin, product, commit, arch, path, number):
    """With everything that the document names, numbers as text or as numbers."""
    answer = ivan.create(
        path,
        product_id=number(product.id),
        project_id=number(product.project_id),
        commit_hash=commit,
        arch_id=number(arch.id),
        main_script="other.sh",
        params="lst=libs",
        time_living=number(61),
    )
    assert answer.status_code == 200
    said = answer.json["product_build_list"]
    assert said["message"] == "Product build list has been created successfully"
    shown = ivan.show(said["id"])
    assert (shown["status"], shown["commit_hash"]) == (2, commit)
    assert (shown["main_script"], shown["params"]) == ("other.sh", "lst=libs")
    assert (shown["time_living"], shown["arch"]["id"]) == (61, arch.id)
    job = services.queries.build(admin, said["id"]).job
    assert job.environment == {
        "PROJECT": "ivan/evil_tools",
        "PROJECT_VERSION": commit,
        "COMMIT_HASH": commit,
        "lst": "libs",
    }
    assert job.timeout_seconds == 61 * 60
    (request,) = services.requests.list_newest(admin, limit=1)
    assert (request.action, request.who, request.created) == ("submit-build", "ivan", (said["id"],))


def test_what_is_left_open_is_the_products(ivan, product, create):
    """The script, its parameters and its limit."""
    shown = ivan.show(create(params=None))
    assert [shown[key] for key in ("main_script", "params", "time_living")] == [
        "MATRIX",
        PARAMS,
        60,
    ]


def test_update(ivan, services, admin, built):
    """A completed list is kept, and kept no more."""
    for wanted, kept in ((True, True), ("0", False)):
        body = {"product_build_list": {"not_delete": wanted}}
        answer = ivan.ask("PUT", f"{LISTS}/{built}.json", body)
        assert answer.status_code == 200
        assert answer.json["product_build_list"] == {
            "id": built,
            "message": "Product build list has been updated successfully",
        }
        assert ivan.show(built)["not_delete"] is kept
        assert services.queries.build(admin, built).build.kept is kept
        (request,) = services.requests.list_newest(admin, limit=1)
        assert (request.action, request.what) == ("keep-build", {"build": built, "kept": kept})


def test_destroy(ivan, services, admin, built):
    """It is in no list any more, and nowhere else."""
    answer = ivan.ask("DELETE", f"{LISTS}/{built}.json", {"anything": "at all"})
    assert answer.status_code == 200
    assert answer.json["product_build_list"] == {
        "id": built,
        "message": "Product build list has been destroyed successfully",
    }
    assert ivan.get(f"{LISTS}/{built}.json").status_code == 404
    assert ivan.get(f"/build/{built}").status_code == 404
    assert ivan.get(f"{LISTS}.json").json["product_build_lists"] == []
    assert ivan.ask("DELETE", f"{LISTS}/{built}.json").status_code == 404
    (request,) = services.requests.list_newest(admin, limit=1)
    assert (request.action, request.what) == ("delete-build", {"build": built})


def test_cancel(ivan, services, admin, create):
    """A list that waits is canceled at once."""
    build_id = create()
    answer = ivan.ask("PUT", f"{LISTS}/{build_id}/cancel.json", {})
    assert answer.status_code == 200
    assert answer.json["product_build_list"] == {
        "id": build_id,
        "message": "Product build list has been canceled successfully",
    }
    assert ivan.show(build_id)["status"] == 4
    (request,) = services.requests.list_newest(admin, limit=1)
    assert (request.action, request.who) == ("cancel-build", "ivan")


def test_what_lists_link_to(ivan, anybody, product, repository, services, admin):
    """The product with its project, the project by itself, and the architectures."""
    shown = ivan.get("/api/v1/products/1.json").json["product"]
    project = SHOWN["project"] | {"git_url": str(repository.bare)}
    platform = {
        "id": 1,
        "name": "evil_tools",
        "visibility": "open",
        "platform_type": "main",
        "url": "/api/v1/platforms/1.json",
    }
    assert shown == SHOWN["product"] | {"project": project, "platform": platform}
    alone = ivan.get("/api/v1/projects/1.json").json["project"]
    assert {key: alone[key] for key in project} == project
    assert alone["owner"] == {
        "id": 1,
        "name": "ivan",
        "uname": "ivan",
        "type": "User",
        "url": "/api/v1/users/1.json",
    }
    assert (alone["description"], alone["default_branch"]) == ("Tools", "HEAD")
    assert (alone["created_at"], alone["repositories"]) == (1772366400, [])
    for query, status in {
        "name=evil_tools&owner=ivan": 200,
        "name=evil_tools": 200,
        "name=evil_tools&owner=olga": 404,
        "name=none": 404,
        "": 404,
    }.items():
        found = ivan.get("/api/v1/projects/get_id.json", query_string=query)
        assert found.status_code == status, query
        assert status == 404 or found.json["project"] == alone
    arches = anybody.get("/api/v1/arches.json")
    assert arches.json == {"architectures": [SHOWN["arch"]]}
